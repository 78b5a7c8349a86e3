"""What lists are measured by, against a naive reading."""

from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.evaluation import yardsticks as room
from penchant.evaluation.yardsticks import yardsticks
from penchant.testing import example_histories, log_of
from penchant.types import Sequences

# a: u, v; b: u; c: v, w.
HAD = [("u", "a", 1), ("u", "a", 2), ("u", "b", 3), ("v", "a", 1), ("v", "c", 2), ("w", "c", 1)]


@pytest.fixture
def train() -> Sequences:
    return seq.histories(log_of(HAD))


def test_who_had_what(train: Sequences) -> None:
    yard = yardsticks(train)
    assert yard.alike == "people"
    assert yard.share.tolist() == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    cosines = (yard.vectors @ yard.vectors.T).toarray()
    assert np.diag(cosines) == pytest.approx(np.ones(3))
    assert cosines[0, 1:] == pytest.approx([1 / np.sqrt(2), 1 / 2])
    assert cosines[1, 2] == 0


def test_lists_by_hand(train: Sequences) -> None:
    lists = np.array([[0, 1], [2, 1], [0, -1]])
    found = yardsticks(train).of_lists(lists)
    assert found["novelty"] == pytest.approx([(np.log2(3 / 2) + np.log2(3)) / 2] * 2 + [np.log2(3 / 2)])
    assert found["diversity"] == pytest.approx([1 - 1 / np.sqrt(2), 1, 0])


def test_words_tell_more_where_there_are_some() -> None:
    train = example_histories(np.random.default_rng(0), 8)  # items are alike whose numbers end alike
    fewer = seq.recode(train, replace(train.items, ids=tuple(reversed(train.items.ids))))
    for some in (train, fewer):
        yard = yardsticks(some)
        assert yard.alike == "words"
        code = {name: some.items.code(name) for name in ("item 3", "item 13", "item 4", "item 39")}
        pairs = np.array(
            [[code["item 3"], code["item 13"]], [code["item 3"], code["item 4"]], [code["item 3"], code["item 39"]]]
        )
        assert yard.of_lists(pairs)["diversity"] == pytest.approx([0, 1, 1])


def test_of_many_events_people_spread_evenly_tell(train: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVENTS_COMPARED", 3)
    yard = yardsticks(train)
    assert yard.vectors.shape == (3, 2)  # of u, v, w every second
    assert yard.share.tolist() == pytest.approx([2 / 3, 1 / 3, 2 / 3])
