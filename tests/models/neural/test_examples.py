"""What a training step is made of: every target once, and augmentations that do what they say and nothing else."""

from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.models.neural.examples import LEFT_OUT, Negatives, Piece, pieces, repeats, steps, with_replay
from penchant.models.neural.settings import NeuralSettings
from penchant.testing import example_histories
from penchant.types import MICROSECONDS, Int, Sequences, Vocabulary, text

LENGTHS = st.lists(st.integers(0, 12), max_size=8)


def histories(lengths: list[int], seed: int = 0) -> Sequences:
    """Histories in which each event has an item of its own: its place. Some events share a moment."""
    chance = np.random.default_rng(seed)
    total = sum(lengths)
    return replace(
        example_histories(chance, max(1, len(lengths))),
        users=Vocabulary(tuple(f"u{number}" for number in range(len(lengths)))),
        items=Vocabulary(tuple(f"i{number}" for number in range(total))),
        event_types=("view", "buy"),
        offsets=np.cumsum([0, *lengths]).astype(np.int64),
        item=np.arange(total, dtype=np.int32),
        timestamp=np.cumsum(chance.integers(0, 3, total)) * MICROSECONDS,
        event_type=chance.integers(0, 2, total).astype(np.int16),
        event_id=text([str(number) for number in range(total)]),
    )


def all_pieces(train: Sequences, settings: NeuralSettings, seed: int = 0) -> list[list[Piece]]:
    """The pieces of each step of an epoch."""
    chance = np.random.default_rng(seed)
    return [list(pieces(train, users, settings, chance)) for users in steps(train, settings, chance)]


def the_piece(train: Sequences, seed: int = 0, **settings: Any) -> Piece:
    """All histories in one piece."""
    (piece,) = pieces(train, np.arange(len(train)), NeuralSettings(**settings), np.random.default_rng(seed))
    return piece


def rows(piece: Piece) -> list[list[int]]:
    """The events of each row: the inputs and the last target."""
    ends = np.cumsum(piece.inside.sum(axis=1)) - 1
    return [
        [*item[inside].tolist(), int(piece.target[end])]
        for item, inside, end in zip(piece.item, piece.inside, ends, strict=True)
    ]


def owner(train: Sequences, event: int) -> int:
    return int(np.searchsorted(train.offsets, event, side="right")) - 1


@given(LENGTHS, st.integers(2, 7), st.integers(1, 30), st.booleans(), st.integers(0, 9))
def test_every_event_but_a_first_one_is_a_target_exactly_once_behind_the_one_before(
    lengths: list[int], longest: int, batch_events: int, carry: bool, seed: int
) -> None:
    train = histories(lengths)
    settings = NeuralSettings(max_length=longest, batch_events=batch_events, batch_histories=1, carry=carry)
    everything = [piece for step in all_pieces(train, settings, seed) for piece in step]
    firsts = set(train.offsets[:-1].tolist())
    targets = sorted(place for piece in everything for place in piece.target.tolist())
    assert targets == [place for place in range(sum(lengths)) if place not in firsts]
    for piece in everything:
        assert piece.inside.shape[1] <= longest
        item = piece.item[piece.inside]
        assert (item + 1 == piece.target).all()
        assert (piece.kind[piece.inside] == train.event_type[item]).all()
        until = (train.timestamp[piece.target] - train.timestamp[item]) / MICROSECONDS
        assert np.allclose(piece.until[piece.inside], until)
        first = np.isin(item, train.offsets[:-1])
        gap = (train.timestamp[item] - train.timestamp[np.maximum(item - 1, 0)]) / MICROSECONDS
        assert np.allclose(piece.gap[piece.inside], np.where(first, -1, gap))
        assert (np.diff(piece.inside.astype(int), axis=1) <= 0).all(), "padding comes last"
        for some in (slice(None), slice(1, 4)):
            row, item = piece.had(some)
            for number, target in enumerate(piece.target[some].tolist()):
                assert item[row == number].tolist() == list(range(train.offsets[owner(train, target)], target))


@given(LENGTHS, st.integers(2, 7), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_target_counts_by_how_many_its_history_has(lengths: list[int], longest: int, power: float) -> None:
    train = histories(lengths)
    worth = np.zeros(len(lengths))
    for step in all_pieces(train, NeuralSettings(max_length=longest, length_power=power)):
        for piece in step:
            for target, counts in zip(piece.target.tolist(), piece.worth.tolist(), strict=True):
                worth[owner(train, target)] += counts
    targets = np.maximum(np.array(lengths) - 1, 0)
    assert np.allclose(worth, targets * np.maximum(targets, 1.0) ** -power)


@given(LENGTHS, st.integers(2, 7), st.integers(0, 9))
def test_a_carried_piece_goes_on_row_by_row_where_the_one_before_ended(lengths: list[int], longest: int, seed: int) -> None:
    train = histories(lengths)
    for step in all_pieces(train, NeuralSettings(max_length=longest), seed):
        assert [piece.first for piece in step] == [number == 0 for number in range(len(step))]
        for before, after in pairwise(step):
            assert len(before.inside) == len(after.inside)
            there = after.inside[:, 0]
            assert before.inside[there].all()
            assert (before.item[there, -1] + 1 == after.item[there, 0]).all()


@given(LENGTHS, st.integers(2, 7), st.sets(st.integers(0, 95)))
def test_of_what_was_had_some_items_can_be_picked(lengths: list[int], longest: int, some: set[int]) -> None:
    train, picked = histories(lengths), np.array(sorted(some), np.int64)
    table = np.unique(np.concatenate([picked, np.arange(1, 95, 3)]))
    for step in all_pieces(train, NeuralSettings(max_length=longest)):
        for piece in step:
            row, item = piece.had(slice(None))
            wanted = np.isin(item, picked)
            found_row, place = piece.among(picked, table).had(slice(None))
            assert found_row.tolist() == row[wanted].tolist()
            assert table[place].tolist() == item[wanted].tolist()


@pytest.mark.parametrize("others", [0, 12_345])
def test_an_item_twice_in_one_history_is_a_repeat_and_in_two_is_none(others: int) -> None:
    train = histories([1] * others + [2, 0, 3, 3])
    for item, expected in (
        ([0, 1, 0, 1, 2, 2, 1, 0], False),
        ([0, 1, 0, 1, 2, 2, 1, 2], True),
        ([0, 0, 0, 1, 2, 2, 1, 0], True),
    ):
        assert repeats(replace(train, item=np.array([0] * others + item, np.int32))) is expected
    assert not repeats(histories([]))


@given(LENGTHS, st.integers(2, 7))
def test_pieces_that_are_not_carried_start_anew(lengths: list[int], longest: int) -> None:
    for step in all_pieces(histories(lengths), NeuralSettings(max_length=longest, carry=False)):
        assert all(piece.first and piece.inside[:, 0].all() for piece in step)


@given(LENGTHS, st.integers(1, 30), st.integers(0, 9))
def test_an_epoch_takes_everyone_with_two_events_once_in_steps_of_like_length(
    lengths: list[int], batch_events: int, seed: int
) -> None:
    groups = steps(
        histories(lengths), NeuralSettings(batch_events=batch_events, batch_histories=1), np.random.default_rng(seed)
    )
    taken = sorted(user for group in groups for user in group.tolist())
    assert taken == [user for user, length in enumerate(lengths) if length > 1]
    spans = sorted((min(lengths[u] for u in group), max(lengths[u] for u in group)) for group in groups if len(group))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_a_step_has_about_so_many_targets() -> None:
    lengths = np.random.default_rng(0).integers(2, 12, 300).tolist()
    groups = steps(histories(lengths), NeuralSettings(batch_events=50, batch_histories=1), np.random.default_rng(1))
    counts = [sum(lengths[user] - 1 for user in group) for group in groups]
    assert 45 < np.mean(counts) < 55
    assert max(counts) <= 50 + 11


def test_who_meets_whom_and_when_differs_by_epoch() -> None:
    train, settings = histories([5] * 40), NeuralSettings(batch_events=20, batch_histories=1)
    first, again, other = (steps(train, settings, np.random.default_rng([1, epoch])) for epoch in (0, 0, 1))
    assert [group.tolist() for group in first] == [group.tolist() for group in again]
    assert {frozenset(group.tolist()) for group in first} != {frozenset(group.tolist()) for group in other}


SOME = [2, 9, 5, 12, 3, 7, 2, 11] * 8


def test_cropping_takes_a_stretch_of_each_history() -> None:
    train = histories(SOME)
    found = rows(the_piece(train, crop=1))
    for user, events in enumerate(found):
        assert len(events) >= 2
        assert events == list(range(events[0], events[0] + len(events)))
        assert {owner(train, event) for event in events} == {user}
    assert {len(events) for events in found} > {2, 3, 4, 5}
    assert len({events[0] - train.offsets[user] for user, events in enumerate(found)}) > 3
    whole = [
        events == list(range(*train.offsets[user : user + 2])) for user, events in enumerate(rows(the_piece(train, crop=0.5)))
    ]
    assert 0.4 < np.mean(whole) < 0.8


def test_masking_leaves_inputs_out_and_nothing_else() -> None:
    train = histories(SOME)
    plain, masked = the_piece(train), the_piece(train, mask=0.3)
    for name in ("kind", "gap", "until", "inside", "target"):
        assert np.array_equal(getattr(plain, name), getattr(masked, name)), name
    left_out = masked.item == LEFT_OUT
    assert not left_out[~plain.inside].any()
    assert np.array_equal(masked.item[~left_out], plain.item[~left_out])
    assert left_out[plain.inside].mean() == pytest.approx(0.3, abs=0.06)


def test_repeating_puts_some_events_in_twice_and_nothing_else() -> None:
    train = histories(SOME)
    piece = the_piece(train, repeat=0.4)
    twice = 0
    for user, events in enumerate(rows(piece)):
        runs = [(event, len(list(run))) for event, run in groupby(events)]
        assert [event for event, _ in runs] == list(range(*train.offsets[user : user + 2]))
        assert {length for _, length in runs} <= {1, 2}
        twice += sum(length - 1 for _, length in runs)
    assert twice / len(train.item) == pytest.approx(0.4, abs=0.06)
    again = piece.item[piece.inside] == piece.target
    assert (piece.until[piece.inside][again] == 0).all()


def test_reordering_shuffles_events_of_one_moment_and_nothing_else() -> None:
    train = histories(SOME)
    moved = 0
    for user, events in enumerate(rows(the_piece(train, reorder=1))):
        plain = list(range(*train.offsets[user : user + 2]))
        assert sorted(events) == plain
        assert np.array_equal(train.timestamp[events], train.timestamp[plain])
        moved += events != plain
    assert moved > 10
    some = [events != sorted(events) for events in rows(the_piece(train, reorder=0.3))]
    assert 0 < sum(some) < moved


@given(st.lists(st.integers(2, 12), min_size=1, max_size=8), st.integers(2, 7), st.integers(0, 20))
def test_augmentations_together_stay_within_histories(lengths: list[int], longest: int, seed: int) -> None:
    train = histories(lengths)
    settings = NeuralSettings(max_length=longest, crop=0.5, mask=0.3, reorder=0.5, repeat=0.3)
    users = np.arange(len(lengths))
    for piece in pieces(train, users, settings, np.random.default_rng(seed)):
        assert len(piece.target) == piece.inside.sum()
        row = np.repeat(users, piece.inside.sum(axis=1))
        assert all(owner(train, event) == user for event, user in zip(piece.target.tolist(), row.tolist(), strict=True))
        assert (piece.until[piece.inside] >= 0).all()


def test_no_augmentation_uses_no_chance() -> None:
    chance = np.random.default_rng(0)
    list(pieces(histories(SOME), np.arange(len(SOME)), NeuralSettings(), chance))
    assert chance.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0])
def test_negatives_follow_popularity_to_a_power(power: float) -> None:
    events: Int = np.array([1, 100, 10, 1000, 5])
    negatives = Negatives(events, power)
    expected = events**power / (events**power).sum()
    assert np.allclose(negatives.share, expected)
    drawn = negatives.draw(200_000, np.random.default_rng(0))
    assert np.abs(np.bincount(drawn, minlength=5) / len(drawn) - expected).max() < 0.005


def test_what_never_happened_is_no_negative() -> None:
    drawn = Negatives(np.array([0, 3, 0, 1, 0]), 0.5).draw(1000, np.random.default_rng(0))
    assert set(drawn.tolist()) == {1, 3}


@pytest.mark.parametrize(("length", "users"), [(5, 25), (101, 8)])
def test_a_step_has_its_targets_but_never_too_few_histories(length: int, users: int) -> None:
    settings = NeuralSettings(batch_events=100, batch_histories=8)
    groups = steps(histories([length] * 200), settings, np.random.default_rng(0))
    assert {len(group) for group in groups} == {users}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(2, 5), st.integers(0, 5))
def test_what_is_new_is_trained_on_and_about_as_much_that_is_not(lengths: list[int], longest: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    train = histories(lengths)
    learned = np.array([chance.integers(0, length + 1) for length in lengths], np.int64)
    fresh = np.array(lengths, np.int64) > learned
    chosen = with_replay(train, learned, longest, chance)
    row = np.repeat(np.arange(len(lengths)), lengths)
    new = np.arange(sum(lengths)) - train.offsets[row] >= learned[row]
    assert set(np.flatnonzero(new)) <= set(chosen.item.tolist())  # each event has an item of its own: its place
    old = np.setdiff1d(chosen.item, np.flatnonzero(new))
    behind = np.minimum(learned, longest)[fresh].sum()
    assert behind <= len(old) <= max(behind, new.sum()) + longest
    others = sum(min(length, longest) for length, mine in zip(lengths, fresh, strict=True) if not mine and length > 1)
    assert len(old) >= min(new.sum(), behind + others)
    for user, start, end in zip(chosen.users.ids, chosen.offsets[:-1], chosen.offsets[1:], strict=True):
        mine, stretch = int(user[1:]), chosen.item[start:end]
        assert (np.diff(stretch) == 1).all()  # one stretch
        assert (row[stretch] == mine).all()
        assert len(stretch) <= longest + (lengths[mine] - learned[mine])
