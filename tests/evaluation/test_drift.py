"""How far events are from those a model was trained on: by hand, and what moves which figure."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.evaluation.drift import drift, reference, stability
from penchant.testing import log_of
from penchant.types import DAY, MICROSECONDS, Vocabulary

HOUR = 3600


def known() -> tuple[Vocabulary, dict[str, Any]]:
    """a has half of all events, b a quarter, c and d the rest; all in the first hours of a day."""
    items = ["a"] * 400 + ["b"] * 200 + ["c"] * 100 + ["d"] * 100
    train = seq.histories(log_of([(f"u{n}", item, HOUR * (n % 4)) for n, item in enumerate(items)]))
    return train.items, json.loads(json.dumps(reference(train.items, train)))


def test_stability_by_hand() -> None:
    assert stability(np.array([9, 9]), np.array([1, 1])) == 0
    # Shares of .75 and .25, then of .25 and .75, with half an event more in each.
    assert stability(np.array([2.5, 0.5]), np.array([0.5, 2.5])) == pytest.approx(np.log(3))


def test_a_reference_says_what_was_trained_on() -> None:
    items, found = known()
    assert items.ids == ("a", "b", "c", "d")
    assert found["group"] == "0578"  # each begins where the more popular ones end, in tenths of the events
    assert found["items"] == [400, 0, 0, 0, 0, 200, 0, 100, 100, 0]
    assert found["event_types"] == {"event": 800}
    assert found["hours"] == [200, 200, 200, 200, *[0] * 20]
    train = seq.histories(log_of([("u", "a", 1), ("u", "b", 2)], clock="index"))
    assert "hours" not in reference(train.items, train)


@pytest.mark.parametrize(
    ("what", "items", "kinds", "hours"),
    [
        ("items", "dddddddd", ["event"], [0, 1, 2, 3]),
        ("event_types", "aaaabbcd", ["buy"], [0, 1, 2, 3]),
        ("hours", "aaaabbcd", ["event"], [20, 21, 22, 23]),
    ],
)
def test_what_moves_is_told(what: str, items: str, kinds: list[str], hours: list[int]) -> None:
    catalogue, before = known()
    days = 100
    times = [day * DAY + hour * HOUR * MICROSECONDS for day in range(days) for hour in hours * 2]
    found = drift(before, catalogue, list(items * days), kinds * len(times), times)
    still = {"items", "event_types", "hours"} - {what}
    assert found[what] > 1
    assert all(found[other] < 0.05 for other in still)


def test_unknown_items_are_not_counted_and_hours_need_a_week() -> None:
    catalogue, before = known()
    grown = Vocabulary((*catalogue.ids, "new"))
    found = drift(before, grown, ["a", "a", "b", "new", "never seen"], ["event"] * 5, [0, 1, 2, 3, 4])
    assert found == drift(before, catalogue, ["a", "a", "b"], ["event"] * 5, [0] * 5)
    assert found.keys() == {"items", "event_types"}
