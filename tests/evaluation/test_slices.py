"""Slices: which targets belong where, and how far two interests agree."""

from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.evaluation import leave_one_out, slices
from penchant.evaluation.splits import _cases
from penchant.models import create
from penchant.models.base import Model
from penchant.testing import log_of
from penchant.types import DAY, Interactions, Split


def parts_of(cut: Split, agreement: np.ndarray | None = None) -> dict[str, dict[str, list[str]]]:
    """Of each family and slice, ``user:item`` of its targets."""
    asked = slices.asked(cut.test, cut.train)
    users, items = cut.test.histories.users.ids, cut.train.items
    words = np.array([f"{users[c]}:{items[int(t)]}" for c, t in zip(asked.case, asked.target, strict=True)])
    found: dict[str, dict[str, list[str]]] = {}
    for part in slices.parts(asked, cut.train, agreement):
        found.setdefault(part.family, {})[part.name] = words[part.of].tolist()
    return found


def test_slices_by_hand() -> None:
    # Trained on until day 8: a 6 times, b 3, c 1; d is new. v begins after that.
    days = [("t", item, n) for n, item in enumerate("aaaaabbc")] + [("u", "a", 0), ("u", "b", 1), ("u", "a", 8.5)]
    days += [("v", "b", 9), ("w", "b", 2)]
    late = [("u", "d", 11), ("v", "c", 11), ("w", "a", 11), ("w", "b", 11), ("t", "d", 11)]
    log = log_of([(user, item, 86_400 * day) for user, item, day in days + late])
    before, after = log.timestamp < 8 * DAY, log.timestamp >= 11 * DAY
    cut = replace(leave_one_out(log), train=seq.histories(log, before), test=_cases(log, ~after, after, 11 * DAY))
    found = parts_of(cut)
    assert found["item"] == {
        "head": ["w:a"],
        "middle": ["w:b"],
        "tail": ["v:c"],
        "new": ["t:d", "u:d"],
    }
    assert found["person"] == {"in training": ["t:d", "u:d", "w:a", "w:b"], "new since training": ["v:c"]}
    assert found["history"] == {"1-4 events": ["u:d", "v:c", "w:a", "w:b"], "5-9 events": ["t:d"]}
    assert found["pause"] == {"a day to a week": ["t:d", "u:d", "v:c"], "a week to 30 days": ["w:a", "w:b"]}
    assert parts_of(cut, np.array([0.1, 0.2, 0.9, 0.5]))["interests"] == {
        "disagree": ["t:d", "u:d"],
        "between": ["w:a", "w:b"],
        "agree": ["v:c"],
    }


@pytest.fixture(scope="module")
def log() -> Interactions:
    chance = np.random.default_rng(0)
    return log_of([(f"u{u:02}", f"i{chance.integers(12)}", 5000 * n + u) for u in range(40) for n in range(8)])


def test_kinds_of_events_are_those_of_the_targets(log: Interactions) -> None:
    kinds = replace(log, event_types=("view", "buy"), event_type=(np.arange(len(log)) % 16 == 7).astype(np.int16))
    cut = leave_one_out(kinds)
    found = parts_of(cut)["kind of event"]
    assert {name: len(targets) for name, targets in found.items()} == {"view": 20, "buy": 20}


def test_without_times_there_are_no_pauses(log: Interactions) -> None:
    assert "pause" not in parts_of(leave_one_out(replace(log, clock="index")))


@pytest.fixture(scope="module")
def network(log: Interactions) -> Model:
    return create("longshort_network", width=6, epochs=1).fit(leave_one_out(log).train)


def test_agreement_is_the_correlation_of_the_two_parts(log: Interactions, network: Model) -> None:
    cases = leave_one_out(log).test
    found = slices.agreement([create("popularity").fit(leave_one_out(log).train), network], cases)
    assert found is not None
    states = network.encode(cases.histories)
    everything = np.tile(np.arange(len(network.items)), (len(cases), 1))
    both = network.parts(states, cases.now, everything)
    for row in (0, 7, 39):
        expected = np.corrcoef(both["long_term"][row], both["short_term"][row])[0, 1]
        assert found[row] == pytest.approx(expected, abs=1e-4)
    assert len(np.unique(found)) > 20


def test_models_without_two_interests_have_no_agreement(log: Interactions) -> None:
    cut = leave_one_out(log)
    assert slices.agreement([create("popularity").fit(cut.train), create("markov").fit(cut.train)], cut.test) is None
