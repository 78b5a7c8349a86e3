"""Whatever happens to the log, in whatever order, a state equals the re-encoded history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.live.states import States, _alike, sequences_of, verify
from penchant.models.base import Model
from penchant.types import NEVER

Did = Callable[..., Event]
PEOPLE = ("ann", "bob", "eve")


def differing(ledger: Ledger, model: Model, states: States) -> list[str]:
    """Whose living state isn't the re-encoding, or whose seen items aren't those of the log."""
    living, seen = states.of(PEOPLE)
    histories = ledger.histories([(user, NEVER, "") for user in PEOPLE])
    again = model.encode(sequences_of(model, PEOPLE, histories))
    items = [{model.items.code(event.item_id) for event in history} - {-1} for history in histories]
    return [user for row, user in enumerate(PEOPLE) if not _alike(living, again, row) or set(seen[row].tolist()) != items[row]]


OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(PEOPLE), st.integers(0, 45), st.integers(0, 30)),  # late ones, unknown items
    st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("erase item"), st.sampled_from(PEOPLE), st.integers(0, 45)),
    st.tuples(st.just("merge"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    st.tuples(st.just("ask"), st.sampled_from(["one", "other"])),
    st.tuples(st.just("restart")),
)


@settings(max_examples=20)
@given(operations=st.lists(OPERATIONS, max_size=25))
def test_living_states_equal_their_re_encoding(lstm: Model, operations: list[tuple[object, ...]]) -> None:
    """With two services on one store, too little memory for everybody, and restarts between."""
    with TemporaryDirectory() as folder:
        ledger = Ledger(f"{folder}/store.db", create=True)
        services = {name: States(ledger, lstm, memory=5000) for name in ("one", "other")}
        for what, *more in operations:
            if what == "append":
                user, item, second = more
                ledger.append([Event(str(user), f"item {item}", 10**15 + int(str(second)) * 10**6).named()]).result()
            elif what == "erase":
                ledger.erase_user(str(more[0])).result()
            elif what == "erase item":
                ledger.erase_events(str(more[0]), f"item {more[1]}").result()
            elif what == "merge" and more[0] != more[1]:
                ledger.merge(str(more[0]), str(more[1])).result()
            elif what == "ask":
                assert differing(ledger, lstm, services[str(more[0])]) == []
            elif what == "restart":
                services["one"].write_changed()
                services["one"] = States(ledger, lstm)
        assert differing(ledger, lstm, services["one"]) == differing(ledger, lstm, services["other"]) == []
        assert verify(ledger, lstm).differing == ()
        ledger.close()


def test_where_a_state_comes_from(ledger: Ledger, lstm: Model, did: Did) -> None:
    states = States(ledger, lstm)
    ledger.append([did("ann", item, item) for item in range(5)]).result()
    expected = {"current": 0, "advanced": 0, "stored": 0, "rebuilt": 0, "nobody": 0}
    for what, events in (
        ("rebuilt", []),
        ("current", []),
        ("advanced", [did("ann", 7, 50)]),
        ("current", []),
        ("rebuilt", [did("ann", 8, 2.5)]),  # came late
        ("current", [did("bob", 1)]),  # of somebody else
    ):
        if events:
            ledger.append(events).result()
        states.of(["ann"])
        expected[what] += 1
        assert states.found == expected
    written = states.write_changed()
    assert written is not None
    written.result()
    again = States(ledger, lstm)
    again.of(["ann", "nobody", "ann"])
    assert again.found == {"current": 0, "advanced": 0, "stored": 1, "rebuilt": 0, "nobody": 1}


@pytest.mark.parametrize(
    "kind", ["of another model", "broken bytes", "without the items seen", "two people's", "from before a late event"]
)
def test_a_stored_state_in_doubt_is_made_anew(ledger: Ledger, lstm: Model, did: Did, kind: str) -> None:
    ledger.append([did("ann", item, item) for item in range(5)]).result()
    before = States(ledger, lstm)
    _, (seen,) = before.of(["ann"])
    written = before.write_changed()
    assert written is not None
    written.result()
    (kept,) = ledger.states(["ann"])
    assert kept is not None
    wrong = {
        "of another model": replace(kept, state_id="other"),
        "broken bytes": replace(kept, state=b"nonsense"),
        "without the items seen": replace(kept, state=lstm.initial(1).to_bytes()),
        "two people's": replace(kept, state=lstm.initial(2).to_bytes()),
    }
    ledger.put_states([wrong.get(kind, kept)]).result()
    if kind == "from before a late event":
        ledger.append([did("ann", 9, 0.5)]).result()
    states = States(ledger, lstm)
    assert differing(ledger, lstm, states) == []
    assert states.found["rebuilt"] == 1
    assert set(seen.tolist()) <= set(states.of(["ann"])[1][0].tolist())


def test_a_stored_state_knows_what_was_seen(ledger: Ledger, lstm: Model, did: Did) -> None:
    ledger.append([did("ann", item, moment) for moment, item in enumerate((4, 2, 4, 7))]).result()
    first = States(ledger, lstm)
    before = first.of(["ann"])
    written = first.write_changed()
    assert written is not None
    written.result()
    ledger.append([did("ann", 5, 9)]).result()
    second = States(ledger, lstm)
    assert second.of(["ann"])[1][0].tolist() == sorted(lstm.items.codes([f"item {item}" for item in (4, 2, 7, 5)]).tolist())
    assert second.found["stored"] == 1
    assert second.bytes == sum(entry.size for entry in second._entries.values())
    assert len(before[1][0]) == 3


def test_memory_is_bounded_and_what_leaves_it_is_kept(ledger: Ledger, lstm: Model, did: Did) -> None:
    people = [f"user {number}" for number in range(50)]
    ledger.append([did(user, item, item) for user in people for item in range(3)]).result()
    states = States(ledger, lstm, memory=30_000)
    for user in people:
        states.of([user])
        assert states.bytes <= 30_000
    assert 1 < len(states) < 20
    assert states.people()[-1] == people[-1]
    states.of([people[0]])
    assert states.found == {"current": 0, "advanced": 0, "stored": 1, "rebuilt": 50, "nobody": 0}


def test_events_that_wait_for_their_users_count_as_memory(ledger: Ledger, lstm: Model, did: Did) -> None:
    people = [f"user {number}" for number in range(5)]
    ledger.append([did(user, 0, 0) for user in people]).result()
    states = States(ledger, lstm, memory=40_000)
    for user in people:
        states.of([user])
    before = states.bytes
    assert len(states) == 5
    for moment in range(1, 41):
        ledger.append([did(user, moment % 5, moment) for user in people]).result()
    states.of([people[0]])
    assert before < states.bytes <= 40_000
    assert 1 <= len(states) < 5
    states.of(people)  # who left, and whose events waited
    assert states.bytes == sum(entry.size for entry in states._entries.values())
    assert differing(ledger, lstm, states) == []


@pytest.mark.parametrize("wrong", ["numbers", "items seen"])
def test_verify_finds_a_state_that_is_wrong(tmp_path: Path, lstm: Model, did: Did, wrong: str) -> None:
    ledger = Ledger(tmp_path / "store.db", create=True)
    ledger.append([did("ann", 1, 1), did("bob", 1, 1)]).result()
    found = verify(ledger, lstm)
    assert (found.users, found.events, found.differing, found.faults) == (2, 2, (), ())
    states = States(ledger, lstm)
    states.of(["ann"])
    entry = states._entries["ann"]
    if wrong == "items seen":
        entry.seen = entry.seen + 1
    else:
        for array in entry.state.arrays.values():
            if array.dtype == np.float32:
                array += 1e-3
    written = states.write_changed()
    assert written is not None
    written.result()
    assert verify(ledger, lstm).differing == ("ann",)
    ledger.close()
