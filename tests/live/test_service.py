"""Events in, recommendations out: the next click changes the next list, under any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.live import service as service_module
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.live.records import Item, User
from penchant.live.service import Ask, Candidates, Service
from penchant.live.states import sequences_of, verify
from penchant.models import create
from penchant.models.base import Model
from penchant.models.interest import Interest
from penchant.models.validation import seen_items
from penchant.ranking import recommend
from penchant.testing import example_histories, log_of
from penchant.types import NEVER, PenchantError, Ranking, UnknownError

Did = Callable[..., Event]


@pytest.fixture
def service(tmp_path: Path, transitions: Model) -> Iterator[Service]:
    opened = Service(Ledger(tmp_path / "service.db", create=True), transitions, {})
    yield opened
    opened.close()


def ask(service: Service, now: int, user: str | None = "ann", **more: object) -> tuple[str, ...]:
    return service.recommend(Ask(now, user, **more)).result().items  # type: ignore[arg-type]


def test_the_next_click_changes_the_next_list(service: Service, now: int, did: Did) -> None:
    before = ask(service, now)
    assert service.feedback([did("ann", 3)], now).result().accepted == 1
    after = ask(service, now)
    assert after != before
    assert after[0] == "item 4"  # in this data each item tends to be followed by the next
    assert "item 3" not in after
    assert "item 3" in ask(service, now, n=40, exclude_seen=False)
    assert ask(service, now, "bob") == before


def test_the_service_answers_as_the_library_does(service: Service, now: int) -> None:
    model = service.living.model
    histories = seq.recode(example_histories(np.random.default_rng(5), users=10), model.items)
    moments = np.full(len(histories), now)
    did = {
        user: [
            Event(
                user, histories.items[int(histories.item[e])], int(histories.timestamp[e]), event_id=str(histories.event_id[e])
            )
            for e in range(histories.offsets[row], histories.offsets[row + 1])
        ]
        for row, user in enumerate(histories.users.ids)
    }

    def expected() -> Ranking:
        return recommend(model, model.encode(histories), 5, now=moments, exclude=seen_items(histories), explain=True)

    before = expected()
    for row, events in enumerate(did.values()):
        session = service.recommend(Ask(now, events=tuple(events), n=5)).result()
        assert session.items == tuple(model.items[code] for code in before.item[row].tolist())
        assert (session.known, session.parts) == (bool(events), {})
    for events in did.values():
        service.feedback(events, now).result()
    wait_until(lambda: service.lag == 0)  # the model has learned what was stored
    after = expected()
    for row, (user, events) in enumerate(did.items()):
        stored = service.recommend(Ask(now, user, n=5, explain=True)).result()
        assert stored.items == tuple(model.items[code] for code in after.item[row].tolist())
        assert stored.known == bool(events)
        assert np.allclose(stored.scores, np.sum(list(stored.parts.values()), axis=0), rtol=1e-4)
        assert set(stored.parts) == set(after.parts)


def test_a_session_leaves_nothing_behind_and_adds_to_a_user(service: Service, now: int, did: Did) -> None:
    alone = ask(service, now, None, events=(did("x", 5),))
    assert alone == ask(service, now, None, events=(did("y", 5),))
    assert service.ledger.counts()["events"] == service.ledger.counts()["users"] == 0
    service.feedback([did("ann", 20)], now).result()
    both = ask(service, now, "ann", events=(did("ann", 5, 1),))
    service.feedback([did("ann", 5, 1)], now).result()
    assert both == ask(service, now, "ann")


def test_filters(service: Service, now: int, did: Did) -> None:
    everything = ask(service, now, n=40)
    assert ask(service, now, n=3, offset=2) == everything[2:5]
    assert ask(service, now, n=5, offset=38) == everything[38:]
    assert everything[0] not in ask(service, now, exclude=(everything[0], "never heard of"))
    service.put_items([Item(everything[0], categories=("x",), timestamp=5), Item(everything[7], categories=("x",))]).result()
    assert ask(service, now, categories=("x",)) == (everything[0], everything[7])
    assert ask(service, now, newer_than=4) == (everything[0],)
    service.patch_item(everything[0], {"hidden": True}).result()
    assert ask(service, now, categories=("x",)) == (everything[7],)
    assert ask(service, now, categories=("none",)) == ()
    service.patch_item(everything[0], {"hidden": False}).result()
    service.delete_item(everything[7]).result()
    assert ask(service, now, n=40) == tuple(item for item in everything if item != everything[7])


def test_similar_items(service: Service, now: int) -> None:
    assert service.similar("item 3", now, n=1).result().items == ("item 4",)
    with pytest.raises(UnknownError, match="doesn't know the item"):
        service.similar("never heard of", now)


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"n": 10**9}, {"offset": -1}, {"user_id": "a\0"}, {"exclude": ("x",) * 2000}, {"categories": ("x",) * 2000}],
)
def test_what_can_not_be_answered_is_refused_at_once(service: Service, now: int, wrong: dict[str, object]) -> None:
    with pytest.raises(PenchantError):
        service.recommend(replace(Ask(now), **wrong))  # type: ignore[arg-type]


def test_a_batch_is_taken_whole_or_not_at_all(service: Service, now: int, did: Did) -> None:
    with pytest.raises(PenchantError, match="event 2"):
        service.feedback([did("ann", 1), did("ann", 2)._replace(value=float("nan"))], now)
    assert service.ledger.counts()["events"] == 0


def test_clicks_are_attributed(service: Service, now: int, did: Did) -> None:
    shown = service.recommend(Ask(now, "ann", recommendation_id="list 1")).result()
    clicks = [(shown.items[3], "list 1"), ("item of nobody", "list 1"), (shown.items[0], "unheard of"), (shown.items[0], None)]
    for second, (item, which) in enumerate(clicks):
        service.feedback([did("ann", item, second)._replace(recommendation_id=which)], now).result()
    assert (service.figures.attributed, service.figures.lists_clicked) == (2, 1)
    assert service.figures.unknown_items == 1
    assert [event.recommendation_id for event in service.ledger.events()] == ["list 1", "list 1", "unheard of", None]


def test_erasing_takes_back_what_was_learned(service: Service, now: int, did: Did) -> None:
    before, untouched = service.living.model.id, ask(service, now)
    service.feedback([did("ann", item, item) for item in (1, 30, 2, 31)], now).result()
    assert ask(service, now) != untouched
    wait_until(lambda: service.lag == 0)
    assert service.living.model.id != before
    receipt = service.erase("ann")
    assert (receipt["events"], receipt["taken_from_memory"], receipt["in_training_data"]) == (4, 4, 0)
    assert service.living.model.id == before
    assert "ann" not in service.living.states.people()
    assert ask(service, now) == untouched
    with pytest.raises(UnknownError):
        service.erase("ann")


def test_a_session_becomes_an_account(service: Service, now: int, did: Did) -> None:
    service.put_users([User("ann")]).result()
    service.feedback([did("anonymous", 3), did("bob", 3)], now).result()
    assert service.merge("ann", "anonymous") == 1
    assert ask(service, now, "ann") == ask(service, now, "bob")
    assert ask(service, now, "anonymous") == ask(service, now, "nobody")
    assert service.erase_events("ann", "item 3") == 1
    assert ask(service, now, "ann") == ask(service, now, "nobody")
    with pytest.raises(UnknownError):
        service.merge("ann", "anonymous")
    with pytest.raises(PenchantError, match="themselves"):
        service.merge("ann", "ann")


def test_a_restart_loses_nothing(tmp_path: Path, now: int, did: Did) -> None:
    def begin() -> Service:
        model = create("transitions", window=3).fit(example_histories(np.random.default_rng(1), users=30))
        return Service(Ledger(tmp_path / "store.db", create=True), model, {})

    first = begin()
    first.feedback([did(f"user {number % 7}", number % 40, number) for number in range(200)], now).result()
    wait_until(lambda: first.lag == 0)
    lists = [ask(first, now, f"user {number}") for number in range(7)]
    model = first.living.model.id
    first.close()
    second = begin()
    assert second.living.model.id == model  # learned again from the log, before the first answer
    assert [ask(second, now, f"user {number}") for number in range(7)] == lists
    assert second.living.states.found["stored"] == 7
    second.close()


def test_models_are_exchanged_under_load(service: Service, now: int, did: Did, lstm: Model) -> None:
    """Asked all the while by four threads: no request fails, and each names the model that answered."""
    stop, answered, failed = threading.Event(), set[str](), list[Exception]()

    def client(number: int) -> None:
        step = 0
        while not stop.is_set():
            try:
                step += 1
                service.feedback([did(f"user {number}", step % 40, step)], now).result()
                answered.add(service.recommend(Ask(now, f"user {number}")).result().model)
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    old = service.living
    time.sleep(0.1)
    service.exchange(lstm, {})
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert answered == {old.name, lstm.id}
    assert service.living.states.found["rebuilt"] <= len(threads) + 1  # the states were there before the first question
    assert verify(service.ledger, lstm).differing == ()


def test_an_item_nobody_knew_can_be_recommended_once_it_came_up(service: Service, now: int, did: Did) -> None:
    before = service.living.model.state_id
    assert service.grow() == 0
    for user in ("ann", "bob", "eve"):
        service.feedback([did(user, 3, 1), did(user, "brand new", 2), did(user, 9, 3)], now).result()
    service.feedback([did("zoe", 3, 1)], now).result()
    wait_until(lambda: service.lag == 0)
    old = ask(service, now, "zoe", n=40)
    assert service.grow() == 1
    assert service.living.model.state_id != before
    assert "brand new" not in old
    assert "brand new" in ask(service, now, "zoe", n=10)
    assert service.similar("brand new", now, n=1).result().items == ("item 9",)
    assert "brand new" not in ask(service, now, "ann", n=40)  # she has it
    assert verify(service.ledger, service.living.model).differing == ()
    assert service.grow() == 0
    assert service.erase("ann")["taken_from_memory"] == 3
    service.feedback([did("max", "seen by one who leaves")], now).result()
    wait_until(lambda: service.lag == 0)
    service.erase("max")
    assert service.grow() == 0


def test_an_item_nobody_knew_joins_the_flagship_too(tmp_path: Path, now: int, did: Did) -> None:
    """Its network has no vector for it, and no words are known of it: what followed what carries it, and what is new is popular
    lately, which is left out here.
    """
    model = create("longshort", width=8, epochs=1, batch_events=64, popularity=False).fit(
        example_histories(np.random.default_rng(1), users=30)
    )
    service = Service(Ledger(tmp_path / "store.db", create=True), model, {})
    for user in ("ann", "bob", "eve"):
        service.feedback([did(user, 3, 1), did(user, "brand new", 2), did(user, 9, 3)], now).result()
    service.feedback([did("zoe", 3, 1)], now).result()
    wait_until(lambda: service.lag == 0)
    assert service.grow() == 1
    assert "brand new" in ask(service, now, "zoe", n=10)
    assert "brand new" not in ask(service, now, "max", n=10)  # of whom nothing says so
    found = service.recommend(Ask(now, "zoe", n=41, explain=True, exclude_seen=False)).result()
    sums = np.sum(list(found.parts.values()), axis=0)
    np.testing.assert_allclose(sums, found.scores, rtol=1e-4, atol=1e-4)
    service.feedback([did("zoe", "brand new", 2)], now).result()
    ask(service, now, "zoe")
    assert verify(service.ledger, service.living.model).differing == ()
    service.close()


def test_a_restart_knows_the_same_new_items(tmp_path: Path, now: int, did: Did) -> None:
    names = []
    for _ in range(2):
        model = create("transitions", window=3).fit(example_histories(np.random.default_rng(1), users=30))
        opened = Service(Ledger(tmp_path / "store.db", create=True), model, {})
        opened.feedback([did("ann", 3, 1, event_id="a"), did("ann", "brand new", 2, event_id="b")], now).result()
        wait_until(lambda opened=opened: opened.lag == 0)  # type: ignore[misc]
        opened.grow()
        ask(opened, now)
        names.append((opened.living.model.id, opened.living.model.state_id))
        found = opened.living.states.found
        opened.close()
    assert names[0] == names[1]
    assert found["stored"] == 1


def test_a_network_does_not_grow_without_training(tmp_path: Path, lstm: Model, now: int, did: Did) -> None:
    opened = Service(Ledger(tmp_path / "store.db", create=True), lstm, {})
    opened.feedback([did("ann", "brand new")], now).result()
    wait_until(lambda: opened.lag == 0)
    assert opened.grow() == 0
    opened.close()


def test_many_threads_one_truth(service: Service, now: int, did: Did) -> None:
    """Eight clients at once: every event acknowledged is there once, and each client's own list follows its own click."""

    def client(number: int) -> None:
        for item in range(0, 38, 2):
            service.feedback([did(f"user {number}", item, item)] * 2, now).result()
            assert ask(service, now, f"user {number}", n=40).index(f"item {item + 1}") < 5

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.ledger.counts()["events"] == 8 * 19
    assert service.figures.events == service.figures.duplicates == 8 * 19
    assert verify(service.ledger, service.living.model).differing == ()


def test_events_of_a_dataset_the_model_was_trained_on_are_not_learned_twice(tmp_path: Path) -> None:
    log = log_of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3), ("bob", "cup", 4)])
    model = create("transitions").fit(seq.histories(log))
    before = model.id
    ledger = Ledger(tmp_path / "store.db", create=True)
    ledger.load(log)
    opened = Service(ledger, model, {"dataset": log.content_hash})
    assert opened.living.model.id == before
    assert opened.lag == 0
    opened.close()


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)


def test_candidates_are_ranked_from_the_state_as_it_is_now(
    tmp_path: Path, transitions: Model, head: Interest, now: int, did: Did
) -> None:
    service = Service(Ledger(tmp_path / "ranked.db", create=True), transitions, {}, ranker=head)
    items = ("item 3", "item 7", "unheard of")
    stranger = service.rank(Candidates(now, "ann", items, {"tab": "2"})).result()
    assert stranger.known is False
    for happened in (did("ann", 3, 1), did("ann", 5, 2), did("ann", 4, 1.5)):  # the last one late
        service.feedback([happened], now).result()
        found = service.rank(Candidates(now, "ann", items, {"tab": "2"})).result()
        events = service.ledger.histories([("ann", NEVER, "")])
        state = head.encode(sequences_of(head, ["ann"], events))
        tab = head.codes({"tab": ["2"] * 3})["tab"][None]
        expected = head.probabilities(state, np.array([now]), head.items.codes(items)[None], {"tab": tab})
        order = np.argsort(-expected["click"][0])
        assert found.items == tuple(items[place] for place in order)
        for target in ("click", "like"):
            np.testing.assert_allclose(found.probabilities[target], expected[target][0, order], atol=1e-5)
        assert found.known
        assert found.probabilities != stranger.probabilities
        ask(service, now)
    other = service.rank(Candidates(now, "ann", items, {"tab": "1"})).result()
    assert other.probabilities != found.probabilities
    service.erase("ann")
    assert service.rank(Candidates(now, "ann", items, {"tab": "2"})).result() == stranger
    for wrong in (Candidates(now, "ann", ()), Candidates(now, "ann", items, {"place": "1"}), Candidates(now, " ", items)):
        with pytest.raises(PenchantError):
            service.rank(wrong)
    service.close()


def test_a_ranker_may_be_the_model_itself_and_leaves_the_stored_states_alone(
    tmp_path: Path, transitions: Model, head: Interest, now: int, did: Did
) -> None:
    path = tmp_path / "alone.db"
    alone = Service(Ledger(path, create=True), head, {})
    alone.feedback([did("ann", 3)], now).result()
    said = alone.rank(Candidates(now, "ann", ("item 1", "item 2"))).result()
    alone.close()
    beside = Service(Ledger(path), transitions, {}, ranker=head)
    ask(beside, now)
    assert beside.rank(Candidates(now, "ann", ("item 1", "item 2"))).result() == said
    beside.close()
    ledger = Ledger(path)
    assert [state and state.state_id for state in ledger.states(["ann"])] == [transitions.state_id]
    none = Service(ledger, transitions, {})
    with pytest.raises(PenchantError, match="--ranker"):
        none.rank(Candidates(now, "ann", ("item 1",)))
    none.close()


def test_what_is_sent_once_more_says_nothing_new(service: Service, now: int, did: Did) -> None:
    shown = service.recommend(Ask(now, "ann", recommendation_id="a list")).result().items
    clicked = did("ann", shown[0], event_id="one", recommendation_id="a list")
    unknown = did("ann", "never heard of", event_id="two", recommendation_id="a list")
    for _ in range(3):
        service.feedback([clicked, unknown], now).result()
    figures = service.figures
    assert (figures.events, figures.duplicates, figures.unknown_items) == (2, 4, 1)
    assert (figures.attributed, figures.lists_clicked) == (2, 1)


def test_a_model_without_memory_had_nothing_taken_from_it(tmp_path: Path, lstm: Model, now: int, did: Did) -> None:
    service = Service(Ledger(tmp_path / "store.db", create=True), lstm, {})
    service.feedback([did("ann", 3), did("ann", 4, 1)], now).result()
    wait_until(lambda: service.lag == 0)
    receipt = service.erase("ann")
    assert (receipt["events"], receipt["taken_from_memory"]) == (2, 0)
    service.close()


def test_who_is_erased_is_in_no_file_any_more(service: Service, now: int, did: Did) -> None:
    for number in range(50):
        service.feedback([did("Persephone", number % 9, number, session_id="her visit")], now).result()
    ask(service, now, "Persephone")
    files = list(service.ledger.database.path.parent.glob("service.db*"))
    assert any(b"Persephone" in file.read_bytes() for file in files)
    service.erase("Persephone")
    for file in files:
        assert b"Persephone" not in file.read_bytes(), file
        assert b"her visit" not in file.read_bytes(), file


def test_lists_that_are_remembered_are_bounded_by_their_items(
    service: Service, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "ITEMS_REMEMBERED", 50)
    for number in range(9):
        service.recommend(Ask(now, "ann", n=20, recommendation_id=f"list {number}")).result()
        service.recommend(Ask(now, "ann", n=20, recommendation_id="asked twice")).result()
    assert list(service._lists) == ["list 8", "asked twice"]
    assert service._listed == 40


def test_a_merged_session_is_shown_no_more(service: Service, now: int, did: Did) -> None:
    service.feedback([did("visitor", 3)], now).result()
    ask(service, now, "visitor")
    assert [shown.user_id for shown in service.latest] == ["visitor"]
    service.merge("ann", "visitor")
    assert not service.latest
