"""What ``benchmarks.quality`` measured, as tables: docs/results.md, and the README's of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import RESULTS, ROOT, facts
from benchmarks.pictures import picture

FILE, FIRST = RESULTS / "quality.json", RESULTS / "first.json"
PAGE, README, PICTURES = ROOT / "docs" / "results.md", ROOT / "README.md", ROOT / "docs" / "results"
SPLITS = dict.fromkeys(("beauty", "sports", "ml-1m", "ml-100k"), "leave-one-out") | dict.fromkeys(
    ("30music", "unilibrary", "twitter", "kuairand"), "temporal"
)
READINGS = ("train-only", "online", "refit")
OURS = ("longshort", "longshort, ids only")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
FIRST_BEGIN, FIRST_END = "<!-- first results -->\n", "<!-- end of first results -->\n"
FIRST_METRICS = {"recall@10": 3, "ndcg@10": 3, "coverage@10": 2}
"""What the README's first table shows, and with how many digits."""
Figures = Mapping[str, Mapping[str, Any]]
"""Of each seed the metrics, and the day."""


def measured() -> dict[str, Any]:
    """``data|model|reading`` → seed → metric → value, and the day it was measured ``on``."""
    return json.loads(FILE.read_text())["measured"] if FILE.exists() else {}


def keep(key: str, seed: int, figures: Mapping[str, float]) -> None:
    """Add what was measured today to what is kept; whoever is killed meanwhile leaves the file as it was."""
    known = measured()  # others may have added theirs meanwhile
    known.setdefault(key, {})[str(seed)] = {**figures, "on": datetime.now(UTC).date().isoformat()}
    part = FILE.with_suffix(".part")
    part.write_text(json.dumps({"machine": facts(), "measured": known}, indent=1) + "\n")
    part.replace(FILE)


def by_model(found: Mapping[str, Figures], data: str) -> dict[str, dict[str, Figures]]:
    """Of one log: model → reading → figures, the best train-only first."""
    rows: dict[str, dict[str, Figures]] = {}
    for key, figures in found.items():
        name, model, reading = key.split("|")
        if name == data:
            rows.setdefault(model, {})[reading] = figures
    return dict(sorted(rows.items(), key=lambda row: -_ndcg(row[1]["train-only"]) if "train-only" in row[1] else 0.0))


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
        "the line to compare with those. *Of three networks* is with `networks=3`: other seeds beside each other, three times",
        "the training. `repeats` and `blend` are in [the examples](../examples/README.md).",
        "What was measured on 2026-11-24 is older than two changes: networks began at random then, save on Beauty, where",
        "`start=factors` was the default already, and the sums of `longshort`'s long-term memory were real numbers.",
        "On ML-1M `longshort` is without its LSTM (`short=false`), which made no difference there and takes time; its bank",
        "looks back at fifty events (`ring=50`), and targets count by the length of their histories (`length_power=.5`).",
        "Networks of MovieLens-100k and unilibrary go by the defaults. All others go by settings of their own, those of ML-1M",
        "with averaged weights (`average`), the rest without: most of these were measured before weights were averaged.",
        "",
    ]
    for data, split in SPLITS.items():
        rows = by_model(found, data)
        if not rows:
            continue
        lines += [f"## {data}, {split}", "", f"![{data}: ndcg@10 of each model]({PICTURES.name}/{data}.svg)", ""]
        lines += ["| model | train-only | online | refit | seeds | measured |", "|---|---|---|---|---|---|"]
        for model, readings in rows.items():
            cells = [_cell(readings[r]) if r in readings else "" for r in READINGS]
            lines.append(f"| {model} | {' | '.join(cells)} | {max(len(v) for v in readings.values())} | {_days(readings)} |")
        lines.append("")
    return "\n".join(lines)


def summary(found: Mapping[str, Figures]) -> str:
    """The README's table: test ndcg@10 of ``longshort`` beside ``transitions`` and the best of the others; a reading that some
    seeds lack is left open.
    """
    lines = [
        "| log, split, seeds | model | train-only, online, refit | `transitions`, train-only, online | best other |",
        "|---|---|---|---|---|",
    ]
    for data, split in SPLITS.items():
        rows = by_model(found, data)
        if "online" not in rows.get("longshort", {}):
            continue
        others = {m: _ndcg(r["train-only"]) for m, r in rows.items() if m != "transitions" and not m.startswith("longshort")}
        best = max(others, key=lambda name: others[name])
        seeds = len(rows["longshort"]["train-only"])
        for model in (name for name in OURS if name in rows):
            ours = ", ".join(_short(rows[model][r]) if len(rows[model].get(r, ())) == seeds else "–" for r in READINGS)
            counts = ", ".join(_short(rows["transitions"][r]) for r in READINGS[:2])
            lines.append(f"| {data}, {split}, {seeds} | {model} | {ours} | {counts} | {best} {others[best]:.4f} |")
    return "\n".join(lines) + "\n"


def first(told: Mapping[str, Any]) -> str:
    """The README's first table: some models by their defaults, with intervals."""
    lines = [f"| model | {' | '.join(FIRST_METRICS)} |", "|---|" + "---|" * len(FIRST_METRICS)]
    for model, values in told["models"].items():
        cells = []
        for metric, digits in FIRST_METRICS.items():
            ends = told["intervals"][model].get(metric)
            cells.append(f"{values[metric]:.{digits}f}" + (f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""))
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def documents() -> dict[Path, str]:
    """Every file that is made of what was measured, as it should be."""
    found = measured()
    readme = _between(README.read_text(encoding="utf-8"), BEGIN, END, summary(found))
    if FIRST.exists():
        readme = _between(readme, FIRST_BEGIN, FIRST_END, first(json.loads(FIRST.read_text())))
    drawn = {PICTURES / f"{data}.svg": picture(data, by_model(found, data)) for data in SPLITS if by_model(found, data)}
    return {README: readme, PAGE: page(found), **drawn}


def write() -> None:
    """Write them."""
    PICTURES.mkdir(exist_ok=True)
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


def _between(text: str, begin: str, end: str, new: str) -> str:
    before, rest = text.split(begin)
    return before + begin + new + end + rest.split(end)[1]


def _days(readings: Mapping[str, Figures]) -> str:
    """When the figures of a row were measured: the first day, and the last where that is another."""
    days = sorted({values["on"] for figures in readings.values() for values in figures.values()})
    return days[0] if len(days) == 1 else f"{days[0]} – {days[-1]}"


def _ndcg(figures: Figures) -> float:
    return float(np.mean([values["ndcg@10"] for values in figures.values()]))


def _short(figures: Figures) -> str:
    return f"{_ndcg(figures):.4f}"


def _cell(figures: Figures) -> str:
    recall, ndcg = (np.array([values[m] for values in figures.values()]) for m in ("recall@10", "ndcg@10"))
    span = f" ({ndcg.min():.4f} – {ndcg.max():.4f})" if len(ndcg) > 1 else ""
    return f"{recall.mean():.4f} / {ndcg.mean():.4f}{span}"
