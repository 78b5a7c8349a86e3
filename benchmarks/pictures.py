"""What ``benchmarks.quality`` measured of one log as a picture: SVG that is light or dark as its reader is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

Readings = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Of one model: reading → seed → metric → value."""
METRIC = "ndcg@10"
MARKS = {"train-only": ("#0072b2", 6.5), "online": ("#e69f00", 5), "refit": ("#009e73", 3.5)}
"""Each reading's colour and size, the last the smallest: where they lie upon each other, all are seen."""
NAMES, WIDTH, RIGHT, ROW, TOP = 270, 800, 24, 24, 64
"""Pixels: the room of names, the whole width, what is free at the right, a row's height, what is above the first."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1d2430 } .soft { fill: #5b6472; font-size: 12px }
.ground { fill: #ffffff } .grid { stroke: #d9dee6 } .span { stroke-width: 3; stroke-opacity: .45 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaf0 } .soft { fill: #9aa5b4 } .ground { fill: #14181f } .grid { stroke: #2e3642 }
}
"""


def picture(data: str, rows: Mapping[str, Readings]) -> str:
    """ndcg@10 of each model on a log, in the order of ``rows``: a dot for each reading, and a bar over its seeds."""
    most = max(_values(figures).max() for of in rows.values() for figures in of.values())
    step = _step(most)
    end = step * np.ceil(most / step)
    height = TOP + ROW * len(rows) + 36

    def x(value: float) -> str:
        return f"{NAMES + (WIDTH - NAMES - RIGHT) * value / end:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
        f'aria-label="{escape(data)}: {METRIC} of each model">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text x="16" y="24" font-weight="600">{escape(data)}: {METRIC} on the test part</text>',
    ]
    for place, (reading, (colour, radius)) in enumerate(MARKS.items()):
        left = 16 + 110 * place
        lines.append(f'<circle cx="{left + 5}" cy="43" r="{radius}" fill="{colour}"/>')
        lines.append(f'<text class="soft" x="{left + 15}" y="47">{reading}</text>')
    bottom = TOP + ROW * len(rows)
    for mark in np.arange(0, end + step / 2, step):
        lines.append(f'<line class="grid" x1="{x(mark)}" x2="{x(mark)}" y1="{TOP}" y2="{bottom}"/>')
        lines.append(f'<text class="soft" x="{x(mark)}" y="{bottom + 18}" text-anchor="middle">{mark:.3g}</text>')
    for row, (model, readings) in enumerate(rows.items()):
        y = TOP + ROW * row + ROW // 2
        lines.append(f'<text x="{NAMES - 12}" y="{y + 4}" text-anchor="end">{escape(model)}</text>')
        for reading, (colour, radius) in MARKS.items():
            if reading in readings:
                values = _values(readings[reading])
                ends = f'x1="{x(values.min())}" x2="{x(values.max())}"'
                lines.append(f'<line class="span" stroke="{colour}" {ends} y1="{y}" y2="{y}"/>')
                lines.append(f'<circle cx="{x(values.mean())}" cy="{y}" r="{radius}" fill="{colour}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _values(figures: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    return np.array([values[METRIC] for values in figures.values()])


def _step(most: float) -> float:
    """A round number of which there are three to six up to ``most``."""
    unit = 10.0 ** np.floor(np.log10(most / 3))
    return float(next(unit * times for times in (1, 2, 5, 10) if most / (unit * times) <= 6))
