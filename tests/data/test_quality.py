"""The data-quality report."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from penchant.data import engine
from penchant.data.features import add_features
from penchant.data.quality import Quality, describe
from penchant.types import DAY, MICROSECONDS

MIDNIGHT = 1_700_006_400 * MICROSECONDS  # 2023-11-15


def piece(rows: list[tuple[str, str, int]], first_row: int = 0) -> Any:
    columns: dict[str, Any] = {
        "row": [first_row + n for n in range(len(rows))],
        "user_id": [r[0] for r in rows],
        "item_id": [r[1] for r in rows],
        "timestamp": [MIDNIGHT + r[2] for r in rows],
        "event_type": ["view" if r[1] != "y" else "buy" for r in rows],
        "session_id": pl.Series([None] * len(rows), dtype=pl.String),
        "dwell": [2.0] + [None] * (len(rows) - 1),
    }
    return add_features(engine.in_order(engine.table(columns)), session_gap=1800 * MICROSECONDS, positions=False)


A = [("a", "x", 0), ("a", "x", 0), ("a", "y", 30 * MICROSECONDS), ("a", "z", 3 * DAY)]
B = [("b", "x", DAY // 2)]


def reported() -> dict[str, Any]:
    quality = Quality()
    quality.add(piece(A))
    quality.add(piece(B, 4))
    return quality.report("real")


def test_each_figure_is_right() -> None:
    report = reported()
    per_user, per_item = report.pop("events_per_user"), report.pop("events_per_item")
    assert (per_user["min"], per_user["50%"], per_user["max"], per_user["mean"]) == (1, 2.5, 4, 2.5)
    assert (per_item["min"], per_item["50%"], per_item["max"], per_item["mean"]) == (1, 1, 3, pytest.approx(5 / 3))
    assert report == {
        "events": 5,
        "users": 2,
        "items": 3,
        "event_types": {"buy": 1, "view": 4},
        "users_with_one_event": 1,
        "repeats": {"events": 1, "share": 0.2},
        "first_event": "2023-11-15T00:00:00Z",
        "last_event": "2023-11-18T00:00:00Z",
        "sessions": 3,
        "ties": {"events": 1, "share": 0.2},
        "time_since_last_event": {
            "same second": {"events": 1, "share": pytest.approx(1 / 3)},
            "up to a minute": {"events": 1, "share": pytest.approx(1 / 3)},
            "half an hour": {"events": 0, "share": 0},
            "a day": {"events": 0, "share": 0},
            "a week": {"events": 1, "share": pytest.approx(1 / 3)},
            "longer": {"events": 0, "share": 0},
        },
        "days_with_events": 2,
        "longest_gap_days": 2,
        "dwell_known": {"events": 2, "share": 0.4},
    }


def test_it_is_json() -> None:
    json.dumps(reported(), allow_nan=False)


def test_how_the_log_is_cut_makes_no_difference() -> None:
    whole = Quality()
    whole.add(piece(A + B))
    report = whole.report("real")
    apart = reported()
    assert report.pop("dwell_known") != apart.pop("dwell_known")  # each piece of this test knows one dwell time
    assert report == apart


def test_a_log_without_times_says_nothing_about_times() -> None:
    quality = Quality()
    quality.add(piece(A))
    assert not {"ties", "first_event", "sessions", "time_since_last_event"} & quality.report("index").keys()


def test_items_are_counted_over_all_pieces() -> None:
    quality = Quality()
    quality.add(piece(A))
    quality.add(piece(B, 4))
    assert list(quality.item_counts().iter_rows()) == [("x", 3), ("y", 1), ("z", 1)]


def test_the_report_for_people_names_what_left_and_why() -> None:
    manifest = {
        "quality": reported(),
        "rows_in": 1009,
        "dropped": {"missing": 1004, "duplicates": 0},
        "filled": {"value": 3, "event_type": 0},
        "config": {"value": 1.0, "event_type": "event"},
        "dialect": "penchant",
        "times": "seconds since 1970",
    }
    words = dict(describe(manifest))
    assert words["rows in"] == "1,009"
    assert words["rows out"] == "5"
    assert words["  left: missing"] == "1,004"
    assert "  left: duplicates" not in words
    assert words["  filled: value"] == "3 with 1.0"
    assert words["users"] == "2 (1 with one event)"
    assert words["ties"].startswith("1 (20.0%)")


def test_half_a_second_is_no_tie() -> None:
    quality = Quality()
    quality.add(piece([("a", "x", 0), ("a", "y", MICROSECONDS // 2)]))
    report = quality.report("real")
    assert report["ties"]["events"] == 0
    assert report["time_since_last_event"]["same second"]["events"] == 1
