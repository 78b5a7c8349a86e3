"""Have the events that come moved away from those a model was trained on? What it reads of them, beside what it read then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.types import DAY, UNKNOWN, Array, Sequences, Vocabulary

GROUPS = 10
"""Items are grouped by popularity: each group has about a tenth of the events of training, the first the most popular items."""
HOUR = DAY // 24


def reference(items: Vocabulary, train: Sequences) -> dict[str, Any]:
    """What ``drift`` compares with, as plain values: numbers of events in training by group of ``items`` (``group`` has a digit
    for each of them), by kind, and by hour of the day (UTC) where the log has times.
    """
    item = seq.recode(train, items).item
    events = np.bincount(item[item != UNKNOWN], minlength=len(items))
    order = np.argsort(-events, kind="stable")
    group = np.empty(len(items), np.int64)
    group[order] = GROUPS * (np.cumsum(events[order]) - events[order]) // max(1, events.sum())
    kinds = np.bincount(train.event_type, minlength=len(train.event_types))
    found: dict[str, Any] = {
        "group": "".join(map(str, np.minimum(group, GROUPS - 1).tolist())),
        "items": np.bincount(group, events, GROUPS).astype(int).tolist(),
        "event_types": dict(zip(train.event_types, kinds.tolist(), strict=True)),
    }
    return found | ({"hours": _hours(train.timestamp).tolist()} if train.clock == "real" else {})


def drift(
    known: Mapping[str, Any], items: Vocabulary, item_ids: Sequence[str], event_types: Sequence[str], timestamps: Sequence[int]
) -> dict[str, float]:
    """How far some events' ``items``, ``event_types`` and ``hours`` are from a ``reference``: population stability indices.

    ``items`` is the catalogue the reference was made of, perhaps with more at its end. Events of items that weren't in training
    aren't counted among items. Hours are left out of events that span less than a week: days differ.
    """
    group = np.array(list(known["group"]), np.int64)
    code = items.codes(item_ids)
    code = code[(code != UNKNOWN) & (code < len(group))]
    found = {"items": stability(np.array(known["items"]), np.bincount(group[code], minlength=GROUPS))}
    kinds = Vocabulary(tuple(dict.fromkeys([*known["event_types"], *event_types])))
    before = np.array([known["event_types"].get(kind, 0) for kind in kinds.ids])
    found["event_types"] = stability(before, np.bincount(kinds.codes(event_types), minlength=len(kinds)))
    moments = np.array(timestamps, np.int64)
    if "hours" in known and len(moments) and np.ptp(moments) >= 7 * DAY:
        found["hours"] = stability(np.array(known["hours"]), _hours(moments))
    return found


def _hours(timestamp: Array) -> Array:
    return np.bincount(timestamp // HOUR % 24, minlength=24)


def stability(before: Array, now: Array) -> float:
    """The population stability index of two tables of counts over the same bins: ``Σ (q - p) · log(q / p)``, 0 where shares are
    the same (Siddiqi 2006; below .1 is usually called stable, above .25 a shift). Half an event is added to each bin.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, now))
    return float(np.sum((q - p) * np.log(q / p)))
