"""What is said of interests in English and Chinese: sentences, labels, and how items' words are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from penchant.types import PenchantError

LANGUAGES = ("en", "zh")
_CHINESE = "\u3400-\u9fff"
_WORD = re.compile(rf"[{_CHINESE}]{{2,}}|[^\W\d_{_CHINESE}][^\W_{_CHINESE}]*(?:['’-][^\W_{_CHINESE}]+)*")
_LONGEST = 4
"""Characters of a Chinese word."""
_NOTHING_SAID = frozenset(
    re.findall(
        r"\w+",
        "a an the of and or for in on at to with by from as is it its into out up your you my his her their our this that not "
        "no was are be all one two de la le les el los las der die das und et y i ii iii iv "
        "oz ounce ounces fl fluid ml inch pack count set",
    )
)
_CODE = re.compile(r"[a-z]{0,2}\d+")
_DATE = re.compile(
    r"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(t|tember)?|oct(ober)?|nov(ember)?|dec(ember)?)-\d{2,4}"
)
"""A month of some year, as it stands in dates: items may share it, but it names no kind of them."""
_LABELS: Mapping[str, tuple[str, str]] = {
    "long_term": ("long-term", "长期"),
    "short_term": ("right now", "当前"),
    "memory": ("what follows what", "前后关联"),
    "neighbours": ("liked by the same people", "同好"),
    "content": ("alike by its words", "内容相似"),
    "popularity": ("popular", "热门"),
    "recent_popularity": ("popular lately", "近期热门"),
    "bias": ("popular in training", "总体偏好"),
    "river": ("Interests over time", "兴趣随时间的变化"),
    "map": ("Items by topic", "物品的主题分布"),
    "hours": ("Hour of the day (UTC)", "一天中的时段（UTC）"),
    "weekdays": ("Day of the week", "星期"),
    "habits": ("Habits", "习惯"),
    "beside": ("Long-term beside right now", "长期与当前对照"),
    "drift": ("Drift over time", "兴趣漂移"),
    "drift_now": ("drift", "兴趣漂移"),
    "share": ("share", "占比"),
    "other": ("other topics", "其他主题"),
    "drift_axis": ("distance of long-term and right now", "长期与当前的差距"),
    "events": ("events", "事件数"),
    "events_per_week": ("events a week", "每周事件数"),
    "days_since_last": ("days since the last event", "距上次事件天数"),
    "events_per_session": ("events a session", "每次会话事件数"),
    "evening": ("share of events from 18 to 24 UTC", "18至24时（UTC）的事件占比"),
    "weekend": ("share of events at weekends", "周末事件占比"),
    "repeats": ("share of repeats", "重复占比"),
    "completion": ("completion", "完成度"),
    "dwell": ("seconds stayed", "停留秒数"),
    "long": ("share of {}", "{}的占比"),
    "topic": ("topic {}", "主题 {}"),
    "found_in": ("; found in {}", "；依据：{}"),
}
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "by_silhouette": (
        "topics: {best}, by the mean silhouette of {rounds} samples ({values}), nearest {middle} of those within {alike}",
        "主题数：{best}，取{rounds}个样本的平均轮廓系数（{values}），在与最佳值相差不超过{alike}的数目中最接近{middle}",
    ),
    "as_before": ("topics: {count}, as many as before", "主题数：{count}，与之前相同"),
    "as_asked": ("topics: {count}, as asked for", "主题数：{count}，按指定"),
    "no_more_differ": ("topics: {count}, since no more of the vectors differ", "主题数：{count}，因为没有更多不同的向量"),
    "of_model": ("vectors of {model}", "{model}的向量"),
    "of_people": ("who had which items", "谁有过哪些物品"),
    "of_words": ("the items' words", "物品的文字"),
}
WEEKDAYS: Mapping[str, Sequence[str]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}


def check_language(language: str) -> None:
    """Raise ``PenchantError`` for a language that nothing is said in."""
    if language not in LANGUAGES:
        raise PenchantError(f"language is {language[:20]!r}, but must be one of {', '.join(LANGUAGES)}")


def label(name: str, language: str = "en") -> str:
    """What a thing is called; its own name where nothing else is known.

    >>> label("short_term", "zh")
    '当前'
    """
    check_language(language)
    words = _LABELS.get(name)
    return words[LANGUAGES.index(language)] if words else name


def sentence(name: str, **values: object) -> dict[str, str]:
    """How topics were found, in every language.

    >>> sentence("as_before", count=8)
    {'en': 'topics: 8, as many as before', 'zh': '主题数：8，与之前相同'}
    """
    return {language: said.format(**values) for language, said in zip(LANGUAGES, _SENTENCES[name], strict=True)}


def joined(some: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Several in a row, in every language."""
    return {language: listed([one[language] for one in some], language) for language in LANGUAGES}


def feature(name: str, language: str = "en") -> str:
    """What a feature of people or items is called: ``long:Drama`` is the share of Drama."""
    kind, _, rest = name.partition(":")
    return label("long", language).format(rest) if kind == "long" and rest else label(name, language)


def terms(value: str) -> list[str]:
    """The words of a text that can name something: no numbers, codes, dates, or words every text has.

    Chinese isn't written in words: every two, three and four characters that stand together are one, and what such share is
    left to ``distinct``.

    >>> terms("The Lord of the Rings, a173, 19-dec-2001")
    ['lord', 'rings']
    >>> terms("三体全集")
    ['三体', '三体全', '三体全集', '体全', '体全集', '全集']
    """
    found = (part for word in _WORD.findall(value) for part in _parts(word.lower()))
    return [word for word in found if len(word) > 1 and word not in _NOTHING_SAID and not _names_nothing(word)]


def _names_nothing(word: str) -> bool:
    return bool(_CODE.fullmatch(word) or _DATE.fullmatch(word))


def _parts(word: str) -> list[str]:
    if not is_chinese(word):
        return [word]
    ends = range(2, _LONGEST + 1)
    return [word[start : start + size] for start in range(len(word) - 1) for size in ends if start + size <= len(word)]


def is_chinese(word: str) -> bool:
    """Whether a term is of Chinese characters."""
    return re.fullmatch(f"[{_CHINESE}]+", word) is not None


def distinct(ranked: Iterable[str]) -> list[str]:
    """Of terms, the best first, those that don't share a character with a better Chinese one: one of several pieces of a word.

    >>> distinct(["科幻小说", "幻小", "小说", "推理", "cosy"])
    ['科幻小说', '推理', 'cosy']
    """
    kept: list[str] = []
    taken: set[str] = set()
    for word in ranked:
        if is_chinese(word):
            if taken & set(word):
                continue
            taken |= set(word)
        kept.append(word)
    return kept


def share(value: float) -> str:
    """A share as people read it."""
    return f"{value:.0%}"


def quoted(title: str, language: str = "en") -> str:
    """A title set off from the words around it."""
    return f"《{title}》" if language == "zh" else f"“{title}”"


def listed(words: Iterable[str], language: str = "en") -> str:
    """Some things in a row.

    >>> listed(["a", "b", "c"]), listed(["a", "b"], "zh")
    ('a, b and c', 'a和b')
    """
    some = list(words)
    comma, last = (", ", " and ") if language == "en" else ("、", "和")
    return last.join([comma.join(some[:-1]), some[-1]]) if len(some) > 1 else "".join(some)
