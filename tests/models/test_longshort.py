from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from penchant.models import create
from penchant.models.longshort import LongShort
from penchant.testing import check_recommender, example_histories
from penchant.types import PenchantError

TINY: dict[str, Any] = {"width": 8, "epochs": 2, "negatives": 16, "batch_events": 64}
PARTS = ("network", "memory", "neighbours", "regression", "content", "popularity")


@pytest.mark.parametrize("more", [{}, {"networks": 2, "ring": 3, "heads": 2}])
def test_keeps_the_contract(more: dict[str, Any]) -> None:
    check_recommender(lambda: LongShort(**TINY | more))


def test_every_part_of_a_score_can_be_seen() -> None:
    histories = example_histories(np.random.default_rng(0), 30)
    model = LongShort(**TINY).fit(histories)
    states = model.encode(histories)
    parts = model.parts(states, states.timestamp, np.zeros((len(states), 1), np.int32))
    assert {"long_term", "short_term", "bias", "memory", "popularity"} <= set(parts)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_switched_off(part: str) -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    members = LongShort(**(TINY | {part: False})).fit(histories).members
    gone = {"memory": {"transitions", "far_transitions"}, "popularity": {"popularity", "recent_popularity"}}
    assert not members.keys() & gone.get(part, {part})
    assert len(members) >= 5


def test_several_networks_are_alike_but_for_their_chance() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    one, three = (LongShort(**TINY, seed=5, networks=n).fit(histories) for n in (1, 3))
    assert three.members.keys() - one.members.keys() == {"network_2", "network_3"}
    networks = [member for name, member in three.members.items() if name.startswith("network")]
    assert networks[0].id == one.members["network"].id
    assert len({network.id for network in networks}) == 3
    # A neighbour's seed shares no network with it.
    other = LongShort(**TINY, seed=6, networks=3).fit(histories).members
    assert not {network.id for network in networks} & {member.id for name, member in other.items() if name.startswith("net")}
    states, now = three.encode(histories), np.zeros(20, np.int64)
    said = sum(network.score(network.encode(histories), now) for network in networks)
    others: dict[str, Any] = dict.fromkeys(PARTS[1:], False)
    alone = LongShort(**TINY, seed=5, networks=3, **others).fit(histories)
    assert np.allclose(alone.score(alone.encode(histories), now), said, atol=1e-5)
    parts = three.parts(states, states.timestamp, np.zeros((20, 1), np.int32))
    assert {"long_term", "short_term", "bias"} <= parts.keys()
    with pytest.raises(PenchantError, match="networks must lie between 1 and 16"):
        LongShort(networks=0)


def test_something_must_stay() -> None:
    off: dict[str, Any] = dict.fromkeys(PARTS, False)
    with pytest.raises(PenchantError, match="can't all be false"):
        LongShort(**off)
    with pytest.raises(PenchantError, match="short and long can't both be false"):
        LongShort(short=False, long=False)


def test_a_dataset_without_words_or_times_has_fewer_parts() -> None:
    histories = replace(example_histories(np.random.default_rng(0), 20), content=None, clock="index")
    members = LongShort(**TINY).fit(histories).members
    assert "content" not in members
    assert "recent_popularity" not in members


def test_lately_is_what_the_half_life_says() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    quick = LongShort(**TINY, network=False, half_life_days=0.1).fit(histories).members["recent_popularity"]
    assert quick.id == create("recent_popularity", half_life_days=0.1).fit(histories).id
    with pytest.raises(PenchantError, match=r"half_life_days must be at least 0\.000001"):
        LongShort(half_life_days=0)


def test_a_model_saved_before_there_was_a_regression_is_what_it_was() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    model = LongShort(**TINY, regression=False).fit(histories)
    old = {name: array for name, array in model.weights().items() if name != "transitions/settings"}
    loaded = LongShort(**TINY)
    loaded.items, loaded.event_types = model.items, model.event_types
    loaded.set_weights(old)
    now = np.zeros(20, np.int64)
    assert np.array_equal(loaded.score(loaded.encode(histories), now), model.score(model.encode(histories), now))


def test_time_enters_the_gate() -> None:
    histories = example_histories(np.random.default_rng(0), 30)
    model = LongShort(**(TINY | {"epochs": 8, "learning_rate": 0.05})).fit(histories)
    states = model.encode(histories)
    later = states.timestamp + 10**14
    assert not np.allclose(model.score(states, states.timestamp), model.score(states, later))
