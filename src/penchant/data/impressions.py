"""Impressions: what people were shown, when, where, and what they did; and candidates, which are impressions to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penchant.binary import auc
from penchant.data import dialects, engine, times
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
FOLLOWS = 4.0
"""An item column whose ranks go with what happened later, beyond what had happened before, by so many standard errors leaks."""
COUNTS = frozenset(
    [
        "cnt",
        "count",
        "counts",
        "num",
        "number",
        "rate",
        "ctr",
        "total",
        "sum",
        "avg",
        "mean",
        "clicks",
        "views",
        "plays",
        "likes",
        "shares",
    ]
)
"""Words in the name of a column that counts events."""
STATISTIC_VALUES = 20
"""A column of fewer different numbers is a kind, not a statistic."""


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
    """Refuse item columns that hold what was counted over the whole period: they wouldn't have been known then.

    A column of many numbers is one if its name says that it counts, or if its ranks go with how often each item was shown
    from ``cut`` (microseconds) on, after what goes with how often it was shown before is taken away (partial rank correlation).
    """
    table = engine.collect(engine.read([path]))
    place = {item: code for code, item in enumerate(impressions.items.ids)}
    codes = np.array([place.get(item, UNKNOWN) for item in table["item_id"].to_list()])
    later = impressions.timestamp >= cut
    shown = [np.bincount(impressions.item[some & (impressions.item >= 0)], minlength=len(place)) for some in (~later, later)]
    known = codes >= 0
    known[known] = (shown[0] + shown[1])[codes[known]] > 0
    for column in columns:
        numbers = _numbers(table[column].to_list()) if column in table.columns else None
        if numbers is None or len(np.unique(numbers)) < STATISTIC_VALUES:
            continue
        if COUNTS & set(dialects.words(column)):
            raise PenchantError(
                f"{path}: column {column} counts events, by its name over the whole period: a leak, it wasn't known when "
                "items were shown; leave it out of --content"
            )
        before, after, value = (_ranks(v[known]) for v in (shown[0][codes], shown[1][codes], numbers))
        found = _partial(value, after, before) if known.sum() > STATISTIC_VALUES else 0.0
        if found * np.sqrt(known.sum()) > FOLLOWS:
            raise PenchantError(
                f"{path}: column {column} goes with what happened after the time trained on (partial rank correlation "
                f"{found:.2f} with later impressions): a leak, it counts what wasn't known then; leave it out of --content"
            )


def _numbers(values: Sequence[Any]) -> Array | None:
    """A column as numbers, 0 where missing; ``None`` where it holds words."""
    try:
        return np.array([float(value) if value not in (None, "") else 0.0 for value in values])
    except ValueError:
        return None


def _ranks(values: Array) -> Array:
    """Ranks, those of equals averaged."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _partial(a: Array, b: Array, given: Array) -> float:
    """Correlation of ``a`` and ``b`` after what goes with ``given`` is taken from both."""
    r = np.corrcoef([a, b, given])
    left = (1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2)
    return float((r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt(left)) if left > 1e-12 else 0.0
