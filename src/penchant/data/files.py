"""What kind of file an event log is, and where in it a fault is.

The kind is told from the content, never from the name. Text is handed on as UTF-8; a packed or
otherwise encoded file is first rewritten into the working folder.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import errno
import gzip
import json
import lzma
import re
import shutil
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal

from penchant.types import PenchantError

HEAD = 1 << 20
"""Bytes looked at to tell a file's kind."""
LONGEST_LINE = 1 << 26
"""A line that begins within the head is looked at whole, up to so many bytes."""
DELIMITERS = ("\t", ",", ";", "|")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
VALUE = re.compile(r"\s*([-+]?\d+(\.\d*)?([eE][-+]?\d+)?|\d{4}-\d\d-\d\d([T ].*)?)\s*")
"""A number or a date: what a row holds and a header doesn't."""
IDENTIFIER = re.compile(r"[^\s\"'<>()\[\]{},;=]*\d[^\s\"'<>()\[\]{},;=]*")
"""What an id nearly always is: one word, a digit in it, no brackets or quotes."""
IDENTIFIERS = 0.9
"""In a sequence file so many words are ids; in prose, source code and servers' logs far fewer."""
DATE = re.compile(r"\s*(\d{4}[-/]\d\d[-/]\d\d([T ].*)?|[A-Z][a-z]{2},? .*\d\d:\d\d:\d\d.*)\s*")
STAMP = re.compile(r"\s*\d{9,10}(\d{3}|\d{6}|\d{9})?(\.\d*)?\s*")
"""Seconds, milli-, micro- or nanoseconds since 1970, of our days."""
SAMPLE = 100
"""Lines whose fields are looked at."""
MOSTLY = 0.9
"""Of the other lines so many have fields where the first, which has none, is no header."""
WIDEST = 50
"""Fields on a line of a table between blanks, at most: longer lines are people and their items."""
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")
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
    padded: bool = False
    """Whether a blank follows each separator, which isn't part of the field."""
    moments: tuple[str, ...] = ()
    """Columns whose values look like times, the likeliest first."""
    nested: frozenset[str] = frozenset()
    """Columns that hold objects or arrays."""

    @property
    def has_fields(self) -> bool:
        """Whether each line is fields between separators, so that a line can be too short or too long."""
        return self.kind in ("delimited", "double_colon")

    def line(self, row: int) -> int:
        """The line (from 1) that holds data row ``row`` (from 0); exact where no field holds a line break."""
        return row + 1 + self.has_header

    def place(self, row: int) -> str:
        """Where data row ``row`` (from 0) stands, in words."""
        return f"row {row + 1}" if self.kind == "parquet" else f"line {self.line(row)}"


def examine(source: Path, work: Path, encoding: str = "utf-8", *, header: bool = True, ordered: bool = False) -> EventFile:
    """Tell a file's kind, separator and columns.

    ``work`` takes the rewritten copy of packed or not UTF-8 files; without a ``header``, the first line of fields is an event
    like others, else what it holds tells whether it is one; ``ordered`` says that words without separators are people and
    their items, whatever they look like. Raises ``PenchantError`` on a file that can't be an event log: empty, binary, an
    unknown compression.
    """
    path = _as_utf8(source, work, encoding)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD) + stream.readline(LONGEST_LINE)
    except OSError as error:
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error
    if head.startswith(b"PAR1"):
        _refuse_no_header(source, "Parquet", header=header)
        return EventFile(source, path, "parquet")
    if not head.strip():
        raise PenchantError(f"{source}: is empty; name a file that holds rows")
    _refuse_binary(source, head)
    text = head.decode("utf-8", errors="replace")
    eol = "\r" if "\r" in text and "\n" not in text else "\n"
    lines = [line for line in text.split(eol) if line.strip()]
    if lines[0].lstrip().startswith("{"):
        _refuse_no_header(source, "JSON lines", header=header)
        return _json_lines(EventFile(source, path, "jsonl"), lines)
    return _examine_text(EventFile(source, path, "delimited", eol=eol), lines, header=header, ordered=ordered)


def _refuse_no_header(source: Path, kind: str, *, header: bool) -> None:
    if not header:
        raise PenchantError(f"{source}: is {kind}, which names its columns itself; leave out --no-header")


@contextmanager
def _only_member(source: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(source) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if DOCUMENT_PARTS & set(files):
            raise PenchantError(f"{source}: is a spreadsheet or another document (Excel, …); save the sheet as CSV")
        if len(files) != 1:
            raise PenchantError(f"{source}: is a zip archive of {len(files)} files ({listed(files)}); unpack it and name one")
        with archive.open(files[0]) as member:
            yield member


OPENERS: Mapping[bytes, tuple[str, Callable[[Path], AbstractContextManager[Any]]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ": ("xz", lzma.open),
    b"PK\x03\x04": ("zip", _only_member),
}
"""By the first bytes of a file, what packed it and how to read it."""
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks that tell the encoding; UTF-32's begins with UTF-16's."""
FOREIGN = {
    b"\x28\xb5\x2f\xfd": f"Zstandard; unpack it first ({', '.join(name for name, _ in OPENERS.values())} are read as they are)",
    b"ARROW1": "an Arrow (Feather) file; save it as Parquet",
    b"ORC": "an ORC file; save it as Parquet",
    b"Obj\x01": "an Avro file; save it as Parquet",
    b"\x89HDF": "an HDF5 file; save the table in it as Parquet",
    b"SQLite format 3": "a SQLite database; export the table of events as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel file; save the sheet as CSV",
    b"%PDF": "a PDF document; name the log itself",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it and name the log in it",
    b"Rar!": "a RAR archive; unpack it and name the log in it",
    b"PK\x05\x06": "a zip archive with nothing in it",
    **{magic: f"packed twice ({name} inside); unpack it first" for magic, (name, _) in OPENERS.items()},
}
"""By the first bytes of a file, what it is where it can't be read, and what to do."""
TAR = slice(257, 262)
"""Where a tar archive says ``ustar``."""
DOCUMENT_PARTS = {"[Content_Types].xml", "content.xml"}
"""What zip archives hold that are documents of an office program: Microsoft's, and others'."""


def _unpacked(source: Path, work: Path) -> Path:
    """The file itself, or what is packed in it."""
    with source.open("rb") as stream:
        magic = stream.read(8)
    name, opened = next((found for mark, found in OPENERS.items() if magic.startswith(mark)), ("", None))
    if opened is None:
        return source
    path = work / f"{source.name}.unpacked"
    try:
        with opened(source) as packed, path.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        raise PenchantError(f"{source}: the {name} data is damaged or cut short ({error}); fetch the file again") from error
    except RuntimeError as error:  # a password
        raise PenchantError(f"{source}: can't be unpacked: {error}; unpack it first") from error
    except OSError as error:
        if error.errno is None:  # bzip2 says so that its data is damaged
            raise PenchantError(f"{source}: the {name} data is damaged ({error}); fetch the file again") from error
        raise
    return path


def check_file(source: Path) -> None:
    """Raise ``PenchantError`` unless ``source`` is a file."""
    if source.is_dir():
        raise PenchantError(f"{source}: is a folder; name the files in it")
    if str(source) == "-" or (source.exists() and not source.is_file()):
        raise PenchantError(f"{source}: is a pipe or a device, which can't be read twice; save it as a file first")
    if not source.exists():
        raise PenchantError(f"{source}: no such file")


def _as_utf8(source: Path, work: Path, encoding: str) -> Path:
    check_file(source)
    try:
        codecs.lookup(encoding)
        path = _unpacked(source, work)
        with path.open("rb") as stream:
            magic = stream.read(4)
        recoded = work / f"{source.name}.utf8"
        if magic.startswith(codecs.BOM_UTF8):
            with path.open("rb") as marked, recoded.open("wb") as bare:
                marked.seek(len(codecs.BOM_UTF8))
                shutil.copyfileobj(marked, bare, 1 << 20)
            return recoded
        encoding = next((name for mark, name in MARKS.items() if magic.startswith(mark)), encoding)
        if codecs.lookup(encoding) != codecs.lookup("utf-8") and magic != b"PAR1":
            with path.open(encoding=encoding, newline="") as old, recoded.open("w", encoding="utf-8", newline="") as new:
                shutil.copyfileobj(old, new, 1 << 20)
            return recoded
        return path
    except LookupError as error:
        raise PenchantError(f"{encoding} is not an encoding; try --encoding latin-1 or leave it out for UTF-8") from error
    except UnicodeError as error:
        raise PenchantError(f"{source}: is not {encoding}: {error}; try another --encoding") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise  # it is the copy that can't be written
        raise PenchantError(f"{source}: can't be read: {error.strerror}") from error


def _refuse_binary(source: Path, head: bytes) -> None:
    for magic, words in FOREIGN.items():
        if head.startswith(magic):
            raise PenchantError(f"{source}: is {words}")
    if head[TAR] == b"ustar":
        raise PenchantError(f"{source}: is a tar archive; unpack it and name the log in it")
    if any(head[start:200:2].count(0) > len(head[:200]) / 3 for start in (0, 1)):
        raise PenchantError(f"{source}: looks like UTF-16; read it with --encoding utf-16-le, or utf-16-be")
    start = head[:1000]
    torn = "\ufffd" in start.decode("utf-8", errors="replace")[:-1] and len(CONTROL.findall(start)) > len(start) / 50
    if torn or b"\x00" in head:
        what = f"a zero byte at byte {head.index(0)}" if 0 in head else "control characters, and no UTF-8"
        raise PenchantError(f"{source}: is a binary file ({what}); CSV, TSV, Parquet, JSON lines and sequence files are read")


def _json_lines(file: EventFile, lines: list[str]) -> EventFile:
    """The file with the keys of its objects, in the order they first occur."""
    keys: dict[str, None] = {}
    nested: set[str] = set()
    for line in lines:
        try:
            value = json.loads(line, object_pairs_hook=_once)
        except _TwiceError as error:
            raise PenchantError(f"{file.source} {find_fault(file)}") from error
        except (ValueError, RecursionError):
            continue  # the reader will stop here and find_fault will name the line
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
            nested |= {key for key, inner in value.items() if isinstance(inner, dict | list)}
    if not keys:
        raise PenchantError(f"{file.source} {find_fault(file) or 'line 1: is an object without fields'}")
    return replace(file, columns=tuple(keys), nested=frozenset(nested))


class _TwiceError(ValueError):
    """A key that an object has twice: which of the values counts, each reader decides for itself."""


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _TwiceError(f"the key {shortened(twice)!r} stands there twice")
    return found


def _examine_text(file: EventFile, lines: list[str], *, header: bool, ordered: bool) -> EventFile:
    source, first = file.source, lines[0]
    if first.lstrip().startswith("["):
        raise PenchantError(f"{source}: is one JSON array; write one object a line instead (JSON lines), as jq -c '.[]' does")
    if "::" in first:
        columns = _numbered(first.count("::") + 1)
        rows = [line.rstrip("\r").split("::") for line in lines[:SAMPLE]]
        return replace(file, kind="double_colon", separator="::", columns=columns, moments=_moments(columns, rows))
    if not ordered:
        _refuse_title(source, lines)
    separator = max(DELIMITERS, key=lambda d: first.count(d))
    if first.count(separator) == 0:
        words = first.split()
        if len(words) > 1 and not _is_header(words, lines[1:2]) and not _is_table(lines):
            if not ordered:
                _refuse_prose(source, lines)
            return replace(file, kind="sequences", columns=("user_id", "item_id"))
        separator = " " if len(words) > 1 else ","
    csv.field_size_limit(sys.maxsize)
    rows = list(islice(csv.reader((line.rstrip("\r") + "\n" for line in lines), delimiter=separator), SAMPLE))
    fields = rows[0]
    if any(field.startswith(' "') for field in fields[1:]):
        raise PenchantError(f"{source} line 1: has a blank between a separator and a quote; remove such blanks")
    has_header = header and (_is_column_name(fields) or not any(VALUE.fullmatch(field) for field in fields))
    columns = tuple(field.strip() for field in fields) if has_header else _numbered(len(fields))
    if has_header:
        for name, count in Counter(columns).items():
            if count > 1:
                what = f"two columns are called {shortened(name)!r}" if name else "two columns have no name"
                raise PenchantError(f"{source} line 1: {what}; rename one")
    padded = len(fields) > 1 and any(
        all(field.startswith(" ") for row in some for field in row[1:] if field)
        for some in ([fields], rows[has_header:])
        if some
    )
    moments = _moments(columns, rows[has_header:])
    return replace(file, separator=separator, columns=columns, has_header=has_header, padded=padded, moments=moments)


def _refuse_title(source: Path, lines: Sequence[str]) -> None:
    """Refuse a line above the header, such as a title, a comment, or Excel's ``sep=;``: the others are fields, it isn't."""
    first, others = lines[0], lines[1:SAMPLE]
    if len(others) < 2 or (any(d in first for d in DELIMITERS) and not first.startswith("sep=")):
        return
    for delimiter in DELIMITERS:
        if sum(delimiter in line for line in others) >= len(others) * MOSTLY:
            raise PenchantError(
                f"{source}: the first line ({shortened(first)!r}) is no row of the table below it, which has {delimiter!r} "
                "between fields; remove what stands above the header"
            )


def _moments(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Columns whose values look like times: dates first, then numbers, the last first, as ids come before times."""

    def shaped(kind: re.Pattern[str], place: int) -> bool:
        values = [row[place][:SAMPLE] for row in rows if len(row) > place and row[place].strip()]
        return bool(values) and sum(map(bool, map(kind.fullmatch, values))) > len(values) / 2

    places = range(len(columns) - 1, -1, -1)
    return tuple(columns[place] for kind in (DATE, STAMP) for place in places if shaped(kind, place))


def _is_table(lines: Sequence[str]) -> bool:
    """Whether lines without a delimiter are fields between blanks, not people and their items: as many on each, one a time."""
    rows = [line.split() for line in lines[:SAMPLE]]
    width = len(rows[0])
    return 2 < width <= WIDEST and all(len(row) == width for row in rows) and len(_moments(_numbered(width), rows)) == 1


def _refuse_prose(source: Path, lines: Sequence[str]) -> None:
    """Refuse what would be read as people and their items, though few of its words look like ids."""
    words = list(islice(chain.from_iterable(line.split() for line in lines), 100 * SAMPLE))
    if sum(IDENTIFIER.fullmatch(word) is not None for word in words) < len(words) * IDENTIFIERS:
        raise PenchantError(
            f"{source}: reads like prose, not like an event log, since too few of its words hold a digit, as ids do; "
            "if it is a sequence file (a user and their items on a line), add --ordered"
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
            value = json.loads(line, parse_constant=_no_constant, object_pairs_hook=_once)
        except _TwiceError as error:
            return f"line {number}: {error}; keep one"
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
