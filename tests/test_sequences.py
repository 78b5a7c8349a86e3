"""From the log to histories to padded batches, and nothing lost on the way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import sequences as seq
from penchant.testing import log_of
from penchant.types import UNKNOWN, Sequences, Vocabulary, text

ITEMS = ("a", "b", "c", "d")
ragged = st.lists(st.lists(st.sampled_from([UNKNOWN, 0, 1, 2, 3]), max_size=6), max_size=6)


def sequences_of(histories: list[list[int]]) -> Sequences:
    """Histories of these item codes; event number ``e`` of all has the time and id ``e``."""
    item = [code for history in histories for code in history]
    return Sequences(
        users=Vocabulary(tuple(f"u{number}" for number in range(len(histories)))),
        items=Vocabulary(ITEMS),
        event_types=("event",),
        offsets=np.cumsum([0, *map(len, histories)]).astype(np.int64),
        item=np.array(item, np.int32),
        timestamp=np.arange(len(item), dtype=np.int64),
        event_type=np.zeros(len(item), np.int16),
        event_id=text([f"e{number}" for number in range(len(item))]),
        clock="real",
        content_hash="",
    )


def test_events_follow_each_users_history() -> None:
    before, events = sequences_of([[0, 1], [], [2]]), sequences_of([[3], [0, 2], []])
    both = seq.followed(before, events)
    assert as_lists(both) == [["a", "b", "d"], ["a", "c"], ["c"]]
    assert both.timestamp.tolist() == [0, 1, 0, 1, 2, 2]
    assert both.event_id.tolist() == ["e0", "e1", "e0", "e1", "e2", "e2"]


def as_lists(sequences: Sequences) -> list[list[str | None]]:
    """Each history as item ids, None for unknown ones."""
    ids = [None if code == UNKNOWN else sequences.items[int(code)] for code in sequences.item]
    return [ids[a:b] for a, b in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)]


def test_histories_of_a_log_by_user_oldest_first() -> None:
    log = log_of([("bob", "a", 5), ("ann", "b", 9), ("ann", "c", 3), ("cid", "a", 1)])
    everything = seq.histories(log)
    assert everything.users.ids == ("ann", "bob", "cid")
    assert as_lists(everything) == [["c", "b"], ["a"], ["a"]]
    assert everything.lengths.tolist() == [2, 1, 1]
    assert everything.content_hash == log.content_hash


def test_histories_keep_users_whose_events_are_all_left_out() -> None:
    log = log_of([("ann", "b", 9), ("ann", "c", 3), ("bob", "a", 5)])
    early = seq.histories(log, log.timestamp < 4_000_000)
    assert as_lists(early) == [["c"], []]
    assert early.users == log.users


@given(ragged, st.data())
def test_select_takes_the_rows_it_is_given_in_their_order(histories: list[list[int]], data: st.DataObject) -> None:
    sequences = sequences_of(histories)
    rows = data.draw(st.lists(st.integers(0, len(histories) - 1), max_size=8)) if histories else []
    chosen = seq.select(sequences, np.array(rows, np.int64))
    assert as_lists(chosen) == [as_lists(sequences)[row] for row in rows]
    assert chosen.users.ids == tuple(f"u{row}" for row in rows)
    expected = [i for row in rows for i in range(*sequences.offsets[row : row + 2])]
    assert chosen.timestamp.tolist() == expected
    assert chosen.event_id.tolist() == [f"e{i}" for i in expected]


@given(ragged, st.permutations(ITEMS), st.integers(0, 4))
def test_recode_keeps_every_item_the_new_vocabulary_holds(histories: list[list[int]], order: list[str], size: int) -> None:
    sequences = sequences_of(histories)
    smaller = Vocabulary(tuple(order[:size]))
    recoded = seq.recode(sequences, smaller)
    assert as_lists(recoded) == [[i if i in smaller.ids else None for i in history] for history in as_lists(sequences)]
    whole = Vocabulary(tuple(order))
    assert as_lists(seq.recode(seq.recode(sequences, whole), sequences.items)) == as_lists(sequences)


@given(ragged)
def test_the_catalogue_is_just_the_items_that_occur(histories: list[list[int]]) -> None:
    sequences = sequences_of(histories)
    occurring = seq.occurring(sequences)
    assert set(occurring.items.ids) == {i for history in as_lists(sequences) for i in history if i is not None}
    assert as_lists(occurring) == as_lists(sequences)


@given(ragged)
def test_known_only_leaves_unknown_items_out_and_everybody_in(histories: list[list[int]]) -> None:
    sequences = sequences_of(histories)
    known = seq.known_only(sequences)
    assert as_lists(known) == [[i for i in history if i is not None] for history in as_lists(sequences)]
    assert known.users == sequences.users
    assert known.timestamp.tolist() == [n for n, code in enumerate(sequences.item) if code != UNKNOWN]


def test_of_users_gives_strangers_an_empty_history() -> None:
    sequences = sequences_of([[0, 1], [], [2]])
    asked = seq.of_users(sequences, ["u2", "stranger", "u0", "u2", "u1"])
    assert as_lists(asked) == [["c"], [], ["a", "b"], ["c"], []]
    assert asked.users.ids == ("u2", "stranger", "u0", "u2", "u1")
    assert len(seq.of_users(sequences, [])) == 0


@given(ragged.filter(bool), st.data())
def test_pad_puts_events_left_and_masks_the_rest(histories: list[list[int]], data: st.DataObject) -> None:
    sequences = sequences_of(histories)
    rows = data.draw(st.lists(st.integers(0, len(histories) - 1), min_size=1, max_size=5))
    batch = seq.pad(sequences, np.array(rows))
    assert len(batch) == len(rows)
    assert batch.item.shape == batch.mask.shape == (len(rows), max(len(histories[row]) for row in rows))
    for place, row in enumerate(rows):
        assert batch.item[place][batch.mask[place]].tolist() == histories[row]
        assert batch.mask[place].tolist() == sorted(batch.mask[place].tolist(), reverse=True)
        expected = list(range(*sequences.offsets[row : row + 2]))
        assert batch.timestamp[place, : len(expected)].tolist() == expected
        assert batch.event_id[place, : len(expected)].tolist() == [f"e{i}" for i in expected]
    assert [str(a.dtype) for a in (batch.item, batch.timestamp, batch.event_type)] == ["int32", "int64", "int16"]


@given(ragged, st.integers(1, 4))
def test_batches_hold_everybody_once_longest_first(histories: list[list[int]], rows: int) -> None:
    sequences = sequences_of(histories)
    seen: list[int] = []
    longest: list[int] = []
    for places, batch in seq.batches(sequences, rows):
        assert 1 <= len(places) <= rows
        seen += places.tolist()
        longest += batch.lengths.tolist()
        for row, place in enumerate(places):
            assert batch.item[row, : batch.lengths[row]].tolist() == histories[place]
    assert sorted(seen) == list(range(len(histories)))
    assert longest == sorted(longest, reverse=True)


def test_one_endless_history_does_not_make_a_batch_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seq, "CELLS_AT_ONCE", 20)
    sequences = sequences_of([[0, 1], [0] * 30, [1, 1, 1], *([[2]] * 25)])
    shapes = [batch.item.shape for _, batch in seq.batches(sequences, 1000)]
    assert shapes[0] == (1, 30)
    assert all(n * length <= 20 for n, length in shapes[1:])
    assert sum(n for n, _ in shapes) == 28
    assert len(shapes) < 8


def test_empty_batches() -> None:
    nobody = sequences_of([])
    assert list(seq.batches(nobody, 4)) == []
    assert seq.pad(nobody, np.array([], np.int64)).item.shape == (0, 0)
    silent = seq.pad(sequences_of([[], []]), np.array([0, 1]))
    assert silent.item.shape == (2, 0)
    assert silent.mask.shape == (2, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_ragged_range_is_all_ranges_end_to_end(ranges: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([pair[i] for pair in ranges], np.int64) for i in (0, 1))
    expected = [start + step for start, length in ranges for step in range(length)]
    assert seq.ragged_range(starts, lengths).tolist() == expected


def test_recoding_to_the_same_items_changes_nothing() -> None:
    sequences = sequences_of([[0, UNKNOWN, 3]])
    assert as_lists(seq.recode(sequences, Vocabulary(ITEMS))) == as_lists(sequences)
    assert as_lists(replace(sequences)) == [["a", None, "d"]]


def test_a_digest_is_of_the_events_whatever_they_are_called() -> None:
    rows = [("a", "x", 1), ("a", "y", 2), ("b", "x", 3)]
    whole = seq.histories(log_of(rows))
    renamed = seq.histories(log_of([(user * 2, item * 2, moment) for user, item, moment in rows]))
    more = seq.histories(log_of([*rows, ("c", "z", 9)]), np.array([True, True, True, False]))
    assert seq.digest(whole) == seq.digest(renamed) == seq.digest(more)
    for other in (rows[:2], [*rows, ("b", "x", 4)], [("a", "x", 1), ("b", "y", 2), ("b", "x", 3)], [*rows[:2], ("b", "x", 4)]):
        assert seq.digest(seq.histories(log_of(other))) != seq.digest(whole)
