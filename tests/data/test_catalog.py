"""The items of a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from penchant.data.catalog import MOST_KINDS, describe_items, kinds_in, read_kinds, title
from penchant.data.dataset import ITEMS, kinds, read, write_dataset
from penchant.types import PenchantError

Write = Callable[[str, str | bytes], Path]
T = 1_700_000_000


@pytest.fixture
def described(write: Write, tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """The catalogue of a log of item 1 (twice) and 2, described by a file of the given content."""
    events = write("events.csv", f"user_id,item_id,timestamp\na,1,{T}\nb,1,{T}\na,2,{T}\n")

    def made(content: str | bytes | None, *, name: str = "items", **options: object) -> pl.DataFrame:
        items = None if content is None else write(name, content)
        write_dataset(read(events, items=items, **options), tmp_path / "out")  # type: ignore[arg-type]
        return pl.read_parquet(tmp_path / "out" / ITEMS)

    return made


Described = Callable[..., pl.DataFrame]


def test_without_descriptions_items_are_counted(described: Described) -> None:
    assert described(None).rows(named=True) == [{"item_id": "1", "events": 2}, {"item_id": "2", "events": 1}]


@pytest.mark.parametrize(
    "content",
    [
        'item_id,title\n1,"One, or ""uno"""\n3,\n',
        'ItemId\ttitle\n1\t"One, or ""uno"""\n3\t\n',
        '{"itemID": 1, "title": "One, or \\"uno\\""}\n{"itemID": 3, "title": ""}\n',
        'movieId,title\n\n1,"One, or ""uno"""\n,nameless\n \n3,\n'.replace(" \n", ""),
    ],
    ids=["csv", "tsv", "json", "blank"],
)
def test_described_and_occurring_items_are_all_there(content: str, described: Described) -> None:
    table = described(content)
    assert table.select("item_id", "events", "title").rows() == [("1", 2, 'One, or "uno"'), ("2", 1, None), ("3", 0, "")]


def test_movielens_items_get_their_names(described: Described) -> None:
    content = "1::Amélie (2001)::Comedy|Romance\n2::Ran (1985)::Drama\n".encode("latin-1")
    assert described(content, encoding="latin-1").rows() == [
        ("1", 2, "Amélie (2001)", "Comedy|Romance"),
        ("2", 1, "Ran (1985)", "Drama"),
    ]
    with pytest.raises(PenchantError, match=r"items line 1, field 2: byte 0xE9 isn't UTF-8; .*--encoding latin-1"):
        described(content)


def test_parquet_items_keep_their_types(described: Described, tmp_path: Path) -> None:
    pl.DataFrame({"item_id": [1.0, 2.0, None], "genres": [["a", "b"], [], ["c"]]}).write_parquet(tmp_path / "typed")
    table = described((tmp_path / "typed").read_bytes())
    assert table.rows() == [("1", 2, ["a", "b"]), ("2", 1, [])]


def test_the_items_column_can_be_named(described: Described) -> None:
    assert described("code,title\n1,One\n", item_columns={"item_id": "code"})["title"].to_list() == ["One", None]
    with pytest.raises(PenchantError, match="items: has no column 'kode' for item_id; it has code, title"):
        described("code,title\n1,One\n", item_columns={"item_id": "kode"})
    with pytest.raises(PenchantError, match=r"items: no column for item_id among movie, title; .*--item-columns item_id=movie"):
        described("movie,title\n1,One\n")


def test_the_items_column_may_be_called_as_in_the_log(write: Write, tmp_path: Path) -> None:
    events = write("log.csv", f"u,film,t\na,1,{T}\n")
    columns = {"user_id": "u", "item_id": "film", "timestamp": "t"}
    write_dataset(read(events, columns=columns, items=write("items", "film,title\n1,One\n")), tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / ITEMS)["title"].to_list() == ["One"]


def test_columns_called_like_penchants_own_are_kept(described: Described) -> None:
    table = described("code,item_id,events,item_events,item_id_right,row\n1,a,b,c,d,e\n", item_columns={"item_id": "code"})
    assert table.rows()[0] == ("1", 2, "a", "b", "c", "d", "e")
    assert len(set(table.columns)) == 7


def test_an_item_described_twice_is_refused(described: Described) -> None:
    with pytest.raises(PenchantError, match="items line 4, field item_id: '7' is described in line 2 already; keep one"):
        described("item_id,title\n7,a\n1,b\n7,c\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("item_id,title\n1,One\n2\n", "items line 3, field title: is missing"),
        ("item_id,title\n1,One,Uno\n", "items line 2: has 3 fields"),
        ("1::One\n2\n", "items: no column for item_id|items line 2"),
        ('{"item_id": 1}\n{\n', "items line 2: is not JSON"),
        ("", "items: is empty"),
        (b"item_id\x00\x01\x02", "items: is a binary file"),
        (b"PAR1xxxxPAR1", "items: is damaged or cut short"),
    ],
)
def test_a_broken_item_file_is_named(content: str | bytes, words: str, described: Described) -> None:
    with pytest.raises(PenchantError, match=words):
        described(content)


def test_descriptions_leave_out_what_is_missing(described: Described, tmp_path: Path) -> None:
    described(json.dumps({"item_id": 1, "Name": "One", "year": None}))
    found = describe_items(tmp_path / "out" / ITEMS)
    assert found == {"1": {"events": 2, "Name": "One"}, "2": {"events": 1}}
    assert [title(found[item]) for item in ("1", "2")] == ["One", ""]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("genres", ["Film Noir|War", "War", "", None]),
        ("Category", ["Film Noir; War", "War", "", None]),
        ("class:token_seq", ["Noir War", "War", "", None]),
        ("tags", ["a,b,a", "b", None, ""]),
        ("genres", [["Film Noir", "War", None], ["War"], [], None]),
        ("genres", [[["Film Noir", "War"]], [["War"], ["War"]], [[]], None]),
        ("genres", ["['Film Noir', 'War']", "['War']", "[]", None]),
        ("genres", ['["Film Noir","War",null]', ' ["War"] ', "[]", ""]),
        ("genres", ["['Film Noir', 'War']", "War", "[]", ""]),
        ("genres", ["Film Noir|War", "['War']", "[ ]", ""]),
    ],
)
def test_kinds_of_items_are_read_however_they_are_parted(column: str, values: list[object], tmp_path: Path) -> None:
    path = tmp_path / ITEMS
    pl.DataFrame({"item_id": list("1234"), "events": [1] * 4, "title": list("abcd"), column: values}).write_parquet(path)
    found = read_kinds(path)
    assert found is not None
    assert found.source == f"the items' column {column} (2 kinds)"
    assert (found.items.ids, found.size, found.offsets.tolist()) == (tuple("1234"), 2, [0, 2, 3, 3, 3])
    assert (found.kind.tolist(), found.share.tolist()) == ([0, 1, 1], [0.5, 0.5, 1])
    assert kinds(tmp_path) is not None


def test_members_of_lists_are_kinds_as_they_are_and_what_only_looks_like_a_list_is_text(tmp_path: Path) -> None:
    assert kinds_in("""["Film, TV", 'Rock 'n' Roll']""") == ['["Film', 'TV"', "'Rock 'n' Roll']"]
    assert kinds_in("""["Film, TV", 'Rock \\'n\\' Roll']""") == ["Film, TV", "Rock 'n' Roll"]
    assert kinds_in("[Drama]; War") == ["[Drama]", "War"]
    assert kinds_in("[" * 100_000 + "]") == ["[" * 100_000 + "]"]
    assert kinds_in([1, 2.5, None, "x"]) == kinds_in("[1, 2.5, null, 'x']".replace("'", '"')) == ["1", "2.5", "x"]
    path = tmp_path / ITEMS
    pl.DataFrame({"item_id": ["1", "2"], "tags": ["['Film, TV']", "['War']"]}).write_parquet(path)
    found = read_kinds(path)
    assert found is not None
    assert (found.size, found.kind.tolist()) == (2, [0, 1])


def test_columns_of_one_kind_or_of_too_many_are_no_kinds(tmp_path: Path) -> None:
    path = tmp_path / ITEMS
    ids = [str(n) for n in range(MOST_KINDS + 1)]
    pl.DataFrame({"item_id": ids, "tags": ids, "category": "all", "brand": "x|y"}).write_parquet(path)
    assert read_kinds(path) is None


def test_rows_without_an_item_and_items_without_a_row_are_noted(write: Write, tmp_path: Path) -> None:
    events = write("events.csv", f"user_id,item_id,timestamp\na,1,{T}\nb,2,{T}\na,3,{T}\n")
    items = write("items.csv", "item_id,title\n1,One\n,Nothing\n ,Nothing\n")
    notes = write_dataset(read(events, items=items), tmp_path / "out")["notes"]
    assert [note.removeprefix(f"{items}") for note in notes] == [
        ": 2 rows name no item and are left out",
        " describes 1 of the 3 items that occur; are ids written alike there (007 and 7)?",
    ]


def test_what_is_no_table_of_items_is_refused(described: Described) -> None:
    with pytest.raises(PenchantError, match="items: has no columns; write one item a line"):
        described("the quick brown fox\njumps\n")
    with pytest.raises(PenchantError, match="--item-columns: title isn't item_id"):
        described("id,name\n1,One\n", item_columns={"item_id": "id", "title": "name"})
