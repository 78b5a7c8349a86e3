"""What is an event, and what isn't; ids derived from what an event says."""

from __future__ import annotations

import pytest

from penchant.live.events import AHEAD, LONGEST_ID, MOST_EVENTS, Event, check
from penchant.types import PenchantError

EVENT = Event("ann", "tea", 1000)


def test_an_id_is_derived_from_all_an_event_says() -> None:
    assert EVENT.named() == Event("ann", "tea", 1000).named()
    others = [
        ("user_id", "bob"),
        ("item_id", "cup"),
        ("timestamp", 1001),
        ("event_type", "buy"),
        ("value", 2.0),
        ("session_id", "s"),
    ]
    ids = {EVENT._replace(**{field: value}).named().event_id for field, value in others}  # type: ignore[arg-type]
    assert len(ids | {EVENT.named().event_id}) == len(others) + 1


def test_a_given_id_stays_and_the_list_it_came_from_does_not_enter() -> None:
    assert EVENT._replace(event_id="mine").named().event_id == "mine"
    assert EVENT._replace(recommendation_id="r").named().event_id == EVENT.named().event_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""),
        ("user_id", " "),
        ("item_id", "x" * (LONGEST_ID + 1)),
        ("event_id", "a\0b"),
        ("event_type", "\ud800"),
        ("timestamp", -1),
        ("timestamp", 1000 + AHEAD + 1),
        ("value", float("nan")),
        ("value", float("inf")),
    ],
)
def test_what_can_not_be_stored_is_named_by_event_and_field(field: str, value: object) -> None:
    with pytest.raises(PenchantError, match=f"^event 2, {field}: "):
        check([EVENT, EVENT._replace(**{field: value})], now=1000)  # type: ignore[arg-type]


def test_requests_are_bounded() -> None:
    check([EVENT] * MOST_EVENTS, now=1000)
    with pytest.raises(PenchantError, match="send at most"):
        check([EVENT] * (MOST_EVENTS + 1), now=1000)


def test_words_of_any_language_are_ids() -> None:
    check([EVENT._replace(user_id="Łódź 茶 \n 🍵", item_id="é" * LONGEST_ID)], now=1000)
