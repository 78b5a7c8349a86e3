"""Probabilities judged, as a folder: a page to read, and the same as JSON, CSV and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from penchant.evaluation.pieces import (
    Piece,
    broken,
    chart,
    colours,
    differences,
    document,
    figure,
    interval,
    panel,
    section,
    table,
    tag,
)
from penchant.evaluation.pointwise import JUDGED_BY, METRICS, Answer, Pointwise
from penchant.evaluation.report import METRICS as METRICS_CSV
from penchant.evaluation.report import PAGE, TABLE, VALUES, as_csv, difference

RELIABILITY = "reliability.csv"
FILES = PAGE, VALUES, TABLE, METRICS_CSV, RELIABILITY
PICTURED = ("auc", "logloss")


def files(result: Pointwise) -> dict[str, str]:
    """What each of ``FILES`` holds."""
    return {
        PAGE: page(result),
        VALUES: json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        TABLE: markdown(result),
        METRICS_CSV: as_csv(("answer", "model", "control", "metric", "value", "low", "high"), _metric_rows(result)),
        RELIABILITY: as_csv(("answer", "model", "rows", "said", "came"), _reliability_rows(result)),
    }


def page(result: Pointwise) -> str:
    """The page as HTML, whole."""
    pairs = [piece for name, words in result.definitions().items() for piece in (tag("dt", name), tag("dd", words))]
    return document(
        f"Penchant: {', '.join(result.answers)}, {', '.join(next(iter(result.answers.values())).models)}",
        tag("h1", "Will this person like this item? What the probabilities are worth"),
        tag("p", result.conditions(), class_="conditions"),
        tag("ul", *(tag("li", sentence) for sentence in result.findings()), class_="findings"),
        *(_answer(name, answer) for name, answer in result.answers.items()),
        section("Definitions", tag("dl", *pairs), tag("p", " ".join(result.notes()), class_="note")),
    )


def _answer(name: str, answer: Answer) -> Element:
    colour = colours(answer.everyone)
    panels = [
        panel(
            metric,
            (
                (_label(answer, model), values[metric], answer.intervals[model][metric], colour[model])
                for model, values in answer.everyone.items()
            ),
            from_zero=False,
        )
        for metric in PICTURED
    ]
    curves = {
        model: [(part["said"], part["came"]) for part in curve] for model, curve in answer.reliability.items() if len(curve) > 1
    }
    curves = {model: curve for model, curve in curves.items() if model in answer.models}
    right = {"what would be right": [(0.0, 0.0), (1.0, 1.0)]}
    return section(
        f"{name}: {answer.share_of_ones:.1%} yes, {answer.people_with_both:,} people gave both answers",
        tag("div", *panels, class_="panels"),
        table(["model", *_names(answer)], _rows(answer), f"{name}: all metrics"),
        tag("h3", f"Differences in {JUDGED_BY}: below 0 the first is better"),
        differences(answer.comparisons, f"{name}: differences"),
        tag("h3", "What was said, and what came"),
        chart(curves | right, colour | {"what would be right": "c7"}, f"share of {name}", ("said 0", "said 1")),
    )


def _rows(answer: Answer) -> Iterable[list[Piece]]:
    for model, values in answer.everyone.items():
        cells: list[Piece] = []
        for metric in _names(answer):
            ends = answer.intervals[model].get(metric)
            cells.append(tag("span", figure(values[metric]), *([tag("small", interval(ends))] if ends else [])))
        yield [broken(_label(answer, model)), *cells]


def _names(answer: Answer) -> list[str]:
    return [metric for metric in METRICS if metric in next(iter(answer.models.values()))]


def _label(answer: Answer, name: str) -> str:
    return f"{name} (control)" if name in answer.controls else name


def markdown(result: Pointwise) -> str:
    """The same as Markdown."""
    lines = [*(f"- {sentence}" for sentence in result.findings()), "", result.conditions(), ""]
    for name, answer in result.answers.items():
        metrics = _names(answer)
        lines += [f"## {name}", "", f"| model | {' | '.join(metrics)} |", "|---|" + "---|" * len(metrics)]
        for model, values in answer.everyone.items():
            ends = answer.intervals[model]
            cells = (figure(values[m]) + (interval(ends[m]) if m in ends else "") for m in metrics)
            lines.append(f"| {_label(answer, model)} | {' | '.join(cells)} |")
        lines += ["", f"| difference in {JUDGED_BY} | | 95% interval | p (Holm) | |", "|---|---|---|---|---|"]
        lines += [*map(difference, answer.comparisons), ""]
    lines += [f"- **{name}**: {words}" for name, words in result.definitions().items()]
    lines += ["", " ".join(result.notes())]
    return "\n".join(lines) + "\n"


def _metric_rows(result: Pointwise) -> Iterable[tuple[object, ...]]:
    for name, answer in result.answers.items():
        for model, values in answer.everyone.items():
            for metric, value in values.items():
                low, high = answer.intervals[model].get(metric, ("", ""))
                yield name, model, model in answer.controls, metric, value, low, high


def _reliability_rows(result: Pointwise) -> Iterable[tuple[object, ...]]:
    for name, answer in result.answers.items():
        for model, curve in answer.reliability.items():
            for part in curve:
                yield name, model, part["rows"], part["said"], part["came"]
