"""Challenger against champion on the newest events; promotion, lineage, going back, and a service that follows."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from penchant import artifact, folders
from penchant import sequences as seq
from penchant.evaluation import Live
from penchant.live import learning
from penchant.live.deployment import Following, open_service, update_model
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.live.service import Ask
from penchant.models import create
from penchant.testing import log_of
from penchant.types import MICROSECONDS, Interactions, PenchantError, Progress

HOUR = 3600
BEGIN = 1_600_000_000
PEOPLE = 40


def walk(step: int, first: int = 0, length: int = 12, items: int = 30, begin: int = BEGIN) -> Interactions:
    """Everybody goes ``step`` items on with each event, each beginning elsewhere."""
    return log_of(
        [
            (f"user {user:02}", f"item {(user + step * place) % items}", begin + HOUR * place + user)
            for user in range(PEOPLE)
            for place in range(first, first + length)
        ]
    )


def events_of(log: Interactions) -> list[Event]:
    return [
        Event(log.users[user], log.items[item], moment).named()
        for user, item, moment in zip(log.user.tolist(), log.item.tolist(), log.timestamp.tolist(), strict=True)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that learned to go one item on, and a store with the same events."""
    log = walk(1)
    artifact.save(create("markov").fit(seq.histories(log)), tmp_path / "model", {"dataset": log.content_hash})
    ledger = Ledger(tmp_path / "store.db", create=True)
    ledger.load(log)
    ledger.close()
    return tmp_path


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    opened = Ledger(folder / "store.db")
    yield opened
    opened.close()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def changed_ways(ledger: Ledger) -> None:
    """Everybody goes seven on now, through items that nobody had before."""
    later = walk(7, first=20, length=15, items=50)
    ledger.append(events_of(later)).result()


def test_a_better_challenger_is_promoted_and_can_be_taken_back(folder: Path, ledger: Ledger) -> None:
    model = folder / "model"
    champion = artifact.load(model)
    changed_ways(ledger)
    result = learning.update(model, ledger)
    assert result.promoted, result.why
    assert result.new_events == PEOPLE * 15
    assert result.metrics["challenger"]["ndcg@10"] >= result.metrics["champion"]["ndcg@10"]
    assert (result.items_before, result.items_after) == (30, 50)
    assert (result.champion, result.challenger) == (champion.id, artifact.load(model).id)
    lineage = artifact.read_lineage(model)
    assert lineage["parent"] == champion.id
    assert lineage["learned_to"] == ledger.meta()["clock"]
    assert lineage["promoted_because"] == result.why
    assert sorted(path.name for path in folder.iterdir() if "store" not in path.name) == ["model", "model.previous"]
    with pytest.raises(PenchantError, match="hasn't learned"):  # the new one has learned them
        learning.update(model, ledger)
    assert learning.roll_back(model) == champion.id
    assert artifact.load(model).id == champion.id
    assert learning.roll_back(model) == result.challenger


def test_memories_go_on_learning_while_both_are_asked(folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the newest events everybody goes elsewhere than before: whoever learns from them hour by hour soon knows."""
    ledger.append([*events_of(walk(1, first=20, length=12)), *events_of(walk(11, first=32, length=4))]).result()
    found = []
    for live in (learning.LIVE, Live(step=10**15)):  # in the second, the next hour never comes
        monkeypatch.setattr(learning, "LIVE", live)
        model = folder / f"model {live.step}"
        shutil.copytree(folder / "model", model)
        found.append(learning.update(model, ledger).metrics)
    for name in ("champion", "challenger"):
        assert found[0][name]["ndcg@10"] > found[1][name]["ndcg@10"]


def test_a_worse_challenger_is_not(folder: Path) -> None:
    """The store knows little of what the champion was trained on: what is trained on the store alone is worse."""
    rich = walk(7, length=30, items=50)
    model = folder / "rich"
    artifact.save(create("markov").fit(seq.histories(rich)), model)
    before = artifact.load(model).id
    ledger = Ledger(folder / "poor.db", create=True)
    chance = np.random.default_rng(1)
    places = [(user, place) for user in range(30) for place in range(5)]
    noise = log_of([(f"u{user}", f"item {chance.integers(50)}", BEGIN + HOUR * place) for user, place in places])
    ledger.append(events_of(noise)).result()
    ledger.append(events_of(walk(7, first=100, length=3, items=50))).result()
    result = learning.update(model, ledger)
    ledger.close()
    assert not result.promoted, result.why
    assert "worse" in result.why
    assert artifact.load(model).id == before
    assert not learning.previous(model).exists()
    with pytest.raises(PenchantError, match="nothing to go back to"):
        learning.roll_back(model)


def test_nothing_is_made_of_too_few_events(folder: Path, ledger: Ledger) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(PenchantError, match="0 events"):
        learning.update(folder / "model", ledger)
    assert sorted(folder.iterdir()) == before


def test_two_updates_of_a_model_do_not_both_train(folder: Path, ledger: Ledger) -> None:
    changed_ways(ledger)
    words = (
        "import sys, pathlib as p, penchant.folders as f\nwith f.alone(p.Path(sys.argv[1]), 'x'): print(1, flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", words, str(folder / "model")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout
    other.stdout.readline()
    with pytest.raises(PenchantError, match="already goes on"):
        learning.update(folder / "model", ledger)
    other.kill()  # and what it held is free
    other.communicate()
    assert learning.update(folder / "model", ledger).promoted


def test_a_service_takes_the_new_model_and_the_old_one_again(folder: Path, ledger: Ledger) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    service = open_service(model, store)
    following = Following(service, model, store)
    try:
        changed_ways(ledger)
        now = (BEGIN + 40 * HOUR) * MICROSECONDS
        new_items = {f"item {number}" for number in range(30, 50)}

        def recommended() -> set[str]:
            asked = [service.recommend(Ask(now, f"user {user:02}", n=3)).result() for user in range(PEOPLE)]
            assert {answer.model for answer in asked} == {service.living.name}
            return {item for answer in asked for item in answer.items}

        old = service.living.name
        assert not recommended() & new_items
        assert update_model(model, store).promoted
        following.look()
        assert service.living.name == artifact.read_config(model)["id"] != old
        assert recommended() & new_items
        assert service.lag == 0
        learning.roll_back(model)
        following.look()
        assert service.living.name.split("-")[0] == "markov"
        assert service.living.model.items.ids[:30] == artifact.load(model).items.ids
        assert len(service.living.model.items) == 50  # it grew, as it would have without the other
    finally:
        following.close()
        service.close()


def test_a_broken_folder_does_not_stop_a_service(folder: Path) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    service = open_service(model, store)
    following = Following(service, model, store)
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace(service.living.name, "another"))
    with pytest.raises(PenchantError):
        following.look()
    following.close()
    assert service.recommend(Ask(BEGIN * MICROSECONDS, "user 01")).result().items
    service.close()


def test_a_network_learns_from_a_store_too(folder: Path, ledger: Ledger) -> None:
    log = walk(1)
    model = folder / "network"
    artifact.save(create("gru", width=8, epochs=2).fit(seq.histories(log)), model, {"dataset": log.content_hash})
    changed_ways(ledger)
    result = learning.update(model, ledger)
    assert result.promoted, result.why
    assert artifact.load(model).name == "gru"
    assert len(artifact.load(model).items) == 50
    lineage = artifact.read_lineage(model)
    assert lineage["histories"] == artifact.read_lineage(learning.previous(model))["histories"]
    assert len(lineage["update_histories"][""]) >= 1
    assert sum(lineage["inputs"]["items"]) == ledger.counts()["events"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(("model", ".model")))


def at(words: str, do: Callable[[], object]) -> Progress:
    """Do something when an update says that it is at a place."""

    def progress(what: str, done: int, total: int) -> None:
        if what.startswith(words):
            do()

    return progress


def teach(ledger: Ledger, user: str, item: str, times: int = 8) -> None:
    begin = (BEGIN + 36 * HOUR) * MICROSECONDS
    ledger.append([Event(user, item, begin + n * MICROSECONDS, event_id=f"{user} {n}") for n in range(times)]).result()


def test_who_is_erased_during_an_update_is_not_in_what_is_promoted(folder: Path, ledger: Ledger) -> None:
    model = folder / "model"
    changed_ways(ledger)
    teach(ledger, "x", "secret")
    result = learning.update(model, ledger, progress=at("training a challenger", lambda: ledger.erase_user("x").result()))
    assert result.promoted
    assert "secret" not in artifact.load(model).items.ids
    teach(ledger, "user 01", "whispered", 120)
    erasing = at("the challenger learns", lambda: ledger.erase_events("user 01", "whispered").result())
    result = learning.update(model, ledger, progress=erasing)
    assert result.promoted
    assert "whispered" not in artifact.load(model).items.ids


def test_a_store_that_never_holds_still_promotes_nothing(folder: Path, ledger: Ledger) -> None:
    model = folder / "model"
    before = artifact.read_config(model)["id"]
    changed_ways(ledger)
    users = iter(range(PEOPLE))
    told: list[str] = []

    def erasing(what: str, done: int, total: int) -> None:
        told.append(what)
        if "the challenger learns the newest events too" in told and done == 0:
            ledger.erase_user(f"user {next(users):02}").result()

    with pytest.raises(PenchantError, match=r"events were deleted from the store during each of 3 trainings; update .* later"):
        learning.update(model, ledger, progress=erasing)
    assert artifact.read_config(model)["id"] == before
    assert names(folder) == ["model"]


def test_going_back_during_an_update_is_what_counts(folder: Path, ledger: Ledger) -> None:
    model = folder / "model"
    first = artifact.read_config(model)["id"]
    changed_ways(ledger)
    assert learning.update(model, ledger).promoted
    second = artifact.read_config(model)["id"]
    assert not learning.rolled_back(model)
    ledger.append(events_of(walk(7, first=40, length=15, items=50))).result()
    with pytest.raises(PenchantError, match="isn't the model any more that was to be updated; it stays as it is"):
        learning.update(model, ledger, progress=at("training a challenger", lambda: learning.roll_back(model)))
    assert artifact.read_config(model)["id"] == first
    assert artifact.read_config(learning.previous(model))["id"] == second
    assert learning.rolled_back(model)
    assert names(folder) == ["model", "model.previous"]


def test_what_was_taken_back_does_not_come_again_by_itself(
    folder: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    changed_ways(ledger)
    assert learning.update(model, ledger).promoted
    learning.roll_back(model)
    service = open_service(model, store)
    following = Following(service, model, store, update_every=1)
    try:
        wait_until(lambda: "was rolled back, so it isn't updated until penchant update is run by hand" in caplog.text)
        assert following._learning is None
    finally:
        following.close()
        service.close()
    assert learning.update(model, ledger).promoted
    assert not learning.rolled_back(model)


def test_a_service_logs_what_came_of_its_updates(
    folder: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    service = open_service(model, store)
    caplog.set_level("INFO")
    following = Following(service, model, store, update_every=1)
    try:
        wait_until(lambda: "update: " in caplog.text)
    finally:
        following.close()
        service.close()
    assert "the store has 0 events that" in caplog.text
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({"model": "model.previous", "model.previous": "model.next"}, ("second", "first")),  # between a promotion's renames
        ({"model": "model.aside"}, ("second", "first")),  # and between those of going back
        ({"model": "model.aside", "model.previous": "model"}, ("first", "second")),
        ({"model.next": "model.aside"}, ("second", "first")),  # left over
    ],
)
def test_a_crash_between_two_renames_is_mended(folder: Path, moved: dict[str, str], expected: tuple[str, str]) -> None:
    made: dict[str, str] = {}
    for name, place in (("second", "model"), ("first", "model.previous"), ("third", "model.next")):
        shutil.rmtree(folder / place, ignore_errors=True)
        model = create("markov").fit(seq.histories(walk(len(made) + 1)))
        artifact.save(model, folder / place)
        made[name] = model.id
    if "model.next" not in moved:
        shutil.rmtree(folder / "model.next")
    for old, new in moved.items():
        (folder / old).rename(folder / f"{new} now")
    for new in moved.values():
        shutil.rmtree(folder / new, ignore_errors=True)
        (folder / f"{new} now").rename(folder / new)
    if moved.get("model.previous") == "model.next":  # the champion had stepped aside, the challenger hadn't come in
        assert not (folder / "model").exists()
        expected = ("first", "second")
    learning.mend(folder / "model")
    found = [artifact.read_config(folder / place)["id"] for place in ("model", "model.previous")]
    assert found == [made[name] for name in expected]
    learning.roll_back(folder / "model")
    assert artifact.read_config(folder / "model")["id"] == found[1]


def test_what_a_killed_update_left_is_swept(folder: Path, ledger: Ledger) -> None:
    left = folder / ".model.update-4194305"  # above the greatest number of a process
    left.mkdir()
    (left / "events.csv").write_text("ann,secret")
    with pytest.raises(PenchantError, match="an update needs 100"):
        learning.update(folder / "model", ledger)
    assert names(folder) == ["model"]


def test_an_event_of_long_ago_does_not_make_a_log_one_without_times(folder: Path, ledger: Ledger) -> None:
    changed_ways(ledger)
    ledger.append([Event("ann", "item 1", 5 * MICROSECONDS, event_id="long ago")]).result()
    learning.update(folder / "model", ledger)
    assert "hours" in artifact.read_lineage(folder / "model")["inputs"]


def test_a_bot_that_cleaning_drops_is_no_change_of_the_store(folder: Path, ledger: Ledger) -> None:
    changed_ways(ledger)
    begin = (BEGIN + 40 * HOUR) * MICROSECONDS
    ledger.append(
        [Event("bot", "item 1", begin + place * MICROSECONDS // 10, event_id=str(place)) for place in range(4000)]
    ).result()
    assert learning.update(folder / "model", ledger).promoted
    assert artifact.read_lineage(folder / "model")["learned_to"] == ledger.last_number()


def test_two_do_not_go_back_at_once(folder: Path, ledger: Ledger) -> None:
    model = folder / "model"
    changed_ways(ledger)
    assert learning.update(model, ledger).promoted
    now = artifact.read_config(model)["id"]
    with (
        folders.alone(learning.previous(model), "going back"),
        pytest.raises(PenchantError, match="already goes on in another"),
    ):
        learning.roll_back(model)
    assert artifact.read_config(model)["id"] == now
    assert names(folder) == ["model", "model.previous"]
