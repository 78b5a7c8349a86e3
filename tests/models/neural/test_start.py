"""Where embeddings begin: near each other where items stand near each other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.models import create
from penchant.models.neural import start
from penchant.testing import log_of
from penchant.types import Float, Sequences, Vocabulary

WORLDS = ("abcdef", "uvwxyz")


def two_worlds(people: int = 40, extra: tuple[tuple[str, str, float], ...] = ()) -> Sequences:
    """People walk about in one of two sets of items."""
    chance = np.random.default_rng(1)
    events = [
        (f"{world[0]}{person}", item, float(at))
        for world in WORLDS
        for person in range(people)
        for at, item in enumerate(chance.permutation(list(world)))
    ]
    return seq.histories(log_of([*events, *extra]))


def random(train: Sequences, width: int) -> Float:
    return np.random.default_rng(0).standard_normal((len(train.items), width)).astype(np.float32)


@pytest.mark.parametrize("dense", [0, 1024])
def test_items_of_one_world_are_near_each_other(monkeypatch: pytest.MonkeyPatch, dense: int) -> None:
    monkeypatch.setattr(start, "DENSE", dense)
    train = two_worlds()
    vectors = start.factors(train, 2, random(train, 2))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(12))
    first = np.array([item in WORLDS[0] for item in train.items.ids])
    near = vectors @ vectors.T
    assert near[first][:, first].min() > 0.5 > 0 > near[first][:, ~first].max()


def test_large_catalogues_get_the_vectors_that_small_ones_would(monkeypatch: pytest.MonkeyPatch) -> None:
    train = two_worlds(people=5)
    whole = start.factors(train, 4, random(train, 4))
    monkeypatch.setattr(start, "DENSE", 0)
    sparse = start.factors(train, 4, random(train, 4))
    assert sparse @ sparse.T == pytest.approx(whole @ whole.T, abs=1e-5)  # signs of factors are free


def test_what_stands_alone_or_lies_beyond_the_catalogue_is_left_to_chance() -> None:
    train = two_worlds(extra=(("hermit", "alone", 0.0),))
    begin = random(train, 20)
    vectors = start.factors(train, 20, begin)
    alone = train.items.ids.index("alone")
    assert np.array_equal(vectors[alone], begin[alone])
    assert np.array_equal(vectors[:, 12:], begin[:, 12:])
    assert np.isfinite(vectors).all()
    assert not np.array_equal(vectors[:, :12], begin[:, :12])


@pytest.mark.parametrize("events", [[("x", "a", 0.0), ("x", "a", 1.0)], [("x", "a", 0.0), ("y", "b", 0.0)]])
def test_nothing_near_anything_leaves_all_to_chance(events: list[tuple[str, str, float]]) -> None:
    train = seq.histories(log_of(events))
    assert np.array_equal(start.factors(train, 4, random(train, 4)), random(train, 4))


def test_a_network_that_begins_there_knows_more_after_an_epoch() -> None:
    train = two_worlds()
    settings = {"width": 8, "epochs": 1, "batch_histories": 8, "dropout": 0.0, "loss": "softmax"}
    losses = {where: create("lstm", **settings, start=where).fit(train).history[0]["loss"] for where in ("factors", "random")}
    assert losses["factors"] < losses["random"] - 0.1


def floats(values: Any) -> Float:
    return np.array(values, np.float32)


def test_earlier_weights_are_carried_over_to_a_larger_catalogue() -> None:
    """``new`` stands between a and b, ``alone`` near nothing; ``buy`` is a kind that wasn't known."""
    rows = [("p", "a", 0.0), ("p", "new", 1.0), ("p", "b", 2.0), ("q", "alone", 0.0), ("r", "c", 0.0)]
    train = replace(seq.histories(log_of(rows)), event_types=("buy", "view"))
    assert train.items.ids == ("a", "alone", "b", "c", "new")
    known = {"embedding": floats([[0, 8], [3, 3], [2, 0]]), "bias": floats([4, 7, 2]), "kind": floats([[5, 5]])}
    old = known | {"unit": floats(3), "of another shape": floats([0, 0])}
    new = {"embedding": np.ones((5, 2), np.float32), "bias": floats([0] * 5), "kind": np.zeros((2, 2), np.float32)}
    new |= {"unit": floats(1), "of another shape": floats([1, 1, 1]), "not there": floats([1, 1])}
    earlier = start.Earlier(old, Vocabulary(("b", "c", "a")), ("view",), np.zeros(3, np.int64))
    found = start.carried_over(earlier, new, train)
    assert found["embedding"].tolist() == [[2, 0], [pytest.approx(5 / 3), pytest.approx(11 / 3)], [0, 8], [3, 3], [1, 4]]
    assert found["bias"].tolist() == [2, pytest.approx(13 / 3), 4, 7, 3]
    assert found["kind"].tolist() == [[0, 0], [5, 5]]
    assert found["unit"] == 3
    assert found["of another shape"].tolist() == [1, 1, 1]
    assert found["not there"].tolist() == [1, 1]
