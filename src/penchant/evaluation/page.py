"""An evaluation as one page that opens without a network: tables, and intervals and curves as pictures.

Pictures are a few styled elements and plain SVG lines, so that they follow the reader's light or dark, width and printer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from math import ceil, floor, log10
from xml.etree.ElementTree import Element, SubElement, tostring

from penchant.evaluation.evaluate import SHUFFLED, Evaluation, Slice
from penchant.evaluation.significance import Comparison
from penchant.evaluation.slices import TIME

PICTURED = ("ndcg", "recall", "mrr")
COLOURS = 8
"""Colours in page.css; more models take them again."""
METHODS = (
    "Intervals are 95%: of the models by bootstrap over people (1,000 resamples, percentiles), of slices by the normal "
    "approximation. Differences are tested by randomisation, person by person (10,000 flips of signs), all pairs of a table "
    "corrected by Holm's method; where there are several seeds, a difference counts only if the ranges over seeds don't "
    "overlap either. Shuffled histories are those that are asked about: no model is trained on shuffled ones."
)

Piece = Element | str
Interval = tuple[float, float]


def page(result: Evaluation) -> str:
    """The page as HTML, whole."""
    body = tag(
        "main",
        tag("h1", "What the models are worth"),
        tag("p", result.conditions(), class_="conditions"),
        _findings(result),
        _models(result),
        *_differences(result),
        *_over_time(result),
        *_slices(result),
        *_seeds(result),
        *_curves(result),
        *_costs(result),
        _definitions(result),
    )
    style = (files("penchant.evaluation") / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"Penchant: {result.split}, {', '.join(result.models)}"),
        tag("style", style),
    )
    html = tostring(tag("html", head, tag("body", body), lang="en"), encoding="unicode", method="html")
    return f"<!doctype html>\n{html}\n"


def tag(kind: str, /, *children: Piece, **attributes: str) -> Element:
    """An element with children, words among them; ``class_`` is ``class``, and an underscore a hyphen."""
    element = Element(kind, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element


# The sections.


def _findings(result: Evaluation) -> Element:
    return tag("ul", *(tag("li", sentence) for sentence in result.findings()), class_="findings")


def _models(result: Evaluation) -> Element:
    panels = [_panel(result, f"{metric}@{result.k}") for metric in PICTURED]
    names = list(next(iter(result.models.values())))
    rows = []
    for model, values in result.everyone.items():
        cells: list[Piece] = []
        for name in names:
            ends = result.intervals[model].get(name)
            cells.append(tag("span", _figure(values[name]), *([tag("small", _range(ends))] if ends else [])))
        rows.append([_words(_label(result, model)), *cells])
    return _section(
        "Models", tag("div", *panels, class_="panels"), _table(["model", *names], rows), tag("p", METHODS, class_="note")
    )


def _panel(result: Evaluation, metric: str) -> Element:
    """One metric of all models: a dot with its interval, from 0."""
    top = max(result.intervals[name][metric][1] for name in result.everyone) or 1.0
    rows = [
        tag(
            "div",
            tag("span", _words(_label(result, name)), class_="name"),
            _picture(values[metric], result.intervals[name][metric], (0, top), _colour(result, name)),
            tag("span", _figure(values[metric]), class_="value"),
            class_="row",
        )
        for name, values in result.everyone.items()
    ]
    return tag("figure", tag("figcaption", metric), *rows)


def _differences(result: Evaluation) -> Iterable[Element]:
    mine = [pair for pair in result.comparisons if result.leader in (pair.first, pair.second)]
    others = [pair for pair in result.comparisons if pair not in mine]
    if mine:
        rest = tag("details", tag("summary", f"All other pairs ({len(others)})"), _pairs(others))
        yield _section(f"Differences in ndcg@{result.k}", _pairs(mine), *([rest] if others else []))
    if result.ablations:
        yield _section("What is each part worth? The same model, trained without it", _pairs(result.ablations))
    if result.shuffled:
        yield _section("Does order matter? The same histories, shuffled", _pairs(result.shuffled))


def _pairs(pairs: Sequence[Comparison]) -> Element:
    far = max((abs(end) for pair in pairs for end in pair.interval), default=0) or 1.0
    return _table(["", "", "difference", "p (Holm)", ""], [_difference(pair, far) for pair in pairs])


def _difference(pair: Comparison, far: float) -> list[Piece]:
    other = SHUFFLED if SHUFFLED in pair.second else f"− {pair.second}"
    return [
        _words(f"{pair.first} {other}"),
        _picture(pair.difference, pair.interval, (-far, far), "c0" if pair.distinct else "noise", zero=True),
        tag("span", f"{pair.difference:+.4f}", tag("small", _range(pair.interval, "+"))),
        f"{pair.adjusted:.4f}",
        "" if pair.distinct else "inside the noise",
    ]


def _slices(result: Evaluation) -> Iterable[Element]:
    metric = f"ndcg@{result.k}"
    tables = []
    for family, some in groupby(result.slices, key=lambda part: part.family):
        if family == TIME:
            continue
        group = list(some)
        top = max(part.intervals[name][metric][1] for part in group for name in result.everyone) or 1.0
        rows = [[part.name, f"{part.people:,}", *_cells(result, part, metric, top)] for part in group]
        tables.append(tag("div", tag("h3", f"By {family}"), _table(["", "people", *result.everyone], rows), class_="slice"))
    if tables:
        yield _section(f"Where: {metric} by slices", *tables)


def _cells(result: Evaluation, part: Slice, metric: str, top: float) -> list[Piece]:
    best = max(part.models[name][metric] for name in result.everyone)
    cells: list[Piece] = []
    for name in result.everyone:
        value = part.models[name][metric]
        words = tag("b" if value == best else "span", _figure(value))
        cells.append(tag("span", words, _picture(value, part.intervals[name][metric], (0, top), _colour(result, name))))
    return cells


def _over_time(result: Evaluation) -> Iterable[Element]:
    moments = [part for part in result.slices if part.family == TIME]
    if moments:
        metric = f"recall@{result.k}"
        lines = {name: [(float(n), part.models[name][metric]) for n, part in enumerate(moments)] for name in result.everyone}
        ends = (moments[0].name, moments[-1].name)
        yield _section("Over time: hit rate of each next event", _chart(result, lines, metric, ends))


def _seeds(result: Evaluation) -> Iterable[Element]:
    if result.seeds:
        names = [f"{metric}@{result.k}" for metric in PICTURED]
        rows: list[list[Piece]] = [
            [_words(model), *(", ".join(_figure(value) for value in values[name]) for name in names)]
            for model, values in result.seeds.items()
        ]
        yield _section("Seed by seed", _table(["model", *names], rows))


def _curves(result: Evaluation) -> Iterable[Element]:
    charts = []
    for measure in ("ndcg@10", "loss"):
        lines = {
            name: [(float(epoch + 1), step[measure]) for epoch, step in enumerate(cost.curve) if measure in step]
            for name, cost in result.costs.items()
        }
        lines = {name: line for name, line in lines.items() if len(line) > 1}
        if lines:
            last = max(x for line in lines.values() for x, _ in line)
            title = "validation ndcg@10" if measure == "ndcg@10" else "training loss"
            charts.append(_chart(result, lines, title, ("epoch 1", f"epoch {last:.0f}")))
    if charts:
        yield _section("Learning curves", tag("div", *charts, class_="panels"))


def _costs(result: Evaluation) -> Iterable[Element]:
    if not result.costs:
        return
    rows: list[list[Piece]] = [
        [
            _words(name),
            "unknown" if cost.train_seconds is None else f"{cost.train_seconds:,.1f} s",
            f"{cost.trials:,}",
            f"{cost.parameters:,}",
            f"{cost.model_mb:,.1f} MB",
            f"{cost.state_bytes:,} bytes",
            f"{cost.next_event_ms['p50']:.2f} ms",
            f"{cost.next_event_ms['p99']:.2f} ms",
            ", ".join(f"{key}={value}" for key, value in cost.settings.items()) or "defaults",
        ]
        for name, cost in result.costs.items()
    ]
    header = [
        "model",
        "training",
        "trials",
        "parameters",
        "size",
        "state of a person",
        "next event",
        "99th percentile",
        "settings",
    ]
    yield _section(
        "Cost",
        _table(header, rows),
        tag("p", "Next event: taking one in and ranking the catalogue, for one person, on this machine.", class_="note"),
    )


def _definitions(result: Evaluation) -> Element:
    pairs = [piece for name, words in result.definitions().items() for piece in (tag("dt", name), tag("dd", words))]
    return _section("Definitions", tag("dl", *pairs), tag("p", " ".join(result.notes()), class_="note"))


# Their pieces.


def _section(title: str, *children: Piece) -> Element:
    return tag("section", tag("h2", title), *children)


def _table(header: Sequence[str], rows: Iterable[Sequence[Piece]]) -> Element:
    head = tag("thead", tag("tr", *(tag("th", _words(word)) for word in header)))
    body = [tag("tr", tag("th", first), *(tag("td", cell) for cell in rest)) for first, *rest in rows]
    return tag("div", tag("table", head, tag("tbody", *body)), class_="scroll")


def _picture(value: float, ends: Interval, among: Interval, colour: str, *, zero: bool = False) -> Element:
    """A dot at the value and a bar over its interval, on a scale ``among`` two ends."""

    def place(x: float) -> float:
        return 100 * min(max((x - among[0]) / (among[1] - among[0]), 0), 1)

    low, high = map(place, ends)
    return tag(
        "span",
        *([tag("i", class_="zero", style=f"left:{place(0):.2f}%")] if zero else []),
        tag("i", class_="bar", style=f"left:{low:.2f}%;width:{high - low:.2f}%"),
        tag("i", class_="dot", style=f"left:{place(value):.2f}%"),
        class_=f"picture {colour}",
        title=f"{_figure(value)} {_range(ends)}",
    )


def _chart(
    result: Evaluation, lines: Mapping[str, Sequence[tuple[float, float]]], title: str, ends: tuple[str, str]
) -> Element:
    """Lines over a common axis, whose ends are named; the words beside the drawing keep their size at any width."""
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    left, right = min(xs), max(max(xs), min(xs) + 1)
    ticks = _ticks(min(ys), max(ys))
    low, high = ticks[0], ticks[-1]
    drawing = Element("svg", {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "role": "img", "aria-label": title})
    for tick in ticks:
        y = f"{100 - 100 * (tick - low) / (high - low):.2f}"
        SubElement(drawing, "line", {"x1": "0", "x2": "100", "y1": y, "y2": y, "class": "grid"})
    for name, line in lines.items():
        points = " ".join(
            f"{100 * (x - left) / (right - left):.2f},{100 - 100 * (y - low) / (high - low):.2f}" for x, y in line
        )
        SubElement(drawing, "polyline", {"points": points, "class": _colour(result, name)})
    axis = tag("span", *(tag("span", f"{tick:g}") for tick in reversed(ticks)), class_="axis")
    legend = tag("p", *(tag("span", tag("i", class_=_colour(result, name)), name) for name in lines), class_="legend")
    return tag(
        "figure",
        tag("figcaption", title),
        tag("div", axis, drawing, class_="chart"),
        tag("p", tag("span", ends[0]), tag("span", ends[1]), class_="ends"),
        legend,
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, three to seven.

    >>> _ticks(0.031, 0.094)
    [0.02, 0.04, 0.06, 0.08, 0.1]
    """
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** floor(log10(span / 3))
    step = next(unit * times for times in (1, 2, 5, 10) if span / (unit * times) <= 4)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def _colour(result: Evaluation, name: str) -> str:
    return f"c{list(result.everyone).index(name) % COLOURS}"


def _label(result: Evaluation, name: str) -> str:
    return f"{name} (control)" if name in result.controls else name


def _words(name: str) -> Element:
    """A name that may be broken after its joints."""
    first, *rest = re.split(r"(?<=[_/])", name)
    return tag("span", first, *(piece for part in rest for piece in (tag("wbr"), part)))


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def _range(ends: Interval, sign: str = "") -> str:
    return f" [{ends[0]:{sign}.4f}, {ends[1]:{sign}.4f}]"
