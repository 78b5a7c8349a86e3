"""The items of a dataset: who occurs, how often, and what is known of each (title, genres, …)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from penchant.data import dialects, engine
from penchant.data.engine import Table
from penchant.data.files import examine, find_fault, listed, shortened
from penchant.types import Kinds, PenchantError, Vocabulary

KINDS = ("genres", "genre", "categories", "category", "topics", "topic", "class", "subjects", "subject", "tags", "tag")
"""What columns of kinds are called, the first choice first."""
MOST_KINDS = 1000
"""A column with more different ones holds ids or free words."""
_PARTING = re.compile(r"[|,;]")
TITLES = ("title", "name", "movie_title:token_seq", "movie_title")


@dataclass(frozen=True)
class Described:
    """What an item file says: a row an item, and how many rows named none."""

    source: Path
    table: Table
    nameless: int


def read_items(source: Path, columns: Mapping[str, str], work: Path, encoding: str, called: str | None = None) -> Described:
    """Read an item file of any kind that events come in; ``item_id`` and the rest as text, one row an item.

    ``columns`` may map ``item_id``; otherwise what the log says (``called``), then a dialect's name for it is looked for.
    Raises ``PenchantError`` where no column names the item, or one item has two rows.
    """
    file = examine(source, work, encoding, ordered=True)
    if file.kind == "sequences":
        raise PenchantError(
            f"{source}: has no columns; write one item a line, its id and what is known of it (CSV, JSON lines)"
        )
    frame = engine.scan(file)
    found = engine.columns(frame, str(source))
    if file.kind == "double_colon" and len(found) == 3:  # MovieLens: movies.dat
        item = "item_id"
        frame = frame.rename(dict(zip(found, (item, "title", "genres"), strict=True)))
    else:
        item = _item_column(source, found, columns, called)
        frame = frame.select(nw.col(item).alias("item_id"), *(nw.col(c).alias(_name(c, found)) for c in found if c != item))
    if file.kind != "parquet":
        frame = engine.stage(file, frame, work / "items-read.parquet")
    fault = find_fault(file) if file.has_fields and engine.widths_differ(file) else None
    if fault:
        raise PenchantError(f"{source} {fault}")
    frame = engine.number_rows(engine.as_ids(frame, ["item_id"]), 0)
    rows = engine.collect(frame.sort("item_id", "row"), str(source))
    table = rows.filter(nw.col("item_id").str.strip_chars() != "")
    twice = table.filter(nw.col("item_id").is_duplicated())
    if len(twice):
        first, second = (file.place(row) for row in twice["row"][:2])
        what = shortened(twice["item_id"][0])
        raise PenchantError(f"{source} {second}, field {item}: {what!r} is described in {first} already; keep one")
    return Described(source, table.drop("row"), len(rows) - len(table))


def _name(column: str, found: list[str]) -> str:
    """What a column of the item file is called in the dataset: its own name, unless Penchant uses that for itself."""
    name = column
    while name in ("item_id", "events", "item_id_right", "row") or (name != column and name in found):
        name = f"item_{name}"
    return name


def _item_column(source: Path, found: list[str], columns: Mapping[str, str], called: str | None) -> str:
    for name in columns:
        if name != "item_id":
            raise PenchantError(f"--item-columns: {name} isn't item_id; all other columns of {source} keep their names")
    if "item_id" in columns:
        if columns["item_id"] in found:
            return columns["item_id"]
        raise PenchantError(f"{source}: has no column {columns['item_id']!r} for item_id; it has {listed(found)}")
    if called in found:
        return called
    known = {d.columns["item_id"].lower() for d in dialects.DIALECTS}
    column = next((c for c in found if c.lower() in known), None)
    if column is None:
        likely = dialects.guess(found, ["item_id"]).get("item_id", "?")
        raise PenchantError(
            f"{source}: no column for item_id among {listed(found)}; name it, for example --item-columns item_id={likely}"
        )
    return column


def notes(counts: Table, described: Described | None) -> list[str]:
    """What to look at in the item file: rows without an item, and most items not in it."""
    if described is None:
        return []
    found = []
    if described.nameless:
        found.append(f"{described.source}: {described.nameless:,} rows name no item and are left out")
    known = len(counts.join(described.table.select("item_id"), on="item_id", how="semi"))
    if 2 * known < len(counts):
        found.append(
            f"{described.source} describes {known:,} of the {len(counts):,} items that occur; are ids written alike there "
            "(007 and 7)?"
        )
    return found


def merge(counts: Table, described: Described | None) -> Table:
    """All items that occur or are described, in the order of ids, with ``events`` (0 if it never occurs)."""
    if described is None:
        return counts
    joined = counts.lazy().join(described.table.lazy(), on="item_id", how="full")
    joined = joined.with_columns(nw.coalesce(nw.col("item_id"), nw.col("item_id_right")), nw.col("events").fill_null(0)).drop(
        "item_id_right"
    )
    return engine.collect(joined.sort("item_id"))


def describe_items(path: Path) -> dict[str, dict[str, Any]]:
    """What ``items.parquet`` says of each item: ``{item_id: {column: value}}``, missing values left out."""
    rows = engine.collect(engine.read([path])).iter_rows(named=True)
    return {row.pop("item_id"): {c: v for c, v in row.items() if v not in (None, "")} for row in rows}


def read_kinds(path: Path) -> Kinds | None:
    """Of an ``items.parquet`` the kinds of items that its first column of such (``KINDS``) names; ``None`` where none does.

    An item of several kinds belongs to each alike. They are the members of a list, or of text parted by bars, commas or
    semicolons, or, where there are none in the column, by spaces in a column that RecBole calls a sequence.
    """
    table = engine.collect(engine.read([path]))
    called = {column.partition(":")[0].lower(): column for column in reversed(table.columns)}
    for column in (called[name] for name in KINDS if name in called):
        said = [_members(value) for value in table[column].to_list()]
        parted = any(isinstance(value, str) and _PARTING.search(value) for value in said)
        between = _PARTING if parted else re.compile(r"\s+" if column.endswith("seq") else "$")
        sets = [_each_once(value, between) for value in said]
        names = sorted({name for of_item in sets for name in of_item})
        if not 1 < len(names) <= MOST_KINDS:
            continue
        codes = {name: code for code, name in enumerate(names)}
        return Kinds(
            Vocabulary(tuple(table["item_id"].to_list())),
            np.concatenate([[0], np.cumsum([len(of_item) for of_item in sets])]).astype(np.int64),
            np.array([codes[name] for of_item in sets for name in of_item], np.int32),
            np.array([1 / len(of_item) for of_item in sets for _ in of_item], np.float32),
            len(names),
            f"the items' column {column} ({len(names):,} kinds)",
        )
    return None


def kinds_in(value: Any) -> list[str]:
    """The kinds that a cell names, each once: the members of a list, or of text parted by bars, commas or semicolons."""
    return _each_once(_members(value), _PARTING)


def _each_once(said: str | list[str], between: re.Pattern[str]) -> list[str]:
    names = between.split(said) if isinstance(said, str) else said
    return list(dict.fromkeys(filter(None, map(str.strip, names))))


def _members(value: Any) -> str | list[str]:
    """The members of a list and of lists in it, or of text that spells one as JSON or Python do; other text as it is."""
    if isinstance(value, str) and value.strip().startswith("[") and value.strip().endswith("]"):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value.strip())
                break
            except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two where brackets are nested deeply
                continue
    if isinstance(value, list):
        while any(isinstance(member, list) for member in value):  # as Amazon's categories are
            value = [one for member in value for one in (member if isinstance(member, list) else [member])]
        return [str(member) for member in value if member is not None]
    return "" if value is None else str(value)


def title(description: Mapping[str, Any]) -> str:
    """The words a person knows the item by; empty where the catalogue has none."""
    lower = {name.lower(): value for name, value in description.items()}
    return str(next((lower[name] for name in TITLES if name in lower), ""))
