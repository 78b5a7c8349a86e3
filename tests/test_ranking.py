"""Top-k against a full sort, ranks against every way of breaking ties."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penchant import metrics, ranking
from penchant.models import create
from penchant.models.base import Model
from penchant.ranking import Excluded, masked_scores, recommend, target_ranks, top_k
from penchant.sequences import histories, recode
from penchant.testing import example_histories, log_of
from penchant.types import UNKNOWN, Float, Int, PenchantError

few_values = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, 3e38])
any_values = st.one_of(few_values, st.floats(width=32, allow_nan=False, allow_infinity=False))


def slow_top_k(scores: Float, k: int) -> tuple[list[list[int]], list[list[float]]]:
    items, best = [], []
    for row in scores:
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
        items.append([i if row[i] > -np.inf else UNKNOWN for i in order])
        best.append([float(row[i]) for i in order])
    return items, best


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_top_k_is_a_full_stable_sort(data: st.DataObject) -> None:
    n, width = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 90))
    k = data.draw(st.integers(1, width))
    values = data.draw(st.sampled_from([few_values, any_values]))
    scores = data.draw(arrays(np.float32, (n, width), elements=values))
    before = scores.copy()
    item, score = top_k(scores, k)
    expected_item, expected_score = slow_top_k(scores, k)
    assert item.tolist() == expected_item
    assert score.tolist() == expected_score
    assert item.shape == (n, k)
    assert item.dtype == np.int32
    assert np.array_equal(scores, before)


@pytest.mark.parametrize("width", [129, 1000, 4096, 4097, 50_001])
@pytest.mark.parametrize("k", [1, 3, 10, 100])
@pytest.mark.parametrize("levels", [2, 30, 10**9])
def test_top_k_of_a_wide_catalogue_is_a_full_stable_sort(width: int, k: int, levels: int) -> None:
    chance = np.random.default_rng(width + k + levels)
    scores = chance.integers(0, levels, (4, width)).astype(np.float32)
    scores[1, chance.random(width) < 0.5] = -np.inf
    scores[2, k // 2 :] = -np.inf
    scores[3] = -np.inf
    item, score = top_k(scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    assert np.array_equal(score, best)
    assert np.array_equal(item, np.where(best > -np.inf, order, UNKNOWN))


def ranks_within(scores: Float, rows: Int, target: Int, k: int) -> list[float]:
    return [float(rank) for rank in target_ranks(scores, rows, target, top_k(scores, k)[1])]


@given(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_targets_stand_at_their_average_places_over_all_ways_to_break_ties(row: list[float], data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.integers(-1, len(row) - 1), min_size=1, unique=True))
    k = data.draw(st.integers(1, len(row)))
    orders = [sorted(order, key=lambda i: -row[i]) for order in permutations(range(len(row)))]
    expected = []
    for n, target in enumerate(targets):
        if target == UNKNOWN or row[target] == -np.inf:
            expected.append(np.inf)
            continue
        # Of several with one score the first that is named is as far up as the first of them is on average, and so on.
        together = [t for t in targets if t != UNKNOWN and row[t] == row[target]]
        turn = [t for t in targets[:n] if t in together]
        places = [sorted(order.index(t) + 1 for t in together)[len(turn)] for order in orders]
        place = sum(places) / len(orders)
        expected.append(place if place <= k + 1e-9 else np.inf)
    assert ranks_within(np.array([row], np.float32), np.zeros(len(targets), int), np.array(targets), k) == pytest.approx(
        expected
    )


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_no_metric_is_better_than_the_best_list_whatever_ties(row: list[float], data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.integers(0, len(row) - 1), min_size=1, unique=True))
    k = data.draw(st.integers(1, len(row)))
    ranks = np.array(ranks_within(np.array([row], np.float32), np.zeros(len(targets), int), np.array(targets), k), np.float32)
    case, best = np.zeros(len(targets), int), np.arange(1, len(targets) + 1, dtype=np.float32)
    for name, metric in metrics.METRICS.items():
        assert metric(ranks, case, 1, k)[0] <= metric(best, case, 1, k)[0] + 1e-6, name


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_ranks_taken_from_the_best_are_those_counted_over_whole_rows(data: st.DataObject) -> None:
    n, width, t = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 60)), data.draw(st.integers(0, 80))
    chance = np.random.default_rng(data.draw(st.integers(0, 99)))
    levels = np.array([-np.inf, -1, 0, 0.5, 2, 3e38][: data.draw(st.integers(1, 6))], np.float32)
    scores = np.where(chance.random((n, width)) < data.draw(st.floats(0, 1)), 0, chance.choice(levels, (n, width)))
    scores = scores.astype(np.float32)
    pairs = np.unique(np.stack([chance.integers(0, n, t), chance.integers(-1, width, t)]), axis=1)
    k, (rows, target) = data.draw(st.integers(1, width)), pairs
    expected = []
    for row, one in zip(rows, target, strict=True):
        value = scores[row, one]
        alike = (rows == row) & (target != UNKNOWN) & (scores[row, target] == value)
        turn = (alike & (target <= one)).sum()
        rank = (scores[row] > value).sum() + turn * ((scores[row] == value).sum() + 1) / (alike.sum() + 1)
        expected.append(float(rank) if one != UNKNOWN and value > -np.inf and rank <= k else np.inf)
    assert ranks_within(scores, rows, target, k) == pytest.approx(expected)


def test_ranks_of_many_targets_in_many_rows() -> None:
    scores = np.array([[3, 1, 2], [5, 5, 0], [0, 0, 0]], np.float32)
    rows, target = np.array([0, 0, 1, 1, 2]), np.array([1, 0, 0, UNKNOWN, 2])
    assert ranks_within(scores, rows, target, 3) == [3, 1, 1.5, np.inf, 2]
    # Two that share the places 1 and 2 stand at 1.5, which isn't the first.
    assert ranks_within(scores, rows, target, 1) == [np.inf, 1, np.inf, np.inf, np.inf]
    assert ranks_within(scores[:0], rows[:0], target[:0], 1) == []


def test_equal_scores_keep_the_order_of_the_catalogue_and_give_nothing_away() -> None:
    item, _ = top_k(np.zeros((1, 1000), np.float32), 3)
    assert item.tolist() == [[0, 1, 2]]
    level = np.zeros((1, 1000), np.float32)
    assert ranks_within(level, np.array([0]), np.array([0]), 501) == [500.5]
    assert ranks_within(level, np.array([0]), np.array([0]), 10) == [np.inf]


def a_model_and_states(users: int) -> tuple[Model, Int]:
    log = log_of([("u", item, time) for time, item in enumerate("aaabbc")])
    return create("popularity").fit(histories(log)), np.zeros(users, np.int64)


def test_excluded_items_are_not_recommended_and_lists_may_be_short() -> None:
    model, now = a_model_and_states(3)
    exclude = Excluded(np.array([0, 2, 2, 5]), np.array([0, UNKNOWN, 0, 1, 2]))
    found = recommend(model, model.initial(3), 3, now=now, exclude=exclude)
    assert found.item.tolist() == [[1, 2, UNKNOWN], [0, 1, 2], [UNKNOWN] * 3]
    assert found.score[2].tolist() == [-np.inf] * 3
    assert found.score[1].tolist() == pytest.approx(np.log([3 / 6, 2 / 6, 1 / 6]))


def test_the_parts_of_a_score_sum_to_it_where_lists_are_short_too() -> None:
    model, now = a_model_and_states(1)
    found = recommend(model, model.initial(1), 3, now=now, exclude=Excluded(np.array([0, 1]), np.array([1])), explain=True)
    assert found.parts.keys() == {"popularity"}
    assert np.array_equal(np.sum(list(found.parts.values()), axis=0), found.score)
    assert recommend(model, model.initial(1), 3, now=now).parts == {}


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_must_lie_within_the_catalogue(k: int) -> None:
    model, now = a_model_and_states(1)
    with pytest.raises(PenchantError, match=f"k is {k}, but must lie between 1 and 3"):
        recommend(model, model.initial(1), k, now=now)


def test_nobody_asked_nothing_answered() -> None:
    model, now = a_model_and_states(0)
    exclude = Excluded(np.array([0]), np.array([], np.int32))
    assert recommend(model, model.initial(0), 2, now=now, exclude=exclude).item.shape == (0, 2)
    assert masked_scores(model, model.initial(0), now, exclude).shape == (0, 3)


@pytest.mark.parametrize("people", [1, 2, 5, 11])
def test_many_people_are_answered_as_each_alone(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PEOPLE_AT_ONCE", 3)
    histories = example_histories(np.random.default_rng(0), people)
    model = create("transitions").fit(example_histories(np.random.default_rng(1), 30))
    coded = recode(histories, model.items)
    states, now = model.encode(coded), np.zeros(people, np.int64)
    found = recommend(model, states, 4, now=now, exclude=Excluded(coded.offsets, coded.item), explain=True)
    for row in range(people):
        mine = Excluded(np.array([0, coded.lengths[row]]), coded.item[coded.offsets[row] : coded.offsets[row + 1]])
        alone = recommend(model, states[row : row + 1], 4, now=now[:1], exclude=mine, explain=True)
        assert alone.item.tolist() == found.item[row : row + 1].tolist()
        assert alone.score == pytest.approx(found.score[row : row + 1])
        assert alone.parts.keys() == found.parts.keys()
        for name, part in alone.parts.items():
            assert part == pytest.approx(found.parts[name][row : row + 1])


def test_nobody_is_answered_with_nothing() -> None:
    model = create("transitions").fit(example_histories(np.random.default_rng(1), 30))
    assert recommend(model, model.initial(0), 4, now=np.zeros(0, np.int64), explain=True).item.shape == (0, 4)
