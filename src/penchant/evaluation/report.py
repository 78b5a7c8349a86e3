"""An evaluation as a folder: a page to read, and the same as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from penchant.evaluation.page import page
from penchant.evaluation.result import Evaluation, cell, in_markdown
from penchant.evaluation.significance import Comparison

FILES = PAGE, VALUES, TABLE, METRICS, SLICES = "index.html", "report.json", "report.md", "metrics.csv", "slices.csv"


def files(result: Evaluation) -> dict[str, str]:
    """What each of ``FILES`` holds."""
    return {
        PAGE: page(result),
        VALUES: json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n",
        TABLE: _markdown(result),
        METRICS: as_csv(("model", "control", "metric", "value", "low", "high"), _metric_rows(result)),
        SLICES: as_csv(("by", "slice", "people", "targets", "model", "metric", "value", "low", "high"), _slice_rows(result)),
    }


def _metric_rows(result: Evaluation) -> Iterable[tuple[object, ...]]:
    for name, values in result.everyone.items():
        for metric, value in values.items():
            low, high = result.intervals[name].get(metric, ("", ""))
            yield name, name in result.controls, metric, value, low, high


def _slice_rows(result: Evaluation) -> Iterable[tuple[object, ...]]:
    for part in result.slices:
        for name, values in part.models.items():
            for metric, value in values.items():
                yield part.family, part.name, part.people, part.targets, name, metric, value, *part.intervals[name][metric]


def as_csv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def difference(pair: Comparison) -> str:
    """A row of a Markdown table: two models, the difference, its interval, p, and whether it is inside the noise."""
    low, high = pair.interval
    words = "" if pair.distinct else "inside the noise"
    difference = f"{pair.difference:+.4f} | [{low:+.4f}, {high:+.4f}]"
    return f"| {cell(pair.first)} − {cell(pair.second)} | {difference} | {pair.adjusted:.4f} | {words} |"


def _markdown(result: Evaluation) -> str:
    lines = [*(f"- {in_markdown(sentence)}" for sentence in result.findings())]
    lines += ["", result.conditions(), "", result.to_markdown(), ""]
    metric = f"ndcg@{result.k}"
    for pairs in (result.comparisons, result.ablations, result.shuffled):
        if pairs:
            lines += [f"| difference in {metric} | | 95% interval | p (Holm) | |", "|---|---|---|---|---|"]
            lines += [difference(pair) for pair in pairs] + [""]
    if result.slices:
        names = list(result.everyone)
        lines += [f"| {metric} by | people | {' | '.join(map(cell, names))} |", "|---|---|" + "---|" * len(names)]
        for part in result.slices:
            cells = " | ".join(f"{part.models[name][metric]:.4f}" for name in names)
            lines.append(f"| {cell(f'{part.family}: {part.name}')} | {part.people:,} | {cells} |")
        lines.append("")
    lines += [f"- **{name}**: {words}" for name, words in result.definitions().items()]
    lines += ["", in_markdown(" ".join(result.notes()))]
    return "\n".join(lines) + "\n"
