"""A table whose last column is a 0/1 label, and how its columns become numbers.

Columns named ``name_t1 … name_tn`` are steps of time, the others say the same at each step; a column is numbers, or else words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penchant.data import dialects, engine
from penchant.data.files import EventFile, examine, find_fault, listed, shortened
from penchant.types import Array, Float, Int, PenchantError

LABELS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
MISSING = ("", "na", "n/a", "nan", "null", "none")
MOSTLY = 0.9
"""Where so many of a column's values are numbers, one that isn't is a fault; where fewer are, the column holds words."""
DECIMAL = re.compile(r"\s*[-+]?\d*,\d+\s*")
SHOWN = 5
STEP = re.compile(r"(.+)_t(\d+)")
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Series:
    """One thing said of each row: at every one of the ``columns`` (its steps), or once.

    Either ``number[n, len(columns)] float64`` (``nan`` where missing) or ``words[n, len(columns)]`` is there; ``missing``
    counts what isn't.
    """

    name: str
    columns: tuple[str, ...]
    number: Array | None
    words: Array | None
    missing: int


@dataclass(frozen=True)
class Table:
    """Rows with a label: ``label[n] int64`` (0 or 1), and what is said of each row; ``steps`` is at least 1.

    ``user`` and ``time`` name columns that hold people and moments, where there are such; ``repeats`` counts rows that
    equal an earlier one.
    """

    source: str
    series: tuple[Series, ...]
    label_name: str
    label: Int
    steps: int
    user: str | None
    time: str | None
    repeats: int

    def __len__(self) -> int:
        return len(self.label)


def read_table(source: str | Path, encoding: str = "utf-8") -> Table:
    """Read a table (CSV, TSV, Parquet, JSON lines). ``PenchantError`` names file, line and field of what can't be right."""
    source = Path(source)
    with TemporaryDirectory() as work:
        file = examine(source, Path(work), encoding, ordered=True)
        if file.kind in ("sequences", "double_colon") or (file.has_fields and not file.has_header):
            raise PenchantError(f"{source}: has no header; the first line must name the columns, the label last")
        names, cells = read_cells(file)
    if file.separator == ";":  # where the comma is that of decimals
        cells = [tuple(v.replace(",", ".") if v and DECIMAL.fullmatch(v) else v for v in row) for row in cells]
    return table_of(str(source), names, cells, [file.line(row) for row in range(len(cells))])


def read_cells(file: EventFile) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns, and every row's values as text."""
    if file.has_fields and engine.widths_differ(file):
        _refuse_fault(file)
    try:
        frame = engine.scan(file)
        names = engine.columns(frame, str(file.source))
        rows = engine.collect(engine.as_ids(frame, names), str(file.source)).rows()
    except PenchantError:
        if file.kind != "parquet":
            _refuse_fault(file)
        raise
    return names, rows


def _refuse_fault(file: EventFile) -> None:
    fault = find_fault(file)
    if fault:
        raise PenchantError(f"{file.source} {fault}")


def table_of(source: str, names: Sequence[str], cells: Sequence[Sequence[Any]], lines: Sequence[int]) -> Table:
    """A table from its values as text; ``lines`` say where each row stands in ``source``."""
    if len(names) < 2:
        raise PenchantError(f"{source}: has but one column, {listed(names)}; before the label there must be others")
    there = [row for row, values in enumerate(cells) if any(v is not None and v.strip() for v in values)]
    if not there:
        raise PenchantError(f"{source}: has a header but no rows")
    columns = {name: [cells[row][place] for row in there] for place, name in enumerate(names)}
    lines = [lines[row] for row in there]
    label = read_labels(source, names[-1], columns.pop(names[-1]), lines)
    groups = _groups(source, list(columns))
    series = tuple(_series(source, name, {c: columns[c] for c in group}, lines) for name, group in groups.items())
    user, time = (_called(columns, what) for what in ("user_id", "timestamp"))
    return Table(
        source=source,
        series=series,
        label_name=names[-1],
        label=label,
        steps=max(len(group) for group in groups.values()),
        user=user if user is not None and len(set(columns[user])) < len(there) else None,
        time=time,
        repeats=len(there) - len({tuple(cells[row]) for row in there}),
    )


def _called(names: Iterable[str], what: str) -> str | None:
    """The first column that some dialect calls so."""
    known = {*dialects.HINTS[what], *(d.columns[what].lower() for d in dialects.DIALECTS if what in d.columns)}
    return next((name for name in names if name.lower() in known), None)


def read_labels(source: str, name: str, values: Sequence[str | None], lines: Sequence[int]) -> Int:
    """A column of 0 and 1. Raises ``PenchantError`` with the values and lines that are neither, or where all are one."""
    codes = [LABELS.get((value or "").strip().lower(), -1) for value in values]
    wrong = [place for place, code in enumerate(codes) if code < 0]
    if wrong:
        kinds = Counter(shortened(values[place] or "") for place in wrong)
        some = ", ".join(f"{value!r} ({count:,} ×)" for value, count in kinds.most_common(SHOWN))
        more = " and others" if len(kinds) > SHOWN else ""
        where = ", ".join(str(lines[place]) for place in wrong[:SHOWN]) + (", …" if len(wrong) > SHOWN else "")
        raise PenchantError(
            f"{source}, field {name}: is the label and must be 0 or 1, but holds {some}{more}, "
            f"in line{'s' * (len(wrong) > 1)} {where}"
        )
    if len(set(codes)) < 2:
        raise PenchantError(f"{source}, field {name}: every label is {codes[0]}; with one class there is nothing to tell apart")
    return np.array(codes, np.int64)


def _groups(source: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Columns that belong together: the steps of a name in order, or a column alone."""
    stepped: dict[str, dict[int, str]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        found = STEP.fullmatch(name)
        if found is None:
            groups[name] = (name,)
            continue
        steps = stepped.setdefault(found[1], {})
        if int(found[2]) in steps:
            raise PenchantError(f"{source}: columns {steps[int(found[2])]} and {name} are the same step; rename one")
        steps[int(found[2])] = name
    for name, steps in stepped.items():
        absent = next((step for step in range(1, max(steps) + 1) if step not in steps), None)
        if absent is not None or 0 in steps:
            what = f"no {name}_t{absent}" if absent is not None else f"a {name}_t0, where steps begin at t1"
            raise PenchantError(
                f"{source}: has {listed([steps[s] for s in sorted(steps)])} but {what}; steps mustn't have gaps"
            )
    lengths = {len(steps): name for name, steps in stepped.items()}
    if len(lengths) > 1:
        (few, short), *_, (many, long) = sorted(lengths.items())
        raise PenchantError(f"{source}: {short} has {few} steps, {long} {many}; every name must have as many")
    return groups | {name: tuple(steps[s] for s in sorted(steps)) for name, steps in stepped.items()}


def _series(source: str, name: str, columns: Mapping[str, Sequence[str | None]], lines: Sequence[int]) -> Series:
    words = np.array([[(v or "").strip() for v in values] for values in columns.values()], dtype=object).T
    absent = np.isin(np.char.lower(words.astype(np.str_)), MISSING)
    frame = engine.table({str(i): list(words[:, i]) for i in range(words.shape[1])})
    numbers = engine.collect(engine.numbers(frame.lazy(), frame.columns)).to_numpy().astype(float)
    numbers[absent] = np.nan
    wrong = ~absent & ~np.isfinite(numbers)
    if not wrong.any():
        return Series(name, tuple(columns), numbers, None, int(absent.sum()))
    if np.isfinite(numbers).sum() > MOSTLY * (~absent).sum():
        row, column = np.argwhere(wrong)[0]
        raise PenchantError(
            f"{source} line {lines[row]}, field {list(columns)[column]}: {shortened(words[row, column])!r} is not a number, "
            "as nearly all others of its column are"
        )
    return Series(name, tuple(columns), None, np.where(absent, "", words), int(absent.sum()))


def leaks(table: Table) -> tuple[Table, list[str]]:
    """The table without series that are constant or equal the label, and a sentence on each; one on what tells it alone."""
    kept, said = [], []
    for series in table.series:
        codes = _codes(series)
        if (codes == codes[:1]).all():
            said.append(f"{series.name} is constant: it is left out")
            continue
        equal = [c for c, column in zip(series.columns, codes.T, strict=True) if _same(column, table.label)]
        if equal:
            said.append(f"{equal[0]} equals the label {table.label_name}: a leak; {series.name} is left out")
            continue
        kept.append(series)
    if not kept:
        raise PenchantError(f"{table.source}: no column is left to tell the label by: {'; '.join(said)}")
    return replace(table, series=tuple(kept)), said


def _codes(series: Series) -> Int:
    """Its values as codes, ``[n, columns]``; a missing one is a value like others."""
    values = series.words if series.number is None else np.where(np.isfinite(series.number), series.number, -np.inf)
    assert values is not None
    codes: Int = np.unique(values.astype(np.str_), return_inverse=True)[1].reshape(values.shape)
    return codes


def _same(codes: Int, label: Int) -> bool:
    """Whether a column of codes has two values that go with the two labels, one each."""
    pairs = np.unique(np.stack([codes, label]), axis=1)
    return pairs.shape[1] == 2 and len(np.unique(codes)) == 2


@dataclass(frozen=True)
class Encoding:
    """How a table's series become numbers, learned on the training rows alone.

    ``scale`` holds of each series of numbers what fills a missing one (the median), mean and deviation; ``terms`` of each
    series of words the weight of each term, in order. ``text`` is ``tfidf`` or ``bag``.
    """

    steps: int
    text: str
    columns: Mapping[str, tuple[str, ...]]
    scale: Mapping[str, tuple[float, float, float]]
    terms: Mapping[str, Mapping[str, float]]

    @classmethod
    def fit(cls, table: Table, rows: Int, text: str, words: int) -> Encoding:
        """Learn from some rows; of each series of words the ``words`` most frequent."""
        scale: dict[str, tuple[float, float, float]] = {}
        terms: dict[str, dict[str, float]] = {}
        for series in table.series:
            if series.number is not None:
                some = series.number[rows]
                known = some[np.isfinite(some)]
                fill = float(np.median(known)) if len(known) else 0.0
                filled = np.where(np.isfinite(some), some, fill)
                scale[series.name] = (fill, float(filled.mean()), float(filled.std()) or 1.0)
            elif series.words is not None:
                terms[series.name] = _terms(series.words[rows].ravel(), words, idf=text == "tfidf")
        return cls(table.steps, text, {s.name: s.columns for s in table.series}, scale, terms)

    @property
    def features(self) -> list[str]:
        """The names of the numbers at each step."""
        return [*self.scale, *(f"{name}:{term}" for name, terms in self.terms.items() for term in terms)]

    def __call__(self, table: Table) -> tuple[Float, Float]:
        """``[n, steps, features] float32``, and the same with nothing said twice ``[n, …]``, for models without steps."""
        by_name = {series.name: series for series in table.series}
        blocks = []
        for name, (fill, mean, deviation) in self.scale.items():
            number = by_name[name].number
            assert number is not None
            blocks.append(((np.where(np.isfinite(number), number, fill) - mean) / deviation)[:, :, None])
        for name, terms in self.terms.items():
            words = by_name[name].words
            assert words is not None
            blocks.append(_counted(words, terms, unit=self.text == "tfidf"))
        spread = [np.broadcast_to(b, (len(table), self.steps, b.shape[2])) for b in blocks]
        flat = np.concatenate([b.reshape(len(table), -1) for b in blocks], axis=1)
        return np.concatenate(spread, axis=2, dtype=np.float32), flat.astype(np.float32)


def _terms(values: Array, most: int, *, idf: bool) -> dict[str, float]:
    """The most frequent terms, in order, each with its weight: ``1 + log((1 + n) / (1 + rows with it))``, or 1."""
    bags = [Counter(WORD.findall(value.lower())) for value in values]
    total = sum(bags, Counter[str]())
    within = Counter(term for bag in bags for term in bag)
    chosen = sorted(sorted(total), key=lambda term: -total[term])[:most]
    return {t: float(np.log((1 + len(bags)) / (1 + within[t])) + 1) if idf else 1.0 for t in sorted(chosen)}


def _counted(words: Array, terms: Mapping[str, float], *, unit: bool) -> Array:
    """``[n, columns, terms]``: weighted counts of terms, of length 1 if ``unit``."""
    place = {term: i for i, term in enumerate(terms)}
    counts = np.zeros((*words.shape, len(terms)))
    for row, column in np.ndindex(words.shape):
        for term, count in Counter(WORD.findall(str(words[row, column]).lower())).items():
            if term in place:
                counts[row, column, place[term]] = count
    counts *= np.array(list(terms.values()))
    length = np.linalg.norm(counts, axis=2, keepdims=True)
    return counts / np.where(length > 0, length, 1) if unit else counts
