"""What an event's place in its user's history tells, against a slow oracle."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import engine
from penchant.data.features import FEATURES, add_features
from penchant.types import DAY, MICROSECONDS

GAP = 1800 * MICROSECONDS
START = 1_700_000_000 * MICROSECONDS
Row = tuple[str, int, str | None, float | None]
"""User, microseconds after the start, session, dwell."""


def table(rows: list[Row], event_ids: list[str] | None = None) -> Any:
    columns: dict[str, Any] = {
        "row": list(range(len(rows))),
        "user_id": [r[0] for r in rows],
        "timestamp": [START + r[1] for r in rows],
        "session_id": [r[2] for r in rows],
        "dwell": [r[3] for r in rows],
    }
    if event_ids is not None:
        columns["event_id"] = event_ids
    types = {"session_id": pl.String, "dwell": pl.Float64}
    return engine.in_order(nw.from_native(pl.DataFrame(columns, schema_overrides=types), eager_only=True))


def oracle(rows: list[Row]) -> list[dict[str, Any]]:
    """One user after the other, one event after the other."""
    told: list[dict[str, Any]] = []
    ordered = sorted(enumerate(rows), key=lambda pair: (pair[1][0], pair[1][1], pair[0]))
    for _, group in groupby(ordered, key=lambda pair: pair[1][0]):
        session, first, last = 0, None, None
        known: set[str | None] = set()
        for number, (place, row) in enumerate(group):
            gap: int | None = None if last is None else row[1] - last[1]
            if last is not None and gap is not None:
                goes_on = row[2] is not None and row[2] == last[2]
                begins = row[2] is not None and row[2] not in known
                session += begins or (not goes_on and gap > GAP)
            known.add(row[2])
            first = row[1] if first is None else first
            told.append(
                {
                    "row": place,
                    "gap": None if gap is None else gap / MICROSECONDS,
                    "session_number": session,
                    "event_number": number,
                    "rate": (number + 1) / max(1.0, (row[1] - first) / DAY),
                    "dwell": row[3],
                }
            )
            last = row
    return told


rows = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "é"]),
        st.sampled_from([0, 1, MICROSECONDS, GAP, GAP + 1, 3 * GAP, DAY, 9 * DAY, 4000 * DAY]) | st.integers(0, 30 * DAY),
        st.sampled_from([None, None, "s", "t"]),
        st.none() | st.floats(0, 1000, width=32),
    ),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_features_agree_with_one_event_after_the_other(log: list[Row]) -> None:
    found = add_features(table(log), session_gap=GAP, positions=False).select("row", *FEATURES)
    for mine, theirs in zip(found.iter_rows(named=True), oracle(log), strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in theirs.items():
            assert mine[name] == (value if value is None else pytest.approx(value, rel=1e-6)), name


@given(rows)
def test_no_feature_looks_at_a_later_event(log: list[Row]) -> None:
    log = sorted(log, key=lambda row: row[1])
    whole = add_features(table(log), session_gap=GAP, positions=False).select("row", *FEATURES)
    cut = add_features(table(log[: len(log) // 2 + 1]), session_gap=GAP, positions=False).select("row", *FEATURES)
    by_row = {row["row"]: row for row in whole.iter_rows(named=True)}
    assert all(by_row[row["row"]] == row for row in cut.iter_rows(named=True))


def test_ties_are_ordered_by_event_id_else_by_place_in_the_log() -> None:
    log: list[Row] = [("a", 0, None, None)] * 3
    assert add_features(table(log), session_gap=GAP, positions=False)["row"].to_list() == [0, 1, 2]
    named = table(log, ["z", "y", "x"])
    assert add_features(named, session_gap=GAP, positions=False)["row"].to_list() == [2, 1, 0]


def test_a_log_without_times_is_one_second_apart() -> None:
    log: list[Row] = [("a", 7, None, None), ("b", 3, None, None), ("a", 5, None, None)]
    found = add_features(table(log), session_gap=GAP, positions=True)
    assert found["row"].to_list() == [2, 0, 1]
    assert found["timestamp"].to_list() == [0, MICROSECONDS, 0]
    assert found["gap"].to_list() == [None, 1.0, None]


def numbers(log: list[Row]) -> list[int]:
    found: list[int] = add_features(table(log), session_gap=GAP, positions=False)["session_number"].to_list()
    return found


def test_a_session_that_comes_back_after_a_pause_is_another_visit() -> None:
    later = 3 + GAP
    assert numbers([("a", 0, "s", None), ("a", 1, "t", None), ("a", later, "s", None), ("a", later + 1, "s", None)]) == [
        0,
        1,
        2,
        2,
    ]


def test_sessions_by_turns_are_no_new_ones() -> None:
    assert numbers([("a", place, "st"[place % 2], None) for place in range(6)]) == [0, 1, 1, 1, 1, 1]
    assert numbers([("a", 0, "s", None), ("a", 1, None, None), ("a", 2, "s", None), ("a", 3, "t", None)]) == [0, 0, 0, 1]
    assert numbers([("a", 0, "s", None), ("b", 1, "s", None), ("b", 2, "t", None), ("a", 3, "s", None)]) == [0, 0, 0, 1]


def test_only_a_pause_longer_than_the_gap_begins_a_session() -> None:
    log: list[Row] = [("a", 0, None, None), ("a", GAP, None, None), ("a", 2 * GAP + 1, None, None)]
    assert add_features(table(log), session_gap=GAP, positions=False)["session_number"].to_list() == [0, 0, 1]
