"""Profiles: what a person has always liked and what they want right now, how far the two are apart, and their habits.

Long-term and short-term are shares of topics, from one of two sources, and a profile says which:

- ``"network"``, for ``longshort``: what each of the network's two memories would recommend by itself,
  ``softmax(memory · items + bias)`` over the catalogue, summed over the items of each topic.
- ``"history"``, for every other model: topics of all past events, an event ``LONG_DAYS`` old weighing half (in logs without
  times: ``LONG_EVENTS`` events ago), beside those of the last session (without times: the last ``SHORT_EVENTS`` events).

The river is made from the history in any case: it looks at each event once, where the network would have to read everything
again.
Hours and weekdays are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from penchant.interests import pictures, words
from penchant.interests.topics import Segment, Topics
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.neural.model import LongShortNetwork
from penchant.types import DAY, MICROSECONDS, UNKNOWN, Array, Clock, Float, Int, Interactions, UserState

LONG_DAYS = 90.0
LONG_EVENTS = 50.0
SHORT_EVENTS = 5
MOMENTS = 60
SESSION_GAP = 30 * 60 * MICROSECONDS
"""Where a log doesn't number sessions, a new one begins after a pause of half an hour."""
MINUTE = 60 * MICROSECONDS
LEAST = 0.5
"""A topic has a half-life if the past events of it weigh at least this much."""
LONGEST_STAY = DAY / MICROSECONDS
"""A day, in seconds: a log that says more doesn't tell how long anybody stayed, and a mean of any numbers may be infinite."""
SAID, LEAST_SAID = 3, 0.005
"""Topics a sentence names, and the least share it tells."""


@dataclass(frozen=True)
class Past:
    """What one person did, oldest first: ``item[m]`` as codes of the topics' items (or ``UNKNOWN``), ``timestamp[m]``
    microseconds, ``session[m]`` numbers that don't descend; where the log has it, how much of an item they took in
    (``completion[m]`` in [0, 1], NaN where unknown) and how long they stayed (``dwell[m]`` seconds, which ``habits`` bounds).
    """

    item: Int
    timestamp: Int
    session: Int
    clock: Clock = "real"
    completion: Array | None = None
    dwell: Array | None = None

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Habits:
    """When and how a person comes. Shares of events by hour and weekday (all 0 in a log without times), sessions, and what a
    session is like; ``None`` where the log doesn't tell, and left out of JSON.
    """

    hours: tuple[float, ...] = (0.0,) * 24
    weekdays: tuple[float, ...] = (0.0,) * 7
    sessions: int = 0
    session_minutes: float | None = None
    events_per_session: float | None = None
    completion: float | None = None
    dwell_seconds: float | None = None


@dataclass(frozen=True)
class River:
    """Topic shares at up to ``MOMENTS`` events: ``times[r]``, ``long_term[r, T]``, ``short_term[r, T]``."""

    times: Int
    long_term: Float
    short_term: Float
    clock: Clock = "real"

    def moments(self) -> list[Any]:
        """The times as ISO 8601, or in a log without times the number of the event."""
        if self.clock == "index":
            return [int(time) // MICROSECONDS for time in self.times]
        return [datetime.fromtimestamp(int(time) / MICROSECONDS, UTC).isoformat(timespec="seconds") for time in self.times]

    def drift(self) -> Array:
        """How far long-term and short-term lay apart at each moment, ``[r]``."""
        return jensen_shannon(self.long_term, self.short_term)


@dataclass(frozen=True)
class Profile:
    """A person's interests. ``long_term[T]`` and ``short_term[T]`` sum to 1; ``half_life[T]`` is the age in days,
    counted back from the last event, that half of what was done with a topic is younger than (NaN where nothing was, or the log
    has no times).
    """

    user_id: str
    known: bool
    events: int
    names: tuple[str, ...]
    long_term: Float
    short_term: Float
    half_life: Array
    drift: float
    habits: Habits
    river: River
    source: str
    segment: Segment | None = field(default=None)

    def plot(self, language: str = "en", theme: str = "light") -> Any:
        """The river as a Plotly figure, for a notebook. ``PenchantError`` where Plotly isn't installed."""
        return pictures.figure(pictures.river(self, language=language, theme=theme))

    def words(self, language: str = "en") -> str:
        """What is known of the person, in a sentence or two."""
        words.check_language(language)
        return _said(self, language)

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """As plain JSON: what ``GET /api/user/{id}/interests`` answers. The segment is told in ``language``."""
        return {
            "user_id": self.user_id,
            "known": self.known,
            "events": self.events,
            "topics": [
                {
                    "topic": topic,
                    "name": name,
                    "long_term": float(self.long_term[topic]),
                    "short_term": float(self.short_term[topic]),
                    "half_life_days": None if np.isnan(self.half_life[topic]) else float(self.half_life[topic]),
                }
                for topic, name in enumerate(self.names)
            ],
            "drift": self.drift,
            "habits": {name: value for name, value in asdict(self.habits).items() if value is not None},
            "river": {
                "times": self.river.moments(),
                "long_term": self.river.long_term.tolist(),
                "short_term": self.river.short_term.tolist(),
            },
            "source": self.source,
            "segment": self.segment
            and {
                "name": self.segment.name(language),
                "rule": self.segment.rule.words(language),
                "fidelity": self.segment.rule.fidelity,
            },
            "words": {each: self.words(each) for each in words.LANGUAGES},
        }


def profile(topics: Topics, past: Past, user_id: str, now: int, memories: tuple[Float, Float] | None = None) -> Profile:
    """The profile of a person with a past at the moment ``now``; ``memories`` are what ``shares_of_memories`` says of them.

    Who has no past with any item of the topics isn't known: both shares are those of what everybody does.
    """
    known = bool((past.item != UNKNOWN).any())
    river = flow(topics, past)
    if memories is None or not known:
        source, long, short = "history", river.long_term[-1], river.short_term[-1]
    else:
        source, (long, short) = "network", memories
    distance = float(jensen_shannon(long[None], short[None])[0])
    found = habits(past)
    segment = topics.segments.of(features(topics, past, found, river, now)) if known else None
    half = half_lives(topics, past)
    names = tuple(topics.names)
    return Profile(user_id, known, len(past), names, long, short, half, distance, found, river, source, segment)


def jensen_shannon(first: Array, second: Array) -> Array:
    """The Jensen-Shannon distance of distributions, row by row ``[n]``: 0 if equal, 1 if they share nothing (base 2; Endres and
    Schindelin 2003).

    >>> jensen_shannon(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])).tolist()
    [1.0, 0.0]
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    middle = (first + second) / 2

    def divergence(one: Array) -> Array:
        ratio = np.divide(one, middle, out=np.ones_like(middle), where=one > 0)
        return np.asarray((one * np.log2(ratio)).sum(axis=1))

    return np.asarray(np.sqrt(np.clip((divergence(first) + divergence(second)) / 2, 0, 1)))


def shares_of_memories(model: Model, state: UserState, topics: Topics) -> tuple[Float, Float] | None:
    """Long-term and short-term topic shares, each ``[n, T]``, from the network's memories; ``None`` for a model
    whose scores don't come from two.
    """
    network, prefix = model, ""
    if isinstance(model, Blend):
        speaking = {
            name: member for (name, member), weight in zip(model.members.items(), model.coefficients, strict=True) if weight
        }
        name, network = next(((n, m) for n, m in speaking.items() if isinstance(m, LongShortNetwork)), ("", model))
        prefix = f"{name}/"
    arrays = state.arrays
    if not isinstance(network, LongShortNetwork) or not {f"{prefix}long", f"{prefix}short"} <= arrays.keys():
        return None
    weights = network.weights()
    membership, embedding, bias = topics.membership, weights["embedding"], weights["bias"]
    if topics.items != model.items:
        codes = topics.items.codes(model.items.ids)
        known = np.flatnonzero(codes != UNKNOWN)
        membership, embedding, bias = membership[codes[known]], embedding[known], bias[known]

    def shares(interest: Float) -> Float:
        scores = interest @ embedding.T + bias
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(likely @ membership / likely.sum(axis=1, keepdims=True), np.float32)

    return shares(arrays[f"{prefix}long"]), shares(arrays[f"{prefix}short"])


def flow(topics: Topics, past: Past) -> River:
    """The river of a person's past. Each event is looked at once: a moment's weights are those of the moment before, faded, and
    what came since; the last session is a difference of running sums.
    """
    known = past.item != UNKNOWN
    item, timestamp, session = past.item[known], past.timestamp[known], past.session[known]
    if len(item) == 0:
        nobody = topics.popularity[None]
        return River(np.zeros(1, np.int64), nobody, nobody, past.clock)
    at = np.unique(np.linspace(0, len(item) - 1, min(MOMENTS, len(item))).astype(np.int64))
    if past.clock == "real":
        age = (timestamp[-1] - timestamp) / (LONG_DAYS * DAY)
        first = np.searchsorted(session, session[at])
    else:
        age = np.arange(len(item))[::-1] / LONG_EVENTS
        first = np.maximum(at - (SHORT_EVENTS - 1), 0)
    membership = topics.membership[item]
    running = _running(membership)
    return River(timestamp[at], _faded(membership, age, at), _shares(running[at + 1] - running[first]), past.clock)


def _faded(membership: Float, age: Array, at: Int) -> Float:
    """At each event of ``at[r]`` (the last among them) the shares ``[r, T]`` of all up to it, weights halving with each
    ``age`` more.
    """
    begins = np.append(0, at[:-1] + 1)
    moment = np.repeat(at, np.diff(np.append(begins, len(age))))
    weight = np.exp2(age[moment] - age).astype(np.float32)
    sums = np.add.reduceat(membership * weight[:, None], begins, axis=0).astype(np.float64)
    fading = np.exp2(np.diff(age[at], prepend=age[0]))
    for row in range(1, len(at)):
        sums[row] += fading[row] * sums[row - 1]
    return _shares(sums)


def _running(membership: Float) -> Array:
    """Of each place the sum of all rows before it, ``[m + 1, T]``."""
    total = np.zeros((len(membership) + 1, membership.shape[1]))
    np.cumsum(membership, axis=0, dtype=np.float64, out=total[1:])
    return total


def _shares(weights: Array) -> Float:
    """Each row's parts of its sum."""
    return np.asarray(np.maximum(weights, 0) / weights.sum(axis=1, keepdims=True), np.float32)


def half_lives(topics: Topics, past: Past) -> Array:
    """The age in days ``[T]``, counted back from the last event, that half of what was done with each topic is younger
    than: the median of events' ages, weighed by how much their items belong to it. NaN where that is less than ``LEAST``
    events, or the log has no times.
    """
    known = past.item != UNKNOWN
    if past.clock != "real" or not known.any():
        return np.full(len(topics), np.nan)
    age = ((past.timestamp[-1] - past.timestamp[known]) / DAY)[::-1]
    weight = np.cumsum(topics.membership[past.item[known][::-1]], axis=0, dtype=np.float64)
    place = (weight >= weight[-1] / 2).argmax(axis=0)
    return np.where(weight[-1] >= LEAST, age[place], np.nan)


def habits(past: Past) -> Habits:
    """When and how a person comes."""
    if len(past) == 0:
        return Habits()
    completion = _mean(past.completion)
    dwell = None if past.dwell is None else _mean(np.clip(past.dwell, 0, LONGEST_STAY))
    if past.clock != "real":
        return Habits(completion=completion, dwell_seconds=dwell)
    hour = past.timestamp // (60 * MINUTE) % 24
    weekday = (past.timestamp // DAY + 3) % 7  # 1970 began on a Thursday
    begins = np.flatnonzero(np.append(True, past.session[1:] != past.session[:-1]))
    lasted = past.timestamp[np.append(begins[1:], len(past)) - 1] - past.timestamp[begins]
    return Habits(
        hours=tuple((np.bincount(hour, minlength=24) / len(past)).tolist()),
        weekdays=tuple((np.bincount(weekday, minlength=7) / len(past)).tolist()),
        sessions=len(begins),
        session_minutes=float(np.median(lasted) / MINUTE),
        events_per_session=len(past) / len(begins),
        completion=completion,
        dwell_seconds=dwell,
    )


def _mean(values: Array | None) -> float | None:
    return None if values is None or np.isnan(values).all() else float(np.nanmean(values))


def features(topics: Topics, past: Past, found: Habits, river: River, now: int) -> dict[str, float]:
    """What tells kinds of people apart, as numbers a person understands; NaN where the log doesn't tell."""
    days = (now - past.timestamp[0]) / DAY if past.clock == "real" else np.nan
    values = {
        "events": float(len(past)),
        "events_per_week": len(past) * 7 / max(days, 1.0) if past.clock == "real" else np.nan,
        "days_since_last": max(0.0, (now - past.timestamp[-1]) / DAY) if past.clock == "real" else np.nan,
        "events_per_session": found.events_per_session or np.nan,
        "evening": sum(found.hours[18:]) if past.clock == "real" else np.nan,
        "weekend": sum(found.weekdays[5:]) if past.clock == "real" else np.nan,
        "repeats": 1 - len(np.unique(past.item)) / len(past),
        "completion": np.nan if found.completion is None else found.completion,
        "dwell": np.nan if found.dwell_seconds is None else found.dwell_seconds,
        "drift_now": float(river.drift()[-1]),
    }
    return values | {f"long:{name}": float(s) for name, s in zip(topics.names, river.long_term[-1], strict=True)}


def sessions(timestamp: Int) -> Int:
    """Numbers of sessions ``[m]``, a new one after each pause of half an hour."""
    return np.concatenate([[0], np.cumsum(np.diff(timestamp) > SESSION_GAP)])[: len(timestamp)]


def pasts(log: Interactions, topics: Topics, more: Mapping[str, Array] | None = None) -> list[Past]:
    """The past of each of a log's users, in their order; ``more`` are its columns ``completion`` and ``dwell``, ``[m]``."""
    item = log.items.translation(topics.items)[log.item]
    ends = np.cumsum(np.bincount(log.user, minlength=len(log.users)))
    return [
        Past(
            item[start:end],
            log.timestamp[start:end],
            log.session[start:end],
            log.clock,
            **{name: values[start:end] for name, values in (more or {}).items()},
        )
        for start, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True)
    ]


def _said(found: Profile, language: str) -> str:
    long, short = (_largest(found, shares, language) for shares in (found.long_term, found.short_term))
    if not found.known:
        return {
            "en": f"Nothing is known of {found.user_id} yet: they get what newcomers get, and see here what everybody likes "
            f"({long}). The first event changes both.",
            "zh": f"还没有{found.user_id}的记录：先按新用户推荐，这里显示的是大家的兴趣（{long}）。有了第一个事件就会改变。",
        }[language]
    far = {"en": ("much as always", "somewhat different", "quite different"), "zh": ("与平时相近", "有所变化", "变化很大")}
    degree = far[language][int(np.searchsorted([0.2, 0.5], found.drift))]
    return {
        "en": f"Long-term: {long}. Right now: {short}, {degree} (drift {found.drift:.2f} of 1).",
        "zh": f"长期兴趣：{long}。当前兴趣：{short}，{degree}（漂移{found.drift:.2f}，最大为1）。",
    }[language]


def _largest(found: Profile, shares: Float, language: str) -> str:
    order = np.argsort(-shares, kind="stable")[:SAID].tolist()
    told = [f"{found.names[topic]} {words.share(float(shares[topic]))}" for topic in order if shares[topic] >= LEAST_SAID]
    return words.listed(told, language)
