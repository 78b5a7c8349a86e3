"""A blend's weights: what they are chosen by, and that choosing leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penchant import evaluation
from penchant.models import create
from penchant.models.ease import Ease
from penchant.models.ensemble import ChosenBlend
from penchant.models.item_to_item import Markov
from penchant.models.popularity import Popularity, RecentPopularity
from penchant.models.validation import validate
from penchant.models.weighing import _halves, learn_weights
from penchant.testing import log_of
from penchant.types import Interactions, Split


def turning_log() -> Interactions:
    """What follows ``a`` is ``b`` until the validation period, and ``c`` from then on."""
    chance = np.random.default_rng(1)
    events = []
    for user in range(300):
        others = [f"x{chance.integers(30)}" for _ in range(2)]
        events += [
            (f"u{user:03}", item, user + place / 10) for place, item in enumerate([*others, "b" if user % 3 else "c", "y"])
        ]
        if user < 150:
            events += [(f"u{user:03}", item, user + place / 10) for place, item in enumerate(["a", "b"], 5)]
        else:
            events += [(f"u{user:03}", "a", user + 0.5), (f"u{user:03}", "c", 1000.0 + user)]
    return log_of(events)


@pytest.fixture(scope="module")
def turning() -> Split:
    log = turning_log()
    return evaluation.event_by_event(log, 500 * 10**6, 1280 * 10**6)


def test_the_later_half_is_asked_once_more_after_the_earlier(turning: Split) -> None:
    early, later = _halves(turning.valid)
    assert later is not None
    middle = np.median(turning.valid.targets.timestamp)
    assert early.timestamp.max() < middle <= later.targets.timestamp.min()
    assert len(early.item) + len(later.targets.item) == len(turning.valid.targets.item)
    assert (later.now >= middle).all()
    assert set(later.histories.users.ids) <= set(turning.valid.histories.users.ids)


def test_what_a_person_did_in_the_earlier_half_is_history_in_the_later() -> None:
    log = log_of([("u", item, at) for at, item in enumerate("abcdefghijklmnopqrst")])
    valid = evaluation.temporal(log).valid
    early, later = _halves(valid)
    assert later is not None
    told = [log.items[code] for code in later.histories.item.tolist()]
    assert "".join(told) == "abcdefghijklmnopq", "sixteen of training, and the first of two answers"
    assert [log.items[code] for code in later.targets.item.tolist()] == ["r"]
    assert early.item.tolist() == later.histories.item[-1:].tolist()


def test_members_know_after_weighing_what_they_knew_before(turning: Split) -> None:
    names = ("transitions", "popularity", "recent_popularity", "item_knn")
    members = [create(name).fit(turning.train) for name in names]
    before = [member.id for member in members]
    learn_weights(members, turning.valid)
    assert [member.id for member in members] == before


def test_who_knows_what_happened_meanwhile_weighs_more(turning: Split) -> None:
    members = [Ease(l2=1.0).fit(turning.train), Markov().fit(turning.train)]
    live = learn_weights(members, turning.valid)
    untimed = replace(turning.valid, histories=replace(turning.valid.histories, clock="index"))
    share = [weights[1] / weights.sum() for weights in (live, learn_weights(members, untimed))]
    assert share[0] > share[1]


def test_weights_are_never_worse_on_validation_than_the_best_member(turning: Split) -> None:
    members = [Popularity().fit(turning.train), RecentPopularity().fit(turning.train), Markov().fit(turning.train)]
    untimed = replace(turning.valid, histories=replace(turning.valid.histories, clock="index"))
    weights = learn_weights(members, untimed)
    blend = ChosenBlend(members="popularity+recent_popularity+markov").fit(turning.train)
    blend.coefficients = weights
    assert (
        validate(blend, turning.valid)["ndcg@10"]
        >= max(validate(member, turning.valid)["ndcg@10"] for member in members) - 1e-6
    )


def test_the_same_cases_give_the_same_weights(turning: Split) -> None:
    members = [Markov().fit(turning.train), Popularity().fit(turning.train)]
    assert np.array_equal(learn_weights(members, turning.valid), learn_weights(members, turning.valid))
