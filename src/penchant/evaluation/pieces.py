"""What reports are made of: elements, tables, intervals and curves as pictures, in one page without a script.

Pictures are a few styled elements and plain SVG lines, so that they follow the reader's light or dark, width and printer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from math import ceil, floor, log10
from xml.etree.ElementTree import Element, SubElement, tostring

from penchant.evaluation.significance import Comparison

COLOURS = 8
"""Colours in page.css; more models take them again, with hollow dots and broken lines."""

Piece = Element | str
Interval = tuple[float, float]


def document(title: str, *children: Piece) -> str:
    """A whole page of HTML that opens without a network: its style sheet is in it, and it has no script."""
    style = (files("penchant.evaluation") / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", style),
    )
    body = tag("body", tag("main", *children))
    return f"<!doctype html>\n{tostring(tag('html', head, body, lang='en'), encoding='unicode', method='html')}\n"


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


def section(title: str, *children: Piece) -> Element:
    """A part of the page below its title."""
    return tag("section", tag("h2", title), *children)


def table(header: Sequence[str], rows: Iterable[Sequence[Piece]], label: str, kind: str = "") -> Element:
    """A table; the first cell of a row names it. One too wide for the page scrolls by itself, by the keyboard too; ``label``
    tells whoever can't see it what it is.
    """
    head = tag("thead", tag("tr", *(tag("th", broken(word), scope="col") if word else tag("td") for word in header)))
    body = [tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)) for first, *rest in rows]
    whole = tag("table", head, tag("tbody", *body))
    return tag("div", whole, class_=f"scroll {kind}".strip(), tabindex="0", role="region", aria_label=label)


def picture(value: float, ends: Interval, among: Interval, colour: str, *, zero: bool = False) -> Element:
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
        title=f"{figure(value)} {interval(ends)}",
    )


def panel(title: str, rows: Iterable[tuple[str, float, Interval, str]], *, from_zero: bool = True) -> Element:
    """One metric of several models, each a name, a value, its interval and a colour: dots with intervals.

    The scale begins at 0, or else where the intervals do; then its ends are written below.
    """
    rows = list(rows)
    top = max(high for _, _, (_, high), _ in rows) or 1.0
    least = 0.0 if from_zero else min(low for _, _, (low, _), _ in rows)
    top = top if top > least else least + 1.0
    lines = [
        tag(
            "div",
            tag("span", broken(name), class_="name"),
            picture(value, ends, (least, top), colour),
            tag("span", figure(value), class_="value"),
            class_="row",
        )
        for name, value, ends, colour in rows
    ]
    scale = tag("span", tag("span", figure(least)), tag("span", figure(top)), class_="scale")
    foot = [] if from_zero else [tag("div", tag("span"), scale, tag("span"), class_="row")]
    return tag("figure", tag("figcaption", title), *lines, *foot)


def chart(
    lines: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str], title: str, ends: tuple[str, str]
) -> Element:
    """Lines over a common axis, whose ends are named; the words beside the drawing keep their size at any width."""
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    left, right = min(xs), max(max(xs), min(xs) + 1)
    marks = ticks(min(ys), max(ys))
    low, high = marks[0], marks[-1]
    drawing = Element("svg", {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "role": "img", "aria-label": title})
    for mark in marks:
        y = f"{100 - 100 * (mark - low) / (high - low):.2f}"
        SubElement(drawing, "line", {"x1": "0", "x2": "100", "y1": y, "y2": y, "class": "grid"})
    for name, line in lines.items():
        points = " ".join(
            f"{100 * (x - left) / (right - left):.2f},{100 - 100 * (y - low) / (high - low):.2f}" for x, y in line
        )
        SubElement(drawing, "polyline", {"points": points, "class": colours[name]})
    axis = tag("span", *(tag("span", f"{mark:g}") for mark in reversed(marks)), class_="axis")
    legend = tag("p", *(tag("span", tag("i", class_=colours[name]), name) for name in lines), class_="legend")
    return tag(
        "figure",
        tag("figcaption", title),
        tag("div", axis, drawing, class_="chart"),
        tag("p", tag("span", ends[0]), tag("span", ends[1]), class_="ends"),
        legend,
    )


def differences(pairs: Sequence[Comparison], label: str, shuffled: str = "") -> Element:
    """Pairs of models with the difference between them as a picture; those inside the noise are grey, and said to be.

    ``shuffled`` marks the names of models that are the first ones, asked otherwise.
    """
    far = max((abs(end) for pair in pairs for end in pair.interval), default=0) or 1.0
    rows: list[list[Piece]] = []
    for pair in pairs:
        other = shuffled if shuffled and shuffled in pair.second else f"− {pair.second}"
        rows.append(
            [
                broken(f"{pair.first} {other}"),
                picture(pair.difference, pair.interval, (-far, far), "c0" if pair.distinct else "noise", zero=True),
                tag("span", f"{pair.difference:+.4f}", tag("small", interval(pair.interval, "+"))),
                tag("span", f"{pair.adjusted:.4f}", *([] if pair.distinct else [tag("small", "inside the noise")])),
            ]
        )
    return table(["", "", "difference", "p (Holm)"], rows, label, "differences")


def colours(names: Iterable[str]) -> dict[str, str]:
    """The class of the colour of each of several models."""
    return {name: f"c{place % COLOURS}{' again' if place >= COLOURS else ''}" for place, name in enumerate(names)}


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, three to seven.

    >>> ticks(0.031, 0.094)
    [0.02, 0.04, 0.06, 0.08, 0.1]
    """
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** floor(log10(span / 3))
    step = next(unit * times for times in (1, 2, 5, 10) if span / (unit * times) <= 4)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def broken(name: str) -> Element:
    """A name that may be broken after its joints."""
    first, *rest = re.split(r"(?<=[_/])", name)
    return tag("span", first, *(piece for part in rest for piece in (tag("wbr"), part)))


def figure(value: float) -> str:
    """A value as reports write it."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def interval(ends: Interval, sign: str = "") -> str:
    """An interval as reports write it, in brackets."""
    return f" [{ends[0]:{sign}.4f}, {ends[1]:{sign}.4f}]"
