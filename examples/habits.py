"""The habits of each area, measured on its log before any model is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from penchant.data import dataset
from penchant.data.catalog import describe_items
from penchant.types import DAY, MICROSECONDS, Array, Int, Interactions

HOUR = 3600 * MICROSECONDS


@dataclass(frozen=True)
class Prepared:
    """A dataset folder, or the ``events`` of some of its people: those ``kept[m] bool`` of the folder's."""

    events: Interactions
    folder: Path
    kept: Array

    def measure(self, name: str) -> Array:
        """A column of numbers the log had beside its events, ``[len(events)] float64``."""
        return np.asarray(dataset.measure(self.folder, name)[self.kept])


@dataclass(frozen=True)
class Table:
    """What was measured, in words, and the figures."""

    words: str
    head: tuple[str, ...]
    rows: list[list[str]]


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _by_class(values: Array, edges: Iterable[float], names: Iterable[str], of: int) -> list[list[str]]:
    """Of each class of values (below the first edge, the second, …, above all) how many there are, and their share ``of``."""
    counts = np.bincount(np.searchsorted(list(edges), values, side="left"), minlength=len(list(edges)) + 1)
    return [[name, f"{count:,}", _percent(count / max(of, 1))] for name, count in zip(names, counts.tolist(), strict=True)]


def _last_same(log: Interactions) -> Int:
    """Of each event the place of the same person's last event with the same item, or -1, ``[m] int64``."""
    order = np.lexsort((np.arange(len(log)), log.item, log.user))
    same = (log.user[order][1:] == log.user[order][:-1]) & (log.item[order][1:] == log.item[order][:-1])
    last = np.full(len(log), -1)
    last[order[1:][same]] = order[:-1][same]
    return last


def repeats(prepared: Prepared) -> Table:
    """How many events are of an item the person had before, by the time since then."""
    log = prepared.events
    last = _last_same(log)
    again = np.flatnonzero(last >= 0)
    names = ("within an hour", "an hour to a day", "a day to a week", "a week to 30 days", "30 to 90 days", "later")
    edges = (HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY)
    rows = _by_class(log.timestamp[again] - log.timestamp[last[again]], edges, names, len(log))
    rows.append(["all", f"{len(again):,}", _percent(len(again) / len(log))])
    return Table("Events with an item the person had before, by the time since then", ("again", "events", "of all"), rows)


def freshness(prepared: Prepared) -> Table:
    """How old items are, since their first event by anybody, when they are turned to."""
    log = prepared.events
    first = np.full(len(log.items), np.iinfo(np.int64).max)
    np.minimum.at(first, log.item, log.timestamp)
    age = log.timestamp - first[log.item]
    later = age[age > 0]
    names = ("under an hour", "1 to 6 hours", "6 hours to a day", "1 to 3 days", "3 to 7 days", "older")
    rows = _by_class(later, (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY), names, len(later))
    middle = float(np.median(later)) / HOUR
    return Table(
        f"Age of items, since their first event, at all later events (median {middle:.1f} hours)",
        ("age", "events", "share"),
        rows,
    )


def sessions(prepared: Prepared) -> Table:
    """How alike two sessions next to each other are, and what the time of day has to do with it."""
    log = prepared.events
    key = log.user.astype(np.int64) * (int(log.session.max()) + 1) + log.session
    _, start, size = np.unique(key, return_index=True, return_counts=True)
    last = _last_same(log)
    inside = (last >= 0) & (key[last] == key)
    rows = [
        ["sessions", f"{len(start):,}"],
        ["plays in a session, median and 95%", f"{np.median(size):.0f}, {np.percentile(size, 95):.0f}"],
        ["plays of a song played before in the same session", _percent(inside.mean())],
        ["plays of a song played in an earlier session only", _percent(((last >= 0) & ~inside).mean())],
    ]
    for name, alike in (("the same part of the day", True), ("another part of the day", False)):
        shares = _shared_with_last(log, start, size, alike=alike)
        if len(shares):
            rows.append([f"songs of a session that the last one, in {name}, had too", _percent(float(shares.mean()))])
    return Table("Sessions, repeats inside and across them, and the time of day (six hours, UTC)", ("habit", "found"), rows)


def _shared_with_last(log: Interactions, start: Int, size: Int, *, alike: bool) -> Array:
    """The share of a session's songs that the session before had, of pairs in like or unlike quarters of the day."""
    part = (log.timestamp[start] // (6 * HOUR)) % 4
    pairs = (log.user[start][1:] == log.user[start][:-1]) & ((part[1:] == part[:-1]) == alike)
    found = []
    for place in np.flatnonzero(pairs).tolist():
        old, new = (set(log.item[start[p] : start[p] + size[p]].tolist()) for p in (place, place + 1))
        found.append(len(old & new) / len(new))
    return np.array(found)


def completion(log: Prepared) -> Table:
    """How much of a video is watched, and how that goes with likes and hates."""
    played, length, like, hate = (log.measure(name) for name in ("dwell", "duration_ms", "is_like", "is_hate"))
    known = length > 0
    share = 1000 * played[known] / length[known]
    edges = (0.1, 0.3, 0.7, 1.0)
    place = np.searchsorted(edges, share, side="right")
    rows = []
    for number, name in enumerate(("under a tenth", "to 30%", "to 70%", "nearly all", "to the end, or more than once")):
        some = place == number
        rates = [f"{1000 * flag[known][some].mean():.1f}" if some.any() else "" for flag in (like, hate)]
        rows.append([name, f"{some.sum():,}", _percent(some.mean()), *rates])
    head = ("watched", "impressions", "share", "likes in 1,000", "hates in 1,000")
    return Table("How much of a video is watched, and likes and hates by it", head, rows)


def attributes(prepared: Prepared) -> Table:
    """How often a purchase shares something with the one before, beside chance: an item drawn by how often it is bought."""
    log = prepared.events
    described = describe_items(prepared.folder / dataset.ITEMS)
    has = [set(str(described.get(item, {}).get("attributes", "")).split()) for item in log.items.ids]
    users = np.bincount(log.item, minlength=len(log.items))
    rare = {word for word, count in _counted(has).items() if count <= len(has) / 20}
    has = [words & rare for words in has]
    follows = np.flatnonzero(log.user[1:] == log.user[:-1]) + 1
    chance = np.random.default_rng(0).choice(len(users), len(follows), p=users / users.sum())
    rows = []
    for name, other in (("the purchase before", log.item[follows - 1]), ("a random item, as often bought", chance)):
        shared = [bool(has[a] & has[b]) for a, b in zip(log.item[follows].tolist(), other.tolist(), strict=True)]
        rows.append([name, _percent(float(np.mean(shared)))])
    words = "Purchases that share an attribute (category or brand; those of more than 5% of all items left out) with …"
    return Table(words, ("with", "share"), rows)


def _counted(has: Iterable[set[str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for words in has:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    return counts


HABITS: Mapping[str, Callable[[Prepared], Table]] = {
    table.__name__: table for table in (repeats, freshness, sessions, completion, attributes)
}
