"""Impressions: what people were shown, when, where, and what they did; and candidates, which are impressions to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penchant.binary import auc
from penchant.data import dialects, engine, hindsight, times
from penchant.data.files import examine, listed
from penchant.data.table import read_cells, read_labels
from penchant.types import UNKNOWN, Array, Impressions, Int, Interactions, PenchantError, Text, Vocabulary, text

LABELS: Mapping[str, tuple[str, ...]] = {
    "click": ("is_click", "click", "clicked", "label"),
    "long_view": ("long_view", "is_long_view"),
    "like": ("is_like", "like", "liked"),
    "hate": ("is_hate", "hate", "hated", "dislike"),
}
"""Targets, and what their columns are called."""
MOST_PLACES = 1000
"""Different values of a context column, at most: one with more is a measure or an id."""
TELLING = 0.95
"""A context column that tells the label with such an AUC wasn't known before."""


@dataclass(frozen=True)
class Source:
    """A file of impressions or candidates, read as text: where it lies, its columns, and the line of each row."""

    name: str
    columns: Mapping[str, Sequence[str | None]]
    mapped: Mapping[str, str]
    lines: Sequence[int]


def read_impressions(
    path: str | Path,
    log: Interactions,
    *,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    context: Sequence[str] = (),
    encoding: str = "utf-8",
) -> Impressions:
    """Read impressions, users and items coded as in ``log``; rows of people or without items it doesn't know stay.

    ``columns`` maps ``user_id, item_id, timestamp`` to the file's names where it speaks no known dialect; ``labels`` maps
    targets to columns (by default those of ``LABELS`` that are there), the first is the one judged; ``context`` names
    columns known when an item is shown. Raises ``PenchantError`` naming line and field, or the column that leaks.
    """
    source = _read(Path(path), dict(columns or {}), encoding, ordered=False)
    chosen = dict(labels or _recognised(source))
    for column in (*chosen.values(), *context):
        if column not in source.columns:
            raise PenchantError(f"{source.name}: has no column {column!r}; it has {listed(list(source.columns))}")
    targets = {t: read_labels(source.name, c, source.columns[c], source.lines).astype(np.int8) for t, c in chosen.items()}
    moments = _moments(source)
    said = {name: _filled(source.columns[name]) for name in context}
    for name, values in said.items():
        if name in chosen.values():
            raise PenchantError(f"{source.name}: column {name} is a label, so it isn't known when an item is shown")
        _check_context(source.name, name, values, targets)
    return _ordered(source, log, moments, targets, said)[0]


def read_candidates(
    path: str | Path,
    log: Interactions,
    *,
    columns: Mapping[str, str] | None = None,
    context: Sequence[str] = (),
    now: int,
    encoding: str = "utf-8",
) -> tuple[Impressions, Text]:
    """Read candidates: users, items, the ``context`` a model wants, and moments (``now`` where the file has none).

    Returns them and, since the catalogue may not hold all, the items' ids.
    """
    source = _read(Path(path), dict(columns or {}), encoding, ordered=True)
    missing = [name for name in context if name not in source.columns]
    if missing:
        raise PenchantError(f"{source.name}: has no column {missing[0]!r}, which the model was trained with")
    moments = _moments(source) if "timestamp" in source.mapped else np.full(len(source.lines), now, np.int64)
    return _ordered(source, log, moments, {}, {name: _filled(source.columns[name]) for name in context})


def _read(path: Path, given: Mapping[str, str], encoding: str, *, ordered: bool) -> Source:
    """A file's rows as text. Where ``ordered``, a time is read if there is one, not asked for."""
    with TemporaryDirectory() as work:
        file = examine(path, Path(work), encoding, ordered=True)
        if file.kind in ("sequences", "double_colon") or (file.has_fields and not file.has_header):
            raise PenchantError(f"{path}: has no header; the first line must name the columns")
        names, cells = read_cells(file)
    if not cells:
        raise PenchantError(f"{path}: has a header but no rows")
    mapped = dict(dialects.resolve(str(path), names, given, ordered=ordered).columns)
    stamp = next((c for c in names if c.lower() in ("timestamp", "time_ms")), None)
    if ordered and stamp is not None:
        mapped.setdefault("timestamp", stamp)
    columns = dict(zip(names, zip(*cells, strict=True), strict=True))
    source = Source(str(path), columns, mapped, [file.line(row) for row in range(len(cells))])
    for what in ("user_id", "item_id"):
        for row, value in enumerate(columns[mapped[what]]):
            if not (value or "").strip():
                raise PenchantError(f"{path} line {source.lines[row]}, field {mapped[what]}: is empty")
    return source


def _recognised(source: Source) -> dict[str, str]:
    lower = {column.lower(): column for column in source.columns}
    found = {t: next((lower[n] for n in names if n in lower), None) for t, names in LABELS.items()}
    known = {target: column for target, column in found.items() if column is not None}
    if not known:
        raise PenchantError(
            f"{source.name}: no column holds labels, among {listed(list(source.columns))}; name them, for example "
            "--labels click=clicked"
        )
    return known


def _moments(source: Source) -> Int:
    """Microseconds, ``[rows] int64``."""
    name = source.mapped["timestamp"]
    rows = list(range(len(source.lines)))
    frame = engine.table({"timestamp": list(source.columns[name]), "row": rows}).lazy()
    unit = times.tell_unit(frame, source.name, lambda row: f"{source.name} line {source.lines[row]}")
    if unit == "index":
        raise PenchantError(
            f"{source.name}, field {name}: holds no times, and impressions without times can't be split by time"
        )
    moments = engine.collect(times.to_microseconds(frame, unit))["timestamp"]
    wrong = moments.is_null().to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise PenchantError(f"{source.name} line {source.lines[row]}, field {name}: is no time; {times.KNOWN}")
    return moments.to_numpy()


def _filled(values: Sequence[str | None]) -> Text:
    return text(["" if value is None else value.strip() for value in values])


def _ordered(
    source: Source, log: Interactions, moments: Int, labels: Mapping[str, Int], context: Mapping[str, Text]
) -> tuple[Impressions, Text]:
    """Coded and in order, and the items' ids. People the log doesn't know get codes after its own."""
    people, items = ([str(value).strip() for value in source.columns[source.mapped[what]]] for what in ("user_id", "item_id"))
    strangers = dict.fromkeys(i for i in people if log.users.code(i) == UNKNOWN)
    users = Vocabulary((*log.users.ids, *strangers)) if strangers else log.users
    user = users.codes(people)
    order = np.lexsort((moments, user))
    coded = Impressions(users, log.items, user, log.items.codes(items), moments, dict(labels), dict(context))
    return coded.take(order), text(items)[order]


def _check_context(source: str, name: str, values: Text, labels: Mapping[str, Int]) -> None:
    """Refuse a context column that is a measure or an id, or that tells a label better than anything known before could."""
    kinds, codes = np.unique(values, return_inverse=True)
    if len(kinds) > MOST_PLACES:
        raise PenchantError(
            f"{source}: column {name} has {len(kinds):,} different values; the context of an impression is a kind of place or "
            f"moment, with at most {MOST_PLACES:,}"
        )
    half = np.random.default_rng(0).random(len(codes)) < 0.5
    for target, label in labels.items():
        shown = np.bincount(codes[half], minlength=len(kinds))
        share = (np.bincount(codes[half], label[half], minlength=len(kinds)) + label.mean()) / (shown + 1)
        told = auc(share[codes[~half]], label[~half])
        if told > TELLING:
            raise PenchantError(
                f"{source}: column {name} tells {target} alone with an AUC of {told:.3f}: a leak, it can't have been "
                "known when the item was shown; leave it out of --context"
            )


def check_items(path: Path, columns: Sequence[str], impressions: Impressions, cut: int) -> None:
    """Refuse item columns that hold what was computed over the whole period: they wouldn't have been known then.

    They are told by how often each item was shown before and after ``cut`` (microseconds), and by the mean of each label
    then: see ``hindsight``.
    """
    table = engine.collect(engine.read([path]))
    codes = impressions.items.codes(table["item_id"].to_list())
    known = impressions.take(np.flatnonzero(impressions.item != UNKNOWN))
    later, size = known.timestamp >= cut, len(impressions.items)
    shown = (np.bincount(known.item[some], minlength=size) for some in (~later, later))
    statistics = [hindsight.counted(*shown)]
    statistics += [hindsight.averaged(f"mean {t}", v, known.item, later, size) for t, v in known.labels.items()]
    for column in columns:
        numbers = _numbers(table[column].to_list()) if column in table.columns else None
        if numbers is None:
            continue
        values = np.full(size + 1, np.nan)
        values[codes] = numbers
        if words := hindsight.gives_away(column, values[:size], statistics):
            raise PenchantError(f"{path}: column {column} {words}: a leak; leave it out of --content")


def _numbers(values: Sequence[Any]) -> Array | None:
    """A column as numbers, NaN where missing; ``None`` where it holds words."""
    try:
        return np.array([float(value) if value not in (None, "") else np.nan for value in values])
    except ValueError:
        return None
