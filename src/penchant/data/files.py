"""What kind of file an event log is, and where in it a fault is.

The kind is told from the content, never from the name. Text is handed on as UTF-8; a gzipped or
otherwise encoded file is first rewritten into the working folder.
"""

from __future__ import annotations

import codecs
import csv
import errno
import gzip
import json
import re
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penchant.types import PenchantError

HEAD = 1 << 20
"""Bytes looked at to tell a file's kind. Keys of JSON lines that first occur beyond them are not read."""
LONGEST_LINE = 1 << 26
"""A line that begins within the head is looked at whole, up to so many bytes."""
DELIMITERS = ("\t", ",", ";", "|")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
VALUE = re.compile(r"\s*([-+]?\d+(\.\d*)?([eE][-+]?\d+)?|\d{4}-\d\d-\d\d([T ].*)?)\s*")
"""A number or a date: what a row holds and a header doesn't."""
PUNCTUATION = 0.02
"""Ids seldom end in a full stop or a comma; in prose every tenth word does."""
COLUMN_NAMES = ("user_id", "userid", "item_id", "itemid", "sessionid", "movieid")

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

    @property
    def has_fields(self) -> bool:
        """Whether each line is fields between separators, so that a line can be too short or too long."""
        return self.kind in ("delimited", "double_colon")

    def line(self, row: int) -> int:
        """The line (from 1) that holds data row ``row`` (from 0); exact where no field holds a line break."""
        return row + 1 + self.has_header


def examine(source: Path, work: Path, encoding: str = "utf-8", *, header: bool = True) -> EventFile:
    """Tell a file's kind, separator and columns.

    ``work`` takes the rewritten copy of gzipped or not UTF-8 files; without a ``header``, the first line of fields is an event
    like others, else what it holds tells whether it is one. Raises ``PenchantError`` on a file
    that can't be an event log: empty, binary, an unknown compression.
    """
    path = _as_utf8(source, work, encoding)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD) + stream.readline(LONGEST_LINE)
    except OSError as error:
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error
    if head.startswith(b"PAR1"):
        return EventFile(source, path, "parquet")
    if not head.strip():
        raise PenchantError(f"{source}: is empty; name a file that holds rows")
    _refuse_binary(source, head)
    text = head.decode("utf-8", errors="replace")
    eol = "\r" if "\r" in text and "\n" not in text else "\n"
    return _examine_text(source, path, [line for line in text.split(eol) if line.strip()], eol, header=header)


def _as_utf8(source: Path, work: Path, encoding: str) -> Path:
    if source.is_dir():
        raise PenchantError(f"{source}: is a folder; name the event files in it")
    if source.exists() and not source.is_file():
        raise PenchantError(f"{source}: is a pipe or a device, which can't be read twice; save it as a file first")
    try:
        codecs.lookup(encoding)
        with source.open("rb") as stream:
            magic = stream.read(4)
        path = source
        if magic.startswith(b"\x1f\x8b"):
            path = work / f"{source.name}.unzipped"
            with gzip.open(source, "rb") as zipped, path.open("wb") as plain:
                shutil.copyfileobj(zipped, plain, 1 << 20)
            with path.open("rb") as stream:
                magic = stream.read(4)
        recoded = work / f"{source.name}.utf8"
        if magic.startswith(codecs.BOM_UTF8):
            with path.open("rb") as marked, recoded.open("wb") as bare:
                marked.seek(len(codecs.BOM_UTF8))
                shutil.copyfileobj(marked, bare, 1 << 20)
            return recoded
        if codecs.lookup(encoding) != codecs.lookup("utf-8") and magic != b"PAR1":
            with path.open(encoding=encoding, newline="") as old, recoded.open("w", encoding="utf-8", newline="") as new:
                shutil.copyfileobj(old, new, 1 << 20)
            return recoded
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
        if error.errno in NO_ROOM:
            raise  # it is the copy that can't be written
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error


def _refuse_binary(source: Path, head: bytes) -> None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PenchantError(f"{source}: is UTF-16; read it with --encoding utf-16")
    known = {b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "Zstandard", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
    for magic, name in known.items():
        if head.startswith(magic):
            raise PenchantError(f"{source}: is {name}; unpack it first (of compressions, gzip is read as it is)")
    if any(head[start:200:2].count(0) > len(head[:200]) / 3 for start in (0, 1)):
        raise PenchantError(f"{source}: looks like UTF-16; read it with --encoding utf-16-le, or utf-16-be")
    if b"\x00" in head:
        raise PenchantError(
            f"{source}: is a binary file (a zero byte at byte {head.index(0)}); "
            "CSV, TSV, Parquet, JSON lines and sequence files are read"
        )


def _examine_text(source: Path, path: Path, lines: list[str], eol: str, *, header: bool) -> EventFile:
    first = lines[0]
    if first.lstrip().startswith("{"):
        keys = _json_keys(lines)
        file = EventFile(source, path, "jsonl", columns=keys)
        if not keys:
            raise PenchantError(f"{source} {find_fault(file) or 'line 1: is an object without fields'}")
        return file
    if first.lstrip().startswith("["):
        raise PenchantError(f"{source}: is one JSON array; write one object a line (JSON lines) instead")
    if "::" in first:
        return EventFile(source, path, "double_colon", "::", eol, _numbered(first.count("::") + 1))
    separator = max(DELIMITERS, key=lambda d: first.count(d))
    if first.count(separator) == 0:
        words = first.split()
        if len(words) > 1 and not _is_header(words, lines[1:2]):
            _refuse_prose(source, lines)
            return EventFile(source, path, "sequences", eol=eol, columns=("user_id", "item_id"))
        separator = " " if len(words) > 1 else ","
    csv.field_size_limit(sys.maxsize)
    fields = next(csv.reader([first.rstrip("\r")], delimiter=separator))
    has_header = header and (_is_column_name(fields) or not any(VALUE.fullmatch(field) for field in fields))
    columns = tuple(field.strip() for field in fields) if has_header else _numbered(len(fields))
    if has_header:
        for name, count in Counter(columns).items():
            if count > 1:
                raise PenchantError(f"{source} line 1: two columns are called {shortened(name)!r}; rename one")
    return EventFile(source, path, "delimited", separator, eol, columns, has_header)


def _refuse_prose(source: Path, lines: Sequence[str]) -> None:
    """Refuse what would be read as people and their items, though many of its words end as sentences and clauses do."""
    words = [word for line in lines for word in line.split()]
    if sum(word.endswith((".", ",", ";", ":", "!", "?")) for word in words) > len(words) * PUNCTUATION:
        raise PenchantError(
            f"{source}: reads like prose, not like an event log; CSV, TSV, Parquet, JSON lines and sequence files (a user and "
            "their items on a line) are read"
        )


def _is_column_name(words: Sequence[str]) -> bool:
    """Whether one of the words is what some dialect calls its users or items."""
    return any(word.strip().split(":")[0].lower() in COLUMN_NAMES for word in words)


def _is_header(words: Sequence[str], following: Sequence[str]) -> bool:
    """Whether the words of a line without a delimiter head a table, rather than being a user and items.

    They do if one is a known name, or if none is a number where the next line has some.
    """
    numbers = [word for line in following for word in line.split() if VALUE.fullmatch(word)]
    return _is_column_name(words) or (bool(numbers) and not any(VALUE.fullmatch(word) for word in words))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def shortened(word: str, longest: int = 60) -> str:
    """A name from a file, fit for a sentence."""
    return word if len(word) <= longest else f"{word[:longest]}…"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names from a file, fit for a sentence."""
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(shortened(name) for name in names[:most]) + more


def _json_keys(lines: list[str]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
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
                return _wrong_width(file, line.split("::"), number)
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
                yield number, raw.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                before = raw[: error.start].decode("utf-8", errors="replace").count(file.separator)
                field = f", field {file.columns[before]}" if file.has_fields and before < len(file.columns) else ""
                raise _BadEncodingError(
                    f"line {number}{field}: byte 0x{byte:02X} isn't UTF-8; "
                    "if the whole file has another encoding, name it (--encoding latin-1), else repair the line"
                ) from error


def _find_json_fault(file: EventFile) -> str | None:
    for number, line in _numbered_lines(file):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            return f"line {number}: is not JSON ({reason}); write one complete object a line"
        if not isinstance(value, dict):
            return f"line {number}: is not a JSON object"
    return None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON value; write null")


def _find_table_fault(file: EventFile) -> str | None:
    csv.field_size_limit(sys.maxsize)
    last, text = 0, ""

    def lines() -> Iterator[str]:
        nonlocal last, text
        for number, line in _numbered_lines(file):
            last, text = number, line
            yield line + "\n"

    reader = csv.reader(lines(), delimiter=file.separator, strict=True)
    start = 1
    try:
        for fields in reader:
            if fields and len(fields) != len(file.columns):
                if last > start:
                    return f"line {start}: a quote that opens here isn't closed before line {last}; close or double it"
                return _wrong_width(file, fields, start)
            if start == last and text.count('"') % 2:
                name = next(n for n, field in zip(file.columns, fields, strict=True) if '"' in field)
                return (
                    f"line {start}, field {name}: has a quote inside a field that isn't quoted; "
                    "put quotes around the field and double the one inside"
                )
            start = last + 1
    except csv.Error as error:
        where = f"line {start}" if last in (0, start) else f"lines {start} to {last}"
        return f"{where}: a quote that opens isn't closed as CSV wants it ({error}); close or double it"
    return None


def _wrong_width(file: EventFile, fields: list[str], line: int) -> str:
    found, wanted = len(fields), len(file.columns)
    first = "the header" if file.has_header else "the first line"
    if found < wanted:
        return f"line {line}, field {file.columns[found]}: is missing ({found} fields where {first} has {wanted})"
    cure = "put quotes around fields that hold the separator" if file.kind == "delimited" else "remove what is too much"
    return f"line {line}: has {found} fields where {first} has {wanted} ({listed(file.columns)}); {cure}"
