"""What kind of file an event log is, and where in it a fault is.

The kind is told from the content, never from the name. Text is handed on as UTF-8; a gzipped or
otherwise encoded file is first rewritten into the working folder.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import re
import shutil
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penchant.types import PenchantError

HEAD = 1 << 16
DELIMITERS = ("\t", ",", ";", "|")
NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*")

Kind = Literal["parquet", "jsonl", "delimited", "double_colon", "sequences"]


@dataclass(frozen=True)
class EventFile:
    """A file whose form is known. ``source`` is what the user named; ``path`` is what to read (UTF-8)."""

    source: Path
    path: Path
    kind: Kind
    separator: str = ","
    eol: str = "\n"
    columns: tuple[str, ...] = ()
    """Column names; ``1``, ``2``, … where the file has no header. Empty for Parquet: it knows its own."""
    has_header: bool = False

    def line(self, row: int) -> int:
        """The line (from 1) that holds data row ``row`` (from 0); exact where no field holds a line break."""
        return row + 1 + self.has_header


def examine(source: Path, work: Path, encoding: str = "utf-8") -> EventFile:
    """Tell a file's kind, separator and columns.

    ``work`` takes the rewritten copy of gzipped or not UTF-8 files. Raises ``PenchantError`` on a file
    that can't be an event log: empty, binary, an unknown compression.
    """
    path = _as_utf8(source, work, encoding)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error
    if head.startswith(b"PAR1"):
        return EventFile(source, path, "parquet")
    head = head.removeprefix(codecs.BOM_UTF8)
    if not head.strip():
        raise PenchantError(f"{source}: is empty; give a file with one event a line")
    _refuse_binary(source, head)
    text = head.decode("utf-8", errors="replace")
    eol = "\r" if "\r" in text and "\n" not in text else "\n"
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # cut in the middle
    return _examine_text(source, path, lines, eol)


def _as_utf8(source: Path, work: Path, encoding: str) -> Path:
    if source.is_dir():
        raise PenchantError(f"{source}: is a folder; name the event files in it")
    try:
        codecs.lookup(encoding)
        with source.open("rb") as stream:
            magic = stream.read(4)
        path = source
        if magic.startswith(b"\x1f\x8b"):
            path = work / f"{source.name}.unzipped"
            with gzip.open(source, "rb") as zipped, path.open("wb") as plain:
                shutil.copyfileobj(zipped, plain, 1 << 20)
        if codecs.lookup(encoding) != codecs.lookup("utf-8") and magic != b"PAR1":
            recoded = work / f"{source.name}.utf8"
            with path.open(encoding=encoding, newline="") as old, recoded.open("w", encoding="utf-8", newline="") as new:
                shutil.copyfileobj(old, new, 1 << 20)
            path = recoded
        return path
    except LookupError as error:
        raise PenchantError(f"{encoding} is not an encoding; try --encoding latin-1 or leave it out for UTF-8") from error
    except FileNotFoundError as error:
        raise PenchantError(f"{source}: no such file") from error
    except UnicodeError as error:
        raise PenchantError(f"{source}: is not {encoding}: {error}; try another --encoding") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise PenchantError(f"{source}: the gzip data is damaged or cut short ({error}); fetch the file again") from error
    except OSError as error:
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error


def _refuse_binary(source: Path, head: bytes) -> None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PenchantError(f"{source}: is UTF-16; read it with --encoding utf-16")
    known = {b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "Zstandard", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
    for magic, name in known.items():
        if head.startswith(magic):
            raise PenchantError(f"{source}: is {name}; unpack it first (of compressions, gzip is read as it is)")
    if b"\x00" in head:
        raise PenchantError(
            f"{source}: is a binary file (a zero byte at byte {head.index(0)}); "
            "CSV, TSV, Parquet, JSON lines and sequence files are read"
        )


def _examine_text(source: Path, path: Path, lines: list[str], eol: str) -> EventFile:
    first = lines[0]
    if first.lstrip().startswith("{"):
        return EventFile(source, path, "jsonl", columns=_json_keys(lines))
    if first.lstrip().startswith("["):
        raise PenchantError(f"{source}: is one JSON array; write one object a line (JSON lines) instead")
    if "::" in first:
        return EventFile(source, path, "double_colon", eol=eol, columns=_numbered(first.count("::") + 1))
    separator = max(DELIMITERS, key=lambda d: first.count(d))
    if first.count(separator) == 0:
        words = first.split()
        if len(words) > 1 and not any(word.lower() in ("user_id", "userid", "item_id", "itemid") for word in words):
            return EventFile(source, path, "sequences", eol=eol, columns=("user_id", "item_id"))
        separator = " " if len(words) > 1 else ","
    fields = next(csv.reader([first], delimiter=separator))
    has_header = not any(NUMBER.fullmatch(field) for field in fields)
    columns = tuple(field.strip() for field in fields) if has_header else _numbered(len(fields))
    if has_header:
        for name in columns:
            if columns.count(name) > 1:
                raise PenchantError(f"{source} line 1: two columns are called {name!r}; rename one")
    return EventFile(source, path, "delimited", separator, eol, columns, has_header)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def _json_keys(lines: list[str]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue  # the reader will stop here and find_fault will name the line
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
    return tuple(keys)


def find_fault(file: EventFile) -> str | None:
    """The first fault of a text file as ``line 7, field rating: …``; ``None`` if it is sound.

    Slow and strict: called once something already looks wrong, to say where.
    """
    try:
        if file.kind == "jsonl":
            return _find_json_fault(file)
        if file.kind == "delimited":
            return _find_table_fault(file)
        for number, line in _numbered_lines(file):
            if file.kind == "double_colon" and line.strip() and line.count("::") != len(file.columns) - 1:
                return f"line {number}: has {line.count('::') + 1} fields where the first line has {len(file.columns)}"
            if file.kind == "sequences" and len(line.split()) == 1:
                return f"line {number}: has a user but no items"
    except _BadEncodingError as error:
        return str(error)
    return None


class _BadEncodingError(Exception):
    """A line that isn't UTF-8."""


def _numbered_lines(file: EventFile) -> Iterator[tuple[int, str]]:
    end = file.eol.encode()
    with file.path.open("rb") as stream:
        raw_lines = iter(stream.read().split(end)) if file.eol == "\r" else iter(stream)
        for number, raw in enumerate(raw_lines, 1):
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                before = raw[: error.start].decode("utf-8", errors="replace").count(file.separator)
                name = file.columns[before] if file.kind == "delimited" and before < len(file.columns) else "?"
                raise _BadEncodingError(
                    f"line {number}, field {name}: byte 0x{byte:02X} isn't UTF-8; "
                    "if the whole file has another encoding, name it (--encoding latin-1), else repair the line"
                ) from error


def _find_json_fault(file: EventFile) -> str | None:
    for number, line in _numbered_lines(file):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            return f"line {number}: is not JSON ({error}); write one complete object a line"
        if not isinstance(value, dict):
            return f"line {number}: is not a JSON object"
    return None


def _find_table_fault(file: EventFile) -> str | None:
    csv.field_size_limit(sys.maxsize)
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in _numbered_lines(file):
            last = number
            yield line + "\n"

    reader = csv.reader(lines(), delimiter=file.separator, strict=True)
    start = 1
    try:
        for fields in reader:
            if fields and len(fields) != len(file.columns):
                return _wrong_width(file, fields, start, last)
            start = last + 1
    except csv.Error as error:
        where = f"line {start}" if last in (0, start) else f"lines {start} to {last}"
        return f"{where}: a quote that opens isn't closed as CSV wants it ({error}); close or double it"
    return None


def _wrong_width(file: EventFile, fields: list[str], start: int, last: int) -> str:
    if last > start:
        return f"line {start}: a quote that opens here isn't closed before line {last}; close or double it"
    found, wanted = len(fields), len(file.columns)
    if found < wanted:
        return f"line {start}, field {file.columns[found]}: is missing ({found} fields where the header has {wanted})"
    return (
        f"line {start}: has {found} fields where the header has {wanted} ({', '.join(file.columns)}); "
        "put quotes around fields that hold the separator"
    )
