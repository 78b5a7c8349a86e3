"""Cleaning: which events leave, why, and how many.

Each step is named, can be switched off, and is counted. All but ``rare`` look at one user at a time, so they
run on any range of users alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

import narwhals as nw

from penchant.data import engine
from penchant.data.engine import Frame, Table
from penchant.data.files import listed
from penchant.types import MICROSECONDS, Clock, PenchantError

HOUR = 3600 * MICROSECONDS
HALF_HOUR = HOUR // 2
NO_ID = "_no_id"
"""Marks events to which a log with ids gives none."""

STEPS: Mapping[str, str] = {
    "missing": "a user, an item or a time is missing",
    "unreadable_times": "the time is no time",
    "impossible_times": "the time lies outside the stated bounds",
    "duplicates": "the event was there already",
    "bots": "the user has more events in an hour than the stated bound",
    "unwanted": "the event is of a kind to leave out",
    "rare": "the user or the item has fewer events than asked for",
    "fill": "an optional value is missing and was filled",
}
"""The steps in the order they run; ``fill`` drops nothing."""


@dataclass(frozen=True)
class PrepareConfig:
    """What preparation does. Times are microseconds; the defaults keep 1971 to 2099."""

    skip: tuple[str, ...] = ()
    """Names of steps to leave out."""
    earliest: int = 365 * 24 * HOUR
    latest: int = 47482 * 24 * HOUR
    """Times outside [earliest, latest) are impossible. Not applied to logs that have order only."""
    bot_events_per_hour: int = 3600
    """A user with more events than this within one clock hour is taken for a program."""
    min_user_events: int = 1
    min_item_events: int = 1
    """Users and items with fewer events leave, repeatedly, until all that stay have enough (k-core)."""
    event_type: str = "event"
    value: float = 1.0
    """What stands in for a missing event type or value."""
    without: tuple[str, ...] = ()
    """Kinds of events (``event_type``) that leave: those that say no liking, such as a hate, or something only shown."""
    session_gap: int = HALF_HOUR
    """A longer pause begins a new session, where the log names none."""
    rows_at_once: int = 8_000_000
    """Bounds memory: a longer log is worked on in ranges of users of about so many events."""

    def __post_init__(self) -> None:
        for name in self.skip:
            if name not in STEPS:
                raise PenchantError(f"{name!r} is not a cleaning step; the steps are {', '.join(STEPS)}")
        if self.earliest >= self.latest:
            raise PenchantError("the earliest possible time must lie before the latest")
        if not self.event_type or not isfinite(self.value):
            raise PenchantError("what stands in for a missing event type must be a word, for a missing value a number")
        if min(self.bot_events_per_hour, self.min_user_events, self.min_item_events, self.rows_at_once) < 1:
            raise PenchantError("bounds on the number of events must be at least 1")
        if self.session_gap < 0:
            raise PenchantError("the pause that begins a session can't be negative")

    @property
    def fill(self) -> dict[str, str | float]:
        """By column, what stands in for a missing value."""
        return {"event_type": self.event_type, "value": self.value}


class Cleaner:
    """Applies the steps and keeps count: ``dropped`` events per step, ``filled`` values per column."""

    def __init__(self, config: PrepareConfig, clock: Clock) -> None:
        self.config = config
        self.rows_in = 0
        self.dropped = dict.fromkeys((s for s in STEPS if s not in (*config.skip, "fill")), 0)
        self.filled = dict.fromkeys([] if "fill" in config.skip else config.fill, 0)
        self._kinds: set[str] = set()
        timeless = ("impossible_times", "bots") if clock == "index" else ()
        self._finders = {step: find for step, find in FINDERS.items() if step not in timeless}

    def clean(self, events: Table) -> Table:
        """The events of some users that stay, optional columns filled.

        ``events`` are in order and have the staged columns, their times in microseconds, ``row``, ``unreadable`` and ``_user``.
        """
        self.rows_in += len(events)
        if self.config.without and "event_type" in events.columns:
            self._kinds.update(events["event_type"].drop_nulls().unique().to_list())
        for step, find in self._finders.items():
            skipped = step in self.config.skip
            if skipped and step not in CANT_STAY:
                continue
            lost = find(events, self.config)
            if skipped and len(lost):
                raise PenchantError(f"{len(lost)} events can't be kept: {STEPS[step]}; let the step {step!r} drop them")
            if len(lost):
                self.dropped[step] += len(lost)
                events = engine.without(events, lost)
        return self._fill(events)

    def notes(self) -> list[str]:
        """What to look at: kinds to leave out that no event has."""
        kinds = self._kinds | {self.config.event_type}
        absent = [word for word in self.config.without if word not in kinds]
        return [f"no event is of the kind {word!r}, which is to leave; there are {listed(sorted(kinds))}" for word in absent]

    def _fill(self, events: Table) -> Table:
        present = {c: value for c, value in self.config.fill.items() if c in self.filled and c in events.columns}
        for column in present:
            self.filled[column] += int(events[column].null_count())
        return events.with_columns(nw.col(c).fill_null(value) for c, value in present.items())


def _missing(events: Table, _: PrepareConfig) -> Table:
    no_time = nw.col("timestamp").is_null() & ~nw.col("unreadable")
    ids = [nw.col("user_id"), nw.col("item_id")]
    # Nearly all ids begin with visible ASCII: that is quickly seen, and only the others are looked at closely.
    visible = nw.all_horizontal(*((i >= "!") & (i <= "~") for i in ids), ~no_time, ignore_nulls=False)
    odd = events.filter(~visible.fill_null(False))
    blank = [i.is_null() | (i.str.strip_chars() == "") for i in ids]
    return _rows(odd, nw.any_horizontal(*blank, no_time, ignore_nulls=False))


def _unreadable(events: Table, _: PrepareConfig) -> Table:
    return _rows(events, nw.col("unreadable"))


def _impossible(events: Table, config: PrepareConfig) -> Table:
    return _rows(events, ~nw.col("timestamp").is_between(config.earliest, config.latest, closed="left"))


def _duplicates(events: Table, _: PrepareConfig) -> Table:
    """All but the first of a user's equal events, in the order of the log: by id where the log gives one."""
    content = [key for key in ("_user", "item_id", "timestamp", "event_type") if key in events.columns]
    if "event_id" not in events.columns:
        return engine.repeats(events, content)
    named, nameless = events.filter(~nw.col(NO_ID)), events.filter(nw.col(NO_ID))
    return nw.concat([engine.repeats(named, ["_user", "event_id"]), engine.repeats(nameless, content)])


def _bots(events: Table, config: PrepareConfig) -> Table:
    """All events of users who have too many in a clock hour: in order, one ``bound`` places back lies in the same hour."""
    bound = config.bot_events_per_hour
    hours = events.select("_user", (nw.col("timestamp") // HOUR).alias("hour"))
    same = (nw.col("_user") == nw.col("_user").shift(bound)) & (nw.col("hour") == nw.col("hour").shift(bound))
    busy = hours.filter(same).select("_user").unique()
    return events.join(busy, on="_user", how="semi").select("row")


def _unwanted(events: Table, config: PrepareConfig) -> Table:
    """Events of the kinds to leave out; where nothing is said of the kind, it is the one that stands in for it."""
    if "event_type" not in events.columns:
        return events.select("row").head(len(events) if config.event_type in config.without else 0)
    return _rows(events, nw.col("event_type").fill_null(config.event_type).is_in(config.without))


def _rows(events: Table, lost: nw.Expr) -> Table:
    return events.filter(lost).select("row")


FINDERS: Mapping[str, Callable[[Table, PrepareConfig], Table]] = {
    "missing": _missing,
    "unreadable_times": _unreadable,
    "impossible_times": _impossible,
    "duplicates": _duplicates,
    "bots": _bots,
    "unwanted": _unwanted,
}
"""For each step, what finds the ``row`` of the events that leave."""

CANT_STAY = ("missing", "unreadable_times")
"""Events without a user, an item or a time can't be kept: with the step switched off, they stop the work."""


def frequent(events: Frame, config: PrepareConfig) -> tuple[Table, Table]:
    """The users and the items (tables of one column) that stay when the rare ones leave, repeatedly (k-core).

    Users first, then items, until nothing changes.
    """
    users, items = None, None
    while True:
        seen = events if items is None else events.join(items.lazy(), on="item_id", how="semi")
        new_users = _at_least(seen, "user_id", config.min_user_events)
        new_items = _at_least(events.join(new_users.lazy(), on="user_id", how="semi"), "item_id", config.min_item_events)
        if users is not None and items is not None and (len(users), len(items)) == (len(new_users), len(new_items)):
            return users, items
        users, items = new_users, new_items


def _at_least(events: Frame, column: str, least: int) -> Table:
    counts = events.group_by(column).agg(nw.len().alias("events"))
    return engine.collect(counts.filter(nw.col("events") >= least).select(column))
