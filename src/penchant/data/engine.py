"""The dataframe engine: Polars. The only file that knows it; everything else is written against Narwhals.

What is here is what Narwhals has no word for: opening files, reading numbers and times leniently,
writing Parquet piece by piece, and cutting a log that outgrows memory into ranges of users.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from penchant.data.files import HEAD, EventFile, find_fault
from penchant.types import Int, PenchantError, Text

Frame = nw.LazyFrame[Any]
Table = nw.DataFrame[Any]

ROW_GROUP = 1 << 18
OS_ERROR = re.compile(r"\(os error (\d+)\)")
ISO = (
    r"(?-u)^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{1,2}:\d{2})(?:(:\d{2})(?:[.,](\d+))?)?)?"
    r" ?(?:[Zz]|UTC|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?$"
)


def scan(file: EventFile) -> Frame:
    """The events of a file, lazily; every column of a text file as text."""
    match file.kind:
        case "parquet":
            return nw.from_native(pl.scan_parquet(file.path, glob=False))
        case "jsonl":
            path = glob.escape(str(file.path))
            return nw.from_native(pl.scan_ndjson(path, schema=dict.fromkeys(_keys(file, path), pl.String)))
        case "delimited":
            frame = pl.scan_csv(
                file.path,
                separator=file.separator,
                eol_char=file.eol,
                has_header=file.has_header,
                infer_schema=False,
                schema=None if file.has_header else dict.fromkeys(file.columns, pl.String),
                new_columns=list(file.columns) if file.has_header else None,  # a callback would turn Ctrl-C into a panic
                empty_string_is_null=False,
                raise_if_empty=False,
                glob=False,
            )
            return nw.from_native(frame.select(pl.all().str.strip_chars(" ")) if file.padded else frame)
        case "double_colon":
            parts = pl.col("line").str.splitn("::", len(file.columns)).struct.rename_fields(file.columns)
            return nw.from_native(_lines(file).select(parts.alias("parts")).unnest("parts"))
        case "sequences":
            words = pl.col("line").str.strip_chars().str.replace_all(r"\s+", " ").str.split(" ")
            filled = _lines(file).filter(pl.col("line").str.strip_chars() != "")
            frame = filled.select(user_id=words.list.first(), item_id=words.list.slice(1))
            return nw.from_native(frame.explode("item_id"))


def _keys(file: EventFile, path: str) -> list[str]:
    """All keys of a file of JSON lines: those of its head first, then those that only come later."""
    if file.path.stat().st_size <= HEAD:
        return list(file.columns)
    try:
        found = pl.scan_ndjson(path, infer_schema_length=None).collect_schema().names()
    except pl.exceptions.PolarsError:  # a line is no JSON: whoever reads the file will say which
        found = []
    return list(dict.fromkeys((*file.columns, *found)))


def _lines(file: EventFile) -> pl.LazyFrame:
    frame = pl.scan_csv(
        file.path,
        separator="\x1f",
        eol_char=file.eol,
        has_header=False,
        quote_char=None,
        schema={"line": pl.String},
        glob=False,
    )
    return frame.select(pl.col("line").str.strip_suffix("\r"))


def from_native(native: object) -> Frame:
    """A dataframe the user already holds: Polars, pandas, PyArrow or another that Narwhals reads."""
    kind = type(native).__name__
    try:
        frame: Any = nw.from_native(native)
        if isinstance(frame, nw.LazyFrame) and frame.implementation.is_polars():
            return frame
        eager = frame.collect("polars") if isinstance(frame, nw.LazyFrame) else frame
        return nw.from_native(eager.to_polars().lazy())
    except (ValueError, TypeError, nw.exceptions.NarwhalsError) as error:
        if nw.dependencies.is_into_dataframe(native):
            raise PenchantError(
                f"the {kind}: can't be read: {_first_line(error)}; give each column one name and type"
            ) from error
        raise PenchantError(f"{kind} is neither a file's path nor a dataframe Narwhals can read") from error


def number_rows(frame: Frame, offset: int) -> Frame:
    """Add ``row``: the place in the log, counted from ``offset``."""
    native: pl.LazyFrame = frame.to_native()
    return nw.from_native(native.with_row_index("row", offset=0).with_columns(pl.col("row").cast(pl.Int64) + offset))


def widths_differ(file: EventFile) -> bool:
    """Whether some line of delimited text may have more or fewer fields than the first; a quick look, wrong only to be safe."""
    bare = pl.col("line").str.replace_all(r'"[^"]*"', "")
    separators = bare.str.count_matches(file.separator, literal=True)
    odd = ((separators != len(file.columns) - 1) & (bare.str.strip_chars() != "")) | bare.str.contains('"', literal=True)
    with _told(file.source):
        return bool(_lines(file).select(odd.any()).collect(engine="streaming").item())


def as_ids(frame: Frame, columns: Sequence[str]) -> Frame:
    """Columns as text. Whole numbers lose the ``.0`` of columns of floats or decimals, which hold integers with gaps."""
    native: pl.LazyFrame = frame.to_native()
    schema = native.collect_schema()
    texts = []
    for name in columns:
        value, text = pl.col(name), pl.col(name).cast(pl.String)
        if schema[name].is_float() or schema[name].is_decimal():
            whole = value.cast(pl.Int64, strict=False)
            there = value.is_not_nan() if schema[name].is_float() else True
            text = pl.when(whole == value).then(whole.cast(pl.String)).when(there).then(text)
        texts.append(text)
    return nw.from_native(native.with_columns(texts))


def numbers(frame: Frame, columns: Sequence[str]) -> Frame:
    """Columns as Float64; of text, what isn't a number becomes null."""
    native: pl.LazyFrame = frame.to_native()
    schema = native.collect_schema()
    bare = [pl.col(c).str.strip_chars() if schema[c] == pl.String else pl.col(c) for c in columns]
    return nw.from_native(native.with_columns(value.cast(pl.Float64, strict=False).fill_nan(None) for value in bare))


def iso_microseconds(frame: Frame, column: str, into: str) -> Frame:
    """ISO 8601 text as microseconds since 1970 UTC (no zone means UTC); what isn't a date becomes null."""
    native: pl.LazyFrame = frame.to_native()
    parts = pl.col(column).cast(pl.String).str.strip_chars().str.extract_groups(ISO)
    native = native.with_columns(parts.alias("_iso"))  # once for all that is made of it
    day, clock, second, fraction, sign, hours, minutes = (pl.col("_iso").struct.field(str(i)) for i in range(1, 8))
    moment = pl.concat_str(day, pl.lit(" "), clock.fill_null("00:00").str.zfill(5), second.fill_null(":00"))
    whole = moment.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).cast(pl.Int64)
    micros = fraction.fill_null("0").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
    offset = (hours.fill_null("0").cast(pl.Int64) * 60 + minutes.fill_null("0").cast(pl.Int64)) * 60_000_000
    shift = pl.when(sign == "-").then(-offset).otherwise(offset)
    return nw.from_native(native.with_columns((whole + micros - shift).alias(into)).drop("_iso"))


def written_microseconds(frame: Frame, column: str, notation: str, into: str) -> Frame:
    """Text in a notation of strptime as microseconds since 1970 UTC (no zone means UTC); what isn't written so becomes null.

    Raises ``PenchantError`` where the notation doesn't tell a moment.
    """
    moment = pl.col(column).cast(pl.String).str.strip_chars().str.to_datetime(notation, time_unit="us", strict=False)
    try:
        pl.select(pl.lit("").alias(column)).select(moment)
    except pl.exceptions.PolarsError as error:
        raise PenchantError(f"{notation!r} doesn't tell a moment: {_first_line(error)}") from error
    native: pl.LazyFrame = frame.to_native()
    return nw.from_native(native.with_columns(moment.cast(pl.Int64).alias(into)))


def day_microseconds(frame: Frame, column: str, into: str) -> Frame:
    """Days as numbers like 20240531 as microseconds since 1970 UTC; what isn't a day becomes null."""
    native: pl.LazyFrame = frame.to_native()
    whole = pl.col(column).cast(pl.Int64, strict=False)
    day = pl.when(whole == pl.col(column)).then(whole.cast(pl.String)).str.to_datetime("%Y%m%d", time_unit="us", strict=False)
    return nw.from_native(native.with_columns(day.cast(pl.Int64).alias(into)))


def sink(frame: Frame, path: Path) -> None:
    """Write a frame to Parquet, streaming."""
    native: pl.LazyFrame = frame.to_native()
    with _told(path):
        native.sink_parquet(path, compression="lz4", mkdir=True)


def stage(file: EventFile, frame: Frame, path: Path) -> Frame:
    """Read a text file once, into Parquet at ``path``; a fault is named by file, line and field."""
    try:
        sink(frame, path)
    except PenchantError as error:
        fault = find_fault(file)
        raise PenchantError(f"{file.source} {fault}" if fault else str(error).replace(str(path), str(file.source))) from error
    return read([path])


def end_to_end(frames: Sequence[Frame]) -> Frame:
    """Several logs one after another. A column some lack is null there; one of different types becomes the wider type."""
    natives: list[pl.LazyFrame] = [frame.to_native() for frame in frames]
    return nw.from_native(pl.concat(natives, how="diagonal_relaxed"))


def columns(frame: Frame, name: str) -> list[str]:
    """The columns of a query, without running it; ``name`` is what it reads."""
    try:
        return frame.collect_schema().names()
    except (pl.exceptions.PolarsError, nw.exceptions.NarwhalsError) as error:
        raise PenchantError(f"{name}: is damaged or cut short ({_first_line(error)}); fetch the file again") from error


def row(frame: Frame, name: str = "the data") -> dict[str, Any]:
    """The one row of an aggregation; ``name`` is what it reads."""
    return next(collect(frame, name).iter_rows(named=True))


def read(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Frame:
    """Parquet files, lazily, end to end."""
    frame = pl.scan_parquet(list(paths), glob=False)
    return nw.from_native(frame.select(columns) if columns else frame)


def collect(frame: Frame, name: str = "the data") -> Table:
    """Run a query, in bounded memory where the query allows; ``name`` is what it reads."""
    native: pl.LazyFrame = frame.to_native()
    with _told(name):
        return nw.from_native(native.collect(engine="streaming"), eager_only=True)


def load(frame: Frame) -> Table:
    """Read a piece of a log into memory, with all threads, also while another query waits for it."""
    native: pl.LazyFrame = frame.to_native()
    with _told("the data"):
        return nw.from_native(native.collect(engine="in-memory"), eager_only=True)


def table(columns: Mapping[str, Any]) -> Table:
    """A small table from columns."""
    return nw.from_native(pl.DataFrame(columns), eager_only=True)


def repeats(events: Table, keys: Sequence[str]) -> Table:
    """The ``row`` of every event that equals one of a smaller ``row`` in all ``keys``; nulls are equal to each other.

    Hashes single out the few events that may have an equal; only those are compared.
    """
    native: pl.DataFrame = events.to_native()
    mixed = pl.lit(0, pl.UInt64)
    for seed, key in enumerate(keys):
        mixed = mixed ^ pl.col(key).hash(seed)
    hashes = native.select(mixed.alias("hash"))["hash"]
    ascending = np.sort(hashes.to_numpy())
    again = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    candidates = native.select("row", *keys).filter(hashes.is_in(pl.Series(again).implode()))
    first = pl.col("row").min().over(*keys)
    return nw.from_native(candidates.filter(pl.col("row") > first).select("row"), eager_only=True)


def without(events: Table, lost: Table) -> Table:
    """The events whose ``row`` isn't among the lost."""
    native: pl.DataFrame = events.to_native()
    return nw.from_native(native.filter(~pl.col("row").is_in(lost.to_native()["row"].implode())), eager_only=True)


def in_order(events: Table) -> Table:
    """Events in the total order (user_id, timestamp, event_id). Adds ``_user``, the user's place among all here.

    Events come in the order of the log. Where it gives them no ids, that order decides between equal times.
    """
    native: pl.DataFrame = events.to_native()
    users = pl.Enum(native["user_id"].drop_nulls().unique().sort())  # numbers sort twice as fast as text
    coded = native.with_columns(pl.col("user_id").cast(users).to_physical().alias("_user"))
    ties = ["event_id"] if "event_id" in events.columns else []
    return nw.from_native(coded.sort("_user", "timestamp", *ties, maintain_order=True), eager_only=True)


def before(events: Table, column: str, into: str) -> Table:
    """Add what ``column`` was at the user's event before, null at the first; events must be ``in_order``."""
    native: pl.DataFrame = events.to_native()
    same = pl.col("_user") == pl.col("_user").shift()
    return nw.from_native(native.with_columns(pl.when(same).then(pl.col(column).shift()).alias(into)), eager_only=True)


def number_events(events: Table) -> Table:
    """Add ``event_number``, how many of the user's events came before, and ``_first``, where in the table the first stands.

    Events must be ``in_order``.
    """
    native: pl.DataFrame = events.to_native()
    user = native["_user"].to_numpy()
    start = np.flatnonzero(np.diff(user, prepend=user[:1] + 1)).astype(np.int32)
    first = np.repeat(start, np.diff(start, append=np.int32(len(user))))
    number = np.arange(len(user), dtype=np.int32) - first
    return nw.from_native(native.with_columns(event_number=number, _first=first), eager_only=True)


def since_first(events: Table, column: str, into: str) -> Table:
    """Add how much more ``column`` is than at the user's first event; events must be numbered."""
    native: pl.DataFrame = events.to_native()
    value = pl.col(column)
    return nw.from_native(native.with_columns((value - value.gather(pl.col("_first"))).alias(into)), eager_only=True)


def partition(log: Frame, total: int, column: str, folder: Path, rows_at_once: int) -> list[Frame]:
    """Cut a log of ``total`` rows into pieces of about ``rows_at_once`` rows, by ascending ranges of ``column``.

    All rows of one value end in one piece, so sorting each piece sorts the whole. A piece fits in memory unless
    a single value has more rows than that. Rows without a value go to the first piece.
    """
    native: pl.LazyFrame = log.to_native()
    wanted = -(-total // rows_at_once)
    if wanted <= 1:
        return [log]
    with _told("the data"):
        counts = native.group_by(column).len().drop_nulls().collect(engine="streaming").sort(column)
    cumulative = counts["len"].cum_sum().to_numpy()
    cuts = np.unique(np.searchsorted(cumulative, [total * cut / wanted for cut in range(1, wanted)]))
    bounds = [counts[column][int(cut)] for cut in cuts if cut < counts.height]
    with _told(folder):
        native.with_columns(_place(pl.col(column), bounds).alias("_piece")).sink_parquet(
            pl.PartitionBy(folder, key="_piece", include_key=False), compression="lz4", mkdir=True
        )
    found = sorted(folder.iterdir(), key=lambda path: int(path.name.removeprefix("_piece=")))
    return [read(sorted(path.iterdir())) for path in found]


def _place(value: pl.Expr, bounds: Sequence[str], first: int = 0) -> pl.Expr:
    """How many of the ascending ``bounds`` lie below a value, plus ``first``; a missing value lies below all of them."""
    if not bounds:
        return pl.lit(first, pl.UInt32)
    half = len(bounds) // 2
    below, above = _place(value, bounds[:half], first), _place(value, bounds[half + 1 :], first + half + 1)
    return pl.when(value > bounds[half]).then(above).otherwise(below)


def write_pieces(pieces: Iterable[Table], path: Path) -> None:
    """Write tables one after another into one Parquet file; the same tables give the same bytes."""
    pieces = iter(pieces)
    first = next(pieces).to_native()

    def source(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        yield first
        for piece in pieces:
            yield piece.to_native()

    write_parquet(nw.from_native(register_io_source(source, schema=first.schema)), path)


def write_parquet(frame: Frame, path: Path) -> None:
    """Write a query's rows into one Parquet file, in order; the same rows give the same bytes."""
    native: pl.LazyFrame = frame.to_native()
    with _told(path):
        native.sink_parquet(path, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)


@contextmanager
def _told(what: Path | str) -> Iterator[None]:
    """What the engine couldn't do, in a sentence. What the system refused (a full disk) stays an ``OSError`` while writing."""
    try:
        yield
    except (pl.exceptions.PolarsError, nw.exceptions.NarwhalsError, OSError) as error:
        refused = OS_ERROR.search(str(error))
        if isinstance(what, Path) and (refused or isinstance(error, OSError)):
            number = int(refused[1]) if refused else error.errno  # type: ignore[union-attr]
            raise OSError(number, os.strerror(number) if number else _first_line(error), str(what)) from error
        raise PenchantError(f"{what}: can't be processed: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def encode_runs(frame: Frame, column: str) -> tuple[list[str], Int]:
    """Values of a sorted column in order, once each, and each row's place among them."""
    native: pl.LazyFrame = frame.to_native()
    codes = native.select(pl.col(column).rle_id().cast(pl.Int32)).collect().to_series().to_numpy()
    values = native.select(pl.col(column).unique(maintain_order=True)).collect().to_series().to_list()
    return values, codes


def encode(frame: Frame, column: str, values: Sequence[str]) -> Int:
    """Each row's place in ``values``, ``[rows] int32``."""
    native: pl.LazyFrame = frame.to_native()
    dtype = pl.Enum(values)
    return native.select(pl.col(column).cast(dtype).to_physical().cast(pl.Int32)).collect().to_series().to_numpy()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def texts(frame: Frame, column: str) -> Text:
    """A column of text as a NumPy string array, converted a million rows at a time."""
    native: pl.LazyFrame = frame.to_native()
    series = native.select(column).collect().to_series()
    out = np.empty(len(series), np.dtypes.StringDType())
    for start in range(0, len(series), 1 << 20):
        out[start : start + (1 << 20)] = series[start : start + (1 << 20)].to_numpy()
    return out


def from_rows(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> Table:
    """A small table of text."""
    with _told("the rows"):
        return nw.from_native(pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row"), eager_only=True)


def write_csv(table: Table, path: Path) -> None:
    """Write a table as CSV with a header."""
    native: pl.DataFrame = table.to_native()
    with _told(path):
        native.write_csv(path)
