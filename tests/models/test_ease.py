"""Regression of items on items: the formula by hand, distinct items, the largest catalogue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.models.ease import Ease, NearestEase
from penchant.testing import check_recommender, example_histories, log_of
from penchant.types import PenchantError, Sequences, Vocabulary

HAD = {"u": "ab", "v": "abbc", "w": "bcd", "x": "aa"}
X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0]], float)


def histories(words: dict[str, str]) -> Sequences:
    """One item a letter, a second apart."""
    return seq.histories(log_of([(user, letter, place) for user, word in words.items() for place, letter in enumerate(word)]))


def scores_after(model: Ease, word: str) -> list[float]:
    state = model.encode(histories({"someone": word})) if word else model.initial(1)
    scores: list[float] = model.score(state, np.zeros(1, np.int64))[0].tolist()
    return scores


def test_keeps_the_contract() -> None:
    check_recommender(lambda: Ease(l2=5.0, window=7))


def test_the_matrix_is_the_formula_of_the_paper() -> None:
    inverse = np.linalg.inv(X.T @ X + 2.0 * np.eye(4))
    expected = np.eye(4) - inverse / np.diag(inverse)
    model = Ease(l2=2.0).fit(histories(HAD))
    assert model.weights()["matrix"] == pytest.approx(expected, abs=1e-6)
    assert np.diag(model.weights()["matrix"]).tolist() == [0] * 4
    assert scores_after(model, "ab") == pytest.approx(expected[0] + expected[1], abs=1e-6)


def test_each_column_is_the_ridge_regression_on_the_other_items() -> None:
    train = example_histories(np.random.default_rng(0), 50)
    model = Ease(l2=3.0).fit(train)
    had = np.zeros((len(train), len(model.items)))
    had[np.repeat(np.arange(len(train)), train.lengths), train.items.translation(model.items)[train.item]] = 1
    for item in range(len(model.items)):
        others = np.delete(had, item, axis=1)
        solution = np.linalg.solve(others.T @ others + 3.0 * np.eye(others.shape[1]), others.T @ had[:, item])
        assert np.delete(model.weights()["matrix"][:, item], item) == pytest.approx(solution, abs=1e-5)


def test_an_item_had_twice_speaks_once_and_one_out_of_the_window_no_more() -> None:
    model = Ease(l2=2.0, window=3).fit(histories(HAD))
    assert scores_after(model, "aab") == scores_after(model, "ab")
    assert scores_after(model, "daab") == scores_after(model, "ab")


def test_the_nearest_are_the_largest_weights_above_0_between_the_most_frequent_items() -> None:
    train = example_histories(np.random.default_rng(0), 50)
    whole = Ease(l2=3.0).fit(train).weights()["matrix"]
    near = NearestEase(l2=3.0, neighbours=4).fit(train).rows.matrix().toarray()
    edge = np.sort(whole, axis=1)[:, -4, None]
    assert near == pytest.approx(np.where((whole >= edge) & (whole > 0), whole, 0), abs=1e-5)
    few = NearestEase(l2=2.0, items=2).fit(histories(HAD))
    # a and b were had by three people each, which those had is all that counts: both, both, b, a.
    alone = np.linalg.inv(X[:, :2].T @ X[:, :2] + 2.0 * np.eye(2))
    expected = np.zeros((4, 4))
    expected[:2, :2] = np.eye(2) - alone / np.diag(alone)
    assert few.rows.matrix().toarray() == pytest.approx(np.maximum(expected, 0), abs=1e-6)


def test_the_nearest_keep_the_contract() -> None:
    check_recommender(lambda: NearestEase(l2=5.0, window=7, neighbours=3))


def test_a_newcomer_gets_what_is_popular() -> None:
    assert scores_after(Ease().fit(histories(HAD)), "") == pytest.approx(np.log1p([4, 4, 2, 1]))


def test_a_catalogue_too_large_is_refused_before_anything_is_computed() -> None:
    size = 40_001
    train = replace(
        example_histories(np.random.default_rng(0), 1),
        users=Vocabulary(("someone",)),
        items=Vocabulary(tuple(map(str, range(size)))),
        offsets=np.array([0, size]),
        item=np.arange(size, dtype=np.int32),
        timestamp=np.arange(size),
        event_type=np.zeros(size, np.int16),
        event_id=np.array([""] * size, np.dtypes.StringDType()),
        content=None,
    )
    with pytest.raises(PenchantError, match=r"40,001 × 40,001 items, 6\.4 GB, .* use item_knn"):
        Ease().fit(train)


@pytest.mark.parametrize("kind", [Ease, NearestEase])
def test_a_penalty_too_large_to_reckon_with_is_refused(kind: type[Ease | NearestEase]) -> None:
    with pytest.raises(PenchantError, match=r"setting l2 must be above 0 and at most 1000000000$"):
        kind(l2=1e300)
    model = kind(l2=1e9).fit(histories(HAD))
    scores = model.score(model.encode(histories(HAD)), np.zeros(4, np.int64))
    assert np.isfinite(scores).all()
    assert scores.any()


def test_settings_and_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PenchantError, match="l2 must be above 0"):
        Ease(l2=0)
    with pytest.raises(PenchantError, match="window must lie between"):
        Ease(window=0)
    with pytest.raises(PenchantError, match="set l2 higher"):
        Ease(l2=1e-300).fit(histories(dict.fromkeys("uvwx", "ab")))
    small, large = Ease().fit(histories({"u": "ab"})), Ease().fit(histories(HAD))
    with pytest.raises(PenchantError, match="don't fit"):
        small.set_weights(large.weights())
