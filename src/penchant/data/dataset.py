"""From an event log to a dataset folder, and back.

A dataset folder holds ``interactions.parquet`` (the cleaned log in total order, with features),
``items.parquet`` (the catalogue) and ``manifest.json`` (schema, counts, hashes, what cleaning removed and why).
The same input gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals as nw
import numpy as np

from penchant import folders
from penchant.data import catalog, dialects, engine, times
from penchant.data.catalog import read_kinds
from penchant.data.clean import NO_ID, Cleaner, PrepareConfig, frequent
from penchant.data.content import read_content
from penchant.data.engine import Frame, Table
from penchant.data.features import FEATURES, add_features
from penchant.data.files import EventFile, check_file, examine, find_fault, listed, shortened
from penchant.data.quality import Quality
from penchant.data.table import MISSING
from penchant.types import EVENT_COLUMNS, Array, Clock, Int, Interactions, Kinds, PenchantError, Progress, Vocabulary, quiet

FORMAT = 1
FILES = MANIFEST, INTERACTIONS, ITEMS = "manifest.json", "interactions.parquet", "items.parquet"
LONGEST_ID = 1024
MOST_EVENT_TYPES = 10_000
IDS = ("user_id", "item_id", "session_id", "event_id")
SUSPECT = "_suspect"
UNCLEAR = "_unclear"
UNREAD = {"value": "_unread_value", "dwell": "_unread_dwell"}
"""Columns with what is written where a number should stand."""
NOTHING = (*MISSING, "-", "\\n")
"""Words for no number; the last is MySQL's."""
MARKED, UNMARKED = ("1", "1.0", "true", "t", "yes", "y"), ("0", "0.0", "false", "f", "no", "n", "")
WORKING = ("row", "unreadable", SUSPECT, UNCLEAR, *UNREAD.values())
RESERVED = (*EVENT_COLUMNS, *FEATURES, *WORKING)

DERIVED_ID = nw.col("row").cast(nw.String).str.zfill(12)
"""An event the log gives no id is called by its place in the log, so that ties keep the log's order."""


SHARES = ("completion", "watch_ratio")
"""Columns that say how much of an item somebody took in, 1 being all."""


@dataclass(frozen=True)
class EventLog:
    """An event log that can be prepared: files or dataframes, and how to read them."""

    sources: tuple[Any, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False
    encoding: str = "utf-8"
    time_unit: str | None = None
    items: Path | None = None
    item_columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    kinds: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    """One source, opened: its raw events in Penchant's columns with ``row``, and how they were understood."""

    name: str
    file: EventFile | None
    dialect: dialects.Mapped
    first_row: int
    rows: int
    frame: Frame
    unit: str
    notes: tuple[str, ...] = ()


def read(
    *sources: Any,
    columns: Mapping[str, str] | None = None,
    ordered: bool = False,
    encoding: str = "utf-8",
    time_unit: str | None = None,
    items: str | Path | None = None,
    item_columns: Mapping[str, str] | None = None,
    header: bool = True,
    kinds: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
) -> EventLog:
    """Name the sources of a log: paths (CSV, TSV, Parquet, JSON lines, sequence files, each packed or not) or dataframes.

    ``columns`` maps Penchant's names to the log's where it speaks no known dialect; ``ordered`` says that it has
    order but no times; ``time_unit`` (one of ``s, ms, us, ns, iso, ymd, index``, or a notation like ``%d.%m.%Y %H:%M``)
    overrules what the values tell; ``items`` is a file that describes items; without a ``header``, the columns of text files
    are called 1, 2, …; ``kinds`` maps kinds of events to columns of 0 and 1 that mark them, of several the first
    (``{"hate": "is_hate", "like": "is_like"}``); ``missing`` are words that stand for a missing user or item (``nan``). Raises
    ``PenchantError`` for a path that isn't there.
    """
    if time_unit is not None:
        times.check_unit(time_unit)
    if not sources:
        raise PenchantError("no event log was named")
    named = tuple(Path(s) if isinstance(s, str | Path) else s for s in sources)
    catalogue = None if items is None else Path(items)
    for path in (*named, catalogue):
        if isinstance(path, Path):
            check_file(path)
    return EventLog(
        named,
        dict(columns or {}),
        ordered,
        encoding,
        time_unit,
        catalogue,
        dict(item_columns or {}),
        header,
        dict(kinds or {}),
        tuple(missing),
    )


def prepare(
    log: EventLog, out: str | Path | None = None, config: PrepareConfig | None = None, *, progress: Progress = quiet
) -> Interactions:
    """Clean a log, write a dataset folder at ``out`` (or keep none), and load it: ``write_dataset``, then ``load``."""
    if out is not None:
        write_dataset(log, out, config, progress=progress)
        return load(out)
    with TemporaryDirectory() as folder:
        write_dataset(log, Path(folder) / "dataset", config, progress=progress)
        return load(Path(folder) / "dataset")


def write_dataset(
    log: EventLog, out: str | Path, config: PrepareConfig | None = None, *, progress: Progress = quiet
) -> dict[str, Any]:
    """Clean a log, describe its quality and write a dataset folder; returns the manifest.

    Memory is bounded by ``config.rows_at_once``, unless one user has more events. Raises ``PenchantError`` naming
    file, line and field of what can't be read; nothing is left at ``out`` then, or what was there before.
    """
    config = config or PrepareConfig()
    with folders.writing(Path(out), FILES) as target:
        work = target / "work"
        work.mkdir()
        progress("reading", 0, 1)
        described = None
        if log.items is not None:
            described = catalog.read_items(log.items, log.item_columns, work, log.encoding, log.columns.get("item_id"))
        sources = _open(log, work)
        progress("reading", 1, 1)
        clock: Clock = "index" if all(s.unit == "index" for s in sources) else "real"
        total = sum(s.rows for s in sources)
        pieces = engine.partition(_one_log(sources), total, "user_id", work / "pieces", config.rows_at_once)
        cleaner, quality = Cleaner(config, clock), Quality()
        kept = _kept(pieces, cleaner, work, progress)
        engine.write_pieces(_finish(kept, quality, config, positions=clock == "index"), target / INTERACTIONS)
        if not quality.events:
            reasons = ", ".join(f"{count} {step}" for step, count in cleaner.dropped.items() if count)
            untimely = any(cleaner.dropped.get(step) for step in ("impossible_times", "unreadable_times"))
            cure = "; see --time-unit, --earliest and --latest" if untimely else ""
            raise PenchantError(f"{sources[0].name}: no event is left after cleaning ({reasons} of {cleaner.rows_in}){cure}")
        if len(quality.event_types) > MOST_EVENT_TYPES:
            raise PenchantError(f"{sources[0].name}: has {len(quality.event_types):,} event types; that column holds ids")
        counts = quality.item_counts()
        engine.write_parquet(catalog.merge(counts, described).lazy(), target / ITEMS)
        manifest = {
            "format": FORMAT,
            "sources": [{"name": s.name, "sha256": engine.file_hash(s.file.source) if s.file else None} for s in sources],
            "dialect": _said(_dialect_words(s.dialect) for s in sources),
            "clock": clock,
            "times": _said(times.described(s.unit) for s in sources),
            "config": asdict(config),
            "rows_in": cleaner.rows_in,
            "dropped": cleaner.dropped,
            "filled": cleaner.filled,
            "quality": quality.report(clock),
            "notes": [
                *(note for s in sources for note in s.notes),
                *cleaner.notes(),
                *quality.notes(),
                *catalog.notes(counts, described),
            ],
            "columns": {name: _schema(target / name) for name in (INTERACTIONS, ITEMS)},
            "sha256": {name: engine.file_hash(target / name) for name in (INTERACTIONS, ITEMS)},
        }
        shutil.rmtree(work)
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def _said(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _dialect_words(mapped: dialects.Mapped) -> str:
    renamed = ", ".join(f"{c}={s}" for c, s in mapped.columns.items() if c != s)
    return f"{mapped.dialect} ({renamed})" if renamed else mapped.dialect


def _schema(path: Path) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in engine.read([path]).collect_schema().items()}


def _open(log: EventLog, work: Path) -> list[Source]:
    """Open every source: find its kind, map its columns, number its rows, tell its times."""
    sources: list[Source] = []
    for given in log.sources:
        first_row = sources[-1].first_row + sources[-1].rows if sources else 0
        folder = work / f"source-{len(sources)}"
        folder.mkdir()
        sources.append(_open_one(log, given, first_row, folder / "events.parquet"))
    orders = [s.name for s in sources if s.unit == "index"]
    if orders and len(orders) < len(sources):
        raise PenchantError(f"{orders[0]}: has order but no times, where other sources have times; prepare them apart")
    return sources


def _open_one(log: EventLog, given: Any, first_row: int, staged: Path) -> Source:
    file = (
        examine(given, staged.parent, log.encoding, header=log.header, ordered=log.ordered) if isinstance(given, Path) else None
    )
    name = str(given) if isinstance(given, Path) else f"the {type(given).__name__}"
    frame = engine.scan(file) if file else engine.from_native(given)
    found = engine.columns(frame, name)
    if file and file.kind == "sequences":
        mapped = dialects.Mapped(dialects.SEQUENCES, {"user_id": "user_id", "item_id": "item_id"})
    else:
        header, moments = (file.has_header, file.moments) if file else (False, ())
        schema = frame.collect_schema()
        nested = [c for c in found if schema[c].is_nested() or (file is not None and c in file.nested)]
        mapped = dialects.resolve(name, found, log.columns, ordered=log.ordered, header=header, moments=moments, nested=nested)
    events = _penchant_columns(frame, found, mapped, file, name, first_row, _kind(name, found, mapped, log.kinds))
    events = _without_words(events, log.missing)
    if file and file.kind != "parquet":
        events = engine.stage(file, events, staged)

    def where(row: int) -> str:
        return f"{name} {file.place(row - first_row) if file else f'row {row - first_row + 1}'}"

    rows = _inspect(events, file, name, where, first_row)
    if log.kinds:
        _refuse_unclear(events, where)
    if file and file.has_header:
        _refuse_header(events, mapped, where)
    notes = _notes_on_numbers(events, mapped, name, where)
    unit = "index"
    if "timestamp" in mapped.columns:
        unit = log.time_unit or times.tell_unit(events, name, where)
    events = events.drop(SUSPECT, UNCLEAR, *UNREAD.values(), strict=False)
    return Source(name, file, mapped, first_row, rows, events, unit, notes)


def _without_words(events: Frame, missing: Sequence[str]) -> Frame:
    """Events whose users and items called by one of the words that stand for nobody are null."""
    if not missing:
        return events
    ids = {c: nw.col(c) for c in ("user_id", "item_id")}
    return events.with_columns(nw.when(~value.is_in(missing)).then(value).alias(c) for c, value in ids.items())


def _penchant_columns(
    frame: Frame,
    found: Sequence[str],
    mapped: dialects.Mapped,
    file: EventFile | None,
    name: str,
    first_row: int,
    kind: Sequence[nw.Expr],
) -> Frame:
    """Rename to Penchant's columns and add ``row``: ids as text, numbers as numbers, times raw, other columns as they are.

    In a text file with fields, blank lines vanish, and ``_suspect`` marks rows whose last field is empty, as it is where a
    line is too short, or holds more than one field.
    """
    schema = frame.collect_schema()
    textual = [c for c in found if schema[c] == nw.String]
    chosen = []
    for canonical, source in mapped.columns.items():
        if canonical == "event_type" and kind:
            continue
        if file and source in file.nested:
            raise PenchantError(f"{name}, field {source}: holds objects or arrays, which can't be the {canonical} of an event")
        if schema[source].is_nested() or not _may_be(canonical, schema[source]):
            raise PenchantError(f"{name}, field {source}: holds {schema[source]}, which can't be the {canonical} of an event")
        value = nw.col(source)
        if schema[source] in (nw.Categorical, nw.Enum):
            value = value.cast(nw.String)
        if canonical == "dwell" and schema[source] == nw.Duration:
            value = value.dt.total_microseconds() / 1e6
        if source in textual and canonical not in ("user_id", "item_id"):  # blank ids are for cleaning to find
            value = nw.when(value.str.strip_chars() != "").then(value)
        chosen.append(value.alias(canonical))
    mine = set(mapped.columns.values())
    context = [nw.col(c).alias(_context_name(c, found)) for c in found if c not in mine]
    checks = []
    if file and file.has_fields:
        last = nw.col(found[-1])
        blank = [nw.col(c).is_null() | (nw.col(c) == "") for c in found]
        checks = [
            (blank[-1] | last.str.contains("::", literal=True) if file.kind == "double_colon" else blank[-1]).alias(SUSPECT),
            nw.all_horizontal(*blank, ignore_nulls=False).alias("_blank"),
        ]
    frame = engine.number_rows(frame.select(*checks, *chosen, *kind, *context), first_row)
    if checks:
        frame = frame.filter(~nw.col("_blank")).drop("_blank")
    frame = engine.as_ids(frame, [c for c in (*IDS, "event_type") if c in mapped.columns])
    measures = [c for c in ("value", "dwell") if c in mapped.columns]
    frame = _numbers(frame, measures, comma=file is not None and file.separator == ";")
    dwell = mapped.columns.get("dwell", "")
    if dwell.endswith("_ms") and schema[dwell] != nw.Duration:  # which knows its own unit
        frame = frame.with_columns(nw.col("dwell") / 1000)
    return frame


def _may_be(canonical: str, dtype: Any) -> bool:
    """Whether a column of a type can say when an event was, its value, or how long it took."""
    match canonical:
        case "timestamp":
            return dtype not in (nw.Boolean, nw.Duration, nw.Time)
        case "value":
            return not dtype.is_temporal()
        case "dwell":
            return dtype == nw.Duration or not dtype.is_temporal()
    return True


def _numbers(frame: Frame, measures: Sequence[str], *, comma: bool) -> Frame:
    """Measures as numbers, whose ``comma`` may be that of decimals; of those that were text, columns of ``UNREAD`` keep what is
    neither a number nor a word for none.
    """
    schema = frame.collect_schema()
    written = [c for c in measures if schema[c] == nw.String]
    frame = frame.with_columns(nw.col(c).alias(UNREAD[c]) for c in written)
    if comma:
        frame = frame.with_columns(nw.col(c).str.replace_all(",", ".", literal=True) for c in measures)
    frame = engine.numbers(frame, measures)
    unread = {c: nw.col(c).is_null() & ~nw.col(UNREAD[c]).str.strip_chars().str.to_lowercase().is_in(NOTHING) for c in written}
    return frame.with_columns(nw.when(odd).then(nw.col(UNREAD[c])).alias(UNREAD[c]) for c, odd in unread.items())


def _kind(name: str, found: Sequence[str], mapped: dialects.Mapped, kinds: Mapping[str, str]) -> list[nw.Expr]:
    """The kind that the first marked column of 0 and 1 says, else what the log says itself; empty without ``kinds``.

    Beside it ``_unclear`` names the column whose value is neither.
    """
    if not kinds:
        return []
    kind, unclear = nw.lit(None, nw.String), nw.lit(None, nw.String)
    if "event_type" in mapped.columns:
        own = nw.col(mapped.columns["event_type"]).cast(nw.String)
        kind = nw.when(own.str.strip_chars() != "").then(own)
    for word, column in reversed(list(kinds.items())):
        if column not in found:
            raise PenchantError(f"{name}: has no column {column!r} that marks the kind {word}; it has {listed(found)}")
        mark = nw.col(column).cast(nw.String).str.strip_chars().str.to_lowercase()
        kind = nw.when(mark.is_in(MARKED)).then(nw.lit(word)).otherwise(kind)
        unclear = nw.when(~mark.is_in((*MARKED, *UNMARKED))).then(nw.lit(column)).otherwise(unclear)
    return [kind.alias("event_type"), unclear.alias(UNCLEAR)]


def _context_name(column: str, found: Sequence[str]) -> str:
    """What a column beside Penchant's is called in the dataset: its own name, unless Penchant uses that for itself."""
    name = column
    while name in RESERVED or name.startswith("_") or (name != column and name in found):
        name = f"log_{name}"
    return name


def _inspect(events: Frame, file: EventFile | None, name: str, where: Callable[[int], str], first_row: int) -> int:
    """Count a source's rows and refuse what no cleaning can mend: no events, endless ids, lines of other widths."""
    ids = [c for c in IDS if c in events.collect_schema()]
    measures = [nw.when(nw.col(c).str.len_chars() > LONGEST_ID).then(nw.col("row")).min().alias(c) for c in ids]
    suspects = []
    if file and file.has_fields:
        torn = [nw.col(c).str.contains("\n", literal=True) for c in ids]
        suspects = [(nw.col(SUSPECT) | nw.any_horizontal(*torn, ignore_nulls=True)).any().alias(SUSPECT)]
    found = engine.row(events.select((nw.col("row").max() - first_row + 1).alias("rows"), *measures, *suspects), name)
    if file and found.get(SUSPECT) and engine.widths_differ(file):
        fault = find_fault(file)
        if fault:
            raise PenchantError(f"{file.source} {fault}")
    if not found["rows"]:
        raise PenchantError(f"{name}: has {'a header but ' if file and file.has_header else ''}no events")
    for column in ids:
        if found[column] is not None:
            raise PenchantError(
                f"{where(found[column])}, field {column}: is longer than {LONGEST_ID:,} characters; shorten the id"
            )
    return int(found["rows"])


def _notes_on_numbers(events: Frame, mapped: dialects.Mapped, name: str, where: Callable[[int], str]) -> tuple[str, ...]:
    """Sentences on measures of which some values are no numbers. Refuses one of which most aren't."""
    notes = []
    for measure, unread in ((c, nw.col(u)) for c, u in UNREAD.items() if u in events.collect_schema()):
        found = events.filter(~unread.is_null()).select(nw.len().alias("count"), nw.col("row").min())
        count, row = engine.row(found, name).values()
        if not count:
            continue
        known = engine.row(events.select((~nw.col(measure).is_null()).sum().alias("known")), name)["known"]
        value = engine.row(events.filter(nw.col("row") == row).select(unread.alias("value")), name)["value"]
        column = mapped.columns[measure]
        if count > known:
            raise PenchantError(
                f"{where(row)}, field {column}: {shortened(value)!r} is no number, and most of its values are none; write "
                f"decimals with a point, or say --columns event_type={column} if they are kinds of events"
            )
        notes.append(
            f"{name}: {count:,} values of {column} are no numbers and count as missing, the first is {shortened(value)!r} "
            f"in {where(row).removeprefix(f'{name} ')}"
        )
    return tuple(notes)


def _refuse_unclear(events: Frame, where: Callable[[int], str]) -> None:
    """Refuse a mark that is neither 0 nor 1, in one of the usual spellings."""
    first = nw.col("row") == nw.col("row").min()
    found = engine.collect(events.filter(~nw.col(UNCLEAR).is_null()).filter(first).select("row", UNCLEAR))
    for row, column in found.iter_rows():
        raise PenchantError(f"{where(row)}, field {column}: is neither 0 nor 1, so it marks no kind of event; see --kinds")


def _refuse_header(events: Frame, mapped: dialects.Mapped, where: Callable[[int], str]) -> None:
    """Refuse a header that stands among the events, as it does where files with headers were put end to end."""
    again = [nw.col(c) == mapped.columns[c] for c in ("user_id", "item_id")]
    row = engine.row(events.filter(nw.all_horizontal(*again, ignore_nulls=True)).select(nw.col("row").min()))["row"]
    if row is not None:
        raise PenchantError(f"{where(row)}: is the header again; remove the line, or name the files one by one")


def _one_log(sources: Sequence[Source]) -> Frame:
    """All sources end to end, times in microseconds."""
    log = engine.end_to_end([times.to_microseconds(s.frame, s.unit) for s in sources])
    if "event_id" in log.collect_schema():
        given = nw.col("event_id")
        log = log.with_columns(given.is_null().alias(NO_ID), nw.coalesce(given, nw.concat_str(nw.lit("row:"), DERIVED_ID)))
    return log


def _complete(events: Table, config: PrepareConfig) -> Table:
    """Add the optional columns that the whole log lacks; ``event_id`` comes last, by the events' order."""
    absent = {
        "event_type": nw.lit(config.event_type, nw.String),
        "value": nw.lit(config.value, nw.Float64),
        "session_id": nw.lit(None, nw.String),
        "dwell": nw.lit(None, nw.Float64),
    }
    return events.with_columns(value.alias(c) for c, value in absent.items() if c not in events.columns)


def _kept(pieces: Sequence[Frame], cleaner: Cleaner, work: Path, progress: Progress) -> Iterator[Table]:
    """Clean the pieces; where rare users and items have to leave, look at all of them first."""
    config = cleaner.config

    def cleaned() -> Iterator[Table]:
        for number, piece in enumerate(pieces):
            progress("cleaning", number, len(pieces))
            yield cleaner.clean(engine.in_order(engine.load(piece)))
        progress("cleaning", len(pieces), len(pieces))

    if "rare" in config.skip or config.min_user_events == config.min_item_events == 1:
        yield from cleaned()
        return
    paths = [work / f"clean-{number}.parquet" for number in range(len(pieces))]
    for path, events in zip(paths, cleaned(), strict=True):
        engine.sink(events.lazy(), path)
    users, items = frequent(engine.read(paths, ["user_id", "item_id"]), config)
    for path in paths:
        before = engine.collect(engine.read([path]))
        enough = before.join(users, on="user_id", how="semi").join(items, on="item_id", how="semi")
        cleaner.dropped["rare"] += len(before) - len(enough)
        yield enough


def _finish(kept: Iterable[Table], quality: Quality, config: PrepareConfig, *, positions: bool) -> Iterator[Table]:
    """Add features and absent columns, and count."""
    for events in kept:
        events = add_features(_complete(events, config), session_gap=config.session_gap, positions=positions)
        quality.add(events)
        if "event_id" not in events.columns:
            events = events.with_columns(DERIVED_ID.alias("event_id"))
        context = [c for c in events.columns if c not in RESERVED and not c.startswith("_")]
        yield events.with_columns(nw.col("value").cast(nw.Float32)).select(*EVENT_COLUMNS, *FEATURES, *context)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a dataset folder; ``PenchantError`` where there is none, or a newer Penchant wrote it."""
    path = Path(folder) / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["format"])
        if version == FORMAT and not {"sha256", "quality", "clock"} <= manifest.keys():
            raise KeyError("sha256, quality or clock")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PenchantError(f"{folder}: is not a dataset (no {MANIFEST}); make one with penchant prepare") from error
    except OSError as error:
        raise PenchantError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PenchantError(f"{path}: is damaged; prepare the dataset again") from error
    if version > FORMAT:
        raise PenchantError(f"{folder}: has format {version}, this Penchant reads up to {FORMAT}; update Penchant")
    return manifest


def column(folder: str | Path, name: str) -> Int:
    """A column of whole numbers that the log had beside Penchant's own, ``[m] int64``, in the order of ``load``'s events."""
    numbers = engine.collect(engine.read([Path(folder) / INTERACTIONS], [name]))[name]
    return np.asarray(numbers.cast(nw.Int64).to_numpy())


def measures(folder: str | Path) -> dict[str, Array]:
    """What the log has of how people took in items, ``[m]`` in the order of ``load``'s events, NaN where unknown: ``dwell`` in
    seconds, and ``completion`` in [0, 1] (beyond 1, where somebody began again, it is 1).
    """
    log = engine.read([Path(folder) / INTERACTIONS])
    share = next((name for name in SHARES if name in log.collect_schema()), None)
    names = {"dwell": "dwell"} | ({} if share is None else {"completion": share})
    chosen = log.select(nw.col(name).alias(kind) for kind, name in names.items())
    table = engine.collect(engine.numbers(chosen, list(names)))
    read = {kind: table[kind].fill_null(np.nan).to_numpy() for kind in names}
    if "completion" in read:
        read["completion"] = np.clip(read["completion"], 0, 1)
    return {kind: values for kind, values in read.items() if not np.isnan(values).all()}


def measure(folder: str | Path, name: str) -> Array:
    """Such a column, or a feature, of any numbers, ``[m] float64``; NaN where there is none."""
    numbers = engine.collect(engine.read([Path(folder) / INTERACTIONS], [name]))[name]
    return np.asarray(numbers.cast(nw.Float64).to_numpy())


def kinds(folder: str | Path) -> Kinds | None:
    """The kinds of items (genres, categories, tags) that a dataset folder names; ``None`` where it doesn't."""
    return read_kinds(Path(folder) / ITEMS)


def load(folder: str | Path, content: Sequence[str] | None = None) -> Interactions:
    """Read a dataset folder; of its items the columns named in ``content``, or else all that hold words.

    Raises ``PenchantError`` where it isn't one, or its files aren't those it was made with.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name, digest in manifest["sha256"].items():
        if not (folder / name).exists():
            raise PenchantError(f"{folder}: has no {name}; prepare the dataset again")
        if engine.file_hash(folder / name) != digest:
            raise PenchantError(f"{folder / name}: was changed since it was prepared; prepare the dataset again")
    log = engine.read([folder / INTERACTIONS])
    users, user = engine.encode_runs(log, "user_id")
    items = engine.collect(engine.read([folder / ITEMS], ["item_id"]))["item_id"].to_list()
    event_types = tuple(manifest["quality"]["event_types"])
    numbers = engine.collect(log.select("timestamp", "value", "session_number"))
    return Interactions(
        users=Vocabulary(tuple(users)),
        items=Vocabulary(tuple(items)),
        event_types=event_types,
        user=user,
        item=engine.encode(log, "item_id", items),
        timestamp=numbers["timestamp"].to_numpy(),
        event_type=engine.encode(log.with_columns(nw.col("event_type").fill_null("")), "event_type", event_types).astype(
            np.int16
        ),
        value=numbers["value"].fill_null(np.nan).to_numpy(),
        session=numbers["session_number"].to_numpy(),
        event_id=engine.texts(log, "event_id"),
        clock=manifest["clock"],
        content_hash=manifest["sha256"][INTERACTIONS],
        content=read_content(folder / ITEMS, content),
    )
