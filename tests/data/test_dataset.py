"""From an event log to a dataset folder, and back."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.clean import PrepareConfig
from penchant.data.dataset import (
    INTERACTIONS,
    ITEMS,
    MANIFEST,
    EventLog,
    load,
    measure,
    prepare,
    read,
    read_manifest,
    write_dataset,
)
from penchant.types import EVENT_COLUMNS, PenchantError

Write = Callable[[str, str | bytes], Path]
T = 1_700_000_000
HEADER = "user_id,item_id,timestamp\n"
LOG = HEADER + f"b,x,{T}\na,y,{T + 5}\na,x,{T + 1}\n"


def rows(folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    frame = pl.read_parquet(folder / INTERACTIONS, glob=False)
    return frame.select(columns or ("user_id", "item_id", "timestamp")).rows()


def as_csv(table: list[list[str]], separator: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(table)
    return out.getvalue()


# Every dialect in every form.

EVENTS = [
    {"user_id": "007", "item_id": "a,b", "timestamp": T + 1, "value": 4.5, "event_type": "buy", "session_id": "s"},
    {"user_id": "007", "item_id": "😀", "timestamp": T + 2, "value": 3.0, "event_type": "view", "session_id": "s"},
    {"user_id": "u", "item_id": 'say "hi"', "timestamp": T, "value": 1.0, "event_type": "view", "session_id": "t"},
]
DIALECTS = {
    "penchant": {c: c for c in EVENTS[0]},
    "rectools": {"user_id": "user_id", "item_id": "item_id", "timestamp": "datetime", "value": "weight"},
    "recommenders": {"user_id": "userID", "item_id": "itemID", "value": "rating", "timestamp": "timestamp"},
    "personalize": {
        "user_id": "USER_ID",
        "item_id": "ITEM_ID",
        "timestamp": "TIMESTAMP",
        "event_type": "EVENT_TYPE",
        "value": "EVENT_VALUE",
        "session_id": "SESSION_ID",
    },
    "gorse": {
        "event_type": "FeedbackType",
        "user_id": "UserId",
        "item_id": "ItemId",
        "value": "Value",
        "timestamp": "Timestamp",
    },
    "gorse table": {
        "event_type": "feedback_type",
        "user_id": "user_id",
        "item_id": "item_id",
        "timestamp": "time_stamp",
    },
    "gru4rec": {"session_id": "SessionId", "item_id": "ItemId", "timestamp": "Time"},
    "recbole": {
        "user_id": "user_id:token",
        "item_id": "item_id:token",
        "value": "rating:float",
        "timestamp": "timestamp:float",
    },
    "movielens": {"user_id": "userId", "item_id": "movieId", "value": "rating", "timestamp": "timestamp"},
}


def spoken(dialect: str) -> tuple[list[str], list[list[Any]]]:
    columns = DIALECTS[dialect]
    time = (lambda t: datetime.fromtimestamp(t, UTC).isoformat()) if dialect == "rectools" else (lambda t: t)
    return list(columns.values()), [[time(e[c]) if c == "timestamp" else e[c] for c in columns] for e in EVENTS]


def form(kind: str, dialect: str, path: Path) -> Path:
    names, values = spoken(dialect)
    text = as_csv([names, *([str(v) for v in row] for row in values)], "\t" if kind == "tsv" else ",")
    if kind in ("parquet", "parquet gzipped"):
        pl.DataFrame(values, schema=names, orient="row").write_parquet(path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in values), encoding="utf-8")
    else:
        path.write_text(text, encoding="utf-8")
    if "gzipped" in kind:
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl", "csv gzipped", "parquet gzipped"])
def test_every_dialect_is_read_in_every_form(kind: str, dialect: str, tmp_path: Path) -> None:
    manifest = write_dataset(read(form(kind, dialect, tmp_path / "log")), tmp_path / "out")
    known = DIALECTS[dialect]
    user = "session_id" if dialect == "gru4rec" else "user_id"
    wanted = [
        (
            e[user],
            e["item_id"],
            e["timestamp"] * 10**6,  # type: ignore[operator]
            e["event_type"] if "event_type" in known else "event",
            e["value"] if "value" in known else 1.0,
            e["session_id"] if "session_id" in known else None,
        )
        for e in EVENTS
    ]
    assert rows(tmp_path / "out", *EVENT_COLUMNS[:6]) == sorted(wanted)
    assert manifest["dialect"].split(" (")[0] == dialect
    assert manifest["clock"] == "real"


@pytest.mark.parametrize(
    "content",
    [
        f"1\t10\t3\t{T}\n2\t20\t5\t{T + 1}\n",
        f"1::10::3::{T}\n2::20::5::{T + 1}\n",
        f"1::10::3::{T}\r\n\r\n2::20::5::{T + 1}",
        f"1,10,3,{T}\n2,20,5,{T + 1}",
    ],
    ids=["u.data", "ratings.dat", "crlf", "csv"],
)
def test_movielens_without_header(content: str, write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("u.data", content)), tmp_path / "out")
    assert rows(tmp_path / "out", "user_id", "item_id", "value", "timestamp") == [
        ("1", "10", 3.0, T * 10**6),
        ("2", "20", 5.0, (T + 1) * 10**6),
    ]


@pytest.mark.parametrize(
    "content",
    ["2 7\n1 8 9 8\n", "2   7 \r\n\r\n1 8  9 8", b"\xef\xbb\xbf2 7\n1 8 9 8\n", gzip.compress(b"2 7\n1 8 9 8")],
)
def test_sequence_files_are_order_without_times(content: str | bytes, write: Write, tmp_path: Path) -> None:
    manifest = write_dataset(read(write("seq.txt", content)), tmp_path / "out")
    assert rows(tmp_path / "out") == [("1", "8", 0), ("1", "9", 10**6), ("1", "8", 2 * 10**6), ("2", "7", 0)]
    assert (manifest["clock"], manifest["dialect"]) == ("index", "sequence file")


def test_sequences_of_words_are_said_to_be_so(write: Write, tmp_path: Path) -> None:
    source = write("seq.txt", "ann bread milk\nbob milk tea\n")
    with pytest.raises(PenchantError, match=r"reads like prose.*add --ordered"):
        write_dataset(read(source), tmp_path / "out")
    write_dataset(read(source, ordered=True), tmp_path / "out")
    assert rows(tmp_path / "out", "user_id", "item_id") == [("ann", "bread"), ("ann", "milk"), ("bob", "milk"), ("bob", "tea")]


def test_an_ordered_log_counts_instead_of_clocking(write: Write, tmp_path: Path) -> None:
    log = read(write("log.csv", "user_id,item_id\na,x\nb,x\na,x\n"), ordered=True)
    assert write_dataset(log, tmp_path / "out")["clock"] == "index"
    assert rows(tmp_path / "out") == [("a", "x", 0), ("a", "x", 10**6), ("b", "x", 0)]


def test_columns_can_be_named(write: Write, tmp_path: Path) -> None:
    log = read(
        write("log.csv", f"who,what,when,mood\na,x,{T},1\n"), columns={"user_id": "who", "item_id": "what", "timestamp": "when"}
    )
    write_dataset(log, tmp_path / "out")
    assert rows(tmp_path / "out", "user_id", "item_id", "timestamp", "mood") == [("a", "x", T * 10**6, "1")]


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_times_in_any_unit_come_out_in_microseconds(factor: int, write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", HEADER + f"a,x,{T * factor}\n")), tmp_path / "out")
    assert rows(tmp_path / "out", "timestamp") == [(T * 10**6,)]


# Laws.

Event = tuple[str, str, int]
printable = st.text(st.characters(codec="utf-8", exclude_characters="\x00\n\r"), min_size=1, max_size=8).filter(str.strip)
logs = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("xyz"), st.integers(T, T + 9)), min_size=1, max_size=40)


def written(events: list[Event], folder: Path, *, name: str = "log.csv", **config: Any) -> Path:
    source = folder / name
    source.write_text(as_csv([["user_id", "item_id", "timestamp"], *([u, i, str(t)] for u, i, t in events)]), encoding="utf-8")
    out = folder / f"{name}.out"
    shutil.rmtree(out, ignore_errors=True)
    write_dataset(read(source), out, PrepareConfig(**config))
    return out


@settings(max_examples=15)
@given(logs)
def test_preparing_twice_gives_the_same_bytes(log: list[Event]) -> None:
    with TemporaryDirectory() as folder:
        first = {p.name: p.read_bytes() for p in written(log, Path(folder)).iterdir()}
        assert {p.name: p.read_bytes() for p in written(log, Path(folder)).iterdir()} == first
        assert first.keys() == {INTERACTIONS, ITEMS, MANIFEST}


@settings(max_examples=15)
@given(logs, st.integers(1, 12), st.integers(1, 3))
def test_working_in_pieces_gives_the_same_dataset(log: list[Event], at_once: int, core: int) -> None:
    with TemporaryDirectory() as folder:
        options = {"min_user_events": core, "min_item_events": core}
        try:
            whole = written(log, Path(folder), name="whole.csv", **options)
        except PenchantError as error:
            assert "no event is left" in str(error)  # noqa: PT017
            return
        pieces = written(log, Path(folder), name="pieces.csv", rows_at_once=at_once, **options)
        assert (pieces / INTERACTIONS).read_bytes() == (whole / INTERACTIONS).read_bytes()
        assert (pieces / ITEMS).read_bytes() == (whole / ITEMS).read_bytes()
        apart, together = read_manifest(pieces), read_manifest(whole)
        assert {k: apart[k] for k in ("rows_in", "dropped", "quality")} == {
            k: together[k] for k in ("rows_in", "dropped", "quality")
        }


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=20), st.randoms())
def test_without_ties_the_order_of_the_file_doesnt_matter(pairs: list[tuple[str, str]], chance: random.Random) -> None:
    log = [(u, i, T + n) for n, (u, i) in enumerate(pairs)]
    with TemporaryDirectory() as folder:
        straight = rows(
            written(log, Path(folder)), "user_id", "item_id", "timestamp", "gap", "session_number", "event_number", "rate"
        )
        chance.shuffle(log)
        shuffled = rows(
            written(log, Path(folder)), "user_id", "item_id", "timestamp", "gap", "session_number", "event_number", "rate"
        )
    assert straight == shuffled


@settings(max_examples=15)
@given(st.lists(st.tuples(printable, printable), min_size=1, max_size=10), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_ids_survive_unchanged(ids: list[tuple[str, str]], kind: str) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder) / "log"
        if kind == "jsonl":
            lines = [json.dumps({"user_id": u, "item_id": i, "timestamp": T + n}) for n, (u, i) in enumerate(ids)]
            source.write_text("\n".join(lines), encoding="utf-8")
        else:
            table = [["user_id", "item_id", "timestamp"], *([u, i, str(T + n)] for n, (u, i) in enumerate(ids))]
            source.write_text(as_csv(table, "\t" if kind == "tsv" else ","), encoding="utf-8", newline="")
        log = prepare(read(source))
    found = [
        (log.users[u], log.items[i], int(t) // 10**6 - T) for u, i, t in zip(log.user, log.item, log.timestamp, strict=True)
    ]
    assert sorted(found, key=lambda row: row[2]) == [(u, i, n) for n, (u, i) in enumerate(ids)]
    assert list(log.users.ids) == sorted({u for u, _ in ids}, key=str.encode)


@settings(max_examples=15)
@given(logs)
def test_of_duplicates_the_first_stays(log: list[Event]) -> None:
    with TemporaryDirectory() as folder:
        out = written(log, Path(folder))
        kept = rows(out, "user_id", "item_id", "timestamp", "event_id")
        manifest = read_manifest(out)
    first = {event: place for place, event in reversed(list(enumerate(log)))}
    assert sorted(int(row[3]) for row in kept) == sorted(first.values())
    assert manifest["dropped"]["duplicates"] == len(log) - len(first)
    assert manifest["rows_in"] == len(log)


# What a log may hold.


def test_quoted_line_breaks_blank_lines_and_a_missing_last_end(write: Write, tmp_path: Path) -> None:
    text = f'user_id,item_id,timestamp,note\n\na,x,{T},"one\n\ntwo"\n\n"b\nc",x,{T},'
    write_dataset(read(write("log.csv", text)), tmp_path / "out")
    assert rows(tmp_path / "out", "user_id", "note") == [("a", "one\n\ntwo"), ("b\nc", "")]


@pytest.mark.parametrize(
    "column", ["row", "gap", "rate", "unreadable", "_suspect", "_x", "_number", "_user", "_piece", "log_gap", "piece"]
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_called_like_penchants_own_are_kept(column: str, kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({column: ["1", "2", "3"], "user_id": ["a", "b", "c"], "item_id": ["x"] * 3, "timestamp": [T] * 3})
    frame.write_csv(tmp_path / "log") if kind == "csv" else frame.write_parquet(tmp_path / "log")
    write_dataset(read(tmp_path / "log"), tmp_path / "out", PrepareConfig(rows_at_once=1))
    name = column if column in ("log_gap", "piece") else f"log_{column}"
    assert rows(tmp_path / "out", "user_id", name) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_columns_whose_new_name_is_taken_find_another(write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", f"user_id,item_id,timestamp,gap,log_gap\na,x,{T},1,2\n")), tmp_path / "out")
    assert rows(tmp_path / "out", "log_gap", "log_log_gap") == [("2", "1")]


def test_nested_columns_are_kept_but_are_no_ids(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [T], "tags": [["p", "q"]], "at": [{"lat": 1.0}]})
    frame.write_parquet(tmp_path / "log")
    write_dataset(read(tmp_path / "log"), tmp_path / "out")
    assert rows(tmp_path / "out", "tags", "at") == [(["p", "q"], {"lat": 1.0})]
    for name in ("user_id", "item_id", "timestamp"):
        frame.with_columns(pl.concat_list(name).alias(name)).write_parquet(tmp_path / "nested")
        with pytest.raises(PenchantError, match=f"nested, field {name}: holds List"):
            write_dataset(read(tmp_path / "nested"), tmp_path / "no")


def test_json_of_mixed_types_and_late_keys(write: Write, tmp_path: Path) -> None:
    lines = [{"user_id": 1, "item_id": "007", "timestamp": T}, {"user_id": "1", "item_id": 2, "timestamp": str(T + 1)}]
    lines += [{"user_id": 1, "item_id": 2, "timestamp": T + n} for n in range(2, 200)]
    lines += [
        {"user_id": 12345678901234567890, "item_id": None, "timestamp": T},
        {"user_id": 1, "item_id": 3, "timestamp": T, "value": 5},
    ]
    write_dataset(read(write("log.jsonl", "\n".join(map(json.dumps, lines)))), tmp_path / "out")
    found = rows(tmp_path / "out", "user_id", "item_id", "value")
    assert set(found) == {("1", "007", 1.0), ("1", "2", 1.0), ("1", "3", 5.0)}


def test_ten_megabytes_in_one_field(write: Write, tmp_path: Path) -> None:
    long = "é" * 5_000_000
    write_dataset(read(write("log.csv", f"user_id,item_id,timestamp,note\na,x,{T},{long}\nb,x,{T},\n")), tmp_path / "csv")
    assert rows(tmp_path / "csv", "user_id", "note") == [("a", long), ("b", "")]
    event = {"user_id": "a", "item_id": "x", "timestamp": T, "note": long}
    write_dataset(read(write("log.jsonl", json.dumps(event, ensure_ascii=False))), tmp_path / "json")
    assert rows(tmp_path / "json", "note") == [(long,)]
    with pytest.raises(PenchantError, match=r"log\.csv line 2, field item_id: is longer than 1,024 characters"):
        write_dataset(read(write("log.csv", HEADER + f"a,{long},{T}\n")), tmp_path / "no")


def test_one_user_one_item_one_event(write: Write, tmp_path: Path) -> None:
    log = prepare(read(write("log.csv", HEADER + f"a,x,{T}\n")), tmp_path / "out")
    assert (len(log), log.users.ids, log.items.ids, log.session.tolist()) == (1, ("a",), ("x",), [0])


def test_bad_values_are_dropped_or_filled_and_counted(write: Write, tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp,rating,event_type\n" + "".join(
        f"{line}\n"
        for line in (
            f"a,x,{T},4,buy",
            f",x,{T},4,buy",
            f"a,y,{T},good,",
            "a,z,,4,buy",
            "a,z,0,4,buy",
            "a,z,-7,4,buy",
            "a,z,253402300799,4,buy",
            "a,z,soon,4,buy",
        )
    )
    manifest = write_dataset(read(write("log.csv", text)), tmp_path / "out")
    assert rows(tmp_path / "out", "item_id", "value", "event_type") == [("x", 4.0, "buy"), ("y", 1.0, "event")]
    assert manifest["rows_in"] == 8
    assert {s: n for s, n in manifest["dropped"].items() if n} == {"missing": 2, "impossible_times": 3, "unreadable_times": 1}
    assert manifest["filled"] == {"event_type": 1, "value": 1}


# Dataframes.


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"user_id": ["1", "2"], "item_id": ["a", "b"], "timestamp": [T, T]}),
        pl.LazyFrame({"user_id": [1, 2], "item_id": ["a", "b"], "timestamp": [T, T]}),
        pl.DataFrame({"user_id": ["1", "2"], "item_id": ["a", "b"], "timestamp": [datetime.fromtimestamp(T, UTC)] * 2}),
        pd.DataFrame({"user_id": [1, 2, None], "item_id": ["a", "b", "c"], "timestamp": [T, T, T]}),
        pd.DataFrame({"user_id": pd.Categorical(["1", "2"]), "item_id": ["a", "b"], "timestamp": [T, T]}, index=[7, 7]),
        pd.DataFrame(
            {
                "user_id": [1, 2],
                "item_id": ["a", "b"],
                "timestamp": pd.to_datetime([T, T], unit="s").tz_localize("UTC").tz_convert("Asia/Tokyo"),
            }
        ),
        pd.DataFrame({"user_id": [1, 2], "item_id": ["a", "b"], "timestamp": pd.Categorical(["2023-11-14T22:13:20Z"] * 2)}),
        pa.table({"user_id": pa.array(["1", "2"]).dictionary_encode(), "item_id": ["a", "b"], "timestamp": [T, T]}),
    ],
    ids=["polars", "lazy", "utc", "floats", "categories", "tokyo", "dated", "arrow"],
)
def test_dataframes_are_logs_too(frame: object) -> None:
    log = prepare(read(frame))
    assert (log.users.ids, log.items.ids, log.timestamp.tolist()) == (("1", "2"), ("a", "b"), [T * 10**6] * 2)


def test_a_naive_moment_is_utc_and_a_zone_is_heeded() -> None:
    midnight = pd.DataFrame({"user_id": [1], "item_id": ["a"], "timestamp": pd.to_datetime(["2024-01-01"])})
    paris = midnight.assign(timestamp=midnight["timestamp"].dt.tz_localize("Europe/Paris"))
    assert (prepare(read(midnight)).timestamp - prepare(read(paris)).timestamp).tolist() == [3600 * 10**6]


def test_a_dataframe_that_cant_be_a_log_is_named() -> None:
    with pytest.raises(PenchantError, match="the DataFrame: no column for item_id among user_id, timestamp"):
        prepare(read(pd.DataFrame({"user_id": [1], "timestamp": [T]})))
    with pytest.raises(PenchantError, match="the DataFrame: has no events"):
        prepare(read(pl.DataFrame({"user_id": [], "item_id": [], "timestamp": []})))


def test_events_without_an_id_are_called_by_their_place(write: Write, tmp_path: Path) -> None:
    named = write("named.csv", f"user_id,item_id,timestamp,event_id\na,x,{T},e1\na,y,{T},\na,z,{T},e1\n")
    write_dataset(read(named, write("unnamed.csv", HEADER + f"b,x,{T}\n")), tmp_path / "out")
    assert rows(tmp_path / "out", "item_id", "event_id") == [("x", "e1"), ("y", "row:000000000001"), ("x", "row:000000000003")]


def test_rare_users_and_items_are_counted(write: Write, tmp_path: Path) -> None:
    log = read(write("log.csv", HEADER + f"a,x,{T}\na,y,{T}\nb,x,{T}\nb,y,{T}\nc,x,{T}\na,z,{T}\n"))
    manifest = write_dataset(log, tmp_path / "out", PrepareConfig(min_user_events=2, min_item_events=2))
    assert rows(tmp_path / "out", "user_id", "item_id") == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert manifest["dropped"]["rare"] == 2
    unskipped = write_dataset(log, tmp_path / "out", PrepareConfig(min_user_events=2, min_item_events=2, skip=("rare",)))
    assert unskipped["quality"]["events"] == 6


# Several sources.


def test_sources_in_different_dialects_and_units_become_one_log(write: Write, tmp_path: Path) -> None:
    parquet = tmp_path / "log.parquet"
    pl.DataFrame({"userId": [7], "movieId": [8], "rating": [2.5], "timestamp": [(T + 1) * 1000], "mood": [5]}).write_parquet(
        parquet
    )
    sources = [
        write("a.csv", f"user_id,item_id,timestamp,mood\n7,9,{T},glad\n"),
        parquet,
        pd.DataFrame({"user_id": [7], "item_id": [10], "timestamp": [T + 2]}),
    ]
    manifest = write_dataset(read(*sources), tmp_path / "out")
    assert rows(tmp_path / "out", "item_id", "timestamp", "value", "mood") == [
        ("9", T * 10**6, 1.0, "glad"),
        ("8", (T + 1) * 10**6, 2.5, "5"),
        ("10", (T + 2) * 10**6, 1.0, None),
    ]
    assert [bool(source["sha256"]) for source in manifest["sources"]] == [True, True, False]
    assert manifest["times"] == "seconds since 1970, milliseconds since 1970"


def test_events_in_two_sources_count_once(write: Write, tmp_path: Path) -> None:
    first, second = write("a.csv", LOG), write("b.csv", LOG + f"c,x,{T}\n")
    manifest = write_dataset(read(first, second), tmp_path / "out")
    assert (manifest["rows_in"], manifest["dropped"]["duplicates"], manifest["quality"]["events"]) == (7, 3, 4)
    assert write_dataset(read(first, first), tmp_path / "twice")["dropped"]["duplicates"] == 3


def test_times_and_mere_order_dont_mix(write: Write, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match=r"b\.txt: has order but no times, where other sources have times"):
        write_dataset(read(write("a.csv", LOG), write("b.txt", "1 2 3\n")), tmp_path / "out")


def test_a_fault_in_the_second_source_names_it(write: Write, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match=r"b\.csv line 3, field timestamp: is missing"):
        write_dataset(read(write("a.csv", LOG), write("b.csv", HEADER + f"a,x,{T}\na,x\n")), tmp_path / "out")
    with pytest.raises(PenchantError, match=r"c\.csv line 2, field timestamp: 'soon' is no time"):
        write_dataset(read(write("a.csv", LOG), write("c.csv", HEADER + "a,x,soon\n")), tmp_path / "out")


# The folder.


def test_a_dataset_comes_back_as_it_was_written(write: Write, tmp_path: Path) -> None:
    log = prepare(
        read(
            write(
                "log.csv",
                f"user_id,item_id,timestamp,event_type,value\nb,x,{T},view,2\na,y,{T + 9000},buy,3\na,x,{T + 1},view,\n",
            )
        ),
        tmp_path / "out",
    )
    assert (log.users.ids, log.items.ids, log.event_types) == (("a", "b"), ("x", "y"), ("buy", "view"))
    assert log.user.tolist() == [0, 0, 1]
    assert log.item.tolist() == [0, 1, 0]
    assert log.timestamp.tolist() == [(T + 1) * 10**6, (T + 9000) * 10**6, T * 10**6]
    assert log.event_type.tolist() == [1, 0, 1]
    assert log.value.tolist() == [1.0, 3.0, 2.0]
    assert log.session.tolist() == [0, 1, 0]
    assert log.event_id.tolist() == ["000000000002", "000000000001", "000000000000"]
    assert [a.dtype for a in (log.user, log.item, log.timestamp, log.event_type, log.value, log.session)] == [
        np.dtype(name) for name in ("int32", "int32", "int64", "int16", "float32", "int32")
    ]
    assert log.content_hash == read_manifest(tmp_path / "out")["sha256"][INTERACTIONS]


def test_without_a_folder_the_result_is_the_same(write: Write, tmp_path: Path) -> None:
    source = write("log.csv", LOG)
    assert prepare(read(source)).content_hash == prepare(read(source), tmp_path / "out").content_hash


def test_the_manifest_says_what_was_done(write: Write, tmp_path: Path) -> None:
    manifest = write_dataset(read(write("log.csv", LOG)), tmp_path / "out", PrepareConfig(skip=("bots",)))
    assert json.loads(json.dumps(manifest)) == read_manifest(tmp_path / "out")
    assert list(manifest["config"]["skip"]) == ["bots"]
    assert "bots" not in manifest["dropped"]
    schema = pl.read_parquet_schema(tmp_path / "out" / INTERACTIONS)
    assert manifest["columns"][INTERACTIONS] == {name: str(dtype) for name, dtype in schema.items()}


@pytest.mark.parametrize("name", [INTERACTIONS, ITEMS])
def test_a_changed_or_missing_file_is_noticed(name: str, write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", LOG)), tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(PenchantError, match=f"{name}: was changed since it was prepared"):
        load(tmp_path / "out")
    path.unlink()
    with pytest.raises(PenchantError, match=f"has no {name}; prepare the dataset again"):
        load(tmp_path / "out")


def test_what_is_no_dataset_of_ours_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match=r"is not a dataset \(no manifest.json\)"):
        load(tmp_path)
    write("manifest.json", "{")
    with pytest.raises(PenchantError, match=r"manifest\.json: is damaged"):
        load(tmp_path)
    write("manifest.json", "[]")
    with pytest.raises(PenchantError, match=r"manifest\.json: is damaged"):
        load(tmp_path)
    write("manifest.json", '{"format": 99}')
    with pytest.raises(PenchantError, match="has format 99, this Penchant reads up to 1; update Penchant"):
        load(tmp_path)


def test_a_failed_preparation_leaves_what_was_there(write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", LOG)), tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(PenchantError):
        write_dataset(read(write("bad.csv", HEADER + "a,x\n")), tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert {p.name for p in tmp_path.iterdir()} == {"log.csv", "bad.csv", "out"}


def test_reading_names_what_isnt_there(write: Write, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="nowhere: no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(PenchantError, match="nothing: no such file"):
        read(write("log.csv", LOG), items=tmp_path / "nothing")
    with pytest.raises(PenchantError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(PenchantError, match="-: is a pipe"):
        read("-")
    with pytest.raises(PenchantError, match="'weeks' is not a unit of time"):
        read(tmp_path, time_unit="weeks")
    with pytest.raises(PenchantError, match="no event log was named"):
        read()


# Real logs.


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "columns", "events", "users", "items", "clock"),
    [
        ("ml-100k/ml-100k.inter", {}, 100_000, 943, 1_682, "real"),
        ("ml-1m/ml-1m.seq.txt", {}, 1_000_209, 6_040, 3_706, "index"),
        ("amazon/Beauty.txt", {}, 198_502, 22_363, 12_101, "index"),
        ("amazon/Sports_and_Outdoors.txt", {}, 296_337, 35_598, 18_357, "index"),
        (
            "30music-sample10/sessions_sample_10.parquet",
            {"item_id": "song_id", "timestamp": "ts"},
            343_183,
            14_262,
            9_999,
            "real",
        ),
        ("twitter-cascades/interactions.tsv", {}, 135_472, 12_627, 3_454, "real"),
        (
            "unilibrary/interactions_train.csv",
            {"user_id": "u", "item_id": "i", "timestamp": "t"},
            87_045,
            7_838,
            15_109,
            "real",
        ),
    ],
)
def test_real_logs_have_the_known_figures(
    name: str, columns: dict[str, str], events: int, users: int, items: int, clock: str, shared_data: Path, tmp_path: Path
) -> None:
    manifest = write_dataset(read(shared_data / name, columns=columns), tmp_path / "out", PrepareConfig(rows_at_once=100_000))
    quality = manifest["quality"]
    assert (quality["events"], quality["users"], quality["items"], manifest["clock"]) == (events, users, items, clock)
    if name.startswith("ml-100k"):
        assert quality["ties"]["events"] == 50_561
    if name.startswith("30music"):
        assert (quality["repeats"]["events"], quality["sessions"]) == (62_326, 37_877)


def test_events_without_an_id_in_a_log_with_ids_are_told_apart_by_content(write: Write, tmp_path: Path) -> None:
    rows = [f"u,x,{T},000000000001", f"u,y,{T},", f"u,y,{T},", f"u,x,{T},000000000001", f"u,z,{T},7"]
    log = prepare(read(write("log.csv", "user_id,item_id,timestamp,event_id\n" + "\n".join(rows) + "\n")), tmp_path / "out")
    assert sorted(log.items[int(code)] for code in log.item) == ["x", "y", "z"]
    assert read_manifest(tmp_path / "out")["dropped"]["duplicates"] == 2


def test_two_gzipped_sources_of_one_name_are_both_read(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.csv.gz").write_bytes(gzip.compress(f"{HEADER}{folder},{folder},{T}\n".encode()))
    log = prepare(read(tmp_path / "a" / "log.csv.gz", tmp_path / "b" / "log.csv.gz"))
    assert log.users.ids == log.items.ids == ("a", "b")


def test_missing_event_types_may_stay_missing(write: Write, tmp_path: Path) -> None:
    source = write("log.csv", f"user_id,item_id,timestamp,event_type\na,x,{T},click\na,y,{T},\n")
    log = prepare(read(source), tmp_path / "out", PrepareConfig(skip=("fill",)))
    assert [log.event_types[int(code)] for code in log.event_type] == ["click", ""]


def test_a_log_without_header_whose_fourth_column_is_no_time_is_refused(write: Write, tmp_path: Path) -> None:
    source = write("log.csv", f"1,2,{T},3\n1,3,{T + 5},4\n")
    with pytest.raises(PenchantError, match="--columns user_id=1,item_id=2,timestamp=3;"):
        prepare(read(source), tmp_path / "out")
    columns = {"user_id": "1", "item_id": "2", "timestamp": "3", "value": "4"}
    assert prepare(read(source, columns=columns)).value.tolist() == [3, 4]


def test_a_manifest_that_lacks_its_parts_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(PenchantError, match="is damaged; prepare the dataset again"):
        load(tmp_path)


def test_a_manifest_that_cant_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(PenchantError, match=r"manifest\.json: can't be read: Is a directory"):
        read_manifest(tmp_path)


def test_times_that_are_positions_become_the_index_in_the_history(write: Write, tmp_path: Path) -> None:
    log = prepare(read(write("log.csv", HEADER + "a,x,500\na,y,900\na,z,7\n")), tmp_path / "out")
    assert log.clock == "index"
    assert [(log.items[int(i)], int(t)) for i, t in zip(log.item, log.timestamp, strict=True)] == [
        ("z", 0),
        ("x", 1_000_000),
        ("y", 2_000_000),
    ]


def test_a_column_of_ids_is_no_event_type(write: Write, tmp_path: Path) -> None:
    lines = "".join(f"a,x{n},{T + n},type {n}\n" for n in range(10_001))
    with pytest.raises(PenchantError, match="10,001 event types; that column holds ids"):
        prepare(read(write("log.csv", "user_id,item_id,timestamp,event_type\n" + lines)), tmp_path / "out")


def test_a_log_without_users_says_so_in_pieces_too(write: Write, tmp_path: Path) -> None:
    source = write("log.csv", HEADER + "".join(f",x{n},{T}\n" for n in range(9)))
    with pytest.raises(PenchantError, match=r"no event is left after cleaning \(9 missing of 9\)"):
        prepare(read(source), tmp_path / "out", PrepareConfig(rows_at_once=2))


def test_columns_of_0_and_1_mark_the_kinds_of_events(write: Write, tmp_path: Path) -> None:
    lines = (
        "user_id,item_id,timestamp,event_type,is_hate,is_like\nu,a,1,view,1,1\nu,b,2,view,0,true\nu,c,3,view,0,0\nu,d,4,,,0\n"
    )
    source = write("marked.csv", lines)
    kinds = {"hate": "is_hate", "like": "is_like"}
    log = prepare(read(source, kinds=kinds), tmp_path / "all")
    assert [log.event_types[kind] for kind in log.event_type] == ["hate", "like", "view", "event"]
    assert measure(tmp_path / "all", "gap")[1:].tolist() == [1, 1, 1]
    config = PrepareConfig(without=("hate", "event"))
    less = prepare(read(source, kinds=kinds), config=config)
    assert [less.items[item] for item in less.item] == ["b", "c"]
    with pytest.raises(PenchantError, match=r"no column 'hated' that marks the kind hate; it has user_id, "):
        prepare(read(source, kinds={"hate": "hated"}))


@pytest.mark.parametrize("yes", ["1", "1.0", "true", "T", " Yes ", "y"])
@pytest.mark.parametrize("no", ["0", "0.0", "False", "f", "NO", "n", ""])
def test_marks_are_read_as_they_are_usually_spelt(yes: str, no: str, write: Write) -> None:
    source = write("log.csv", f"user_id,item_id,timestamp,like\na,x,{T},{yes}\na,y,{T},{no}\na,z,{T},\n")
    log = prepare(read(source, kinds={"like": "like"}))
    assert [log.event_types[k] for k in log.event_type] == ["like", "event", "event"]


def test_a_mark_that_is_neither_0_nor_1_is_refused_by_line_and_field(write: Write) -> None:
    source = write("log.csv", f"user_id,item_id,timestamp,hate,likes\na,x,{T},0,1\na,y,{T},1,2\na,z,{T},maybe,\n")
    with pytest.raises(PenchantError, match=r"log\.csv line 3, field likes: is neither 0 nor 1"):
        prepare(read(source, kinds={"hate": "hate", "like": "likes"}))
    with pytest.raises(PenchantError, match=r"log\.csv line 4, field hate: is neither"):
        prepare(read(source, kinds={"hate": "hate"}))


def test_a_person_called_nan_is_a_person_that_the_report_names_unless_the_word_is_said_to_mean_nobody(
    write: Write, tmp_path: Path
) -> None:
    source = write("log.csv", HEADER + f"nan,x,{T}\nnan,y,{T}\nb,NULL,{T}\nb,x,{T}\n")
    notes = write_dataset(read(source), tmp_path / "all")["notes"]
    assert [note.split(";")[0] for note in notes] == ["the user 'nan' has 2 events", "the item 'NULL' has 1 events"]
    assert all("--missing" in note for note in notes)
    manifest = write_dataset(read(source, missing=["nan", "NULL"]), tmp_path / "less")
    assert (manifest["dropped"]["missing"], manifest["notes"]) == (3, [])
    assert rows(tmp_path / "less") == [("b", "x", T * 10**6)]


def test_a_kind_to_leave_out_that_no_event_has_is_noted(write: Write, tmp_path: Path) -> None:
    source = write("log.csv", f"user_id,item_id,timestamp,event_type\na,x,{T},view\na,y,{T},hate\n")
    manifest = write_dataset(read(source), tmp_path / "out", PrepareConfig(without=("hate", "veiw")))
    assert manifest["dropped"]["unwanted"] == 1
    assert manifest["notes"] == ["no event is of the kind 'veiw', which is to leave; there are event, hate, view"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [("Parquet", None), ("JSON lines", f'{{"user_id": "a", "item_id": "b", "timestamp": {T}}}\n')],
)
def test_files_that_name_their_columns_have_no_line_that_could_be_a_header(
    kind: str, content: str | None, write: Write, tmp_path: Path
) -> None:
    source = tmp_path / "log"
    if content is None:
        pl.DataFrame({"user_id": ["a"], "item_id": ["b"], "timestamp": [T]}).write_parquet(source)
    else:
        source.write_text(content)
    with pytest.raises(PenchantError, match=f"log: is {kind}, which names its columns itself; leave out --no-header"):
        prepare(read(source, header=False))


def test_objects_are_no_ids(write: Write) -> None:
    source = write("log.jsonl", f'{{"user_id": {{"id": 1}}, "item_id": 2, "tags": ["a"], "timestamp": {T}}}\n')
    with pytest.raises(PenchantError, match="field user_id: holds objects or arrays"):
        prepare(read(source))


def test_blanks_after_separators_are_no_part_of_names_and_ids(write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", f"user_id, item_id, timestamp\na, x, {T}\n")), tmp_path / "out")
    assert rows(tmp_path / "out") == [("a", "x", T * 10**6)]


def test_between_semicolons_the_comma_is_that_of_decimals(write: Write) -> None:
    log = prepare(read(write("log.csv", f"user_id;item_id;rating;timestamp\na;x;3,5;{T}\n")))
    assert log.value.tolist() == [3.5]


def test_blanks_after_separators_in_rows_alone_are_no_part_of_ids_either(write: Write, tmp_path: Path) -> None:
    write_dataset(read(write("log.csv", f"user_id,item_id,timestamp\na, x, {T}\nb, y, {T}\n")), tmp_path / "out")
    assert rows(tmp_path / "out", "item_id") == [("x",), ("y",)]


def test_values_that_are_no_numbers_are_noted_and_where_most_are_refused(write: Write, tmp_path: Path) -> None:
    def log(*values: str, separator: str = "\t") -> EventLog:
        head = separator.join(("user_id", "item_id", "timestamp", "rating"))
        lines = (separator.join(("a", f"x{n}", str(T + n), value)) for n, value in enumerate(values))
        return read(write("log.csv", "\n".join((head, *lines))))

    manifest = write_dataset(log("1", "2", "good", "NA", "", "-"), tmp_path / "out")
    assert any(": 1 values of rating are no numbers" in n and "'good' in line 4" in n for n in manifest["notes"])
    assert rows(tmp_path / "out", "value") == [(1.0,), (2.0,), *[(1.0,)] * 4]
    for separator, values, fault in (
        ("\t", ("2,5", "4,0", "3"), "line 2, field rating: '2,5' is no number"),
        (";", ("1", "1.234,5", "1.000,5"), "line 3, field rating: '1.234,5' is no number"),
        (",", ("", "liked", "hated"), "line 3, field rating: 'liked' is no number"),
    ):
        with pytest.raises(PenchantError, match=re.escape(fault)):
            write_dataset(log(*values, separator=separator), tmp_path / "no")


def test_keys_of_json_that_come_late_are_read(write: Write) -> None:
    early = [json.dumps({"user_id": "a", "item_id": "x" * 1000, "timestamp": T + n}) for n in range(1100)]
    late = json.dumps({"user_id": "a", "item_id": "y", "timestamp": T - 1, "event_type": "buy", "value": 3})
    log = prepare(read(write("log.jsonl", "\n".join((*early, late)))))
    assert (log.event_types, log.value[0]) == (("buy", "event"), 3.0)


def test_whole_decimals_are_ids_without_their_noughts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": ["7", "8"], "item_id": ["1", "2"], "timestamp": [T, T]})
    log = prepare(read(frame.with_columns(pl.col("user_id").cast(pl.Decimal(20, 2)))))
    assert log.users.ids == ("7", "8")


@pytest.mark.parametrize("column", ["dwell", "watch_time_ms"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("form", ["dataframe", "parquet"])
def test_durations_are_how_long_somebody_stayed(column: str, unit: Any, form: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": [T, T]}).with_columns(
        pl.Series(column, [timedelta(seconds=5.25), None], pl.Duration(unit))
    )
    frame.write_parquet(tmp_path / "log")
    write_dataset(read(frame if form == "dataframe" else tmp_path / "log"), tmp_path / "out")
    assert rows(tmp_path / "out", "dwell") == [(5.25,), (None,)]


MOMENTS = (date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), clock(12, 30))


@pytest.mark.parametrize(
    ("column", "when"),
    [*(("dwell", when) for when in MOMENTS), *(("value", when) for when in (*MOMENTS, timedelta(seconds=5)))],
)
def test_moments_are_neither_values_nor_how_long_somebody_stayed_and_durations_no_values(column: str, when: object) -> None:
    frame = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [T], "how": [when]})
    kind = frame.schema["how"].base_type()
    with pytest.raises(
        PenchantError, match=f"the DataFrame, field how: holds {kind}.*, which can't be the {column} of an event"
    ):
        prepare(read(frame, columns={column: "how"}))
