"""Topics beside a service: made in the background from the store, kept, matched, or not there and said why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penchant import artifact
from penchant.interests import topics as kept
from penchant.interests.profiles import habits
from penchant.live import interests
from penchant.live.deployment import Following
from penchant.live.events import Event
from penchant.live.interests import Insight, NotYetError, past_of, topics_of_store
from penchant.live.ledger import Ledger
from penchant.live.records import Item
from penchant.live.service import Service
from penchant.models import create
from penchant.models.base import Model
from penchant.testing import example_histories, log_of
from penchant.types import MICROSECONDS, PenchantError, UnknownError

NOW = 1_700_000_000 * MICROSECONDS


def fill(ledger: Ledger) -> None:
    """Thirty people, each with twenty events of half of the items, a minute apart; items with titles and labels."""
    chance = np.random.default_rng(1)
    events = [
        Event(f"u{user}", f"item {int(item) + user % 2 * 20}", NOW + place * 60 * MICROSECONDS).named()
        for user in range(30)
        for place, item in enumerate(chance.integers(0, 20, 20))
    ]
    ledger.append(events).result()
    kinds = ("horror", "comedy")
    ledger.put_items(
        [Item(f"item {n}", categories=(kinds[n // 20],), labels=[f"word {n % 3}"], text=f"Film {n}") for n in range(40)]
    ).result()


def test_topics_are_made_from_the_store_and_kept(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    made = topics_of_store(tmp_path / "model", ledger)
    assert made.titles[made.items.code("item 3")] == "Film 3"
    assert any("horror" in topic.terms for topic in made.topics)
    assert topics_of_store(tmp_path / "model", ledger).topics == made.topics
    # Another catalogue: made anew, under the old numbers.
    larger = create("transitions").fit(example_histories(np.random.default_rng(1), users=30, items=50))
    artifact.save(larger, tmp_path / "model")
    again = topics_of_store(tmp_path / "model", ledger)
    assert again.items == larger.items
    assert len(again) == len(made)
    assert kept.load(kept.beside(tmp_path / "model")).items == larger.items


def test_a_store_of_a_log_without_times_has_topics(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    rows = [(f"u{user}", f"item {(user * 7 + step * 3) % 40}", float(step)) for user in range(30) for step in range(20)]
    ledger.load(log_of(rows, clock="index"))
    artifact.save(transitions, tmp_path / "model")
    made = topics_of_store(tmp_path / "model", ledger)
    assert made.popularity.sum() == pytest.approx(1, abs=1e-5)
    assert "evening" not in made.segments.features
    ledger.append([Event("u1", "item 1", NOW).named()]).result()  # events that come have times
    assert topics_of_store(tmp_path / "model", ledger, count=3).popularity.sum() == pytest.approx(1, abs=1e-5)


def test_an_empty_store_has_no_topics_and_a_service_says_so(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    artifact.save(transitions, tmp_path / "model")
    insight = Insight(ledger)
    with pytest.raises(UnknownError, match="make them with penchant interests"):
        insight.found()
    insight.begin(transitions, tmp_path / "model")
    insight.wait()
    with pytest.raises(UnknownError, match="this server has no topics: the store has no events"):
        insight.found()
    assert [path.name for path in tmp_path.glob("model*")] == ["model"]


def test_a_large_store_is_left_to_the_command(
    ledger: Ledger, transitions: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    monkeypatch.setattr(interests, "MOST_READ", 100)
    with pytest.raises(PenchantError, match="more than 100 events; make topics with penchant interests MODEL DIR"):
        topics_of_store(tmp_path / "model", ledger)


def test_what_is_being_made_is_said_and_given_up_at_the_end(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    insight = Insight(ledger)
    insight.begin(transitions, tmp_path / "model")
    with pytest.raises(NotYetError, match="topics are being made"):
        insight.found()
    insight.close()
    insight.wait()
    assert insight.topics is None
    assert [path.name for path in tmp_path.glob("*model*")] == ["model"]


def test_a_service_that_follows_a_folder_has_topics(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    service = Service(ledger, transitions, {})
    following = Following(service, tmp_path / "model", "sqlite:///nowhere.db")
    service.insight.wait()
    now = NOW + 60 * 60 * MICROSECONDS
    found = service.interests("u0", now)
    assert found.known
    assert found.events == 20
    assert found.source == "history"
    assert found.habits.sessions == 1
    service.feedback([Event("u0", "item 33", now)], now).result()
    then = service.interests("u0", now)
    assert then.events == 21
    assert then.habits.sessions == 2
    assert then.short_term.argmax() == service.insight.found().nearest[service.living.model.items.code("item 33")]
    assert not service.interests("nobody", now).known
    following.close()
    service.close()


def test_sessions_are_those_named_or_end_with_a_pause(ledger: Ledger, transitions: Model, tmp_path: Path) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    topics = topics_of_store(tmp_path / "model", ledger)
    minute = 60 * MICROSECONDS
    named = [("a", 0), ("a", 100), ("b", 101), (None, 102), (None, 140)]
    for name, at in reversed(named):  # a history is in order however it came
        ledger.append([Event("u", "item 1", NOW + at * minute, session_id=name).named()]).result()
    past = past_of(*ledger.past("u"), topics)
    assert past.session.tolist() == [0, 0, 1, 1, 2]
    assert past.timestamp.tolist() == [NOW + at * minute for _, at in named]
    assert past.clock == "real"
    assert past_of([3 * MICROSECONDS], ["item 1"], [None], [None], topics).clock == "index"
    assert len(past_of(*ledger.past("nobody"), topics)) == 0


def test_values_say_how_much_was_taken_in_or_how_long_somebody_stayed(
    ledger: Ledger, transitions: Model, tmp_path: Path
) -> None:
    fill(ledger)
    artifact.save(transitions, tmp_path / "model")
    topics = topics_of_store(tmp_path / "model", ledger)
    events = [Event("u", "item 1", NOW + n, value=value).named() for n, value in enumerate((0.25, 0.5, 3.0))]
    ledger.append(events).result()
    told = ledger.past("u")
    assert habits(past_of(*told, topics)) == replace(habits(past_of(*told, topics)), completion=None, dwell_seconds=None)
    assert habits(past_of(*told, topics, "completion")).completion == pytest.approx((0.25 + 0.5 + 1) / 3)
    assert habits(past_of(*told, topics, "dwell")).dwell_seconds == pytest.approx(3.75 / 3)
    assert habits(past_of([NOW], ["item 1"], [None], [None], topics, "dwell")).dwell_seconds is None
    with pytest.raises(PenchantError, match="may say completion or dwell, not 'rating'"):
        Insight(ledger, "rating")
