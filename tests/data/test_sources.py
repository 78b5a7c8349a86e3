"""Public event logs, fetched and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from penchant.cli import main
from penchant.data import engine
from penchant.data.dataset import load
from penchant.data.sources import DATASETS, EVENTS, FOLDER_VARIABLE, GENRES, ITEMS, SOURCE, Dataset, fetch, fingerprint
from penchant.types import PenchantError

COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
TINY = [["1", "10", "3", "881250949"], ["2", "10", "4.5", "881250950"]]
Place = Callable[[], tuple[engine.Table, engine.Table] | None]


def place(rows: list[list[str]] = TINY) -> Place:
    return lambda: (engine.from_rows(rows, COLUMNS), engine.from_rows([["10", "Ten"]], ["item_id", "title"]))


def out_of_order() -> None:
    raise TimeoutError("no answer")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register a tiny public log that is found in the given places."""

    def register(**places: Place) -> None:
        tiny = Dataset("tiny", "two ratings", "none", fingerprint(engine.from_rows(TINY, COLUMNS)), places)
        monkeypatch.setitem(DATASETS, "tiny", tiny)

    return register


Known = Callable[..., None]


def test_the_fingerprint_knows_events_not_their_order_or_spelling() -> None:
    same = [["2", "10", "4.50", "881250950.0"], ["1", "10", "3.0", "881250949"]]
    assert fingerprint(engine.from_rows(TINY, COLUMNS)) == fingerprint(engine.from_rows(same, COLUMNS))
    for row in (["1", "10", "3", "881250948"], ["1", "10", "2", "881250949"], ["1", "11", "3", "881250949"]):
        assert fingerprint(engine.from_rows([row, TINY[1]], COLUMNS)) != fingerprint(engine.from_rows(TINY, COLUMNS))


def test_the_first_place_that_has_the_log_gives_it(known: Known, tmp_path: Path) -> None:
    known(absent=lambda: None, dead=out_of_order, wrong=place([TINY[0], TINY[0]]), good=place(), unasked=out_of_order)
    source = fetch("tiny", tmp_path / "out")
    assert (source["place"], source["licence"]) == ("good", "none")
    assert json.loads((tmp_path / "out" / SOURCE).read_text(encoding="utf-8")) == source
    assert pl.read_csv(tmp_path / "out" / EVENTS, infer_schema=False).rows() == [tuple(row) for row in TINY]
    assert pl.read_csv(tmp_path / "out" / ITEMS, infer_schema=False).rows() == [("10", "Ten")]


def test_where_every_place_fails_each_reason_is_given(known: Known, tmp_path: Path) -> None:
    known(dead=out_of_order, wrong=place([TINY[0]]))
    with pytest.raises(PenchantError, match=r"^tiny can't be had: dead: no answer; wrong: its events hash to .*…, not .*…$"):
        fetch("tiny", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="there is no dataset 'ml-100m'; known are ml-100k"):
        fetch("ml-100m", tmp_path / "out")


def test_a_folder_of_others_is_not_replaced(known: Known, tmp_path: Path) -> None:
    known(good=place())
    (tmp_path / "precious").write_text("")
    with pytest.raises(PenchantError, match=r"exists and holds precious"):
        fetch("tiny", tmp_path)


def test_grouplens_files_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("".join("\t".join(row) + "\n" for row in TINY))
    flags = "|".join("1" if name in ("Comedy", "War") else "0" for name in GENRES)
    (tmp_path / "u.item").write_bytes(f"10|Amélie (2001)|25-Apr-2001||http://x|{flags}\n".encode("latin-1"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    ml = DATASETS["ml-100k"]
    first = dict([next(iter(ml.places.items()))])
    monkeypatch.setitem(
        DATASETS,
        "ml-tiny",
        replace(ml, name="ml-tiny", sha256=fingerprint(engine.from_rows(TINY, COLUMNS)), places=first),
    )
    fetch("ml-tiny", tmp_path / "out")
    assert pl.read_csv(tmp_path / "out" / EVENTS, infer_schema=False).rows() == [tuple(row) for row in TINY]
    assert pl.read_csv(tmp_path / "out" / ITEMS, infer_schema=False).rows() == [
        ("10", "Amélie (2001)", "25-Apr-2001", "Comedy|War")
    ]
    for damage in ("10|no genres\n", ""):
        (tmp_path / "u.item").write_text(damage)
        (tmp_path / "u.data").write_text("1\t10\n" if not damage else "1\t10\t3\t881250949\n")
        with pytest.raises(PenchantError, match="ml-tiny can't be had: the folder that PENCHANT_DATA names: "):
            fetch("ml-tiny", tmp_path / "damaged")
    (tmp_path / "u.item").unlink()
    with pytest.raises(PenchantError, match=r"ml-tiny can't be had: .*u\.item"):
        fetch("ml-tiny", tmp_path / "damaged")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(PenchantError, match=r"neither u\.data nor ml-100k\.inter is in .*nowhere"):
        fetch("ml-tiny", tmp_path / "damaged")


def test_the_command_lists_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "ml-100k"
    assert next(iter(entry["places"])).endswith("PENCHANT_DATA names")
    assert main(["data", "nothing", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err) == {"error": "there is no dataset 'nothing'; known are ml-100k"}


@pytest.mark.data
def test_movielens_100k_from_a_folder_the_whole_way(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(shared_data))
    assert main(["data", "ml-100k", "--out", str(tmp_path / "raw"), "--json"]) == 0
    source = json.loads(capsys.readouterr().out)
    assert source["sha256"] == DATASETS["ml-100k"].sha256
    words = ["prepare", source["events"], "--items", source["items"], "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["quality"]["ties"]["events"] == 50_561
    log = load(tmp_path / "out")
    assert (len(log), len(log.users), len(log.items)) == (100_000, 943, 1682)
    titles = pl.read_parquet(tmp_path / "out" / "items.parquet").filter(pl.col("item_id") == "1")
    assert titles["title"].item() == "Toy Story (1995)"
