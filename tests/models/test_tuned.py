"""Transitions that validation chooses: what they forget, how far they reach, and that the choice stays with them."""

from __future__ import annotations

import numpy as np
import pytest

from penchant import evaluation
from penchant.models.item_to_item import Transitions
from penchant.models.tuned import HALF_LIVES, TunedTransitions
from penchant.testing import check_recommender, log_of
from penchant.types import DAY, Interactions, PenchantError, Split


def fashion_log(*, passing: bool) -> Interactions:
    """Ten items; everyone goes through four. What follows an item changes every other day, or never."""
    chance = np.random.default_rng(0)
    events = []
    for user in range(800):
        day = user / 20
        step = 1 + (int(day) // 2) * 3 % 7 if passing else 1
        start = int(chance.integers(10))
        events += [(f"u{user:03}", f"i{(start + n * step) % 10}", (day + n / 100) * DAY / 1e6) for n in range(4)]
    return log_of(events)


@pytest.fixture(scope="module")
def passing() -> Split:
    return evaluation.leave_one_out(fashion_log(passing=True))


def test_keeps_the_contract() -> None:
    check_recommender(TunedTransitions)


def test_what_passes_is_forgotten(passing: Split) -> None:
    late = evaluation.event_by_event(fashion_log(passing=True), int(37.2 * DAY), int(38 * DAY))
    assert TunedTransitions().fit(late.train, late.valid).settings.half_life_days == min(HALF_LIVES)
    lasting = evaluation.leave_one_out(fashion_log(passing=False))
    assert TunedTransitions().fit(lasting.train, lasting.valid).settings.half_life_days == 0


def test_without_validation_or_times_nothing_is_chosen(passing: Split) -> None:
    assert TunedTransitions().fit(passing.train).settings == Transitions().settings
    ordered = evaluation.leave_one_out(
        log_of([(f"u{u}", f"i{(u + n) % 5}", n) for u in range(9) for n in range(5)], clock="index")
    )
    assert TunedTransitions().fit(ordered.train, ordered.valid).settings.half_life_days == 0


def test_what_was_chosen_stays(passing: Split) -> None:
    late = evaluation.event_by_event(fashion_log(passing=True), int(37.2 * DAY), int(38 * DAY))
    model = TunedTransitions().fit(late.train, late.valid)
    assert model.made_with == Transitions().settings
    assert model.refitted(late.before_test).settings == model.settings
    loaded = TunedTransitions()
    loaded.items, loaded.event_types = model.items, model.event_types
    loaded.set_weights(model.weights())
    assert loaded.settings == model.settings
    assert (loaded.id, loaded.state_id) == (model.id, model.state_id)
    assert model.grown(["new"]).settings == model.settings
    with pytest.raises(PenchantError, match="don't fit the configuration: settings"):
        loaded.set_weights(dict(model.weights()) | {"settings": np.zeros(2)})


def test_transitions_saved_before_there_was_a_choice_are_what_they_were(passing: Split) -> None:
    old = Transitions().fit(passing.train)
    loaded = TunedTransitions()
    loaded.items, loaded.event_types = old.items, old.event_types
    loaded.set_weights(old.weights())
    states, now = loaded.encode(passing.train), np.zeros(len(passing.train), np.int64)
    assert np.array_equal(loaded.score(states, now), old.score(old.encode(passing.train), now))
