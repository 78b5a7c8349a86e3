"""Leaks, each made on purpose in a split that has none."""

from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.evaluation import held_out, leave_one_out, temporal
from penchant.evaluation.leaks import check
from penchant.testing import log_of
from penchant.types import Cases, Content, Interactions, PenchantError, Sequences, Split


@pytest.fixture
def log() -> Interactions:
    return log_of([(f"u{u}", f"i{(u + n * n) % 7}", 10 * n + u) for u in range(6) for n in range(9)])


@pytest.fixture
def cut(log: Interactions) -> Split:
    return temporal(log)


def later(sequences: Sequences, by: int) -> Sequences:
    return replace(sequences, timestamp=sequences.timestamp + by)


def test_a_split_without_leaks_passes(log: Interactions) -> None:
    for cut in (temporal(log), leave_one_out(log)):
        assert check(cut) is cut


def test_a_target_inside_a_history_is_refused(log: Interactions) -> None:
    cut = leave_one_out(log)
    whole = seq.of_users(seq.histories(log), cut.test.histories.users.ids)
    with pytest.raises(PenchantError, match="leave-one-out split leaks: a test target of user u0 lies inside their history"):
        check(replace(cut, test=replace(cut.test, histories=whole)))


def test_a_repeat_of_a_target_before_it_is_no_leak() -> None:
    check(leave_one_out(log_of([("u", item, 5) for item in "abaa"])))


def test_an_event_trained_on_that_comes_after_the_targets_is_refused(log: Interactions) -> None:
    cut = leave_one_out(log)
    with pytest.raises(PenchantError, match="user u0 has an event trained on that isn't before the validation targets"):
        check(replace(cut, train=seq.histories(log)))
    with pytest.raises(PenchantError, match="user u0 has an event trained on that isn't before the test targets"):
        check(replace(cut, before_test=seq.histories(log)))


def test_a_history_that_goes_on_after_the_question_is_refused(log: Interactions) -> None:
    cut = leave_one_out(log)
    early = replace(cut.test, now=cut.test.histories.timestamp[cut.test.histories.offsets[1:] - 1] - 1)
    with pytest.raises(PenchantError, match="the history of user u0 goes on after their test question"):
        check(replace(cut, test=early))


def test_a_training_event_after_the_cut_is_refused_whoever_it_is_of(cut: Split) -> None:
    assert cut.cuts is not None
    stranger = log_of([("stranger", "i1", (cut.cuts[0] + 1) / 1e6)])
    train = replace(seq.recode(seq.histories(stranger), cut.train.items), users=cut.train.users)
    train = replace(train, offsets=np.r_[np.zeros(len(cut.train), np.int64), 1])
    alone = replace(train, offsets=np.minimum(train.offsets, 1))
    nobody = replace(cut.valid, histories=seq.select(cut.valid.histories, np.zeros(0, np.int64)), now=cut.valid.now[:0])
    nobody = Cases(nobody.histories, nobody.now, seq.select(cut.valid.targets, np.zeros(0, np.int64)))
    with pytest.raises(PenchantError, match="temporal split leaks: 1 events known to the validation part come after its cut"):
        check(replace(cut, train=alone, valid=nobody))


def test_a_target_before_the_cut_is_refused(cut: Split) -> None:
    assert cut.cuts is not None
    with pytest.raises(PenchantError, match="targets of the test part come before its cut"):
        check(replace(cut, cuts=(cut.cuts[0], int(cut.test.targets.timestamp.max()) + 1)))


def with_measure(split: Split, name: str, values: np.ndarray) -> Split:
    items = split.train.items
    nothing = np.zeros(0, np.int32)
    offsets = np.zeros(len(items) + 1, np.int64)
    content = Content(items, offsets, nothing, nothing.astype(np.float32), 1, {name: values})
    return replace(split, train=replace(split.train, content=content))


@pytest.fixture(scope="module")
def drifting() -> Interactions:
    """What is popular changes, the first items early, the last ones late; and what is liked changes, at random."""
    chance = np.random.default_rng(0)
    log = log_of([(f"u{u:02}", f"i{int(n / 3 + chance.integers(99)):03}", 100 * n + u) for u in range(90) for n in range(90)])
    taste = chance.random((2, len(log.items)))
    later = log.timestamp > np.quantile(log.timestamp, 0.9)
    liked = chance.random(len(log)) < np.where(later, taste[1][log.item], taste[0][log.item])
    return replace(
        log, event_types=("seen", "liked"), event_type=liked.astype(np.int16), value=1 + 4 * liked.astype(np.float32)
    )


def means(log: Interactions, some: np.ndarray, of: np.ndarray) -> np.ndarray:
    size = len(log.items)
    return np.bincount(log.item[some], of[some], minlength=size) / np.maximum(np.bincount(log.item[some], minlength=size), 1)


def test_a_feature_computed_over_the_whole_period_is_refused(drifting: Interactions) -> None:
    cut = temporal(drifting)
    size, chance = len(cut.train.items), np.random.default_rng(1)
    before = np.bincount(cut.before_test.item, minlength=size).astype(float)
    whole = np.bincount(drifting.item, minlength=size).astype(float)
    with pytest.raises(
        PenchantError, match=r"column fame follows the items' events of the whole period .* leave it out of --content"
    ):
        check(with_measure(cut, "fame", whole))
    for harmless in (before, chance.random(size), np.full(size, np.nan), np.ones(size), np.arange(size, dtype=float)):
        check(with_measure(cut, "fame", harmless))
    check(with_measure(cut, "page_count", chance.random(size)))


def test_means_and_ratios_of_the_whole_period_are_refused_too(drifting: Interactions) -> None:
    cut, everything = temporal(drifting), np.ones(len(drifting), bool)
    early, liked = ~held_out(drifting, cut), (drifting.event_type == 1).astype(float)
    with pytest.raises(PenchantError, match=r"column liking follows the items' share of (seen|liked) of the whole period"):
        check(with_measure(cut, "liking", means(drifting, everything, liked)), drifting)
    one_kind = replace(drifting, event_types=("seen",), event_type=np.zeros(len(drifting), np.int16))
    plain = temporal(one_kind)
    rating = means(drifting, everything, drifting.value)
    with pytest.raises(PenchantError, match=r"column stars follows the items' mean value of the whole period"):
        check(with_measure(plain, "stars", rating), one_kind)
    check(with_measure(plain, "stars", means(drifting, early, drifting.value)), one_kind)
    check(with_measure(cut, "liking", means(drifting, early, liked)), drifting)


def test_what_is_trained_on_or_validated_by_may_not_reach_into_the_test_part(log: Interactions) -> None:
    cut = leave_one_out(log)
    three, valid = np.arange(3), cut.valid
    others = Cases(seq.select(valid.histories, three), valid.now[:3], seq.select(valid.targets, three))
    known = seq.histories(log, log.user >= 3)
    with pytest.raises(PenchantError, match="user u3 has an event trained on that isn't before the test targets"):
        check(replace(cut, train=known, valid=others))
    for of in (cut, temporal(log)):
        answers = replace(of.valid, targets=of.test.targets, histories=of.test.histories, now=of.test.now)
        with pytest.raises(PenchantError, match=r"user u0 has a validation target that isn't before the test targets"):
            check(replace(of, valid=answers))


def test_a_count_of_what_came_after_the_cut_is_refused(drifting: Interactions) -> None:
    cut = temporal(drifting)
    after = np.bincount(drifting.item[held_out(drifting, cut)], minlength=len(cut.train.items)).astype(float)
    with pytest.raises(PenchantError, match=r"column trend follows the items' events after the cut \(rank correlation 1.000\)"):
        check(with_measure(cut, "trend", after), drifting)
