"""What returns, by hand; the contract is checked with all models'."""

import numpy as np
import pytest

from penchant import evaluation
from penchant import sequences as seq
from penchant.models import create
from penchant.models.validation import ask
from penchant.testing import log_of
from penchant.types import Interactions, PenchantError


def returning_log() -> Interactions:
    """Everyone has items of their own, and each comes again two events later; ``hit`` is what all had once."""
    events = []
    for user in range(30):
        path = [f"{user}-{step}" for step in (0, 1, 0, 1, 2, 3, 2, 3, 2)]
        events += [(f"u{user:02}", item, float(at)) for at, item in enumerate(["hit", *path])]
    return log_of(events)


def test_rates_are_how_often_the_item_so_far_back_came_next() -> None:
    model = create("repeats", window=4).fit(seq.histories(log_of([("x", item, at) for at, item in enumerate("abab")])))
    # Of two events with one two back both returned; one and three back none did: 2 – 3 is one octave with 2 of 3.
    assert model.weights()["rate"] == pytest.approx([0, 2 / 3, 2 / 3, 0])
    state = model.encode(seq.histories(log_of([("x", "b", 0), ("x", "a", 1)])))
    parts = model.parts(state, np.zeros(1, np.int64), np.array([[0, 1]]))
    assert parts["repeats"][0] == pytest.approx([0, np.log1p(2 * 2 / 3)])


def test_what_comes_back_leads_where_seen_items_are_kept_and_only_there() -> None:
    cut = evaluation.leave_one_out(returning_log())
    model, other = create("repeats").fit(cut.train), create("item_knn").fit(cut.train)
    found = ask(model, cut.test, 3, exclude_seen=False)
    assert (found.ranks <= 2).all()
    assert found.repeats.min() > 0.6
    assert ask(other, cut.test, 3, exclude_seen=False).ranks.mean() > 2 * found.ranks.mean()
    assert np.isinf(ask(model, cut.test, 3, exclude_seen=True).ranks).all()


def test_a_blend_weighs_repeats_only_for_lists_that_keep_seen_items() -> None:
    cut = evaluation.leave_one_out(returning_log())
    kept, without = (
        create("blend", members="popularity+repeats", seen=seen).fit(cut.train, cut.valid) for seen in ("keep", "exclude")
    )
    assert (ask(kept, cut.test, 3, exclude_seen=False).ranks <= 3).all()
    assert kept.weights()["coefficients"][1] > 0
    assert without.weights()["coefficients"].tolist() == [1, 0]
    with pytest.raises(PenchantError, match="seen must be exclude or keep"):
        create("blend", seen="both")


def test_who_had_nothing_gets_what_is_popular() -> None:
    model = create("repeats").fit(seq.histories(log_of([("x", "a", 0), ("x", "b", 1), ("y", "b", 2)])))
    assert model.score(model.initial(1), np.zeros(1, np.int64))[0] == pytest.approx(0.01 * np.log([1 / 3, 2 / 3]))


def test_weights_of_popularity_beyond_what_scores_can_hold_are_refused() -> None:
    for popularity in (-1, 1e39):
        with pytest.raises(PenchantError, match=r"setting popularity must lie between 0 and 1000000$"):
            create("repeats", popularity=popularity)
