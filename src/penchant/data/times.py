"""What a log's times mean: seconds, milliseconds, microseconds, nanoseconds, ISO 8601 or mere order.

Told from the values; a log that mixes two is refused rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import narwhals as nw

from penchant.data import engine
from penchant.data.engine import Frame
from penchant.types import PenchantError

TimeUnit = Literal["s", "ms", "us", "ns", "iso", "index"]
UNITS: tuple[str, ...] = get_args(TimeUnit)

# A number is taken for a moment of the unit in which it lies between 1990 and 2100 (seconds: from 1973 on, so that
# the four ranges don't overlap). Smaller numbers throughout are positions in a sequence.
RANGES = {"s": (1e8, 4.1e9), "ms": (6.3e11, 4.1e12), "us": (6.3e14, 4.1e15), "ns": (6.3e17, 4.1e18)}
SMALL = 1e8
TO_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3, "index": 1e6}
WORDS = {
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "iso": "dates (ISO 8601, UTC unless they say otherwise)",
    "index": "positions: order without times",
}
# Numbers beyond this many microseconds either way are no time at all; cutting them here keeps them in 64 bits.
FAR = 9e18


@dataclass(frozen=True)
class _Found:
    count: int
    first_row: int


def tell_unit(frame: Frame, where: Callable[[int], str]) -> TimeUnit:
    """The unit of the raw ``timestamp`` column; ``where(row)`` names a row's file and line in error messages.

    Raises ``PenchantError`` where units are mixed, or most values are no time in any notation.
    """
    dtype = frame.collect_schema()["timestamp"]
    if isinstance(dtype, nw.Datetime | nw.Date):
        return "iso"
    frame = _with_numbers(frame)
    number = nw.col("_number")
    masks = {unit: number.is_between(low, high, closed="left") for unit, (low, high) in RANGES.items()}
    masks["small"] = (number >= 0) & (number < SMALL)
    masks["number"] = ~number.is_null()
    masks["iso"] = ~nw.col("_moment").is_null()
    masks["unreadable"] = ~nw.col("timestamp").is_null() & number.is_null() & nw.col("_moment").is_null()
    found = _count(frame, masks)
    present = sum(found[m].count for m in ("number", "iso", "unreadable"))
    if present == 0:
        return "index"
    if found["unreadable"].count > present / 2:
        raise PenchantError(
            f"{where(found['unreadable'].first_row)}, field timestamp: is no time; "
            "times are seconds or milliseconds since 1970, or ISO 8601 (2024-05-31T18:30:00Z)"
        )
    kinds = [u for u in (*RANGES, "iso") if found[u].count]
    if len(kinds) > 1:
        common, *_, rare = sorted(kinds, key=lambda unit: -found[unit].count)
        raise PenchantError(
            f"{where(found[rare].first_row)}, field timestamp: is in {WORDS[rare].split(' since')[0]} where most of the log "
            f"is in {WORDS[common].split(' since')[0]}; make them one, or say --time-unit {common} to drop the others"
        )
    if kinds:
        return kinds[0]  # type: ignore[return-value]
    return "index" if found["small"].count else "s"


def _with_numbers(frame: Frame) -> Frame:
    """Add ``_number`` (the raw time as a number) and ``_moment`` (as a date, in microseconds); null where it is neither."""
    dtype = frame.collect_schema()["timestamp"]
    frame = engine.numbers(frame.with_columns(nw.col("timestamp").alias("_number")), ["_number"])
    if dtype == nw.String:
        return engine.iso_microseconds(frame, "timestamp", into="_moment")
    return frame.with_columns(nw.lit(None, nw.Int64).alias("_moment"))


def _count(frame: Frame, masks: dict[str, nw.Expr]) -> dict[str, _Found]:
    counts = [mask.sum().alias(name) for name, mask in masks.items()]
    firsts = [nw.when(mask).then(nw.col("row")).min().alias(f"{name} first") for name, mask in masks.items()]
    row = engine.row(frame.select(*counts, *firsts))
    return {name: _Found(int(row[name] or 0), row[f"{name} first"] or 0) for name in masks}


def to_microseconds(frame: Frame, unit: TimeUnit) -> Frame:
    """Turn the raw ``timestamp`` into Int64 microseconds; ``unreadable`` tells which weren't times, and are null.

    A log without a ``timestamp`` gets its rows' order for one.
    """
    schema = frame.collect_schema()
    if "timestamp" not in schema:
        return frame.with_columns(nw.col("row").alias("timestamp"), nw.lit(False, nw.Boolean).alias("unreadable"))
    dtype = schema["timestamp"]
    given = ~nw.col("timestamp").is_null()
    if isinstance(dtype, nw.Datetime):
        moment = nw.col("timestamp").dt.timestamp("us")
    elif isinstance(dtype, nw.Date):
        moment = nw.col("timestamp").cast(nw.Datetime("us")).dt.timestamp("us")
    else:
        frame = _with_numbers(frame)
        if unit == "iso":
            moment = nw.col("_moment")
        else:
            scaled = (nw.col("_number") * TO_MICROSECONDS[unit]).clip(-FAR, FAR).round(0)
            moment = scaled.cast(nw.Int64)
    frame = frame.with_columns(given.alias("_given"), moment.alias("timestamp"))
    frame = frame.with_columns((nw.col("_given") & nw.col("timestamp").is_null()).alias("unreadable"))
    return frame.drop("_given", "_number", "_moment", strict=False)


def moment(text: str) -> int:
    """``2024-05-31`` or ``2024-05-31T18:30:00Z`` as microseconds since 1970."""
    frame = engine.iso_microseconds(engine.table({"t": [text]}).lazy(), "t", into="us")
    value = engine.collect(frame)["us"][0]
    if value is None:
        raise PenchantError(f"{text!r} is no time; write it as 2024-05-31 or 2024-05-31T18:30:00Z")
    return int(value)
