"""What ``benchmarks.quality`` measured, as tables: docs/results.md, and the README's summary of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.machine import RESULTS, ROOT

FILE = RESULTS / "quality.json"
PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"
SPLITS = dict.fromkeys(("beauty", "sports", "ml-1m", "ml-100k"), "leave-one-out") | dict.fromkeys(
    ("30music", "unilibrary", "twitter", "kuairand"), "temporal"
)
READINGS = ("train-only", "online", "refit")
OURS = ("longshort", "longshort, ids only")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
Figures = Mapping[str, Mapping[str, float]]
"""Of each seed the metrics."""


def measured() -> dict[str, Any]:
    """``data|model|reading`` → seed → metric → value."""
    return json.loads(FILE.read_text())["measured"] if FILE.exists() else {}


def by_model(found: Mapping[str, Figures], data: str) -> dict[str, dict[str, Figures]]:
    """Of one log: model → reading → figures."""
    rows: dict[str, dict[str, Figures]] = {}
    for key, figures in found.items():
        name, model, reading = key.split("|")
        if name == data:
            rows.setdefault(model, {})[reading] = figures
    return rows


def page(found: Mapping[str, Figures]) -> str:
    """docs/results.md: mean over seeds, and the least and greatest."""
    lines = [
        "# What the models are worth",
        "",
        "Made by `python -m benchmarks.quality` from `benchmarks/results/quality.json`. Full catalogue, seen items",
        "excluded, everything chosen on validation, reported on test: recall@10 / ndcg@10, the mean over seeds and",
        "(least – greatest) of ndcg@10. *train-only*: nothing after the training part is known; *online*: memories have",
        "learned the events before the test one, without gradients; *refit*: all have learned again from training and",
        "validation parts together, for as many epochs as were best. Models that know words about items (`content`,",
        "and `longshort` where the dataset has some) know more than published models, which know ids only: *ids only* is",
        "the line to compare with those. Networks began at random in all rows but those of Beauty, which were measured",
        "after `start=factors` became the default.",
        "",
    ]
    for data, split in SPLITS.items():
        rows = by_model(found, data)
        if not rows:
            continue
        lines += [f"## {data}, {split}", "", "| model | train-only | online | refit | seeds |", "|---|---|---|---|---|"]
        for model, readings in rows.items():
            cells = [_cell(readings[r]) if r in readings else "" for r in READINGS]
            lines.append(f"| {model} | {' | '.join(cells)} | {max(len(v) for v in readings.values())} |")
        lines.append("")
    return "\n".join(lines)


def summary(found: Mapping[str, Figures]) -> str:
    """The README's table: test ndcg@10 of ``longshort`` beside ``transitions`` and the best of the others."""
    lines = [
        "| log, split, seeds | model | train-only, online, refit | `transitions`, train-only, online | best other |",
        "|---|---|---|---|---|",
    ]
    for data, split in SPLITS.items():
        rows = by_model(found, data)
        if not rows:
            continue
        others = {m: _ndcg(r["train-only"]) for m, r in rows.items() if m not in (*OURS, "transitions")}
        best = max(others, key=lambda name: others[name])
        seeds = len(rows["longshort"]["train-only"])
        for model in (name for name in OURS if name in rows):
            ours = ", ".join(_short(rows[model][r]) for r in READINGS)
            counts = ", ".join(_short(rows["transitions"][r]) for r in READINGS[:2])
            lines.append(f"| {data}, {split}, {seeds} | {model} | {ours} | {counts} | {best} {others[best]:.4f} |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write the page, and the table into the README."""
    found = measured()
    PAGE.write_text(page(found), encoding="utf-8")
    README.write_text(with_summary(README.read_text(encoding="utf-8"), found), encoding="utf-8")


def with_summary(readme: str, found: Mapping[str, Figures]) -> str:
    """The README with its table as it should be."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + summary(found) + END + rest.split(END)[1]


def _ndcg(figures: Figures) -> float:
    return float(np.mean([values["ndcg@10"] for values in figures.values()]))


def _short(figures: Figures) -> str:
    return f"{_ndcg(figures):.4f}"


def _cell(figures: Figures) -> str:
    recall, ndcg = (np.array([values[m] for values in figures.values()]) for m in ("recall@10", "ndcg@10"))
    span = f" ({ndcg.min():.4f} – {ndcg.max():.4f})" if len(ndcg) > 1 else ""
    return f"{recall.mean():.4f} / {ndcg.mean():.4f}{span}"
