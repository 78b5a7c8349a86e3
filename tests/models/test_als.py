"""Matrix factorisation: a person's factors by the paper's formula and by implicit, the library missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from penchant import sequences as seq
from penchant.models import create
from penchant.models.als import Als
from penchant.testing import check_recommender, example_histories, log_of
from penchant.types import PenchantError, Sequences

WORDS = {"u": "ab", "v": "abbc", "w": "bcd", "x": "aa"}


def histories(words: dict[str, str]) -> Sequences:
    """One item a letter, a second apart."""
    return seq.histories(log_of([(user, letter, place) for user, word in words.items() for place, letter in enumerate(word)]))


def scores_after(model: Als, word: str) -> list[float]:
    state = model.encode(histories({"someone": word})) if word else model.initial(1)
    scores: list[float] = model.score(state, np.zeros(1, np.int64))[0].tolist()
    return scores


def test_keeps_the_contract() -> None:
    check_recommender(lambda: Als(factors=8, window=7, epochs=3))


def test_scores_are_the_formula_of_the_paper() -> None:
    model = Als(factors=2, alpha=3.0, regularization=0.5, epochs=4).fit(histories(WORDS))
    Y = model.weights()["factors"].astype(np.float64)
    count = np.array([0, 2, 1, 0])
    C = np.diag(1 + 3.0 * count)
    person = np.linalg.inv(Y.T @ C @ Y + 0.5 * np.eye(2)) @ Y.T @ C @ (count > 0)
    assert scores_after(model, "bcb") == pytest.approx(Y @ person, rel=1e-4)


def test_a_persons_factors_are_those_implicit_would_solve() -> None:
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    train = example_histories(np.random.default_rng(0), 40)
    model = Als(factors=6, alpha=2.0).fit(train)
    counts = np.zeros((len(train), len(model.items)), np.float32)
    user = np.repeat(np.arange(len(train)), train.lengths)
    np.add.at(counts, (user, train.items.translation(model.items)[train.item]), 1)
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(factors=6, regularization=0.05, alpha=1.0, num_threads=1, use_gpu=False)
        theirs.item_factors = model.weights()["factors"]
        confidence = csr_matrix(np.where(counts > 0, 1 + 2 * counts, 0))
        people = theirs.recalculate_user(np.arange(len(train)), confidence)
    scores = model.score(model.encode(train), np.zeros(len(train), np.int64))
    some = train.lengths > 0
    assert scores[some] == pytest.approx((people @ theirs.item_factors.T)[some], abs=1e-3)


def test_those_who_had_an_item_are_near_it() -> None:
    words = {f"{group}{number}": group for group in ("abc", "def") for number in range(20)}
    a, b, c, d, e, f = scores_after(Als(factors=4).fit(histories(words)), "ab")
    assert min(a, b, c) > 0.5 > max(d, e, f)


def test_only_the_last_items_count() -> None:
    model = Als(factors=2, window=2).fit(histories(WORDS))
    assert scores_after(model, "dab") == scores_after(model, "ab")


def test_a_newcomer_gets_what_is_popular() -> None:
    model = Als(factors=2).fit(histories(WORDS))
    assert scores_after(model, "") == pytest.approx(np.log1p([4, 4, 2, 1]))


def test_chunks_of_people_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    train = example_histories(np.random.default_rng(0), 20)
    model = Als(factors=4).fit(train)
    states, now = model.encode(train), np.zeros(len(train), np.int64)
    whole = model.score(states, now)
    monkeypatch.setattr("penchant.models.als.CHUNK_BYTES", 1)
    assert model.score(states, now) == pytest.approx(whole, abs=1e-5)


def test_training_tells_its_progress() -> None:
    told: list[tuple[str, int, int]] = []
    Als(factors=2, epochs=2).fit(histories(WORDS), progress=lambda *words: told.append(words))
    assert told == [("training als", 1, 2), ("training als", 2, 2)]


def test_without_implicit_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.als", None)
    with pytest.raises(PenchantError, match=r"needs the library implicit; install it with: pip install 'penchant\[als\]'"):
        Als().fit(histories(WORDS))


@pytest.mark.parametrize("setting", ["factors", "regularization", "alpha", "epochs", "window", "seed"])
def test_settings_out_of_range_are_refused(setting: str) -> None:
    with pytest.raises(PenchantError, match=f"setting {setting} must"):
        create("als", **{setting: -1})


@pytest.mark.parametrize("setting", ["regularization", "alpha"])
def test_settings_too_large_to_reckon_with_are_refused(setting: str) -> None:
    with pytest.raises(PenchantError, match=f"setting {setting} must be above 0 and at most 1000000$"):
        create("als", **{setting: 1e300})
    model = create("als", factors=2, **{setting: 1e6}).fit(histories(WORDS))
    assert np.isfinite(model.weights()["factors"]).all()


def test_weights_of_another_catalogue_are_refused() -> None:
    small, large = Als(factors=2).fit(histories({"u": "ab"})), Als(factors=2).fit(histories(WORDS))
    with pytest.raises(PenchantError, match="don't fit"):
        small.set_weights(large.weights())
