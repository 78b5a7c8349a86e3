"""Popularity by hand."""

from dataclasses import asdict

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.models import create
from penchant.models.base import Model
from penchant.models.popularity import RecentPopularity
from penchant.testing import log_of
from penchant.types import Growing, PenchantError, Sequences

DAY = 86_400


def test_popularity_is_the_share_of_all_events() -> None:
    log = log_of([("x", "a", 0), ("x", "b", 1), ("y", "a", 2), ("y", "a", 3)])
    model = create("popularity").fit(seq.histories(log))
    for now in (0, 10**15):
        assert model.score(model.initial(2), np.full(2, now)) == pytest.approx(np.log([[0.75, 0.25]] * 2))
    parts = model.parts(model.initial(1), np.zeros(1, np.int64), np.array([[1, 0]]))
    assert parts["popularity"] == pytest.approx(np.log([[0.25, 0.75]]))


def test_recent_popularity_halves_an_event_with_each_half_life() -> None:
    log = log_of([("x", "old", 0), ("x", "old", 0), ("y", "older", -7 * DAY), ("y", "new", 14 * DAY)])
    model = create("recent_popularity", half_life_days=7).fit(seq.histories(log))
    weights = {"new": 1, "old": 2 / 4, "older": 1 / 8}
    scores = dict(zip(model.items.ids, model.score(model.initial(1), np.zeros(1, np.int64))[0], strict=True))
    assert scores == pytest.approx({item: np.log(weight / sum(weights.values())) for item, weight in weights.items()})


def test_recent_popularity_keeps_the_order_of_what_is_thousands_of_half_lives_old() -> None:
    ages = {"a": 0, "b": 200, "c": 900, "d": 901, "e": 5000}
    events = [(user, item, -days * DAY) for item, days in ages.items() for user in "xy"]
    model = create("recent_popularity", half_life_days=1).fit(seq.histories(log_of([*events, ("z", "e", -4999 * DAY)])))
    scores = dict(zip(model.items.ids, model.score(model.initial(1), np.zeros(1, np.int64))[0], strict=True))
    # Two events of age 5000 and one of 4999 weigh as much as two of 4999.
    expected = ages | {"e": 4999}
    assert scores == pytest.approx({item: -halves * np.log(2) for item, halves in expected.items()}, abs=1e-3)


def test_a_very_long_half_life_is_popularity() -> None:
    log = seq.histories(log_of([("x", item, n * DAY) for n, item in enumerate("abacab")]))
    now = np.zeros(1, np.int64)
    recent, overall = (
        create(*c[:1], **c[1]).fit(log) for c in (("recent_popularity", {"half_life_days": 1e9}), ("popularity", {}))
    )
    assert recent.score(recent.initial(1), now) == pytest.approx(overall.score(overall.initial(1), now))


def test_recent_popularity_needs_times_and_a_half_life() -> None:
    with pytest.raises(PenchantError, match="needs times, and this log has order only; use popularity"):
        create("recent_popularity").fit(seq.histories(log_of([("x", "a", 0)], clock="index")))
    with pytest.raises(PenchantError, match=r"half_life_days must be at least 0\.000001"):
        create("recent_popularity", half_life_days=0)


def of(model: Model, *events: tuple[str, str, float]) -> Sequences:
    return seq.recode(seq.histories(log_of(list(events))), model.items)


def scores_of(model: Model) -> dict[str, float]:
    return dict(zip(model.items.ids, model.score(model.initial(1), np.zeros(1, np.int64))[0].tolist(), strict=True))


def test_what_happens_after_training_counts_at_its_own_age() -> None:
    model = create("recent_popularity", half_life_days=7).fit(
        seq.histories(log_of([("x", "a", 0), ("x", "a", 0), ("y", "b", 0)]))
    )
    assert isinstance(model, Growing)
    model.learn_next(of(model), of(model, ("y", "b", 14 * DAY)))
    # Two events of then and, beside one of then, one that is worth four of them.
    expected = {"a": np.log(2 / 3), "b": np.log(5 / 3)}
    assert scores_of(model) == pytest.approx(expected)
    assert scores_of(restored(model)) == pytest.approx(expected)


def test_ages_are_told_in_sixteenths_of_a_half_life_and_long_past_in_whole_ones() -> None:
    model = RecentPopularity(half_life_days=16).fit(seq.histories(log_of([("x", "a", 0), ("x", "b", 0)])))
    steps = {days: model._steps(np.array([-int(days * DAY * 1e6)]))[0] for days in (0.4, 0.6, 255.6, 256.4, 263.9, 264.1)}
    assert steps == {0.4: 0, 0.6: 1, 255.6: 256, 256.4: 256, 263.9: 256, 264.1: 272}


@pytest.mark.parametrize("name", ["popularity", "recent_popularity"])
def test_an_item_nobody_has_any_more_stands_below_all_others(name: str) -> None:
    model = create(name).fit(seq.histories(log_of([("x", "a", 0), ("y", "a", 0), ("y", "b", 0)])))
    assert isinstance(model, Growing)
    larger = model.grown(["new"])
    assert scores_of(larger)["new"] < scores_of(larger)["b"] < scores_of(larger)["a"]
    larger.learn(of(larger, *[("z", "new", 0)] * 3))
    assert max(scores_of(larger), key=scores_of(larger).__getitem__) == "new"
    larger.unlearn(of(larger, ("x", "a", 0), ("y", "a", 0)))
    assert scores_of(larger)["a"] < scores_of(larger)["b"]
    assert np.isfinite(list(scores_of(larger).values())).all()


@pytest.mark.parametrize("name", ["popularity", "recent_popularity"])
def test_what_was_never_learned_cant_be_taken_back(name: str) -> None:
    model = create(name).fit(seq.histories(log_of([("x", "a", 0), ("y", "b", 0)])))
    assert isinstance(model, Growing)
    before, scores = model.id, scores_of(model)
    with pytest.raises(PenchantError, match="never learned, so they can't be unlearned"):
        model.unlearn(of(model, ("x", "a", 0), ("x", "a", 0)))
    assert (model.id, scores_of(model)) == (before, scores)


def test_counts_of_items_outside_the_catalogue_are_refused() -> None:
    model = create("popularity").fit(seq.histories(log_of([("x", "a", 0), ("y", "b", 0)])))
    with pytest.raises(PenchantError, match="weights don't fit the configuration"):
        model.set_weights(dict(model.weights()) | {"item": np.array([0, 2])})


def restored(model: Model) -> Model:
    again = create(model.name, **asdict(model.settings))
    again.items, again.event_types = model.items, model.event_types
    again.set_weights(model.weights())
    return again


@pytest.mark.parametrize("name", ["popularity", "recent_popularity"])
def test_a_catalogue_of_one_item(name: str) -> None:
    model = create(name).fit(seq.histories(log_of([("x", "a", 0)])))
    assert model.score(model.initial(1), np.zeros(1, np.int64)).tolist() == [[0.0]]
