"""Models that remember a person's last items: counts by hand, exact unlearning, cosine by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from penchant import sequences as seq
from penchant.models import create, item_to_item
from penchant.models.item_to_item import ItemKNN, Markov, Transitions, nearest
from penchant.testing import check_recommender, example_histories
from penchant.types import PenchantError, Sequences, Vocabulary, text


def histories(*items: str) -> Sequences:
    """One user a word, one item a letter, a second apart; the catalogue is the letters in order."""
    letters = sorted({letter for word in items for letter in word})
    lengths = [len(word) for word in items]
    total = sum(lengths)
    return Sequences(
        users=Vocabulary(tuple(f"u{number}" for number in range(len(items)))),
        items=Vocabulary(tuple(letters)),
        event_types=("event",),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=np.array([letters.index(letter) for word in items for letter in word], np.int32),
        timestamp=np.arange(total, dtype=np.int64) * 1_000_000,
        event_type=np.zeros(total, np.int16),
        event_id=text([str(number) for number in range(total)]),
        clock="real",
        content_hash="letters",
    )


def scores_after(model: Transitions | ItemKNN, word: str) -> dict[str, float]:
    """Each item's score for someone with this history."""
    state = model.encode(histories(word)) if word else model.initial(1)
    scores = model.score(state, np.zeros(1, np.int64))[0]
    return dict(zip(model.items.ids, scores.tolist(), strict=True))


def test_transition_evidence_by_hand() -> None:
    model = Transitions(window=2, distance_power=1.0, age_decay=0.5, scale=3.0, popularity=0.0)
    model.fit(histories("abc", "ab"))
    # a→b twice at distance 1, b→c once, a→c once at distance 2 (half a count).
    assert scores_after(model, "a") == pytest.approx({"a": 0, "b": np.log1p(6), "c": np.log1p(1.5)})
    # The last item speaks whole, the one before it half.
    assert scores_after(model, "ab") == pytest.approx({"a": 0, "b": 0.5 * np.log1p(6), "c": np.log1p(3) + 0.5 * np.log1p(1.5)})


def test_transitions_do_not_cross_users() -> None:
    model = Transitions(popularity=0.0).fit(histories("ab", "cd"))
    assert scores_after(model, "b") == pytest.approx(dict.fromkeys("abcd", 0))


def test_popularity_enters_as_the_logarithm_of_the_count() -> None:
    model = Transitions(popularity=-0.5).fit(histories("aab", "cb"))
    # Nothing ever followed b.
    assert scores_after(model, "b") == pytest.approx({"a": -0.5 * np.log(3), "b": -0.5 * np.log(3), "c": -0.5 * np.log(2)})


@pytest.mark.parametrize("name", ["transitions", "markov", "item_knn"])
def test_a_newcomer_gets_what_is_popular(name: str) -> None:
    model = create(name).fit(histories("abcb", "bc", "cbd"))
    scores = model.score(model.initial(1), np.zeros(1, np.int64))[0]
    assert [model.items[int(code)] for code in np.argsort(-scores, kind="stable")] == ["b", "c", "a", "d"]


def test_markov_hears_only_the_last_item() -> None:
    model = Markov().fit(histories("abc", "abd", "abc"))
    assert scores_after(model, "ab") == scores_after(model, "cb") == scores_after(model, "b")
    after = scores_after(model, "ab")
    assert after["c"] > after["d"] > after["a"] == 0


def test_item_knn_is_the_cosine_of_who_had_them() -> None:
    model = ItemKNN().fit(histories("ab", "abb", "bc"))
    # a is had by 2 people, b by 3, c by 1; a and b share 2, b and c share 1.
    assert scores_after(model, "b") == pytest.approx({"a": 2 / np.sqrt(6), "b": 0, "c": 1 / np.sqrt(3)})


def test_item_knn_keeps_the_nearest_only() -> None:
    model = ItemKNN(neighbours=1).fit(histories("ab", "ab", "bc"))
    assert scores_after(model, "b")["c"] == 0
    assert scores_after(model, "b")["a"] > 0


def test_of_equally_near_items_the_first_stay_whatever_the_chunks() -> None:
    had = csr_array(np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1]], np.float32))
    expected = [[0, 1, 0, 0, 2], [1, 0, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [2, 1, 0, 0, 0]]
    for chunk_bytes in (1, 40, 10_000):
        assert nearest(had, 2, chunk_bytes).toarray().tolist() == expected
    assert np.count_nonzero(nearest(had, 9).toarray()) == 20


@given(st.integers(0, 99), st.integers(1, 7), st.sampled_from([1, 60, 10_000]))
def test_the_nearest_are_the_largest_products(seed: int, neighbours: int, chunk_bytes: int) -> None:
    had = csr_array(np.random.default_rng(seed).poisson(0.3, (9, 12)).astype(np.float32))
    products = (had.T @ had).toarray()
    np.fill_diagonal(products, 0)
    order = np.argsort(-products, axis=1, kind="stable")[:, :neighbours]
    expected = np.zeros_like(products)
    np.put_along_axis(expected, order, np.take_along_axis(products, order, axis=1), axis=1)
    assert np.array_equal(nearest(had, neighbours, chunk_bytes).toarray(), expected)


words = st.lists(st.text("abcdef", min_size=1, max_size=8), min_size=1, max_size=6)


half_lives = st.sampled_from([0.0, 3.0 / 86400, 40.0 / 86400])
"""In days: none, and a few letters long."""


@given(words, words, half_lives)
@settings(max_examples=50, deadline=None)
def test_unlearning_is_the_exact_inverse_of_learning(first: list[str], more: list[str], half_life: float) -> None:
    model = Transitions(half_life_days=half_life).fit(histories("abcdef", *first))
    before, name = model.weights(), model.id
    model.learn(histories(*more))
    assert model.id != name
    model.unlearn(histories(*more))
    assert model.id == name
    for array, old in zip(model.weights().values(), before.values(), strict=True):
        assert np.array_equal(array, old)


@given(words, words)
@settings(max_examples=50, deadline=None)
def test_learning_in_two_parts_is_learning_at_once(first: list[str], more: list[str]) -> None:
    at_once = Transitions().fit(histories("abcdef", *first, *more))
    in_parts = Transitions().fit(histories("abcdef", *first))
    in_parts.learn(histories(*more))
    assert at_once.id == in_parts.id


def at(word: str, *seconds: float) -> Sequences:
    """One user's letters at these seconds."""
    return replace(histories(word), timestamp=np.array(seconds) * 1_000_000)


def test_what_followed_a_half_life_earlier_counts_half_and_the_newest_event_says_how_late_it_is() -> None:
    model = Transitions(window=1, popularity=0.0, half_life_days=10 / 86400).fit(at("abac", 0, 10, 20, 30))
    # The last event counts whole, a→b is two half-lives older.
    assert scores_after(model, "a") == pytest.approx({"a": 0, "b": np.log1p(0.25), "c": np.log1p(1)}, abs=1e-4)
    model.learn(at("cb", 50, 60))
    assert scores_after(model, "a") == pytest.approx({"a": 0, "b": np.log1p(1 / 32), "c": np.log1p(1 / 8)}, abs=1e-4)
    assert scores_after(model, "c") == pytest.approx({"a": 0, "b": np.log1p(1), "c": 0}, abs=1e-4)
    again = Transitions(model.settings)
    again.items, again.event_types = model.items, model.event_types
    again.set_weights(model.weights())
    assert again.id == model.id
    assert scores_after(again, "a") == scores_after(model, "a")
    model.unlearn(at("cb", 50, 60))
    assert scores_after(model, "a") == pytest.approx({"a": 0, "b": np.log1p(0.25), "c": np.log1p(1)}, abs=1e-4)


def test_a_half_life_needs_times_and_keeps_the_contract() -> None:
    with pytest.raises(PenchantError, match="half_life_days of transitions needs times"):
        Transitions(half_life_days=1.0).fit(replace(histories("ab"), clock="index"))
    check_recommender(lambda: Transitions(half_life_days=0.01))


def test_unlearning_what_was_never_learned_is_refused_and_changes_nothing() -> None:
    model = Transitions().fit(histories("abc"))
    name = model.id
    with pytest.raises(PenchantError, match="never learned"):
        model.unlearn(histories("cba"))
    assert model.id == name


def test_unknown_items_do_not_stand_between_known_ones() -> None:
    model = Transitions(window=1, popularity=0.0).fit(histories("ab"))
    model.learn(histories("axb"))
    assert scores_after(model, "a")["b"] == pytest.approx(np.log1p(2), abs=1e-4)


@pytest.mark.parametrize("name", ["transitions", "markov", "item_knn"])
def test_weights_of_another_catalogue_are_refused(name: str) -> None:
    small, large = (create(name).fit(example_histories(np.random.default_rng(0), 9, items=n)) for n in (5, 30))
    with pytest.raises(PenchantError, match="don't fit"):
        small.set_weights(large.weights())


def test_beats_popularity_where_order_decides() -> None:
    chance = np.random.default_rng(3)
    train = example_histories(chance, 200)
    models = [create(name).fit(train) for name in ("popularity", "transitions")]
    last = train.offsets[1:][train.lengths > 0] - 1
    states = [model.encode(train)[np.flatnonzero(train.lengths > 0)] for model in models]
    follows = (train.item[last] + 1) % len(train.items)
    found = []
    for model, state in zip(models, states, strict=True):
        scores = model.score(state, np.zeros(len(state), np.int64))
        wanted = train.items.translation(model.items)[follows]
        found.append(float((scores.argmax(axis=1) == wanted).mean()))
    assert found[1] > 0.9 > 0.2 > found[0]


parts = st.text("abcdefx", max_size=8)


@pytest.fixture(params=[0, 10**9], ids=["rows changed", "matrix made again"], scope="module")
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Few events change rows, many the whole matrix."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_to_item, "ENTRIES_A_ROW", request.param)
        yield


@pytest.mark.usefixtures("either_way")
@given(words, st.lists(st.tuples(parts, parts), min_size=1, max_size=4), st.booleans(), half_lives)
@settings(max_examples=50, deadline=None)
def test_learning_event_by_event_is_learning_at_once(
    first: list[str], more: list[tuple[str, str]], together: bool, half_life: float
) -> None:
    at_once = Transitions(window=3, half_life_days=half_life).fit(histories("abcdef", *first))
    in_steps = Transitions(window=3, half_life_days=half_life).fit(histories("abcdef", *first))

    def coded(*people: str) -> Sequences:  # x is an item the models don't know
        everyone = histories("abcdefx", *people)
        return seq.recode(seq.select(everyone, np.arange(1, len(everyone))), at_once.items)

    whole = coded(*(before + after for before, after in more))
    first_new = np.array([len(before) for before, _ in more])
    at_once.learn(whole)
    in_steps.learn(seq.until(whole, first_new))
    if together:
        in_steps.learn_next(seq.until(whole, first_new), seq.until(whole, whole.lengths, first_new))
    else:
        for person, place in enumerate(first_new):
            history = seq.select(whole, np.array([person]))
            for at in range(place, len(history.item)):
                in_steps.learn_next(seq.until(history, np.array([at])), seq.until(history, np.array([at + 1]), np.array([at])))
    for word in ("a", "fa", "abcdef"):
        assert scores_after(in_steps, word) == pytest.approx(scores_after(at_once, word), rel=1e-6)
    assert in_steps.id == at_once.id


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("setting", "within", "beyond", "rule"),
    [
        ("scale", 1e9, 1e300, "scale must be above 0 and at most 1000000000"),
        ("popularity", 1e6, 1e39, "popularity must lie between -1000000 and 1000000"),
        ("popularity", -1e6, -1e39, "popularity must lie between -1000000 and 1000000"),
        ("half_life_days", 1e-6, 1e-30, "half_life_days must be 0 or at least 0.000001"),
    ],
)
def test_settings_beyond_what_scores_can_hold_are_refused(setting: str, within: float, beyond: float, rule: str) -> None:
    train = example_histories(np.random.default_rng(0), 20)
    for name in ("transitions", "markov"):
        with pytest.raises(PenchantError, match=f"setting {rule}$"):
            create(name, **{setting: beyond})
        model = create(name, **{setting: within}).fit(train)
        assert np.isfinite(model.score(model.encode(train), np.full(len(train), train.timestamp.max()))).all()
