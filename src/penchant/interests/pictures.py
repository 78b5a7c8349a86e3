"""Pictures of interests as Plotly figures: made once, here, and shown alike in a notebook, a report and the page.

A figure is made as Plotly's JSON (``{"data": […], "layout": {…}}``), so that a server needs no Plotly; ``figure`` makes an
object of it for a notebook. Colours are those of Okabe and Ito (2008), told apart by colour-blind readers too; where there are
more topics than colours, symbols differ. Backgrounds are transparent, so that a page's own shines through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.interests import words
from penchant.interests.topics import Topics, sample
from penchant.types import Float, PenchantError

if TYPE_CHECKING:
    from penchant.interests.profiles import Profile

THEMES = ("light", "dark")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
OTHER = "#999999"
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
_INK = {"light": ("#222222", "#dddddd"), "dark": ("#eeeeee", "#444444")}
POINTS = 2000
"""Items on a map, unless more are asked for."""

Picture = dict[str, Any]


def figure(picture: Picture) -> Any:
    """A ``plotly.graph_objects.Figure``. ``PenchantError`` where Plotly isn't installed."""
    try:
        from plotly.graph_objects import Figure
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("plotly"):
            raise
        raise PenchantError("pictures need Plotly; install it with: pip install 'penchant[interests]'") from error
    return Figure(picture)


def river(profile: Profile, *, language: str = "en", theme: str = "light") -> Picture:
    """A person's interests over time: long-term above, right now below; the seven largest topics, and the rest as one."""
    largest, rest = _largest(profile)
    data: list[Picture] = []
    for row, name in enumerate(("long_term", "short_term")):
        shares: Float = getattr(profile.river, name)
        for place, topic in enumerate(largest):
            data.append(_band(profile, shares[:, topic], profile.names[topic], COLOURS[place], row))
        if rest:
            data.append(_band(profile, shares[:, rest].sum(axis=1), words.label("other", language), OTHER, row))
    axis = {"range": [0, 1], "tickformat": ".0%"}
    layout = {
        "xaxis": {"anchor": "y2"},
        "yaxis": axis | {"domain": [0.54, 1], "title": {"text": words.label("long_term", language)}},
        "yaxis2": axis | {"domain": [0, 0.46], "title": {"text": words.label("short_term", language)}},
        "hovermode": "x unified",
    }
    return _picture(data, layout, "river", language, theme)


def _band(profile: Profile, shares: Float, name: str, colour: str, row: int) -> Picture:
    return {
        "type": "scatter",
        "mode": "lines" if len(profile.river.times) > 1 else "lines+markers",
        "x": profile.river.moments(),
        "y": _numbers(shares),
        "name": name,
        "legendgroup": name,
        "showlegend": row == 0,
        "stackgroup": str(row),
        "fillcolor": f"rgba{(*bytes.fromhex(colour[1:]), 0.75)}",
        "line": {"width": 0.5, "color": colour, "shape": "hv"},  # what one wanted stays until the next event
        "yaxis": "y2" if row else "y",
        "hovertemplate": "%{y:.0%}",
    }


def beside(profile: Profile, *, language: str = "en", theme: str = "light") -> Picture:
    """Bars of each topic's long-term share beside that of right now, the largest first."""
    largest, rest = _largest(profile, most=12)
    names = [profile.names[topic] for topic in largest] + ([words.label("other", language)] if rest else [])
    data = []
    for name, colour in (("long_term", COLOURS[0]), ("short_term", COLOURS[1])):
        shares: Float = getattr(profile, name)
        values = [*shares[largest], *([shares[rest].sum()] if rest else [])]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": _numbers(values),
                "y": names,
                "name": words.label(name, language),
                "marker": {"color": colour},
                "hovertemplate": "%{x:.0%}",
            }
        )
    layout = {
        "barmode": "group",
        "xaxis": {"tickformat": ".0%", "title": {"text": words.label("share", language)}},
        "yaxis": {"autorange": "reversed", "automargin": True},
    }
    return _picture(data, layout, "beside", language, theme)


def habits(profile: Profile, *, language: str = "en", theme: str = "light") -> Picture:
    """When a person comes: hours of the day above, days of the week below."""
    said = profile.habits
    data = [
        _bars(list(range(24)), said.hours, COLOURS[0], ""),
        _bars(list(words.WEEKDAYS[language]), said.weekdays, COLOURS[2], "2"),
    ]
    share = {"tickformat": ".0%", "rangemode": "tozero", "title": {"text": words.label("share", language)}}
    layout = {
        "showlegend": False,
        "xaxis": {"title": {"text": words.label("hours", language)}, "dtick": 3},
        "yaxis": share | {"domain": [0.66, 1]},
        "xaxis2": {"title": {"text": words.label("weekdays", language)}, "anchor": "y2"},
        "yaxis2": share | {"domain": [0, 0.32], "anchor": "x2"},
    }
    return _picture(data, layout, "habits", language, theme)


def _bars(x: Sequence[Any], y: Sequence[float], colour: str, axis: str) -> Picture:
    bars = {"type": "bar", "x": x, "y": _numbers(y), "marker": {"color": colour}, "hovertemplate": "%{y:.0%}<extra></extra>"}
    return bars | {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}


def drift(profile: Profile, *, language: str = "en", theme: str = "light") -> Picture:
    """How far right now lay from the long-term, over time: 0 is the same, 1 nothing in common."""
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": profile.river.moments(),
        "y": _numbers(profile.river.drift()),
        "line": {"color": COLOURS[5], "shape": "hv"},
        "hovertemplate": "%{y:.2f}<extra></extra>",
    }
    layout = {"yaxis": {"range": [0, 1], "title": {"text": words.label("drift_axis", language)}}, "showlegend": False}
    return _picture([line], layout, "drift", language, theme)


OF_PEOPLE: Mapping[str, Callable[..., Picture]] = {
    "interests": river,
    "beside": beside,
    "habits": habits,
    "drift": drift,
}
"""The pictures of a profile, by name."""


def topic_map(topics: Topics, *, most: int = POINTS, language: str = "en", theme: str = "light") -> Picture:
    """Items in two dimensions, by colour and symbol of their topic; of a large catalogue a sample, and it says so."""
    shown = sample(topics, most)
    data = []
    for topic in topics.topics:
        mine = shown[topics.nearest[shown] == topic.topic]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": topic.name,
                "x": _numbers(topics.place[mine, 0]),
                "y": _numbers(topics.place[mine, 1]),
                "text": [topics.title(topics.items[int(code)]) for code in mine],
                "customdata": [topics.items[int(code)] for code in mine],
                "hovertemplate": "%{text}",
                "marker": {
                    "size": 6,
                    "color": COLOURS[topic.topic % len(COLOURS)],
                    "symbol": SYMBOLS[topic.topic // len(COLOURS) % len(SYMBOLS)],
                    "opacity": 0.8,
                },
            }
        )
    axis = {"visible": False}  # directions of a map mean nothing
    picture = _picture(data, {"xaxis": axis, "yaxis": axis | {"scaleanchor": "x"}}, "map", language, theme)
    if len(shown) < len(topics.items):
        sampled = {
            "en": f"a sample: {len(shown):,} of {len(topics.items):,} items",
            "zh": f"抽样：{len(topics.items):,}个中的{len(shown):,}个",
        }
        picture["layout"]["title"]["text"] += f" ({sampled[language]})"
    return picture


def _largest(profile: Profile, most: int = len(COLOURS)) -> tuple[list[int], list[int]]:
    """The topics of the largest shares, and the others."""
    order = np.argsort(-np.maximum(profile.long_term, profile.short_term), kind="stable").tolist()
    return order[:most], order[most:]


def _numbers(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]


def _picture(data: list[Picture], layout: Picture, name: str, language: str, theme: str) -> Picture:
    words.check_language(language)
    if theme not in THEMES:
        raise PenchantError(f"theme is {theme[:20]!r}, but must be one of {', '.join(THEMES)}")
    ink, grid = _INK[theme]
    for axis in [name for name in layout if name.startswith(("xaxis", "yaxis"))]:
        layout[axis] = {"gridcolor": grid, "linecolor": grid, "zerolinecolor": grid} | layout[axis]
    layout = {"xaxis": {"gridcolor": grid, "linecolor": grid}} | layout
    common = {
        "title": {"text": words.label(name, language)},
        "font": {"color": ink, "family": "system-ui, sans-serif"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "legend": {"orientation": "h", "traceorder": "normal", "y": -0.15},
        "hoverlabel": {"font": {"color": "#222222"}, "bgcolor": "#ffffff"},
    }
    return {"data": data, "layout": common | layout}
