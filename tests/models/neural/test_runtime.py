"""The network alive in NumPy is the network torch trained."""

import numpy as np
import pytest
import torch
from penchant.models.recurrent.network import Network
from penchant.models.recurrent.runtime import Runtime, shapes
from penchant.models.recurrent.settings import LSTMSettings

from penchant.types import Array, Batch, Int, text

ITEMS = 23


def a_pair(layers: int, width: int = 12, scale: float = 1.0) -> tuple[Network, Runtime]:
    settings = LSTMSettings(width=width, layers=layers)
    network = Network(ITEMS, settings, torch.Generator().manual_seed(layers))
    chance = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases too must matter
            parameter.add_(torch.randn(parameter.shape, generator=chance) * 0.3).mul_(scale)
    weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    return network, Runtime(weights, settings)


def a_batch(item: Array, lengths: Int) -> Batch:
    events = text([""] * item.size).reshape(item.shape)
    return Batch(item.astype(np.int32), np.zeros(item.shape, np.int64), np.zeros(item.shape, np.int16), events, lengths)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 40, 300])
def test_interests_and_scores_are_those_of_torch(layers: int, length: int) -> None:
    network, runtime = a_pair(layers)
    chance = np.random.default_rng(length)
    item = chance.integers(0, ITEMS, (3, length))
    lengths = np.array([length, (length + 1) // 2, 1])
    with torch.no_grad():
        interests, _ = network(torch.from_numpy(item))
        expected = interests[torch.arange(3), torch.from_numpy(lengths - 1)]
        scores = expected @ network.embedding.T + network.bias
    state = runtime.advance(runtime.initial(3), a_batch(item, lengths))
    assert np.abs(state["interest"] - expected.numpy()).max() < 1e-5
    assert np.abs(runtime.score(state) - scores.numpy()).max() < 1e-5 * max(1, float(scores.abs().max()))
    assert runtime.score(state).dtype == state["interest"].dtype == np.float32


def test_the_memories_are_those_of_torch() -> None:
    network, runtime = a_pair(2)
    item = np.random.default_rng(0).integers(0, ITEMS, (4, 50))
    with torch.no_grad():
        _, (h, c) = network(torch.from_numpy(item))
    state = runtime.advance(runtime.initial(4), a_batch(item, np.full(4, 50)))
    assert np.abs(state["h"] - h.numpy().transpose(1, 0, 2)).max() < 1e-5
    assert np.abs(state["c"] - c.numpy().transpose(1, 0, 2)).max() < 1e-5


def test_someone_new_likes_what_the_bias_says() -> None:
    _, runtime = a_pair(1)
    assert np.array_equal(runtime.score(runtime.initial(2)), np.tile(runtime.weights["bias"], (2, 1)))


def test_the_parts_are_the_addends_of_the_score() -> None:
    _, runtime = a_pair(1)
    state = runtime.advance(runtime.initial(2), a_batch(np.array([[1, 2], [3, 0]]), np.array([2, 1])))
    item = np.array([[5, 0], [22, 7]])
    parts = runtime.parts(state, item)
    assert np.array_equal(parts["bias"], runtime.weights["bias"][item])
    total = parts["short_term"] + parts["bias"]
    assert np.allclose(total, np.take_along_axis(runtime.score(state), item, 1), atol=1e-5)


def test_nothing_and_nobody_advance_to_themselves() -> None:
    _, runtime = a_pair(2)
    some = runtime.advance(runtime.initial(2), a_batch(np.array([[1, 2], [3, 4]]), np.array([2, 2])))
    for batch in (a_batch(np.zeros((2, 0)), np.array([0, 0])), a_batch(np.array([[9, 9], [9, 9]]), np.array([0, 0]))):
        after = runtime.advance(some, batch)
        assert all(np.array_equal(after[name], some[name]) for name in some)
    nobody = runtime.advance(runtime.initial(0), a_batch(np.zeros((0, 3)), np.zeros(0, np.int64)))
    assert runtime.score(nobody).shape == (0, ITEMS)


def test_shapes_are_those_of_the_network() -> None:
    for layers in (1, 2):
        network, _ = a_pair(layers)
        found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        assert shapes(ITEMS, LSTMSettings(width=12, layers=layers)) == found
