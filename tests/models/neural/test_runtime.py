"""The networks alive in NumPy are the networks torch trained."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from penchant.models import MODELS
from penchant.models.neural.network import BODIES, Moments, Network, Shape, State
from penchant.models.neural.network import gap_features as torch_gap_features
from penchant.models.neural.runtime import RUNTIMES, Runtime, common_shapes, gap_features, seconds_between
from penchant.types import MICROSECONDS, NEVER, Array, Arrays, Batch, Float, Int, text

ITEMS, KINDS, LATER = 23, 3, 77
"""Scores are asked for so many seconds after the last event."""
SETTINGS: dict[str, dict[str, Any]] = {name: {"width": 12, "layers": 2} for name in BODIES}
SETTINGS["attention_lstm"] |= {"ring": 5, "heads": 2}
SETTINGS["transformer"] |= {"ring": 30, "max_length": 30, "heads": 3}
SETTINGS["longshort_network"] |= {"long_layers": 2}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in BODIES),
    ("lstm", {"layers": 1}),
    ("gru", {"layers": 3, "time_gaps": False}),
    ("article_lstm", {"layers": 1, "event_types": False}),
    ("attention_lstm", {"ring": 40, "heads": 1}),
    ("attention_lstm", {"ring": 1}),
    ("transformer", {"layers": 1, "heads": 1}),
    ("longshort_network", {"short": False}),
    ("longshort_network", {"long": False, "ring": 5}),
    ("longshort_network", {"ring": 5, "heads": 2}),
    ("longshort_network", {"ring": 40, "short": False, "long_layers": 1}),
    ("longshort_network", {"time_gaps": False}),
]


def a_pair(name: str = "lstm", *, timed: bool = True, **settings: Any) -> tuple[Network, Runtime]:
    chosen = MODELS[name](**SETTINGS[name] | settings).settings
    shape = Shape(ITEMS, KINDS, timed, unit=600.0, span=3000.0)
    network = Network(shape, chosen, BODIES[name])  # type: ignore[arg-type]
    chance = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases too must matter
            parameter.add_(torch.randn(parameter.shape, generator=chance) * 0.3)
    weights = {key: value.numpy().copy() for key, value in network.state_dict().items()}
    return network, RUNTIMES[name](weights, chosen)


def a_batch(people: int, length: int, lengths: Int | None = None, seed: int = 0) -> Batch:
    chance = np.random.default_rng(seed)
    shape = (people, length)
    gaps = np.floor(10 ** chance.uniform(-1, 5, shape)).astype(np.int64)
    return Batch(
        item=chance.integers(0, ITEMS, shape).astype(np.int32),
        timestamp=(1_600_000_000 + np.cumsum(gaps, axis=1)) * MICROSECONDS,
        event_type=chance.integers(0, KINDS, shape).astype(np.int16),
        event_id=text([""] * (people * length)).reshape(shape),
        lengths=np.full(people, length) if lengths is None else lengths,
    )


def columns(batch: Batch, start: int, stop: int) -> Batch:
    some = slice(start, stop)
    return Batch(
        batch.item[:, some],
        batch.timestamp[:, some],
        batch.event_type[:, some],
        batch.event_id[:, some],
        np.clip(batch.lengths - start, 0, stop - start),
    )


def in_torch(network: Network, batch: Batch, start: int, stop: int, state: State | None = None) -> tuple[Float, State]:
    """The interests after each of some events, asked ``LATER``."""
    gap = np.diff(batch.timestamp, axis=1, prepend=batch.timestamp[:, :1]) / MICROSECONDS
    gap[:, 0] = -1
    some = slice(start, stop)
    at = Moments(torch.from_numpy(gap[:, some].astype(np.float32)), torch.full((len(batch), stop - start), float(LATER)))
    kind = torch.from_numpy(batch.event_type[:, some].astype(np.int64))
    x = functional.embedding(torch.from_numpy(batch.item[:, some].astype(np.int64)), network.embedding)
    with torch.no_grad():
        interests, after = network(x, kind, at, state)
    return interests.numpy(), after


def later(state: Arrays) -> Int:
    return np.where(state["last_time"] == NEVER, NEVER, state["last_time"] + LATER * MICROSECONDS)


def interest(runtime: Runtime, state: Arrays) -> Array:
    return np.asarray(sum(runtime.interest(state, later(state)).values()))


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_interests_and_scores_are_those_of_torch(name: str, settings: dict[str, Any], timed: bool) -> None:
    network, runtime = a_pair(name, timed=timed, **settings)
    for length in (1, 30) if name == "transformer" else (1, 30, 200):
        lengths = np.array([length, (length + 1) // 2, 1])
        batch = a_batch(3, length, lengths, seed=length)
        expected = in_torch(network, batch, 0, length)[0][np.arange(3), lengths - 1]
        scores = expected @ network.embedding.detach().numpy().T + network.bias.detach().numpy()
        state = runtime.advance(runtime.start(3), batch)
        assert np.abs(interest(runtime, state) - expected).max() < 1e-5
        found = runtime.score(state, later(state))
        assert np.abs(found - scores).max() < 1e-5 * max(1, float(np.abs(scores).max()))
        assert found.dtype == np.float32


@pytest.mark.parametrize(("name", "settings"), [pair for pair in VARIANTS if pair[0] != "transformer"])
@pytest.mark.parametrize("cut", [1, 13])
def test_pieces_with_a_carried_state_are_the_whole_history(name: str, settings: dict[str, Any], cut: int) -> None:
    network, runtime = a_pair(name, **settings)
    batch = a_batch(4, 40)
    whole, _ = in_torch(network, batch, 0, 40)
    first, carried = in_torch(network, batch, 0, cut)
    second, _ = in_torch(network, batch, cut, 40, carried)
    assert np.abs(np.concatenate([first, second], axis=1) - whole).max() < 1e-5
    half = runtime.advance(runtime.start(4), columns(batch, 0, cut))
    assert np.abs(interest(runtime, half) - first[:, -1]).max() < 1e-5
    assert np.abs(interest(runtime, runtime.advance(half, columns(batch, cut, 40))) - second[:, -1]).max() < 1e-5


def test_histories_of_other_lengths_leave_a_batch_and_a_state_as_they_were() -> None:
    _, runtime = a_pair()
    start = runtime.advance(runtime.start(4), a_batch(4, 2, seed=1))
    batch, lengths = a_batch(4, 6, seed=2), np.array([6, 1, 4, 0])
    for some in (lengths, np.maximum(lengths, 1)):
        before = {name: array.copy() for name, array in start.items()}, batch.timestamp.copy()
        runtime.advance(start, replace(batch, lengths=some))
        assert np.array_equal(batch.timestamp, before[1])
        assert all(np.array_equal(array, before[0][name]) for name, array in start.items())


def test_a_transformer_sees_the_last_events_of_a_long_history() -> None:
    network, runtime = a_pair("transformer", ring=8, max_length=8)
    batch = a_batch(3, 25)
    state = runtime.advance(runtime.start(3), batch)
    assert np.abs(interest(runtime, state) - in_torch(network, batch, 17, 25)[0][:, -1]).max() < 1e-5


def test_the_memories_of_an_lstm_are_those_of_torch() -> None:
    network, runtime = a_pair("lstm")
    batch = a_batch(4, 50)
    _, (h, c) = in_torch(network, batch, 0, 50)
    state = runtime.advance(runtime.start(4), batch)
    assert np.abs(state["h"] - h.numpy().transpose(1, 0, 2)).max() < 1e-5
    assert np.abs(state["c"] - c.numpy().transpose(1, 0, 2)).max() < 1e-5


@pytest.mark.parametrize("name", BODIES)
def test_someone_new_likes_what_the_bias_says(name: str) -> None:
    _, runtime = a_pair(name)
    state = runtime.start(2)
    found = runtime.score(state, np.full(2, 5 * MICROSECONDS))
    assert np.allclose(found, np.tile(runtime.weights["bias"], (2, 1)), atol=1e-7)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_the_parts_are_the_addends_of_the_score(name: str, settings: dict[str, Any]) -> None:
    _, runtime = a_pair(name, **settings)
    state = runtime.advance(runtime.start(2), a_batch(2, 2, np.array([2, 1])))
    item = np.array([[5, 0], [22, 7]])
    parts = runtime.parts(state, later(state), item)
    assert np.array_equal(parts["bias"], runtime.weights["bias"][item])
    total = np.sum(list(parts.values()), axis=0)
    assert np.allclose(total, np.take_along_axis(runtime.score(state, later(state)), item, 1), atol=1e-5)


def test_the_two_memories_are_told_apart() -> None:
    for settings, names in (
        ({}, {"long_term", "short_term"}),
        ({"long": False}, {"short_term"}),
        ({"short": False}, {"long_term"}),
    ):
        _, runtime = a_pair("longshort_network", **settings)
        state = runtime.advance(runtime.start(1), a_batch(1, 3))
        assert runtime.parts(state, later(state), np.array([[1]])).keys() == names | {"bias"}


def test_the_gate_between_the_memories_hears_when_it_is_asked() -> None:
    for name, settings, moves in (("longshort_network", {}, True), ("longshort_network", {"time_gaps": False}, False)):
        _, runtime = a_pair(name, **settings)
        state = runtime.advance(runtime.start(1), a_batch(1, 3))
        soon, late = (runtime.score(state, state["last_time"] + wait * MICROSECONDS) for wait in (1, 10**7))
        assert np.array_equal(soon, late) != moves


@pytest.mark.parametrize("name", BODIES)
def test_nothing_and_nobody_advance_to_themselves(name: str) -> None:
    _, runtime = a_pair(name)
    some = runtime.advance(runtime.start(2), a_batch(2, 2))
    for batch in (a_batch(2, 0), a_batch(2, 2, np.array([0, 0]))):
        after = runtime.advance(some, batch)
        assert all(np.array_equal(after[key], some[key]) for key in some)
    nobody = runtime.advance(runtime.start(0), a_batch(0, 3))
    assert runtime.score(nobody, np.zeros(0, np.int64)).shape == (0, ITEMS)


@pytest.mark.parametrize("name", BODIES)
def test_a_kind_of_event_that_training_never_saw_adds_nothing(name: str) -> None:
    _, runtime = a_pair(name)
    batch = a_batch(1, 1)
    batch.event_type[:] = -1
    strange = runtime.advance(runtime.start(1), batch)
    runtime.weights["kind"][0] = 0
    batch.event_type[:] = 0
    plain = runtime.advance(runtime.start(1), batch)
    assert all(np.array_equal(plain[key], strange[key]) for key in plain)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_shapes_are_those_of_the_network(name: str, settings: dict[str, Any], timed: bool) -> None:
    network, runtime = a_pair(name, timed=timed, **settings)
    found = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    gaps = timed and runtime.settings.time_gaps
    common = common_shapes(ITEMS, KINDS, timed=timed, settings=runtime.settings)
    assert common | runtime.shapes(runtime.settings, timed=gaps) == found


def test_gaps_and_their_features() -> None:
    gap = np.array([-1, 0, 3.5, 1e4, 1e9], np.float32)
    assert np.allclose(gap_features(gap), torch_gap_features(torch.from_numpy(gap)).numpy(), atol=1e-6)
    last, now = np.array([NEVER, 5, 9]), np.array([7, 5 + 3 * MICROSECONDS, 2])
    assert seconds_between(last, now).tolist() == [-1, 3, 0]
