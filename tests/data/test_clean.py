"""Which events leave, why, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import engine
from penchant.data.clean import HOUR, NO_ID, STEPS, Cleaner, PrepareConfig, frequent
from penchant.types import PenchantError

NOW = 1_700_000_000_000_000
Event = dict[str, Any]


def events(*rows: Event) -> Any:
    base = {"user_id": "u", "item_id": "i", "timestamp": NOW, "event_type": "view", "value": 1.0, "unreadable": False}
    full = [base | {"row": number} | row for number, row in enumerate(rows)]
    names = full[0].keys()
    return engine.in_order(engine.table({name: [row[name] for row in full] for name in names}))


def clean(*rows: Event, clock: Any = "real", **config: Any) -> tuple[list[int], dict[str, int], dict[str, int]]:
    """Rows that stay, how many left at which step, how many values were filled."""
    cleaner = Cleaner(PrepareConfig(**config), clock)
    stayed = cleaner.clean(events(*rows))
    assert cleaner.rows_in == len(rows)
    assert len(stayed) + sum(cleaner.dropped.values()) == len(rows)
    return (
        sorted(stayed["row"].to_list()),
        {s: n for s, n in cleaner.dropped.items() if n},
        {c: n for c, n in cleaner.filled.items() if n},
    )


def test_missing_users_items_and_times_leave() -> None:
    rows: list[Event] = [{}, {"user_id": None}, {"item_id": None}, {"timestamp": None}]
    assert clean(*rows) == ([0], {"missing": 3}, {})


def test_unreadable_times_leave_under_their_own_name() -> None:
    assert clean({}, {"timestamp": None, "unreadable": True}) == ([0], {"unreadable_times": 1}, {})


@pytest.mark.parametrize(
    ("seconds", "possible"),
    [(0, False), (-1, False), (31_535_999, False), (31_536_000, True), (4_102_444_799, True), (4_102_444_800, False)],
)
def test_times_before_1971_and_from_2100_on_are_impossible(seconds: int, possible: bool) -> None:
    stayed, dropped, _ = clean({"timestamp": seconds * 1_000_000})
    assert bool(stayed) == possible
    assert dropped == ({} if possible else {"impossible_times": 1})


def test_bounds_on_time_can_be_stated() -> None:
    rows = [{"timestamp": NOW - 1}, {"timestamp": NOW}, {"timestamp": NOW + 1}]
    assert clean(*rows, earliest=NOW, latest=NOW + 1)[0] == [1]


def test_positions_are_never_impossible() -> None:
    assert clean({"timestamp": 5}, clock="index")[0] == [0]


def test_of_equal_events_the_first_stays() -> None:
    other: list[Event] = [{"user_id": "v"}, {"item_id": "j"}, {"timestamp": NOW + 1}, {"event_type": "buy"}]
    assert clean({"value": 5.0}, *other, {"value": 3.0}) == ([0, 1, 2, 3, 4], {"duplicates": 1}, {})


def test_with_event_ids_only_those_tell_duplicates() -> None:
    rows: list[Event] = [
        {"event_id": "a"},
        {"event_id": "b"},
        {"event_id": "a", "item_id": "j"},
        {"event_id": "a", "user_id": "v"},
    ]
    assert clean(*(row | {NO_ID: False} for row in rows)) == ([0, 1, 3], {"duplicates": 1}, {})


def test_a_program_is_known_by_its_pace() -> None:
    start = NOW - NOW % HOUR
    human = [{"user_id": "h", "timestamp": start + n * HOUR, "item_id": str(n)} for n in range(10)]
    program = [{"user_id": "b", "timestamp": start + n, "item_id": str(n)} for n in range(4)]
    assert clean(*human, *program, bot_events_per_hour=4)[1] == {}
    assert clean(*human, *program, bot_events_per_hour=3) == (list(range(10)), {"bots": 4}, {})


def test_optional_values_are_filled_and_counted() -> None:
    rows: list[Event] = [{"event_type": None}, {"value": None, "item_id": "j"}, {"item_id": "k"}]
    cleaner = Cleaner(PrepareConfig(event_type="seen", value=2.5), "real")
    table = cleaner.clean(events(*rows))
    assert table["event_type"].to_list() == ["seen", "view", "view"]
    assert table["value"].to_list() == [1.0, 2.5, 1.0]
    assert cleaner.filled == {"event_type": 1, "value": 1}


@pytest.mark.parametrize(
    ("step", "row"),
    [
        ("impossible_times", {"timestamp": -5}),
        ("duplicates", {}),
        ("bots", {"item_id": "j"}),
    ],
)
def test_a_step_that_is_switched_off_drops_nothing(step: str, row: Event) -> None:
    assert clean({}, row, bot_events_per_hour=1 if step == "bots" else 100)[1]
    stayed, dropped, _ = clean({}, row, skip=(step,), bot_events_per_hour=1 if step == "bots" else 100)
    assert (stayed, dropped) == ([0, 1], {})
    assert step not in Cleaner(PrepareConfig(skip=(step,)), "real").dropped


def test_filling_can_be_switched_off() -> None:
    cleaner = Cleaner(PrepareConfig(skip=("fill",)), "real")
    assert cleaner.clean(events({"value": None}))["value"].to_list() == [None]
    assert cleaner.filled == {}


@pytest.mark.parametrize("row", [{"user_id": None}, {"timestamp": None}, {"timestamp": None, "unreadable": True}])
def test_events_that_cant_stay_stop_the_work_when_their_step_is_off(row: Event) -> None:
    with pytest.raises(PenchantError, match="can't be kept"):
        clean({}, row, skip=("missing", "unreadable_times"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"skip": ("polish",)},
        {"earliest": 5, "latest": 5},
        {"event_type": ""},
        {"value": float("nan")},
        {"min_user_events": 0},
        {"min_item_events": 0},
        {"bot_events_per_hour": 0},
        {"rows_at_once": 0},
        {"session_gap": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PenchantError):
        PrepareConfig(**wrong)


def test_every_step_has_words() -> None:
    assert all(STEPS.values())


def k_core(pairs: Sequence[tuple[str, str]], users: int, items: int) -> set[tuple[str, str]]:
    """Peel one rare user or item after another until none is left; the order of peeling doesn't matter."""
    left = list(pairs)
    while True:
        by_user, by_item = Counter(u for u, _ in left), Counter(i for _, i in left)
        enough = [(u, i) for u, i in left if by_user[u] >= users and by_item[i] >= items]
        if len(enough) == len(left):
            return set(left)
        left = enough


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_rare_users_and_items_leave_until_none_is_rare(pairs: list[tuple[str, str]], users: int, items: int) -> None:
    frame = engine.table({"user_id": [u for u, _ in pairs], "item_id": [i for _, i in pairs]}).lazy()
    kept_users, kept_items = frequent(frame, PrepareConfig(min_user_events=users, min_item_events=items))
    u, i = set(kept_users["user_id"].to_list()), set(kept_items["item_id"].to_list())
    core = k_core(pairs, users, items)
    assert {pair for pair in pairs if pair[0] in u and pair[1] in i} == core
    assert (u, i) == ({pair[0] for pair in core}, {pair[1] for pair in core})


def test_kinds_to_leave_out_leave_with_those_of_no_kind_where_it_stands_in() -> None:
    kinds = {"event_type": "hate"}, {"event_type": "like"}, {"event_type": None}
    assert clean(*kinds, without=("hate",))[:2] == ([1, 2], {"unwanted": 1})
    assert clean(*kinds, without=("hate", "event"))[:2] == ([1], {"unwanted": 2})
