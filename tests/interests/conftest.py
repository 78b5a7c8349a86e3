"""A small log of two kinds of people and two kinds of items, with words, and a model of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.interests.finding import find_topics
from penchant.interests.topics import Topics
from penchant.models import create
from penchant.models.base import Model
from penchant.types import DAY, MICROSECONDS, Interactions, Vocabulary, text

START = 1_700_000_000 * MICROSECONDS
ITEMS = 40
PEOPLE = 60
SCREAM, LAUGH = ("ghost", "blood", "vampire", "scream"), ("joke", "clown", "laugh", "party")


def make_log(*, people: int = PEOPLE, clock: Any = "real", seed: int = 3) -> Interactions:
    """Even people like items below 20 (horror), odd ones the others (comedy): one event in eight is of the other kind."""
    chance = np.random.default_rng(seed)
    user, item, timestamp, session = [], [], [], []
    for person in range(people):
        events = int(chance.integers(12, 30))
        mine = chance.integers(0, ITEMS // 2, events) + (person % 2) * ITEMS // 2
        mine = np.where(chance.random(events) < 1 / 8, (mine + ITEMS // 2) % ITEMS, mine)
        sessions = np.sort(chance.integers(0, 5, events))
        user += [person] * events
        item += mine.tolist()
        session += (np.cumsum(np.append(0, np.diff(sessions) > 0))).tolist()
        timestamp += (START + sessions * 7 * DAY + np.arange(events) * 60 * MICROSECONDS).tolist()
    place = np.arange(len(user))
    return Interactions(
        users=Vocabulary(tuple(f"u{number}" for number in range(people))),
        items=Vocabulary(tuple(f"i{number}" for number in range(ITEMS))),
        event_types=("event",),
        user=np.array(user, np.int32),
        item=np.array(item, np.int32),
        timestamp=np.array(timestamp, np.int64) if clock == "real" else place * MICROSECONDS,
        event_type=np.zeros(len(user), np.int16),
        value=np.ones(len(user), np.float32),
        session=np.array(session, np.int32),
        event_id=text([f"{number:06}" for number in place]),
        clock=clock,
        content_hash="made",
    )


def describe(seed: int = 4) -> dict[str, dict[str, Any]]:
    """A title of words of the item's kind, its genre and a price: horror is dear."""
    chance = np.random.default_rng(seed)
    found = {}
    for number in range(ITEMS):
        horror = number < ITEMS // 2
        words = chance.permutation(SCREAM if horror else LAUGH)[:2]
        price = chance.uniform(50, 90) if horror else chance.uniform(5, 30)
        genres = "Horror" if horror else "Comedy"
        found[f"i{number}"] = {"title": f"The {words[0]} and {words[1]} {number}", "genres": genres, "price": f"{price:.2f}"}
    return found


@dataclass(frozen=True)
class World:
    """The log, its items' descriptions, a model and its topics."""

    log: Interactions
    descriptions: dict[str, dict[str, Any]]
    model: Model
    topics: Topics


@pytest.fixture(scope="session")
def world() -> World:
    log, descriptions = make_log(), describe()
    model = create("transitions").fit(seq.histories(log))
    return World(log, descriptions, model, find_topics(model, log, descriptions, count=2))
