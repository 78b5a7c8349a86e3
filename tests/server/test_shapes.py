"""Times and places as they travel."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.server.shapes import cursor_in, cursor_out, in_gorse, iso, microseconds
from penchant.types import PenchantError

MOMENT = 1_717_180_200_000_000


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-31T18:30:00Z",
        "2024-05-31 18:30:00",
        "2024-05-31T20:30:00+02:00",
        "2024-05-31T18:30:00.000000000Z",
        MOMENT // 10**6,
        MOMENT / 10**6,
        MOMENT // 10**3,
        MOMENT,
        MOMENT * 10**3,
        str(MOMENT // 10**6),
        f"{MOMENT / 10**6:.1f}",
        MOMENT / 10**6 + 4e-7,
    ],
)
def test_a_moment_in_any_notation(time: str | float) -> None:
    assert microseconds(time) == MOMENT


@pytest.mark.parametrize("time", [None, "", "0001-01-01T00:00:00Z"])
def test_no_moment(time: str | None) -> None:
    assert microseconds(time) is None


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2024-13-01",
        float("nan"),
        float("inf"),
        1e300,
        "99999-01-01",
        10**30,
        4.6e12,
        -1e11,
        "9999-12-31T23:00:00-10:00",
        "nan",
    ],
)
def test_what_is_no_time(time: str | float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        microseconds(time)


@given(st.integers(0, 4 * 10**15))
def test_times_come_back(moment: int) -> None:
    assert microseconds(iso(moment)) == moment


@settings(max_examples=20)
@given(st.text(), st.integers(-(1 << 63) + 1, (1 << 63) - 1), st.text())
def test_places_come_back(user: str, moment: int, event: str) -> None:
    assert cursor_in(cursor_out([user, moment, event])) == (user, moment, event)


@pytest.mark.parametrize(
    "word", ["nonsense", "é", cursor_out(["only a user"]), cursor_out([1, 2, 3]), cursor_out(["u", True, "e"])]
)
def test_other_places_are_refused(word: str) -> None:
    with pytest.raises(PenchantError, match="cursor"):
        cursor_in(word)


def test_fields_in_the_other_spelling() -> None:
    event = {"user_id": "a", "event_type": "read", "event_id": "x"}
    assert in_gorse({"cursor": "c", "events": [event]}) == {
        "Cursor": "c",
        "Feedback": [{"UserId": "a", "FeedbackType": "read"}],
    }
