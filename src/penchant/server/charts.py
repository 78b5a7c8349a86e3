"""The page's pictures that aren't of interests: activity, and models compared. Plotly's JSON, as in ``interests.pictures``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from penchant.interests.pictures import COLOURS, Picture
from penchant.types import DAY

BINS = 60
ROW, ROOM = 24, 90
"""Pixels: a row of a picture that has a name in each, and what is around the rows."""
_INK = {"light": ("#3f4a5c", "#e3e7ee"), "dark": ("#b4bfce", "#2a3340")}
_WORDS = {
    "events": ("events", "事件"),
    "order": ("place in the log", "日志中的次序"),
    "champion": ("the model before", "之前的模型"),
    "challenger": ("the model that serves", "当前模型"),
}


def activity(times: Sequence[int], *, language: str = "en", theme: str = "light") -> Picture:
    """Events over time, in up to ``BINS`` bars; times are microseconds since 1970. Where a log has no times, and an event's is
    its place, the axis says so.
    """
    moments = np.array(times, np.int64)
    real = moments[moments > 365 * DAY]
    dated = len(real) > 0 or len(moments) == 0
    kept = real if dated else moments
    counts, edges = np.histogram(kept, bins=BINS) if len(kept) else (np.zeros(0, int), np.zeros(1))
    middles = ((edges[:-1] + edges[1:]) / 2).astype(np.int64).tolist()
    places: list[Any] = [_iso(m) for m in middles] if dated else [m // 1_000_000 for m in middles]
    bars = {
        "type": "bar",
        "x": places,
        "y": counts.tolist(),
        "marker": {"color": COLOURS[0]},
        "hovertemplate": "%{x}: %{y:,}<extra></extra>",
    }
    x = {"tickformat": "%Y-%m-%d", "nticks": 5, "tickangle": 0} if dated else {"title": {"text": _word("order", language)}}
    layout = {"xaxis": x, "yaxis": {"title": {"text": _word("events", language)}, "rangemode": "tozero"}, "bargap": 0.1}
    return _picture([bars], layout, theme)


def compared(models: Mapping[str, Mapping[str, float]], *, language: str = "en", theme: str = "light") -> Picture:
    """What an update compared: bars of champion and challenger by metric."""
    names = [name for name in ("champion", "challenger") if name in models]
    metrics = [metric for metric in models[names[0]] if metric.split("@")[0] in ("recall", "ndcg", "mrr", "coverage")]
    data = [
        {
            "type": "bar",
            "name": _word(name, language),
            "x": metrics,
            "y": [models[name][metric] for metric in metrics],
            "marker": {"color": COLOURS[5] if name == "champion" else COLOURS[0]},
            "hovertemplate": "%{x}: %{y:.4f}",
        }
        for name in names
    ]
    return _picture(data, {"barmode": "group", "yaxis": {"rangemode": "tozero"}}, theme)


def evaluation(report: Mapping[str, Any], *, theme: str = "light") -> Picture:
    """An evaluation's models by ndcg, or where probabilities were judged by their AUC, the best first, each with its 95%
    interval.
    """
    of_answers = "answers" in report
    found = report["answers"][report["judged"]] if of_answers else report
    metric = "auc" if of_answers else f"ndcg@{report['k']}"
    called = f"{report['judged']}: {metric}" if of_answers else metric
    models = {**found["controls"], **found["models"]}
    ranked = sorted(models, key=lambda name: models[name][metric])
    ends = [found["intervals"][name].get(metric, [models[name][metric]] * 2) for name in ranked]
    values = [models[name][metric] for name in ranked]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": ranked,
        "marker": {"size": 10, "color": [COLOURS[0] if name in found["models"] else "#999999" for name in ranked]},
        "error_x": {
            "type": "data",
            "color": _INK[theme][0],
            "thickness": 1.5,
            "width": 3,
            "symmetric": False,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
        },
        "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": f"{called}, 95%"}, "rangemode": "normal" if of_answers else "tozero"},
        "yaxis": {"automargin": True, "dtick": 1},
        "height": ROOM + ROW * len(ranked),
    }
    return _picture([dots], layout, theme)


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _word(name: str, language: str) -> str:
    return _WORDS[name][language == "zh"]


def _picture(data: list[Picture], layout: Picture, theme: str) -> Picture:
    ink, grid = _INK[theme]
    axis = {"gridcolor": grid, "linecolor": grid, "zerolinecolor": grid}
    common = {
        "font": {"color": ink, "family": "system-ui, sans-serif"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "hoverlabel": {"font": {"color": "#222222"}, "bgcolor": "#ffffff"},
    }
    return {"data": data, "layout": common | {name: axis | layout.pop(name, {}) for name in ("xaxis", "yaxis")} | layout}
