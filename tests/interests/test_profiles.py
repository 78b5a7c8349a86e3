"""Profiles: shares, drift, habits, half-lives and the river, against what is true by construction."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import sequences as seq
from penchant.interests.profiles import (
    MOMENTS,
    Past,
    flow,
    habits,
    half_lives,
    jensen_shannon,
    pasts,
    profile,
    shares_of_memories,
)
from penchant.interests.topics import Topics
from penchant.models import create
from penchant.models.longshort import LongShort
from penchant.models.neural.model import LongShortNetwork
from penchant.models.neural.runtime import RUNTIMES, common_shapes
from penchant.types import DAY, MICROSECONDS, UNKNOWN, Vocabulary

from .conftest import START, World

MINUTE = 60 * MICROSECONDS


def sharp(topics: Topics, kinds: int = 2) -> Topics:
    """Topics whose items belong to one alone: the first half of the catalogue to topic 0."""
    membership = np.zeros((40, kinds), np.float32)
    membership[:20, 0] = membership[20:, 1] = 1
    return replace(topics, membership=membership)


def past(items: list[int], times: list[int], sessions: list[int] | None = None, **more: object) -> Past:
    numbers = np.array(sessions if sessions is not None else range(len(items)), np.int64)
    return Past(np.array(items, np.int64), np.array(times, np.int64), numbers, **more)  # type: ignore[arg-type]


def test_long_term_fades_by_half_in_ninety_days_and_right_now_is_the_last_session(world: World) -> None:
    topics = sharp(world.topics)
    mine = past([0, 25, 26], [START, START + 90 * DAY, START + 90 * DAY + MINUTE], [0, 1, 1])
    found = profile(topics, mine, "u", START + 90 * DAY)
    np.testing.assert_allclose(found.long_term, [0.2, 0.8], rtol=1e-3)
    np.testing.assert_allclose(found.short_term, [0, 1], atol=1e-6)
    assert found.source == "history"
    assert 0 < found.drift < 1


def test_without_times_age_is_in_events_and_right_now_is_the_last_five(world: World) -> None:
    items = [0] * 50 + [25] * 5
    mine = past(items, [place * MICROSECONDS for place in range(55)], [0] * 55, clock="index")
    found = profile(sharp(world.topics), mine, "u", 0)
    np.testing.assert_allclose(found.short_term, [0, 1], atol=1e-6)
    weights = 0.5 ** (np.arange(55)[::-1] / 50)
    np.testing.assert_allclose(found.long_term[0], weights[:50].sum() / weights.sum(), rtol=1e-4)
    assert np.isnan(found.half_life).all()
    assert sum(found.habits.hours) == 0
    assert found.habits.session_minutes is None
    assert found.to_json()["river"]["times"][-1] == 54


@given(
    st.lists(st.tuples(st.integers(-1, 39), st.integers(0, 10**9)), min_size=1, max_size=80),
    st.sampled_from(["real", "index"]),
)
def test_shares_sum_to_one_whatever_was_done(world: World, events: list[tuple[int, int]], clock: str) -> None:
    times = sorted(START + second * MICROSECONDS for _, second in events)
    found = profile(world.topics, past([item for item, _ in events], times, clock=clock), "u", times[-1])
    assert found.known == any(item != UNKNOWN for item, _ in events)
    for shares in (found.long_term[None], found.short_term[None], found.river.long_term, found.river.short_term):
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)
        assert (shares >= 0).all()
    assert 0 <= found.drift <= 1
    assert len(found.river.times) <= MOMENTS
    assert found.events == len(events)


def test_the_river_at_a_moment_is_the_profile_at_that_moment(world: World) -> None:
    whole = pasts(world.log, world.topics)[0]
    river = flow(world.topics, whole)
    for row in (0, len(river.times) // 2, -1):
        until = whole.timestamp <= river.times[row]
        then = profile(world.topics, Past(*(a[until] for a in (whole.item, whole.timestamp, whole.session))), "u", 0)
        np.testing.assert_allclose(river.long_term[row], then.long_term, rtol=1e-4)
        np.testing.assert_allclose(river.short_term[row], then.short_term, rtol=1e-4)


def test_drift_is_a_distance() -> None:
    chance = np.random.default_rng(0)
    a, b, c = (chance.dirichlet(np.ones(5), 50) for _ in range(3))
    ab, bc, ac = jensen_shannon(a, b), jensen_shannon(b, c), jensen_shannon(a, c)
    np.testing.assert_allclose(ab, jensen_shannon(b, a))
    assert (ac <= ab + bc + 1e-9).all()
    assert (jensen_shannon(a, a) == 0).all()


def test_habits_are_when_and_how_long(world: World) -> None:
    monday = 1_700_438_400 * MICROSECONDS  # 2023-11-20 00:00 UTC
    evening = monday + 19 * 60 * MINUTE
    times = [evening, evening + 10 * MINUTE, evening + DAY, evening + DAY + 30 * MINUTE]
    shares, stayed = np.array([1.0, 0.5, np.nan, 0.3]), np.array([10.0, np.nan, np.nan, 30.0])
    found = habits(past([0, 1, 2, 3], times, [0, 0, 1, 1], completion=shares, dwell=stayed))
    assert found.hours[19] == 1
    assert found.weekdays[:2] == (0.5, 0.5)
    assert (found.sessions, found.session_minutes, found.events_per_session) == (2, 20, 2)
    assert found.completion == pytest.approx(0.6)
    assert found.dwell_seconds == 20
    unknown = habits(past([0], [START], completion=np.array([np.nan])))
    assert unknown.completion is unknown.dwell_seconds is None


def test_nobody_stays_longer_than_a_day(world: World) -> None:
    for clock in ("real", "index"):
        stayed = np.array([1e308] * 6 + [-1e308, np.nan])
        found = habits(past(list(range(8)), [START] * 8, clock=clock, dwell=stayed))
        assert found.dwell_seconds == pytest.approx(6 / 7 * 24 * 60 * 60)


def test_half_of_a_topic_s_events_are_younger_than_its_half_life(world: World) -> None:
    times = [START + day * DAY for day in (0, 10, 20, 30, 40)]
    found = half_lives(sharp(world.topics, 3), past([1, 2, 3, 25, 26], times))
    assert found[:2].tolist() == [30, 0]
    assert np.isnan(found[2])


def test_somebody_never_seen_gets_what_everybody_likes(world: World) -> None:
    found = profile(world.topics, past([], []), "nobody", START)
    told = found.to_json()
    assert (told["known"], told["events"], told["segment"], told["drift"]) == (False, 0, None, 0)
    np.testing.assert_allclose(found.long_term, world.topics.popularity)
    assert "what newcomers get" in told["words"]["en"]
    assert "新用户" in told["words"]["zh"]


def test_words_and_segment_are_told_in_both_languages(world: World) -> None:
    found = profile(world.topics, pasts(world.log, world.topics)[0], "u0", int(world.log.timestamp.max()))
    told = found.to_json("zh")
    assert told["words"]["en"].startswith("Long-term: ")
    assert told["words"]["zh"].startswith("长期兴趣：")
    assert "0%" not in profile(sharp(world.topics), past([0], [START]), "u", START).words().replace("100%", "")
    assert found.segment is not None
    assert told["segment"]["name"] == found.segment.name("zh")
    horror = world.topics.topics[int(world.topics.nearest[0])]
    assert found.long_term[horror.topic] > 0.6


def network(world: World, **settings: Any) -> LongShortNetwork:
    """As if trained: drawn at random, but the first 20 items lie in the direction of the first number."""
    model, chance = LongShortNetwork(width=8, **settings), np.random.default_rng(2)
    model.items, model.event_types = world.log.items, ("event",)
    shapes = common_shapes(40, 1, timed=True, settings=model.settings)
    shapes |= RUNTIMES["longshort_network"].shapes(model.settings, timed=True)
    weights = {name: chance.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    weights["bias"][:] = 0
    weights["embedding"][:20, 0], weights["embedding"][20:, 0] = 3, -3
    if "body.unit" in shapes:
        weights["body.unit"] = np.float32(86_400) * np.ones((), np.float32)
    model.set_weights(weights)
    return model


def test_a_network_s_memories_say_what_each_would_recommend(world: World) -> None:
    model = network(world)
    state = model.initial(2)
    likes, loathes = np.zeros(8, np.float32), np.zeros(8, np.float32)
    likes[0], loathes[0] = 2, -2
    arrays = dict(state.arrays) | {"long": np.stack([likes, loathes]), "short": np.stack([loathes, loathes])}
    found = shares_of_memories(model, replace(state, arrays=arrays), sharp(world.topics))
    assert found is not None
    long, short = found
    assert long[0, 0] > 0.99
    assert long[1, 1] > 0.99
    assert short[0, 1] > 0.99
    np.testing.assert_allclose(long.sum(axis=1), 1, rtol=1e-5)
    mine = pasts(world.log, world.topics)[0]
    told = profile(sharp(world.topics), mine, "u0", START, (long[0], short[0]))
    assert told.source == "network"
    assert told.drift > 0.9


def test_only_memories_that_speak_are_asked(world: World) -> None:
    whole = LongShort(width=8, content=False)
    whole.items, whole.event_types = world.log.items, ("event",)
    whole.members = {"network": network(world), "transitions": create("transitions").fit(seq.histories(world.log))}
    for weight, speaks in ((1.0, True), (0.0, False)):
        whole.coefficients = np.array([weight, 1.0], np.float32)
        found = shares_of_memories(whole, whole.encode(seq.histories(world.log)), world.topics)
        assert (found is not None) == speaks
    assert shares_of_memories(network(world, long=False), network(world, long=False).initial(1), world.topics) is None
    assert shares_of_memories(world.model, world.model.initial(1), world.topics) is None


def test_ten_thousand_events_take_milliseconds(world: World) -> None:
    chance = np.random.default_rng(1)
    times = START + np.sort(chance.integers(0, 1000 * DAY, 10_000))
    mine = Past(chance.integers(0, 40, 10_000), times, np.arange(10_000) // 10)
    took = []
    for _ in range(5):
        started = time.process_time()
        profile(world.topics, mine, "u", int(times[-1]))
        took.append(time.process_time() - started)
    assert min(took) < 0.2


def test_unknown_items_and_other_catalogues(world: World) -> None:
    log = replace(world.log, items=Vocabulary(tuple(f"other {number}" for number in range(40))))
    found = profile(world.topics, pasts(log, world.topics)[0], "u0", START)
    assert not found.known
    assert found.events > 0
