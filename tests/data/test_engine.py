"""What is left to the dataframe engine, against plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import engine
from penchant.types import PenchantError

ids = st.none() | st.sampled_from(["", "a", "b", "á", "a\x00", "007", "7", "😀"])


@pytest.fixture
def work() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


@given(st.lists(st.tuples(ids, ids, st.none() | st.integers(0, 2)), min_size=1, max_size=40), st.randoms())
def test_repeats_are_the_later_of_equal_rows(keys: list[tuple[str | None, str | None, int | None]], chance: Any) -> None:
    numbered = list(enumerate(keys))
    chance.shuffle(numbered)  # in whatever order the rows are held, the smallest ``row`` stays
    frame = pl.DataFrame(
        {"row": [n for n, _ in numbered], **{c: [key[i] for _, key in numbered] for i, c in enumerate("uit")}},
        schema={"row": pl.Int64, "u": pl.String, "i": pl.String, "t": pl.Int64},
    )
    found = engine.repeats(nw.from_native(frame, eager_only=True), ["u", "i", "t"])["row"].to_list()
    seen: set[Any] = set()
    wanted = [n for n, key in enumerate(keys) if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    assert sorted(found) == wanted


@given(st.lists(st.tuples(ids, st.integers(-3, 3)), min_size=1, max_size=40), st.integers(1, 45))
def test_cut_into_pieces_a_log_is_whole_and_each_user_in_one_piece(log: list[tuple[str | None, int]], at_once: int) -> None:
    frame = pl.DataFrame(
        {"user_id": [u for u, _ in log], "x": [x for _, x in log]}, schema={"user_id": pl.String, "x": pl.Int64}
    )
    with TemporaryDirectory() as folder:
        lazy = nw.from_native(frame.lazy())
        pieces = engine.partition(lazy, len(log), "user_id", Path(folder) / "pieces", at_once)
        tables = [list(engine.collect(piece).iter_rows()) for piece in pieces]
    assert sorted(map(repr, log)) == sorted(repr(row) for rows in tables for row in rows)
    users = [{u for u, _ in rows if u is not None} for rows in tables]
    for earlier, later in itertools.pairwise(users):
        assert not earlier or not later or max(earlier) < min(later)
    largest = max([sum(1 for u, _ in log if u == user) for user in {u for u, _ in log}])
    assert all(len(rows) <= 2 * at_once + largest + sum(u is None for u, _ in log) for rows in tables)


def test_many_pieces_are_cut_too(work: Path) -> None:
    frame = nw.from_native(pl.LazyFrame({"user_id": [str(n % 500) for n in range(2000)], "_x": list(range(2000))}))
    pieces = engine.partition(frame, 2000, "user_id", work / "pieces", 4)
    assert len(pieces) > 300
    assert sum(len(engine.collect(piece)) for piece in pieces) == 2000


def test_the_total_order_is_user_time_event(work: Path) -> None:
    table = engine.table({"user_id": ["b", "a", "a", "a"], "timestamp": [0, 2, 1, 1], "event_id": ["1", "1", "9", "10"]})
    ordered = engine.in_order(table)
    assert list(ordered.select("user_id", "timestamp", "event_id").iter_rows()) == [
        ("a", 1, "10"),
        ("a", 1, "9"),
        ("a", 2, "1"),
        ("b", 0, "1"),
    ]


def test_the_order_of_ids_is_that_of_their_bytes_whatever_the_pieces() -> None:
    names = ["é", "z", "a", "Z", "😀", "10", "9", "", " "]
    table = engine.in_order(engine.table({"user_id": names, "timestamp": [0] * len(names), "row": list(range(len(names)))}))
    assert table["user_id"].to_list() == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.0, None, 3.0], ["1", None, "3"]),
        ([1.5, float("nan"), 1e30], ["1.5", None, "1e+30"]),
        ([-0.0, 2.0**53, -7.0], ["0", "9007199254740992", "-7"]),
        ([1, 2, None], ["1", "2", None]),
        (["007", "1.0", None], ["007", "1.0", None]),
        ([True, False, None], ["true", "false", None]),
    ],
)
def test_ids_of_any_type_become_text(values: list[Any], texts: list[str | None]) -> None:
    found = engine.collect(engine.as_ids(engine.table({"id": values}).lazy(), ["id"]))
    assert found["id"].to_list() == texts


def test_numbers_are_read_leniently() -> None:
    raw = ["1", " 2.5", "1e3", "", None, "x", "nan", "1,5"]
    found = engine.collect(engine.numbers(engine.table({"n": raw}).lazy(), ["n"]))["n"].to_list()
    assert found[:1] + found[2:] == [1.0, 1000.0, None, None, None, None, None]


@pytest.mark.parametrize(
    "native",
    [
        pl.DataFrame({"a": ["x"]}),
        pl.LazyFrame({"a": ["x"]}),
        pd.DataFrame({"a": ["x"]}),
        pa.table({"a": ["x"]}),
        nw.from_native(pl.DataFrame({"a": ["x"]})),
    ],
    ids=["polars", "lazy", "pandas", "arrow", "narwhals"],
)
def test_dataframes_of_any_library_are_taken(native: object) -> None:
    assert engine.collect(engine.from_native(native))["a"].to_list() == ["x"]


def test_what_is_no_dataframe_is_refused() -> None:
    for thing in ({"a": [1]}, None, 5, b"a,b"):
        with pytest.raises(PenchantError, match="neither a file's path nor a dataframe"):
            engine.from_native(thing)
    with pytest.raises(PenchantError, match=r"the DataFrame: can't be read: .*give each column one name and type"):
        engine.from_native(pd.DataFrame({"a": [1, "x"]}))
    with pytest.raises(PenchantError, match="the DataFrame: can't be read"):
        engine.from_native(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_the_same_rows_give_the_same_bytes(work: Path) -> None:
    table = engine.table({"a": list(range(1000)), "b": [str(n) for n in range(1000)]})
    for name in ("one", "two"):
        engine.write_parquet(table.lazy(), work / name)
    assert (work / "one").read_bytes() == (work / "two").read_bytes()
    assert list(engine.collect(engine.read([work / "one"])).iter_rows()) == list(table.iter_rows())


def test_what_the_system_refuses_to_write_is_its_own_error(work: Path) -> None:
    (work / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory") as raised:
        engine.write_parquet(engine.table({"a": [1]}).lazy(), work / "file" / "below")
    assert raised.value.errno


def test_codes_are_places_among_the_values() -> None:
    frame = engine.table({"u": ["a", "a", "b", "d", "d"], "i": ["z", "x", "z", "y", "x"]}).lazy()
    values, codes = engine.encode_runs(frame, "u")
    assert (values, codes.tolist()) == (["a", "b", "d"], [0, 0, 1, 2, 2])
    assert engine.encode(frame, "i", ["x", "y", "z"]).tolist() == [2, 0, 2, 1, 0]
    assert engine.texts(frame, "i").tolist() == ["z", "x", "z", "y", "x"]
