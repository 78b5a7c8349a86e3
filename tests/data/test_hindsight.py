"""Columns computed from what came later, and columns that weren't; on a real log both kinds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.hindsight import averaged, counted, gives_away


@given(st.integers(0, 2**32 - 1), st.sampled_from(["fame", "price"]))
def test_chance_and_the_time_before_give_nothing_away(seed: int, name: str) -> None:
    chance = np.random.default_rng(seed)
    early, late = chance.poisson(9 * chance.pareto(2, 200)), chance.poisson(chance.pareto(2, 200))
    statistics = [counted(early, late)]
    assert gives_away(name, early.astype(float), statistics) == ""
    assert gives_away(name, chance.random(200), statistics) == ""


def test_a_weak_trace_is_enough_where_the_name_says_that_it_counts() -> None:
    chance = np.random.default_rng(0)
    fame = chance.normal(size=3000)
    early, late = (chance.poisson(times * np.exp(fame)) for times in (3, 1))
    statistics, elsewhere = [counted(early, late)], fame + chance.normal(0, 2, 3000)
    assert gives_away("loudness", elsewhere, statistics) == ""
    for name in ("show_cnt", "avgRating", "likes"):
        assert gives_away(name, elsewhere, statistics).startswith(
            "counts, by its name, what people did, and goes with the items'"
        )
    assert gives_away("page_count", chance.random(3000), statistics) == ""


def test_a_mean_of_too_few_is_no_statistic() -> None:
    item, later = np.repeat(np.arange(30), 4), np.tile([False, False, True, True], 30)
    found = averaged("stars", np.arange(120.0), item, later, 30)
    assert np.isnan(found.whole).all()
    assert averaged("stars", np.arange(120.0), item, later, 30, least=2).whole.tolist() == [4 * n + 1.5 for n in range(30)]


@pytest.mark.data
def test_kuairands_statistics_are_told_from_what_was_known(shared_data: Path) -> None:
    shown = pl.concat([pl.read_parquet(shared_data / f"kuairand-pure/{part}.parquet") for part in ("val", "test")])
    clicked = shown.filter(pl.col("is_click") == 1).sort("time_ms")
    items = pl.read_parquet(shared_data / "kuairand-pure/item_features.parquet").sort("video_id")
    size = int(items["video_id"].to_numpy().max()) + 1
    early, late = (
        part["video_id"].to_numpy() for part in (clicked.head(len(clicked) * 9 // 10), clicked.tail(len(clicked) // 10))
    )
    statistics = [counted(np.bincount(early, minlength=size), np.bincount(late, minlength=size))]
    known = {"video_id", "author_id", "visible_status", "video_duration", "server_width", "server_height", "music_id"}
    for column in (c for c in items.columns if items[c].dtype in (pl.Int64, pl.Float64)):
        values = np.full(size, np.nan)
        values[items["video_id"].to_numpy()] = items[column].cast(pl.Float64).to_numpy()
        assert bool(gives_away(column, values, statistics)) == (column not in known | {"music_type", "upload_date"}), column
