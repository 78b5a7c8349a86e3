"""Impressions and candidates: what is read, what leaks and is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from penchant.data import dataset
from penchant.data.impressions import check_items, read_candidates, read_impressions
from penchant.types import UNKNOWN, Interactions, PenchantError

Write = Callable[[str, str | bytes], Path]
T = 1_650_000_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Interactions:
    path = tmp_path_factory.mktemp("log") / "events.csv"
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"u{n % 3},i{n},{T // 1000 + n}\n" for n in range(9)))
    return dataset.prepare(dataset.read(path))


def test_the_dialect_of_kuairand_is_read_in_order_and_coded(write: Write, log: Interactions) -> None:
    rows = f"u2,i1,{T + 5},1,0,1\nu0,i8,{T + 9},0,0,2\nstranger,i3,{T},0,1,1\nu2,nothing,{T + 1},1,1,1\n"
    read = read_impressions(write("i.csv", "user_id,video_id,time_ms,is_click,is_hate,tab\n" + rows), log, context=["tab"])
    assert [read.users[int(u)] for u in read.user] == ["u0", "u2", "u2", "stranger"]
    assert [read.items[int(i)] if i != UNKNOWN else None for i in read.item] == ["i8", None, "i1", "i3"]
    assert (read.timestamp - T * 1000).tolist() == [9000, 1000, 5000, 0]
    assert {name: labels.tolist() for name, labels in read.labels.items()} == {"click": [0, 1, 1, 0], "hate": [0, 1, 0, 1]}
    assert read.context["tab"].tolist() == ["2", "1", "1", "1"]


def test_labels_and_columns_can_be_named(write: Write, log: Interactions) -> None:
    path = write("i.csv", f"who,what,at,bought,seen\nu1,i1,{T},1,0\nu1,i2,{T + 1},0,1\n")
    columns = {"user_id": "who", "item_id": "what", "timestamp": "at"}
    read = read_impressions(path, log, columns=columns, labels={"buy": "bought"})
    assert list(read.labels) == ["buy"]


def test_candidates_need_no_labels_and_no_times(write: Write, log: Interactions) -> None:
    path = write("c.csv", "user_id,item_id,tab\nu1,i1,3\nu0,new,\n")
    read, ids = read_candidates(path, log, context=["tab"], now=77)
    assert ids.tolist() == ["new", "i1"]
    assert (read.item[0], read.timestamp.tolist(), read.context["tab"].tolist()) == (UNKNOWN, [77, 77], ["", "3"])
    timed, _ = read_candidates(write("d.csv", f"user_id,item_id,timestamp\nu1,i1,{T}\n"), log, now=77)
    assert timed.timestamp.tolist() == [T * 1000]
    with pytest.raises(PenchantError, match="has no column 'page', which the model was trained with"):
        read_candidates(path, log, context=["page"], now=0)


HEAD = "user_id,item_id,timestamp,click\n"
WRONG = {
    HEAD + f"u1,i1,{T},1\nu1,i2,{T},2\n": "field click: is the label and must be 0 or 1, but holds '2' (1 ×), in line 3",
    HEAD + f"u1,i1,{T},1\nu1,i2,{T},1\n": "field click: every label is 1",
    HEAD + f"u1,i1,{T},1\n,i2,{T},0\n": "line 3, field user_id: is empty",
    HEAD + f"u1,i1,{T},1\nu1,i2,soon,0\nu1,i2,{T},0\n": "line 3, field timestamp: is no time",
    HEAD + "u1,i1,1,1\nu1,i2,2,0\n": "holds no times, and impressions without times can't be split by time",
    HEAD + f"u1,i1,{T},1\nu1,i2\n": "line 3, field timestamp: is missing",
    HEAD: "has a header but no rows",
    f"u1,i1,{T},1\n": "has no header",
    f"user_id,item_id,timestamp,said\nu1,i1,{T},1\n": "no column holds labels, among user_id, item_id, timestamp, said",
}


@pytest.mark.parametrize(("content", "sentence"), WRONG.items())
def test_bad_files_are_refused_in_a_sentence(write: Write, log: Interactions, content: str, sentence: str) -> None:
    with pytest.raises(PenchantError) as refused:
        read_impressions(write("bad.csv", content), log)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_context_that_was_not_known_is_refused(write: Write, log: Interactions) -> None:
    rows = "".join(f"u1,i{n % 9},{T + n},{n % 2},{n % 2 * 7 + n % 3},{n},{n % 5},{(n + n // 2) % 2}\n" for n in range(3000))
    path = write("i.csv", "user_id,item_id,timestamp,click,played,id,tab,like\n" + rows)
    read_impressions(path, log, context=["tab"])
    for column, sentence in (
        ("played", "column played tells click alone with an AUC of 1.000: a leak"),
        ("id", "column id has 3,000 different values"),
        ("like", "column like is a label, so it isn't known when an item is shown"),
        ("none", "has no column 'none'"),
    ):
        with pytest.raises(PenchantError, match=sentence):
            read_impressions(path, log, context=["tab", column])


def test_item_columns_that_count_the_whole_period_are_refused(write: Write, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    items, share = 400, chance.random(400)
    early, late = chance.poisson(30 * share), chance.poisson(30 * chance.random(400))
    shown = [(n, T + k) for n in range(items) for k in range(early[n])]
    shown += [(n, T + 10**6 + k) for n in range(items) for k in range(late[n])]
    events = write("events.csv", "user_id,item_id,timestamp\n" + "".join(f"u{n % 7},i{n},{T // 1000}\n" for n in range(items)))
    log = dataset.prepare(dataset.read(events))
    rows = "".join(f"u{n % 7},i{n},{t},{(n + t) % 2}\n" for n, t in shown)
    read = read_impressions(write("i.csv", HEAD + rows), log)
    table = {
        "item_id": [f"i{n}" for n in range(items)],
        "popularity": (early + late).astype(float),
        "earlier": early,
        "page_count": chance.random(items),
        "year": [1990 + n % 30 for n in range(items)],
        "title": [f"word{n}" for n in range(items)],
    }
    pl.DataFrame(table).write_parquet(tmp_path / "items.parquet")
    cut = (T + 10**6) * 1000
    check_items(tmp_path / "items.parquet", ["earlier", "year", "title", "page_count", "missing"], read, cut)
    with pytest.raises(PenchantError, match=r"column popularity follows the items' events of the whole period .*: a leak"):
        check_items(tmp_path / "items.parquet", ["year", "popularity"], read, cut)


@pytest.mark.data
def test_kuairands_item_statistics_are_refused(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "kuairand-pure"
    shown = pl.read_parquet(source / "val.parquet").head(30_000)
    shown.write_parquet(tmp_path / "shown.parquet")
    events = shown.select("user_id", item_id="video_id", timestamp="time_ms")
    log = dataset.prepare(dataset.read(events))
    read = read_impressions(tmp_path / "shown.parquet", log, context=["tab"])
    assert list(read.labels) == ["click", "long_view", "like", "hate"]
    features = pl.read_parquet(source / "item_features.parquet").with_columns(item_id=pl.col("video_id").cast(pl.String))
    features.write_parquet(tmp_path / "items.parquet")
    cut = int(np.sort(read.timestamp)[20_000])
    check_items(tmp_path / "items.parquet", ["author_id", "video_type", "upload_type", "music_type", "tag"], read, cut)
    for column in ("show_cnt", "like_user_num", "counts", "play_cnt"):
        with pytest.raises(PenchantError, match="a leak"):
            check_items(tmp_path / "items.parquet", [column], read, cut)
    with pytest.raises(PenchantError, match="column play_time_ms has"):
        read_impressions(tmp_path / "shown.parquet", log, context=["play_time_ms"])
