"""What an event's place in its user's history tells. Causal throughout: no feature looks at a later event."""

from __future__ import annotations

import narwhals as nw

from penchant.data import engine
from penchant.data.engine import Table
from penchant.types import DAY, MICROSECONDS

FEATURES = ("gap", "session_number", "event_number", "rate", "dwell")


def add_features(events: Table, *, session_gap: int, positions: bool) -> Table:
    """Add the feature columns to cleaned events in the total order (``engine.in_order``).

    - ``gap`` (float32, seconds): time since the user's last event; null at the first.
    - ``session_number`` (int32): the log's own sessions where it has them, else a new one whenever ``gap`` exceeds
      ``session_gap`` microseconds; from 0. Where sessions come by turns (of two devices, say), one that was there before goes
      on, with what came between; after such a pause it is another visit.
    - ``event_number`` (int32): events of this user before this one.
    - ``rate`` (float32, events per day): how often the user came, up to and with this event; the first day counts whole.
    - ``dwell`` (float32, seconds): how long the user stayed, where the log says so.

    With ``positions`` the log had no times: an event's time becomes its index, one second apart.
    """
    events = engine.number_events(events)
    if positions:
        events = events.with_columns((nw.col("event_number").cast(nw.Int64) * MICROSECONDS).alias("timestamp"))
    events = engine.before(events, "timestamp", into="_last_time")
    events = engine.before(events, "session_id", into="_last_session")
    gap = nw.col("timestamp") - nw.col("_last_time")
    named = ~nw.col("session_id").is_null()
    changed = (nw.col("session_id") != nw.col("_last_session")) | nw.col("_last_session").is_null()
    first = nw.col("event_number") == nw.col("event_number").min().over("_user", "session_id")
    new = (
        nw.when(named & changed & first)
        .then(nw.lit(True))
        .when(named & ~changed)
        .then(nw.lit(False))
        .otherwise(gap > session_gap)
    )
    later = nw.col("event_number") > 0
    events = events.with_columns(
        (gap / MICROSECONDS).cast(nw.Float32).alias("gap"),
        (new & later).fill_null(False).cast(nw.Int32).cum_sum().alias("_session"),
    )
    events = engine.since_first(events, "_session", into="session_number")
    events = engine.since_first(events, "timestamp", into="_elapsed")
    days = (nw.col("_elapsed") / DAY).clip(1.0)
    return events.with_columns(
        ((nw.col("event_number") + 1) / days).cast(nw.Float32).alias("rate"),
        nw.col("dwell").cast(nw.Float32),
    )
