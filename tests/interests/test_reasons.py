"""Reasons: exact where a score is a sum, by leaving events out elsewhere; and truer than chance."""

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.interests.reasons import Because, Reason, event_weights, faithfulness, reasons
from penchant.models import create
from penchant.models.base import Model
from penchant.ranking import recommend
from penchant.types import PenchantError, Sequences

from .conftest import World
from .test_finding import lstm
from .test_profiles import network


def person(world: World, row: int = 0) -> Sequences:
    return seq.select(seq.histories(world.log), np.array([row]))


def fitted(world: World, name: str, **settings: object) -> Model:
    return create(name, **settings).fit(seq.histories(world.log))


@pytest.mark.parametrize("name", ["transitions", "markov", "item_knn"])
def test_addends_sum_to_the_part_of_the_past_exactly(world: World, name: str) -> None:
    model, mine = fitted(world, name), person(world)
    item = np.arange(40)
    parts = model.parts(model.encode(mine), np.zeros(1, np.int64), item[None])
    evidence = next(part for part_name, part in parts.items() if part_name != "popularity")
    np.testing.assert_allclose(event_weights(model, mine, item, 0).sum(axis=0), evidence[0], rtol=1e-5, atol=1e-5)


def test_addends_know_what_was_learned_since(world: World) -> None:
    model, mine = fitted(world, "transitions"), person(world)
    item = np.arange(40)
    before = event_weights(model, mine, item, 0)
    model.learn_next(mine, person(world, 2))  # type: ignore[attr-defined]
    after = event_weights(model, mine, item, 0)
    assert not np.allclose(before, after)
    parts = model.parts(model.encode(mine), np.zeros(1, np.int64), item[None])
    np.testing.assert_allclose(after.sum(axis=0), parts["memory"][0], rtol=1e-5, atol=1e-5)


def test_leaving_an_event_out_is_reading_the_history_without_it(world: World) -> None:
    model, mine = network(world), person(world)
    item, now = np.array([3, 30]), np.array([int(mine.timestamp[-1])])
    weights = event_weights(model, mine, item, int(now[0]))
    assert weights.shape == (len(mine.item), 2)
    whole = model.score(model.encode(mine), now)[0]
    for event in (0, 5, len(mine.item) - 1):
        without = seq.where(mine, np.arange(len(mine.item)) != event)
        score = model.score(model.encode(without), now)[0]
        lost = (whole[item] - whole.mean()) - (score[item] - score.mean())
        np.testing.assert_allclose(weights[event], lost, atol=1e-4)


@pytest.mark.parametrize("name", ["transitions", "popularity", "ease", "blend"])
def test_every_model_gives_reasons(world: World, name: str) -> None:
    model = fitted(world, name, **({"members": "transitions+popularity"} if name == "blend" else {}))
    mine, now = person(world), int(world.log.timestamp.max())
    best = recommend(model, model.encode(mine), 5, now=np.array([now])).item[0]
    told = reasons(model, mine, best, now, lambda item: f"The {item}")
    assert [reason.item_id for reason in told] == [model.items[int(code)] for code in best]
    for reason in told:
        assert sum(reason.shares.values()) == pytest.approx(1) or not reason.shares
        assert all(share > 0 for share in reason.shares.values())
        assert all(one.title == f"The {one.item_id}" and 0 < one.weight <= 1 for one in reason.because)
        assert {one.item_id for one in reason.because} <= {mine.items[int(code)] for code in mine.item}
        assert reason.words().endswith(".")
        assert reason.words("zh").endswith("。")
    assert bool(told[0].because) == (name != "popularity")
    assert reasons(model, mine, best, now, lambda item: f"The {item}", model.encode(mine)) == told


def test_somebody_without_a_past_gets_what_is_popular_and_a_sentence(world: World) -> None:
    for model in (world.model, lstm(world.log.items)):
        told = reasons(model, seq.of_users(seq.histories(world.log), ["nobody"]), np.array([0, 1]), 0)
        assert all(reason.because == () for reason in told)
        assert all(reason.words() for reason in told)


def test_the_sentence_names_events_and_parts() -> None:
    because = (Because("1", "Alien", 0.7), Because("2", "Jaws", 0.3))
    reason = Reason("3", {"memory": 0.62, "long_term": 0.38}, because)
    assert reason.words() == "Because of “Alien” and “Jaws”; what speaks for it: what follows what (62%) and long-term (38%)."
    assert reason.words("zh") == "因为之前的《Alien》和《Jaws》；主要依据：前后关联 (62%)和长期 (38%)。"
    assert Reason("3", {}, ()).words() == "Nothing speaks for it more than for others."
    assert reason.to_json()["because"][0] == {"item_id": "1", "title": "Alien", "weight": 0.7}
    with pytest.raises(PenchantError):
        reason.words("fr")


def test_named_events_matter_more_than_others(world: World) -> None:
    histories = seq.histories(world.log)
    now = np.full(len(histories), int(world.log.timestamp.max()))
    for model in (world.model, fitted(world, "item_knn"), network(world)):
        found = faithfulness(model, histories, now, people=15)
        assert found.people == 15
        assert found.interval[0] > 0
        assert found.interval[0] <= found.difference <= found.interval[1]
        assert found.greater > 0.6
    assert found == faithfulness(model, histories, now, people=15)
    nobody = faithfulness(world.model, seq.select(histories, np.zeros(0, np.int64)), now[:0])
    assert nobody.people == 0
