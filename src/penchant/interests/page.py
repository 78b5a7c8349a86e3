"""Topics and people as one page that opens without a network: Plotly's script is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from penchant.interests import pictures, words
from penchant.interests.pictures import Picture
from penchant.interests.profiles import Profile
from penchant.interests.topics import Topics
from penchant.types import PenchantError

_WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "title": "Interests",
        "topics": "Topics",
        "segments": "Kinds of people",
        "head": ("", "topic", "items", "typical items", "rule", "fidelity"),
        "people_head": ("people", "what sets them apart", "rule", "fidelity"),
        "found": "Found in {}: {}. A rule's fidelity is its tree's balanced accuracy on items or people it wasn't learned "
        "from; 0.5 tells nothing.",
        "events": "{:,} events",
        "network": "Long-term and right now are what the network's two memories would recommend by themselves; the river "
        "is what was done.",
        "history": "Long-term is all that was done, older events weighing less; right now is the last session, or in a log "
        "without times the last events.",
    },
    "zh": {
        "title": "兴趣",
        "topics": "主题",
        "segments": "人群",
        "head": ("", "主题", "物品数", "典型物品", "规则", "可信度"),
        "people_head": ("人数", "特点", "规则", "可信度"),
        "found": "依据：{}；{}。可信度是规则树在未参与学习的物品或人群上的平衡准确率，0.5表示毫无信息。",
        "events": "{:,}个事件",
        "network": "长期与当前兴趣是网络的两个记忆各自会推荐的主题；随时间的变化图显示实际行为。",
        "history": "长期兴趣是全部行为，越早权重越低；当前兴趣是最近一次会话（无时间的日志则为最近几个事件）。",
    },
}


def page(topics: Topics, people: Sequence[Profile], language: str = "en") -> str:
    """The page as HTML, whole. ``PenchantError`` where Plotly isn't installed."""
    words.check_language(language)
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise PenchantError("the page needs Plotly; install it with: pip install 'penchant[interests]'") from error
    said = _WORDS[language]
    shown: dict[str, Picture] = {"map": pictures.topic_map(topics, language=language)}
    sections = [_topics(topics, language), _segments(topics, language)]
    for place, profile in enumerate(people):
        names = {kind: f"{kind}-{place}" for kind in pictures.OF_PEOPLE}
        if not profile.known:
            names = {"beside": names["beside"]}
        shown |= {name: pictures.OF_PEOPLE[kind](profile, language=language) for kind, name in names.items()}
        sections.append(_person(profile, list(names.values()), language))
    folder = files("penchant.interests")
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    # Within a script element, only its end has to be hidden from HTML.
    figures = json.dumps(shown, ensure_ascii=False).replace("</", "<\\/")
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Penchant: {said['title']}</title><style>{style}</style></head><body><main><h1>{said['title']}</h1>"
        f"{''.join(sections)}</main><script>{get_plotlyjs()}</script>"
        f'<script type="application/json" id="figures">{figures}</script><script>{script}</script></body></html>\n'
    )


def _topics(topics: Topics, language: str) -> str:
    said = _WORDS[language]
    rows = []
    for topic in topics.topics:
        typical = words.listed([words.quoted(topics.title(item), language) for item in topic.typical[:4]], language)
        cells = (str(topic.topic), topic.name, f"{topic.items:,}", typical, topic.rule.words(language))
        rows.append((*cells, _fidelity(topic.rule.fidelity)))
    found = str(said["found"]).format(topics.made_of[language], topics.criterion[language])
    return f"<section><h2>{said['topics']}</h2><p>{escape(found)}</p>{_table(said['head'], rows)}{_figure('map')}</section>"


def _segments(topics: Topics, language: str) -> str:
    said = _WORDS[language]
    rows = [
        (f"{one.people:,}", one.name(language), one.rule.words(language), _fidelity(one.rule.fidelity))
        for one in topics.segments.segments
    ]
    return f"<section><h2>{said['segments']}</h2>{_table(said['people_head'], rows)}</section>" if rows else ""


def _person(profile: Profile, names: Sequence[str], language: str) -> str:
    said = _WORDS[language]
    events = str(said["events"]).format(profile.events)
    sentences = [profile.words(language)]
    if profile.segment:
        kind = profile.segment
        fidelity = f"{said['people_head'][-1]} {_fidelity(kind.rule.fidelity)}"
        sentences.append(
            " · ".join([kind.name(language), *([kind.rule.words(language), fidelity] if kind.rule.conditions else [])])
        )
    if profile.known:
        sentences.append(str(said[profile.source]))
    said_of = "".join(f"<p>{escape(str(sentence))}</p>" for sentence in sentences)
    figures = "".join(_figure(name) for name in names)
    head = f"<h2>{escape(profile.user_id)} <small>{escape(events)}</small></h2>"
    return f'<section>{head}{said_of}<div class="figures">{figures}</div></section>'


def _figure(name: str) -> str:
    kind = " river" if name.startswith("interests-") else ""
    return f'<div class="figure{kind}" id="{name}"></div>'


def _fidelity(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(head: object, rows: Sequence[Sequence[str]]) -> str:
    assert isinstance(head, tuple)
    titles = "".join(f'<th scope="col">{escape(title)}</th>' if title else "<td></td>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    label = escape(" · ".join(filter(None, head)))
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{table}</div>'
