"""What a log's times mean."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import engine, times
from penchant.types import PenchantError

NOW = 1_700_000_000


def read(values: Sequence[object], unit: str | None = None) -> tuple[str, list[int | None], list[bool]]:
    """The unit told, the times in microseconds, and which of them were unreadable."""
    frame = engine.number_rows(engine.table({"timestamp": values}).lazy(), 0)
    unit = unit or times.tell_unit(frame, "log", lambda row: f"log line {row + 1}")
    table = engine.collect(times.to_microseconds(frame, unit))
    return unit, table["timestamp"].to_list(), table["unreadable"].to_list()


@pytest.mark.parametrize(
    ("unit", "raw", "micros"),
    [
        ("s", [NOW, NOW + 1], [NOW * 10**6, (NOW + 1) * 10**6]),
        ("s", [NOW + 0.25], [NOW * 10**6 + 250_000]),
        ("ms", [NOW * 1000 + 1], [NOW * 10**6 + 1000]),
        ("us", [NOW * 10**6 + 1], [NOW * 10**6 + 1]),
        ("ns", [NOW * 10**9 + 5000], [NOW * 10**6 + 5]),
    ],
)
@pytest.mark.parametrize("notation", [lambda x: x, str], ids=["number", "text"])
def test_the_size_of_the_numbers_tells_the_unit(unit: str, raw: list[float], micros: list[int], notation: type) -> None:
    told, found, _ = read([notation(value) for value in raw])
    assert told == unit
    assert all(abs(a - b) <= (128 if unit == "ns" else 0) for a, b in zip(found, micros, strict=True) if a is not None)


def test_small_numbers_are_positions() -> None:
    assert read([0, 1, 2]) == ("index", [0, 10**6, 2 * 10**6], [False] * 3)


@pytest.mark.parametrize("notation", [int, str, float])
def test_days_written_as_one_number_are_days(notation: type) -> None:
    days = [20240229, 20240301, 20240431]
    first = int(datetime(2024, 2, 29, tzinfo=UTC).timestamp()) * 10**6
    assert read([notation(day) for day in days]) == ("ymd", [first, first + 86_400 * 10**6, None], [False, False, True])


def test_positions_that_look_like_days_are_positions() -> None:
    assert read(list(range(20_240_000, 20_250_000, 7)))[0] == "index"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-31", "2024-05-31T00:00:00+00:00"),
        ("2024-05-31Z", "2024-05-31T00:00:00+00:00"),
        ("2024-05-31T18:30", "2024-05-31T18:30:00+00:00"),
        ("2024-05-31 18:30:01", "2024-05-31T18:30:01+00:00"),
        (" 2024-05-31T18:30:01Z ", "2024-05-31T18:30:01+00:00"),
        ("2024-05-31 18:30:01 UTC", "2024-05-31T18:30:01+00:00"),
        ("2024-05-31T18:30:01.5Z", "2024-05-31T18:30:01.500000+00:00"),
        ("2024-05-31T18:30:01,25", "2024-05-31T18:30:01.250000+00:00"),
        ("2024-05-31T18:30:01.123456789+02:00", "2024-05-31T18:30:01.123456+02:00"),
        ("2024-05-31T18:30:01-0530", "2024-05-31T18:30:01-05:30"),
        ("2024-05-31 18:30:01+02", "2024-05-31T18:30:01+02:00"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000+00:00"),
        ("9999-12-31", "9999-12-31T00:00:00+00:00"),
    ],
)
def test_iso_8601(text: str, moment: str) -> None:
    wanted = (datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read([text]) == ("iso", [wanted], [False])
    assert times.moment(text) == wanted


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["T", " "]),
)
def test_iso_8601_agrees_with_python(moment: datetime, offset: int, between: str) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert times.moment(aware.isoformat(between)) == (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2024-13-01",
        "31/05/2024",
        "yesterday",
        "2024-05-31T25:00",
        "2024-05-31T18:30+99:00",
        "20240531T1830Z",
        "2024-05-31T18:30:00.٥Z",
        "2024-05-31T18:30+0٢:00",
    ],
)
def test_what_is_no_time_is_refused_or_counted(text: str) -> None:
    with pytest.raises(PenchantError, match="is no time; write it as"):
        times.moment(text)
    with pytest.raises(PenchantError, match=r"log line 1, field timestamp: '.*' is no time; "):
        read([text])
    _, found, unreadable = read(["2024-05-31", text, "2024-06-01"])
    assert found[1] is None
    assert unreadable == [False, True, False]


def test_missing_times_are_not_unreadable() -> None:
    assert read([NOW, None]) == ("s", [NOW * 10**6, None], [False, False])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([NOW, NOW, NOW * 1000], "log line 3, field timestamp: is in milliseconds where most of the log is in seconds"),
        (
            [NOW * 10**6, NOW, NOW * 10**6],
            "log line 2, field timestamp: is in seconds where most of the log is in microseconds",
        ),
        ([str(NOW), "2024-05-31", str(NOW)], "log line 2, field timestamp: is in dates where most of the log is in seconds"),
        (
            ["20240510", "20240511", "2024-05-12"],
            "log line 3, field timestamp: is in dates where most of the log is in days like 20240531",
        ),
        ([1, 2, NOW, 3], "log line 3, field timestamp: is in seconds where most of the log is in small numbers"),
        (["45442.77", "45443.5", "2024-05-31"], "log line 1, field timestamp: is a spreadsheet's count of days"),
        (
            ["2024/06/01", "2024/05/02 10:00:00", "2024/05/03 10:00:00"],
            "log line 1, field timestamp: is in dates written %Y/%m/%d where most of the log is in dates written "
            "%Y/%m/%d %H:%M:%S; make them one, or say --time-unit '%Y/%m/%d %H:%M:%S'",
        ),
        (
            ["2024/05/02 10:00:00", "2024-05-31", "2024/05/03 10:00:00"],
            "log line 2, field timestamp: is in dates where most of the log is in dates written %Y/%m/%d %H:%M:%S",
        ),
        (
            [str(NOW), "2024/05/02", str(NOW), "soon"],
            "log line 2, field timestamp: is in dates written %Y/%m/%d where most of the log is in seconds",
        ),
        (
            [2024053110, 2024053111, 2024053112],
            "log line 1, field timestamp: is a day and an hour in one number; write it as a date (2024-05-31 18:00), or say "
            "--time-unit s",
        ),
    ],
)
def test_mixed_units_are_refused_at_the_rare_one(raw: list[object], words: str) -> None:
    with pytest.raises(PenchantError) as raised:
        read(raw)
    assert str(raised.value).startswith(words)
    assert "--time-unit" in str(raised.value)


def test_a_stated_unit_overrules_the_values() -> None:
    assert read([5, NOW], "s")[1] == [5 * 10**6, NOW * 10**6]
    assert read([5], "ms")[1] == [5000]


def test_impossible_numbers_stay_impossible_but_in_64_bits() -> None:
    raw = [str(NOW), "-5", "0", "253402300799", "9" * 30, "-" + "9" * 30, "inf", "1e400", "nan"]
    unit, found, unreadable = read(raw)
    assert unit == "s"
    assert found[:4] == [NOW * 10**6, -5 * 10**6, 0, 253402300799 * 10**6]
    assert all(value is not None and abs(value) > 8 * 10**18 for value in found[4:8])
    assert found[8] is None
    assert unreadable[8]


def test_columns_of_moments_need_no_telling() -> None:
    paris = timezone(timedelta(hours=1))
    moments = [datetime(2024, 1, 1, tzinfo=paris), datetime(2024, 1, 2, tzinfo=paris)]
    assert read(moments)[:2] == ("iso", [1704063600 * 10**6, 1704150000 * 10**6])
    assert read([datetime(2024, 1, 1).date()])[1] == [1704067200 * 10**6]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue Apr 03 18:00:09 +0000 2012", "2012-04-03T18:00:09+00:00"),
        ("Tue Apr 03 18:00:09 +0200 2012", "2012-04-03T16:00:09+00:00"),
        ("Tue, 03 Apr 2012 18:00:09 -0500", "2012-04-03T23:00:09+00:00"),
        ("Tue, 03 Apr 2012 18:00:09 GMT", "2012-04-03T18:00:09+00:00"),
        ("2012/04/03 18:00:09", "2012-04-03T18:00:09+00:00"),
        ("20120403T180009Z", "2012-04-03T18:00:09+00:00"),
        ("20120403T180009", "2012-04-03T18:00:09+00:00"),
        ("2012-04-03 18:00:09 +0000 UTC", "2012-04-03T18:00:09+00:00"),  # as Go prints times
        ("2012-04-03 18:00:09.5 +0000 UTC", "2012-04-03T18:00:09.5+00:00"),
    ],
)
def test_notations_with_one_meaning_are_read_without_asking(text: str, moment: str) -> None:
    wanted = (datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    unit, found, unreadable = read([text, "soon", text])
    assert unit in times.NOTATIONS
    assert (found, unreadable) == ([wanted, None, wanted], [False, True, False])
    assert times.described(unit).startswith(f"dates written {unit}")


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ("31.05.2024 18:30", "%d.%m.%Y %H:%M"),
        ("05/31/2024 06:30:00 PM", "%m/%d/%Y %I:%M:%S %p"),
        ("31/05/2024", "%d/%m/%Y"),
        ("5/31/24", "%m/%d/%y"),
        ("May 31, 2024, 18:30", "%b %d, %Y, %H:%M"),
    ],
)
def test_doubtful_notations_are_suggested_and_work_when_said(text: str, notation: str) -> None:
    with pytest.raises(PenchantError, match="is no time; if it is written so, say --time-unit") as raised:
        read([text])
    assert shlex.split(str(raised.value).rpartition("--time-unit ")[2]) == [notation]
    _, [found], _ = read([text], times.check_unit(notation))
    assert found is not None
    assert found // 86_400_000_000 == (datetime(2024, 5, 31) - datetime(1970, 1, 1)).days


def test_of_days_and_months_the_rest_of_the_log_tells_which_is_which() -> None:
    for others, notations in (
        (["31/05/2024"], ["%d/%m/%Y"]),
        (["05/31/2024"], ["%m/%d/%Y"]),
        (["07/08/2024"], ["%m/%d/%Y", "or", "%d/%m/%Y"]),
    ):
        with pytest.raises(PenchantError, match="'05/06/2024' is no time") as raised:
            read(["05/06/2024", *others])
        assert shlex.split(str(raised.value).rpartition("--time-unit ")[2]) == notations


def test_a_spreadsheets_days_are_no_places_in_an_order() -> None:
    with pytest.raises(PenchantError, match="line 1, field timestamp: is a spreadsheet's count of days"):
        read([45442.7708, 45443.5, 45444.0])
    assert read([45442.0, 45443.0])[0] == "index"
    assert read([0.5, 1.25, 2.75])[0] == "index"


def test_a_notation_that_tells_no_moment_is_refused() -> None:
    with pytest.raises(PenchantError, match="'%H' doesn't tell a moment"):
        read(["18"], "%H")


def test_blanks_around_numbers_are_no_part_of_them() -> None:
    assert read([f" {NOW} ", f"{NOW}\t"]) == ("s", [NOW * 10**6] * 2, [False] * 2)


def test_an_hour_may_be_written_with_one_digit_and_a_fraction_is_of_seconds() -> None:
    early, late = (int(datetime(2024, 2, 3, hour, 5, tzinfo=UTC).timestamp()) * 10**6 for hour in (9, 10))
    assert read(["2024-02-03 9:05:00", "2024-02-03 10:05:00", "2024-02-03T9:05"])[1] == [early, late, early]
    assert read(["2024-02-03 10:05:00", "2024-02-03 10:05:30", "2024-02-03 10:05.30"])[2] == [False, False, True]


def test_seconds_that_look_like_hours_here_and_there_are_seconds() -> None:
    assert read(list(range(2_024_053_000, 2_024_060_000, 7)))[0] == "s"


def test_the_name_of_a_zone_says_no_offset() -> None:
    with pytest.raises(PenchantError, match=r"a zone's name \(%Z\) doesn't say how far from UTC it is"):
        times.check_unit("%Y-%m-%d %H:%M:%S %Z")
