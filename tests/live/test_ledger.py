"""What the log keeps: each event once, in order, with marks that tell what happened to a history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.live.records import Item, StoredState, User
from penchant.testing import log_of
from penchant.types import NEVER, PenchantError

Did = Callable[..., Event]


def history(ledger: Ledger, user: str) -> list[str]:
    return [event.item_id for event in ledger.histories([(user, NEVER, "")])[0]]


def test_an_event_is_stored_once_whoever_sends_it_again(ledger: Ledger, did: Did) -> None:
    events = [did("ann", 1, 1), did("ann", 2, 2), did("bob", 1, 1)]
    assert ledger.append([*events, events[0]]).result() == replace(ledger.append([]).result(), accepted=3, duplicates=1)
    waiting = [ledger.append(events) for _ in range(20)]
    assert {future.result().accepted for future in waiting} == {0}
    assert ledger.counts()["events"] == 3
    other = events[0]._replace(item_id="item 9")  # the same id, another story: the first one stays
    assert ledger.append([other]).result().duplicates == 1
    assert history(ledger, "ann") == ["item 1", "item 2"]


def test_histories_are_in_the_total_order(ledger: Ledger, did: Did) -> None:
    for second, name in [(3, "c"), (1, "b"), (1, "a"), (2, "é"), (2, "z")]:
        ledger.append([did("ann", name, second, event_id=name)]).result()
    assert history(ledger, "ann") == ["a", "b", "z", "é", "c"]  # by code points where times are equal, as datasets are
    assert ledger.histories([("ann", did("ann", "", 2).timestamp, "z"), ("bob", NEVER, "")]) == [
        ledger.histories([("ann", NEVER, "")])[0][3:],
        [],
    ]


def test_what_is_behind_a_number_is_told_from_all_other_change(ledger: Ledger, did: Did) -> None:
    def behind(*asked: tuple[str, int]) -> list[list[str] | None]:
        return [None if found is None else [event.item_id for event in found] for found in ledger.behind(asked)]

    ledger.append([did("ann", 1, 10)]).result()
    ledger.append([did("bob", 1, 10)]).result()
    begun = ledger.clock()
    ledger.append([did("ann", 2, 20), did("ann", 3, 15)]).result()
    assert behind(("ann", begun), ("bob", begun), ("nobody", begun)) == [["item 3", "item 2"], [], None]
    grown = ledger.clock()
    assert ledger.erase_events("ann", "item 9").result() == (ledger.histories([("ann", NEVER, "")])[0],) * 2
    assert behind(("ann", grown)) == [[]]  # nothing was there to delete
    ledger.erase_events("ann", "item 3").result()
    assert behind(("ann", grown), ("ann", ledger.clock()), ("bob", begun)) == [None, [], []]
    ledger.merge("ann", "bob").result()
    ledger.erase_user("bob").result()
    ledger.append([did("bob", 2, 1)]).result()
    assert behind(("bob", begun), ("bob", ledger.clock())) == [None, []]  # another bob


def test_who_follows_is_told_of_commits_in_order(ledger: Ledger, did: Did) -> None:
    ledger.append([did("ann", 1, 1)]).result()
    tail = ledger.follow()
    first, second = did("ann", 2, 2), did("bob", 1, 1)
    ledger.append([first, second]).result()
    ledger.append([first, did("ann", 3, 3)]).result()
    ledger.append([first]).result()  # which changes nothing
    ledger.erase_user("bob").result()
    told = list(tail)
    assert [news.after for news in told] == [news.before for news in told[1:]] + [ledger.clock()]
    items = [
        None if news.events is None else {user: [e.item_id for e in events] for user, events in news.events.items()}
        for news in told
    ]
    assert items == [{"ann": ["item 2"], "bob": ["item 1"]}, {"ann": ["item 3"]}, None]
    stored = {event.event_id: event for event in ledger.histories([("ann", NEVER, "")])[0]}
    assert all(stored[event.event_id] == event for news in told if news.events for event in news.events.get("ann", ()))


def test_states_are_compared_before_they_are_set(ledger: Ledger, did: Did) -> None:
    ledger.append([did("ann", 1, 10)]).result()
    ledger.put_states([StoredState("ann", "m", 5, b"new"), StoredState("nobody", "m", 5, b"")]).result()
    ledger.put_states([StoredState("ann", "m", 4, b"old")]).result()
    assert ledger.states(["ann", "nobody"]) == [StoredState("ann", "m", 5, b"new"), None]
    ledger.append([did("ann", 2, 5)]).result()  # late: what was read before is worth nothing
    ledger.erase_user("ann").result()
    assert ledger.states(["ann"]) == [None]
    ledger.append([did("ann", 3, 20)]).result()
    ledger.put_states([StoredState("ann", "m", 1, b"of before the erasure")]).result()
    assert ledger.states(["ann"]) == [None]


def test_erasing_leaves_nothing_in_the_file(ledger: Ledger, did: Did) -> None:
    ledger.append([did("conspicuous ann", 1, 10), did("bob", 1, 10)]).result()
    ledger.put_states([StoredState("conspicuous ann", "m", 9, b"")]).result()
    gone = ledger.erase_user("conspicuous ann").result()
    assert gone is not None
    assert [event.item_id for event in gone] == ["item 1"]
    assert ledger.erase_user("conspicuous ann").result() is None
    assert ledger.counts() == {"events": 1, "users": 1, "items": 0, "states": 0}
    ledger.close()
    assert b"conspicuous" not in ledger.database.path.read_bytes()


def test_two_become_one(ledger: Ledger, did: Did) -> None:
    ledger.append([did("ann", 1, 10), did("ann", 2, 30), did("anonymous", 3, 20, event_id="x")]).result()
    ledger.append([did("ann", 4, 40, event_id="x")]).result()
    ledger.append([did("anonymous", 5, 50)]).result()
    ledger.append([did(user, 6, 60, event_id="y") for user in ("ann", "anonymous")]).result()
    ledger.merge("ann", "anonymous").result()
    # What both did is kept once; two events that share no more than an id are both kept.
    assert history(ledger, "ann") == ["item 1", "item 3", "item 2", "item 4", "item 5", "item 6"]
    assert history(ledger, "anonymous") == []
    assert ledger.counts()["users"] == 1
    ledger.append([did("x", 1)]).result()
    ledger.merge("new", "x").result()
    assert history(ledger, "new") == ["item 1"]


def test_items_and_users_are_kept_changed_and_found(ledger: Ledger) -> None:
    tea = Item("tea", categories=("drinks", "hot"), labels={"leaf": "green"}, text="Green tea", timestamp=5)
    assert ledger.put_items([tea, Item("cup")]).result() == 2
    assert ledger.items(item_id="tea") == [tea]
    assert ledger.items(words="GREEN") == [tea]
    assert [item.item_id for item in ledger.items(after="cup", most=5)] == ["tea"]
    assert ledger.patch_item("tea", {"hidden": True}).result()
    assert ledger.items(item_id="tea") == [replace(tea, hidden=True)]
    assert not ledger.patch_item("new", {"text": "patched into being"}).result()
    before = ledger.items_changed(0)[1]
    assert ledger.delete_item("tea").result()
    assert not ledger.delete_item("tea").result()
    assert ledger.items(item_id="tea") == []
    assert ledger.items_changed(before)[0] == [Item("tea", labels=[], deleted=True)]
    ledger.put_users([User("ann", labels=["a"], comment="c"), User("bob")]).result()
    ledger.put_users([User("ann", labels=["b"])]).result()
    assert ledger.users() == [User("ann", ["b"]), User("bob", [])]
    assert ledger.users(user_id="bob") == ledger.users(after="ann", most=1)


def test_a_patch_loses_nothing(ledger: Ledger) -> None:
    """Changes that wait at one time are made of what is there at their turn: none takes another back, nor an erasure."""
    ledger.put_users([User("ann", labels=["a"], comment="c")]).result()
    waiting = [ledger.patch_user("ann", fields) for fields in ({"comment": "d"}, {"labels": ["b"]})]
    assert [future.result() for future in waiting] == [True, True]
    assert ledger.users() == [User("ann", ["b"], "d")]
    erased, patched = ledger.erase_user("ann"), ledger.patch_user("ann", {"labels": ["new"]})
    assert erased.result() == []
    assert not patched.result()
    assert ledger.users() == [User("ann", ["new"])]


def test_a_patch_of_a_user_is_no_change_of_a_history(ledger: Ledger, did: Did) -> None:
    ledger.append([did("ann", 1)]).result()
    before = ledger.clock()
    assert ledger.patch_user("ann", {"comment": "c"}).result()
    assert ledger.behind([("ann", before)]) == [[]]


@pytest.mark.parametrize(
    "words", ["Éclair", "éCLAIR", "война", "ВОЙНА И", "ärger", "ÄRGER", "50% [OFF]?", "a*b", "^-]", "茶", "ß"]
)
def test_words_are_found_in_capitals_or_not(ledger: Ledger, words: str) -> None:
    texts = ["éclair au Chocolat", "Éclair", "Война и мир", "50% [off]?", "a*b", "[^-]", "綠茶", "Straße"]
    items = [Item("Ärger"), *(Item(text, text="x") for text in texts), *(Item(f"{n}", text=t) for n, t in enumerate(texts))]
    ledger.put_items(items).result()
    holding = [item for item in items if words.lower() in item.text.lower() or words.lower() in item.item_id.lower()]
    assert holding
    assert [item.item_id for item in ledger.items(words=words)] == sorted(item.item_id for item in holding)


def test_events_are_listed_page_by_page(ledger: Ledger, did: Did) -> None:
    kept = [did(user, item, item, event_type="buy" if item % 2 else "view") for user in ("ann", "bob") for item in range(5)]
    ledger.append(kept[::-1]).result()
    assert ledger.events() == kept
    page = ledger.events(most=3)
    rest = ledger.events(after=(page[-1].user_id, page[-1].timestamp, page[-1].event_id))
    assert page + rest == kept
    assert ledger.past("bob") == tuple(
        [getattr(e, name) for e in kept if e.user_id == "bob"] for name in ("timestamp", "item_id", "session_id", "value")
    )
    assert ledger.events(user_id="bob", event_type="buy") == [e for e in kept if e.user_id == "bob" and e.event_type == "buy"]


def test_a_dataset_is_loaded_into_an_empty_store_only(ledger: Ledger) -> None:
    log = log_of([("ann", "tea", 1), ("ann", "cup", 2), ("bob", "tea", 3)])
    ledger.load(log, [Item("tea", text="Tea")])
    assert history(ledger, "ann") == ["tea", "cup"]
    meta = ledger.meta()
    assert meta["dataset"] == log.content_hash
    assert meta["loaded"] == 3
    assert ledger.count_since(meta["loaded"]) == 0
    assert ledger.behind([("bob", 2), ("bob", 3)]) == [None, []]  # no state from before
    with pytest.raises(PenchantError, match="has events"):
        ledger.load(log)


ARRIVALS = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from("xyz"), st.sampled_from("12345"))


@settings(max_examples=25)
@given(st.lists(ARRIVALS, max_size=30))
def test_any_order_and_repetition_of_arrival_leaves_one_log(arrivals: list[tuple[str, int, str, str]]) -> None:
    """First come, first kept: the log is the distinct (user, id) pairs in order, and each was counted as accepted once."""
    with TemporaryDirectory() as folder:
        ledger = Ledger(f"{folder}/store.db", create=True)
        events = [Event(user, item, second, event_id=name) for user, second, item, name in arrivals]
        answers = [ledger.append(events[start : start + 3]) for start in range(0, len(events), 3)]
        expected: dict[tuple[str, str], Event] = {}
        for event in events:
            expected.setdefault((event.user_id, event.event_id), event)
        assert sum(answer.result().accepted for answer in answers) == len(expected)
        assert ledger.events() == sorted(expected.values(), key=lambda e: (e.user_id, e.timestamp, e.event_id))
        ledger.close()


def test_a_person_s_events_are_found_without_reading_the_others(ledger: Ledger, did: Did) -> None:
    ledger.append([did(f"user {n:04}", n % 7, n) for n in range(5000)]).result()
    steps = []
    with ledger.database.reading() as connection:
        connection.set_progress_handler(lambda: steps.append(1), 100)
    for read in (
        lambda: ledger.events(user_id="user 0017"),
        lambda: ledger.past("user 0017"),
        lambda: ledger.newest("user 0017"),
    ):
        assert read()
        assert len(steps) < 10
        steps.clear()
