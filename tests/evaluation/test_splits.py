"""Splits, by hand on a small log, and their laws on any."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import prepare, read
from penchant.evaluation import SPLITS, by_session, event_by_event, leave_one_out, rolling_origin, split, temporal
from penchant.testing import log_of
from penchant.types import MICROSECONDS, Cases, Interactions, PenchantError, Sequences, Split

events = st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef"), st.integers(0, 30)), min_size=1, max_size=60)


def histories_of(sequences: Sequences) -> dict[str, str]:
    item = [sequences.items[int(code)] for code in sequences.item]
    return {
        user: "".join(item[a:b])
        for user, a, b in zip(sequences.users.ids, sequences.offsets[:-1], sequences.offsets[1:], strict=True)
        if b > a
    }


def answers_of(cases: Cases) -> dict[str, str]:
    item = [cases.histories.items[int(code)] for code in cases.target]
    ends = zip(cases.targets.users.ids, cases.targets.offsets[:-1], cases.targets.offsets[1:], strict=True)
    return {user: "".join(item[a:b]) for user, a, b in ends}


def log_by_hand() -> Interactions:
    """u: five events, a repeat last; v: three in one second; w: two events; x: one."""
    words = {"u": "abcda", "v": "bcd", "w": "ab", "x": "e"}
    moments = {"u": [1, 2, 3, 4, 9], "v": [5, 5, 5], "w": [6, 7], "x": [8]}
    return log_of([(u, item, t) for u in words for item, t in zip(words[u], moments[u], strict=True)])


def test_leave_one_out_by_hand() -> None:
    cut = leave_one_out(log_by_hand())
    assert cut.name == "leave-one-out"
    assert histories_of(cut.train) == {"u": "abc", "v": "b", "w": "ab", "x": "e"}
    assert histories_of(cut.valid.histories) == {"u": "abc", "v": "b"}
    assert answers_of(cut.valid) == {"u": "d", "v": "c"}
    assert histories_of(cut.test.histories) == {"u": "abcd", "v": "bc"}
    assert answers_of(cut.test) == {"u": "a", "v": "d"}
    assert cut.test.now.tolist() == [9_000_000, 5_000_000]
    assert cut.valid.now.tolist() == [4_000_000, 5_000_000]
    assert len(cut.test) == 2
    assert cut.test.too_few == 2


def test_temporal_by_hand() -> None:
    # Twenty events at 0, 1, … 19: training before 16, validation before 18, test from there.
    log = log_of(
        [("early", "a", n) for n in range(8)]
        + [("both", item, t) for item, t in zip("abcabdaead", range(8, 18), strict=True)]
        + [("both", "f", 18), ("late", "a", 19)]
    )
    cut = temporal(log)
    assert histories_of(cut.train) == {"early": "a" * 8, "both": "abcabdae"}
    assert histories_of(cut.valid.histories) == {"both": "abcabdae"}
    assert answers_of(cut.valid) == {"both": "ad"}
    assert cut.valid.now.tolist() == [16_000_000]
    assert histories_of(cut.test.histories) == {"both": "abcabdaead"}
    assert answers_of(cut.test) == {"both": "f"}
    assert cut.test.now.tolist() == [18_000_000]


def test_targets_are_distinct_in_the_order_of_first_occurrence() -> None:
    log = log_of([("u", "a", n) for n in range(32)] + [("u", "b", 32), ("u", "c", 33)] + [("u", i, 34) for i in "dcbdad"])
    cut = temporal(log)
    assert answers_of(cut.test) == {"u": "dcba"}


def test_events_at_the_moment_of_the_cut_are_all_after_it() -> None:
    log = log_of([("u", "a", n) for n in range(15)] + [("u", "b", 15), ("u", "c", 16)] + [("u", i, 17) for i in "defg"])
    cut = temporal(log)  # the last tenth of 21 events begins inside the last second
    assert answers_of(cut.test) == {"u": "defg"}
    assert histories_of(cut.test.histories)["u"].endswith("abc")


def test_by_session_by_hand() -> None:
    log = log_of([("u", item, n) for n, item in enumerate("abcadbb")] + [("v", item, n) for n, item in enumerate("ab")])
    cut = by_session(replace(log, session=np.array([0, 0, 1, 1, 2, 2, 2, 0, 1], np.int32)))
    assert histories_of(cut.train) == {"u": "ab", "v": "ab"}
    assert answers_of(cut.valid) == {"u": "ca"}
    assert histories_of(cut.test.histories) == {"u": "abca"}
    assert answers_of(cut.test) == {"u": "db"}
    assert cut.test.now.tolist() == [4_000_000]
    assert cut.cuts is None


def test_a_rolling_origin_by_hand() -> None:
    # Twenty events at 0, 1, … 19, of two people in turn.
    log = log_of([("uv"[n % 2], "abcdefghij"[n // 2], n) for n in range(20)])
    first, last = rolling_origin(log, 2)
    assert (first.name, last.name) == ("rolling 1 of 2", "rolling 2 of 2")
    assert first.cuts == (14_000_000, 16_000_000)
    assert histories_of(first.train) == {"u": "abcdefg", "v": "abcdefg"}
    assert answers_of(first.valid) == {"u": "h", "v": "h"}
    assert answers_of(first.test) == {"u": "i", "v": "i"}
    assert histories_of(last.before_test) == {"u": "abcdefghi", "v": "abcdefghi"}
    whole = temporal(log)
    assert last.cuts == whole.cuts
    assert answers_of(last.test) == answers_of(whole.test) == {"u": "j", "v": "j"}


def when(sequences: Sequences) -> set[str]:
    return set(sequences.event_id.tolist())


@given(events)
def test_laws_of_leave_one_out(rows: list[tuple[str, str, int]]) -> None:
    log = log_of(rows)
    counts = np.bincount(log.user)
    if counts.max() < 3:
        with pytest.raises(PenchantError, match="needs users with three events or more"):
            leave_one_out(log)
        return
    cut = leave_one_out(log)
    asked = [log.users[int(user)] for user in np.flatnonzero(counts >= 3)]
    assert list(cut.test.histories.users.ids) == list(cut.valid.histories.users.ids) == asked
    assert len(cut.train.item) + 2 * len(asked) == len(log)
    last = {log.users[int(user)]: (log.event_id[i], log.items[int(log.item[i])]) for i, user in enumerate(log.user)}
    for user in asked:
        event, item = last[user]
        assert event not in when(cut.train) | when(cut.valid.histories) | when(cut.test.histories)
        assert answers_of(cut.test)[user] == item
    assert when(cut.valid.histories) <= when(cut.train) <= when(cut.train) | when(cut.test.histories)
    assert len(cut.test.histories.item) - len(cut.valid.histories.item) == len(asked)


@given(events)
def test_laws_of_a_temporal_split(rows: list[tuple[str, str, int]]) -> None:
    log = log_of(rows)
    try:
        cut = temporal(log)
    except PenchantError as error:
        assert "events at different times" in str(error) or "nobody can be asked about" in str(error)  # noqa: PT017
        return
    first_valid, first_test = int(cut.valid.now[0]), int(cut.test.now[0])
    assert first_valid < first_test or set(cut.valid.now) == {first_valid}
    assert (cut.train.timestamp < first_valid).all()
    assert (cut.valid.histories.timestamp < first_valid).all()
    assert (cut.test.histories.timestamp < first_test).all()
    assert sorted(when(cut.train)) == sorted(log.event_id[log.timestamp < first_valid])
    assert np.mean(log.timestamp >= first_test) >= 0.1
    for cases, begin, end in ((cut.valid, first_valid, first_test), (cut.test, first_test, 10**18)):
        assert (cases.histories.lengths > 0).all()
        inside = (log.timestamp >= begin) & (log.timestamp < end)
        for user, answers in answers_of(cases).items():
            mine = log.item[inside & (log.user == log.users.code(user))]
            assert sorted(answers) == sorted({log.items[int(i)] for i in mine})


def test_the_default_split_is_by_time_where_there_are_times() -> None:
    rows = [(user, item, n) for user in "uv" for n, item in enumerate("abcdefghij")]
    assert split(log_of(rows)).name == "temporal"
    assert split(log_of(rows, clock="index")).name == "leave-one-out"
    sessions = replace(log_of(rows), session=np.tile(np.arange(10) // 2, 2).astype(np.int32))
    assert {name: split(sessions, name).name for name in SPLITS} == {name: name for name in SPLITS}


def test_splits_that_cannot_be_are_refused() -> None:
    short = log_of([("u", "a", 1), ("v", "b", 2), ("v", "a", 3)])
    with pytest.raises(PenchantError, match="three events or more, and this log has none"):
        leave_one_out(short)
    with pytest.raises(PenchantError, match="three sessions or more, and this log has none"):
        by_session(short)
    with pytest.raises(PenchantError, match="there are 9 folds, but each tests on another tenth of all events: name 1 to 8"):
        rolling_origin(short, 9)
    with pytest.raises(PenchantError, match="a rolling split needs times, and this log has order only"):
        rolling_origin(log_of([("u", "a", n) for n in range(20)], clock="index"))
    with pytest.raises(PenchantError, match="nobody can be asked about"):
        temporal(log_of([(f"u{n}", "a", n) for n in range(20)]))
    with pytest.raises(PenchantError, match="events at different times"):
        temporal(log_of([("u", "a", 1)] * 20))
    with pytest.raises(PenchantError, match="needs times, and this log has order only; use --split leave-one-out"):
        temporal(log_of([("u", "a", n) for n in range(20)], clock="index"))
    with pytest.raises(PenchantError, match="there is no split 'random'; the splits are temporal, leave-one-out, session"):
        split(short, "random")


@pytest.mark.data
def test_beauty_asks_each_of_its_users(shared_data: Path) -> None:
    log = prepare(read(shared_data / "amazon" / "Beauty.txt"))
    cut: Split = split(log)
    assert cut.name == "leave-one-out"
    assert len(cut.test) == len(cut.valid) == 22_363
    assert len(cut.train.item) == 198_502 - 2 * 22_363


def test_a_progressive_split_asks_about_each_event_from_all_before_it() -> None:
    walks = [(user, f"item {place}", 10 * place + number) for number, user in enumerate("abc") for place in range(6)]
    log = log_of([*walks, ("d", "x", 55)])
    cut = event_by_event(log, 30 * MICROSECONDS, 45 * MICROSECONDS)
    assert cut.train.lengths.tolist() == [3, 3, 3, 0]
    assert cut.before_test.lengths.tolist() == [5, 5, 5, 0]
    assert cut.valid.histories.lengths.tolist() == [3, 4] * 3
    assert [log.items[item] for item in cut.valid.target] == ["item 3", "item 4"] * 3
    assert cut.test.histories.users.ids == ("a", "b", "c")
    assert cut.test.histories.lengths.tolist() == [5, 5, 5]
    assert cut.test.now.tolist() == [(50 + number) * MICROSECONDS for number in range(3)]
    assert cut.test.newcomers == 1
    assert [log.items[item] for item in cut.test.histories.item[:5]] == [f"item {place}" for place in range(5)]
    with pytest.raises(PenchantError, match="nobody can be asked"):
        event_by_event(log, 30 * MICROSECONDS, 55 * MICROSECONDS)
