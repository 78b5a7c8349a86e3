"""What a log's times mean: seconds, milliseconds, microseconds, nanoseconds, ISO 8601, another notation, or mere order.

Told from the values; a log that mixes two is refused rather than guessed at.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import narwhals as nw

from penchant.data import engine
from penchant.data.engine import Frame
from penchant.data.files import shortened
from penchant.types import PenchantError

UNITS = ("s", "ms", "us", "ns", "iso", "ymd", "index")
"""Units by name. A unit may also be a notation of strptime, such as ``%d.%m.%Y %H:%M``."""
NOTATIONS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%d %H:%M:%S%.f %z UTC",
)
"""Notations read without asking: Twitter's and Foursquare's, that of e-mail (RFC 5322), Go's, and others that have but one
meaning.
"""
DOUBTFUL = tuple(
    day + clock
    for day in (
        *("%d.%m.%y", "%d.%m.%Y", "%m/%d/%y", "%m/%d/%Y", "%d/%m/%y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
        *("%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y"),
    )
    for clock in (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "", ", %H:%M", ", %I:%M %p")
)
"""Notations that only whoever wrote the log can be sure of: suggested, never taken without asking."""

# A number is taken for a moment of the unit in which it lies between 1990 and 2100 (seconds: from 1973 on, so that
# the four ranges don't overlap). Smaller numbers throughout are positions in a sequence.
RANGES = {"s": (1e8, 4.1e9), "ms": (6.3e11, 4.1e12), "us": (6.3e14, 4.1e15), "ns": (6.3e17, 4.1e18)}
SMALL = 1e8
SAMPLE = 1000
"""So many times that aren't told by themselves are looked at for how they are written."""
SHEET_DAYS = (25_569, 73_050)
"""Days since 1900 of the years 1970 to 2099: what a spreadsheet counts instead of dates."""
TO_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3, "index": 1e6}
WHOLE = {unit: int(factor) for unit, factor in TO_MICROSECONDS.items() if factor >= 1}
"""Units in which whole numbers stay whole."""

WORDS = {
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "iso": "dates in ISO 8601, UTC unless they say otherwise",
    "ymd": "days written as 20240531",
    "index": "positions: order without times",
}
NAMES = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "iso": "dates",
    "ymd": "days like 20240531",
    "index": "small numbers, as positions are",
}
KNOWN = "times are seconds or milliseconds since 1970, or ISO 8601 (2024-05-31T18:30:00Z)"
# Numbers beyond this many microseconds either way are no time at all; cutting them here keeps them in 64 bits.
FAR = 9e18


def check_unit(unit: str) -> str:
    """The unit, if it is one. Raises ``PenchantError`` for other words."""
    if unit not in UNITS and "%" not in unit:
        raise PenchantError(
            f"{unit!r} is not a unit of time; the units are {', '.join(UNITS)}, and notations such as '%d.%m.%Y %H:%M'"
        )
    if "%Z" in unit:
        raise PenchantError(f"{unit!r}: a zone's name (%Z) doesn't say how far from UTC it is; write times with offsets (%z)")
    return unit


def described(unit: str) -> str:
    """A unit in words."""
    return WORDS.get(unit, f"dates written {unit}, UTC unless they say otherwise")


@dataclass(frozen=True)
class _Found:
    count: int
    first_row: int


def tell_unit(frame: Frame, name: str, where: Callable[[int], str]) -> str:
    """The unit of the raw ``timestamp`` column of the log ``name``; ``where(row)`` names a row's file and line.

    Raises ``PenchantError`` where units are mixed, or most values are no time in any notation.
    """
    dtype = frame.collect_schema()["timestamp"]
    if isinstance(dtype, nw.Datetime | nw.Date):
        return "iso"
    frame = _with_numbers(frame)
    number = nw.col("_number")
    masks = {unit: number.is_between(low, high, closed="left") for unit, (low, high) in RANGES.items()}
    masks["small"] = (number >= 0) & (number < SMALL)
    masks["ymd"] = _is_day(number)
    masks["sheet"] = number.is_between(*SHEET_DAYS) & (number != number.round(0))
    masks["hours"] = _is_hour(number)
    masks["number"] = ~number.is_null()
    masks["iso"] = ~nw.col("_moment").is_null()
    masks["unreadable"] = ~nw.col("timestamp").is_null() & number.is_null() & nw.col("_moment").is_null()
    found = _count(frame, name, masks)
    present = sum(found[m].count for m in ("number", "iso", "unreadable"))
    if present == 0:
        return "index"
    kinds = {unit: found[unit] for unit in (*RANGES, "iso") if found[unit].count}
    if found["unreadable"].count:
        kinds |= _written_otherwise(frame, name, found["unreadable"], present, where)
    small = found["small"].count
    if small > present / 2 or not kinds:  # few of them among others are no times, and leave
        if found["sheet"].count > found["number"].count / 2:
            raise PenchantError(
                f"{where(found['sheet'].first_row)}, field timestamp: is a spreadsheet's count of days; write it as a date "
                "(2024-05-31 18:30:00), or say --time-unit index if such numbers are but an order"
            )
        days = found["ymd"].count > found["number"].count / 2  # of positions, one in a hundred looks like a day
        kinds["ymd" if days else "index" if kinds or small == found["number"].count else "s"] = found["small"]
    common, *others = sorted(kinds, key=lambda unit: -kinds[unit].count)
    if others:
        raise PenchantError(
            f"{where(kinds[others[-1]].first_row)}, field timestamp: is in {_named(others[-1])} where most of the log is in "
            f"{_named(common)}; make them one, or say --time-unit {shlex.quote(common)} to drop the others"
        )
    if found["hours"].count > present / 2:
        raise PenchantError(
            f"{where(found['hours'].first_row)}, field timestamp: is a day and an hour in one number; write it as a date "
            "(2024-05-31 18:00), or say --time-unit s if these are seconds since 1970"
        )
    return common


def _named(unit: str) -> str:
    return NAMES.get(unit, f"dates written {unit}")


def _written_otherwise(
    frame: Frame, name: str, unreadable: _Found, present: int, where: Callable[[int], str]
) -> dict[str, _Found]:
    """The notations of text that isn't ISO 8601, as far as they have but one meaning. Raises ``PenchantError`` where most of
    the log is written in none of them, suggesting one if it can.
    """
    odd = frame.filter(nw.col("_number").is_null() & nw.col("_moment").is_null() & ~nw.col("timestamp").is_null())
    sample = engine.collect(odd.select("row", nw.col("timestamp").cast(nw.String)).head(SAMPLE), name)
    values, rows = sample["timestamp"].to_list(), sample["row"].to_list()
    found = {}
    for notation in NOTATIONS:
        if count := _written(values, notation):
            first = next(row for row, value in zip(rows, values, strict=True) if _written([value], notation))
            found[notation] = _Found(count, first)
    if found:
        most = max(found, key=lambda notation: found[notation].count)
        return found | {most: replace(found[most], count=unreadable.count)}
    if unreadable.count <= present / 2:
        return {}
    # Whether 05/06/2024 is a day of May or of June is told by others that can be but one of the two, if by anything.
    counts = {notation: _written(values, notation) for notation in DOUBTFUL}
    most_read = max(counts.values())
    perhaps = [shlex.quote(notation) for notation, count in counts.items() if count == most_read]
    cure = f"if it is written so, say --time-unit {' or '.join(perhaps)}" if most_read else KNOWN
    raise PenchantError(f"{where(unreadable.first_row)}, field timestamp: {shortened(values[0])!r} is no time; {cure}")


def _written(values: Sequence[str], notation: str) -> int:
    """How many of the values are written so, and lie behind 1970: in another notation 24 is the year 24."""
    frame = engine.written_microseconds(engine.table({"t": values}).lazy(), "t", notation, into="us")
    return int(engine.row(frame.select((nw.col("us") >= 0).sum()))["us"] or 0)


def _is_hour(number: nw.Expr) -> nw.Expr:
    """Whether a number is an hour of such a day written as 2024053118, which lies among the seconds of 2032 to 2036."""
    return _is_day((number / 100).floor()) & (number % 100 < 24)


def _is_day(number: nw.Expr) -> nw.Expr:
    """Whether a number is a day of 1971 to 2099 written as 20240531."""
    month, day = number // 100 % 100, number % 100
    inside = number.is_between(19_710_101, 20_991_231) & month.is_between(1, 12) & day.is_between(1, 31)
    return inside & (number == number.round(0))


def _with_numbers(frame: Frame) -> Frame:
    """Add ``_number`` (the raw time as a number) and ``_moment`` (as a date, in microseconds); null where it is neither."""
    dtype = frame.collect_schema()["timestamp"]
    frame = engine.numbers(frame.with_columns(nw.col("timestamp").alias("_number")), ["_number"])
    if dtype == nw.String:  # numbers needn't be tried as dates, which takes ten times as long
        frame = frame.with_columns(nw.when(nw.col("_number").is_null()).then(nw.col("timestamp")).alias("_moment"))
        return engine.iso_microseconds(frame, "_moment", into="_moment")
    return frame.with_columns(nw.lit(None, nw.Int64).alias("_moment"))


def _count(frame: Frame, name: str, masks: dict[str, nw.Expr]) -> dict[str, _Found]:
    counts = [mask.sum().alias(kind) for kind, mask in masks.items()]
    firsts = [nw.when(mask).then(nw.col("row")).min().alias(f"{kind} first") for kind, mask in masks.items()]
    row = engine.row(frame.select(*counts, *firsts), name)
    return {mask: _Found(int(row[mask] or 0), row[f"{mask} first"] or 0) for mask in masks}


def to_microseconds(frame: Frame, unit: str) -> Frame:
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
    elif unit not in UNITS:
        frame = engine.written_microseconds(frame, "timestamp", unit, into="_moment")
        moment = nw.col("_moment")
    elif dtype == nw.Int64 and unit in WHOLE:
        far = int(FAR) // WHOLE[unit]
        moment = nw.col("timestamp").clip(-far, far) * WHOLE[unit]
    else:
        frame = _with_numbers(frame)
        if unit == "iso":
            moment = nw.col("_moment")
        elif unit == "ymd":
            frame = engine.day_microseconds(frame, "_number", into="_moment")
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
