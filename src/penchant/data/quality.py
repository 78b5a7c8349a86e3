"""The data-quality report: what came in, what left and why, and what the rest looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np

from penchant.data import engine
from penchant.data.engine import Table
from penchant.types import DAY, Clock, Int

GAPS = {"same second": 1, "up to a minute": 60, "half an hour": 1800, "a day": 86_400, "a week": 604_800}
"""Upper bounds, in seconds, of the classes of time between a user's events."""
NOBODY = ("nan", "NaN", "NAN", "NA", "N/A", "<NA>", "null", "NULL", "Null", "None", "none", "undefined", "\\N")
"""Words that programs write for what is missing; as ids they are as good as others, but seldom meant."""
QUANTILES = (0, 25, 50, 75, 95, 100)


class Quality:
    """Sums up cleaned events piece by piece; each user's events come in one piece."""

    def __init__(self) -> None:
        self._user_counts: list[Int] = []
        self._item_counts: list[Table] = []
        self._nobody: dict[str, int] = {}
        self._sums = dict.fromkeys(("ties", "repeats", "sessions", "dwell"), 0)
        self._gaps = dict.fromkeys((*GAPS, "longer"), 0)
        self._days: list[Int] = []
        self._span: list[tuple[int, int]] = []
        self.event_types: dict[str, int] = {}
        """How many events of each type have been added."""

    def add(self, events: Table) -> None:
        """Count a piece of the cleaned log, in order, with its features and ``row``."""
        if len(events) == 0:
            return
        users = events.group_by("_user").agg(nw.len().alias("events"), nw.col("session_number").max(), nw.col("user_id").min())
        self._nobody |= dict(users.filter(nw.col("user_id").is_in(NOBODY)).select("user_id", "events").iter_rows())
        self._user_counts.append(users["events"].to_numpy())
        self._item_counts.append(events.group_by("item_id").agg(nw.len().alias("events")))
        self._sums["repeats"] += len(engine.repeats(events, ["_user", "item_id"]))
        self._sums["sessions"] += int((users["session_number"] + 1).sum())
        self._sums["dwell"] += len(events) - int(events["dwell"].null_count())
        gap = events["gap"].drop_nulls().to_numpy()
        self._sums["ties"] += int((gap == 0).sum())
        below = [0, *(int((gap < bound).sum()) for bound in GAPS.values()), len(gap)]
        for name, count in zip(self._gaps, np.diff(below), strict=True):
            self._gaps[name] += int(count)
        self._span.append((int(events["timestamp"].min()), int(events["timestamp"].max())))
        self._days.append(events.select(nw.col("timestamp") // DAY)["timestamp"].unique().to_numpy())
        for name, count in events.group_by("event_type").agg(nw.len()).iter_rows():
            self.event_types[name or ""] = self.event_types.get(name or "", 0) + int(count)

    @property
    def events(self) -> int:
        """How many events have been added."""
        return int(sum(counts.sum() for counts in self._user_counts))

    def item_counts(self) -> Table:
        """Every item that occurs, with its ``events``, in the order of ids."""
        counts = nw.concat(self._item_counts).lazy().group_by("item_id").agg(nw.col("events").sum())
        return engine.collect(counts.sort("item_id"))

    def notes(self) -> list[str]:
        """What to look at: users and items called by a word for what is missing."""
        items = self.item_counts().filter(nw.col("item_id").is_in(NOBODY)).select("item_id", "events").iter_rows()
        found = [("user", *pair) for pair in sorted(self._nobody.items())] + [("item", *pair) for pair in items]
        return [
            f"the {what} {word!r} has {count:,} events; if that word stands for a missing {what}, add --missing {word}"
            for what, word, count in found
        ]

    def report(self, clock: Clock) -> dict[str, Any]:
        """The figures of the cleaned log, ready for JSON; shares are of all events that stayed."""
        users = np.concatenate(self._user_counts)
        items = self.item_counts()["events"].to_numpy()
        rows = self.events
        report: dict[str, Any] = {
            "events": rows,
            "users": len(users),
            "items": len(items),
            "event_types": dict(sorted(self.event_types.items())),
            "events_per_user": _quantiles(users),
            "events_per_item": _quantiles(items),
            "users_with_one_event": int((users == 1).sum()),
            "repeats": _share(self._sums["repeats"], rows),
        }
        if clock == "index":
            return report
        days = np.unique(np.concatenate(self._days))
        silence = int(np.diff(days).max(initial=1)) - 1
        return report | {
            "first_event": _iso(min(low for low, _ in self._span)),
            "last_event": _iso(max(high for _, high in self._span)),
            "sessions": self._sums["sessions"],
            "ties": _share(self._sums["ties"], rows),
            "time_since_last_event": {name: _share(n, max(rows - len(users), 1)) for name, n in self._gaps.items()},
            "days_with_events": len(days),
            "longest_gap_days": silence,
            "dwell_known": _share(self._sums["dwell"], rows),
        }


def _quantiles(counts: Int) -> dict[str, float]:
    values = np.percentile(counts, QUANTILES)
    names = ("min" if q == 0 else "max" if q == 100 else f"{q}%" for q in QUANTILES)
    return {name: float(value) for name, value in zip(names, values, strict=True)} | {"mean": float(counts.mean())}


def _share(part: int, whole: int) -> dict[str, float]:
    return {"events": part, "share": part / whole}


def _iso(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[s]")) + "Z"


def describe(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A manifest as lines for a person: a label and what to say."""
    quality = manifest["quality"]
    lines = [
        ("rows in", f"{manifest['rows_in']:,}"),
        ("rows out", f"{quality['events']:,}"),
        *((f"  left: {step}", f"{n:,}") for step, n in manifest["dropped"].items() if n),
        *(
            (f"  filled: {column}", f"{n:,} with {manifest['config'][column]!r}")
            for column, n in manifest["filled"].items()
            if n
        ),
        ("dialect", manifest["dialect"]),
        ("times", manifest["times"]),
        ("users", f"{quality['users']:,} ({quality['users_with_one_event']:,} with one event)"),
        ("items", f"{quality['items']:,}"),
        ("event types", ", ".join(f"{name} {n:,}" for name, n in quality["event_types"].items())),
        ("events per user", _spread(quality["events_per_user"])),
        ("events per item", _spread(quality["events_per_item"])),
        ("repeats of a user's item", _part(quality["repeats"])),
    ]
    if "ties" in quality:
        lines += [
            ("first event", quality["first_event"]),
            ("last event", quality["last_event"]),
            ("days with events", f"{quality['days_with_events']:,} (longest gap, in days: {quality['longest_gap_days']:,})"),
            ("sessions", f"{quality['sessions']:,}"),
            ("ties", f"{_part(quality['ties'])} at the instant of the user's event before; they keep the log's order"),
            ("time since last event", ", ".join(f"{n} {x['share']:.0%}" for n, x in quality["time_since_last_event"].items())),
        ]
        if quality["dwell_known"]["events"]:
            lines.append(("dwell time known", _part(quality["dwell_known"])))
    return lines + [("note", words) for words in manifest.get("notes", ())]


def _spread(quantiles: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in quantiles.items())


def _part(share: Mapping[str, float]) -> str:
    return f"{share['events']:,} ({share['share']:.1%})"
