"""What a memory learned live is what it would have learned of the log all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import sequences as seq
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.live.memory import Memory, learned_before
from penchant.live.states import sequences_of
from penchant.models import create, item_to_item
from penchant.models.base import Model
from penchant.testing import log_of
from penchant.types import NEVER, Growing

Did = Callable[..., Event]
PEOPLE = ("ann", "bob", "eve")


def small(name: str) -> Model:
    log = log_of([(user, f"item {item}", item) for user in PEOPLE for item in range(8)])
    made = create(name, window=3) if name == "transitions" else create(name, network=False, neighbours=False)
    return made.fit(seq.histories(log))


def learned_at_once(model: Any, ledger: Ledger) -> str:
    people = [user.user_id for user in ledger.users()]
    model.learn(sequences_of(model, people, ledger.histories([(user, NEVER, "") for user in people])))
    return str(model.id)


@pytest.fixture(params=[0, 10**9], ids=["rows changed", "matrix made again"], scope="module")
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """How counts take events in: see ``ENTRIES_A_ROW``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_to_item, "ENTRIES_A_ROW", request.param)
        yield


OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(PEOPLE), st.integers(5, 10), st.integers(0, 30)),
    st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("erase item"), st.sampled_from(PEOPLE), st.integers(5, 10)),
    st.tuples(st.just("merge"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    st.tuples(st.just("learn")),
)


@pytest.mark.usefixtures("either_way")
@settings(max_examples=20)
@given(name=st.sampled_from(["transitions", "longshort"]), operations=st.lists(OPERATIONS, max_size=20))
def test_what_was_learned_live_equals_the_log(name: str, operations: list[tuple[object, ...]]) -> None:
    """Late events, erasures and merges included: counts are exact, so equal ids mean equal counts."""
    with TemporaryDirectory() as folder:
        ledger, model = Ledger(f"{folder}/store.db", create=True), small(name)
        memory = Memory(ledger, model, 0)
        for what, *more in operations:
            if what == "append":
                user, item, second = more
                ledger.append([Event(str(user), f"item {item}", 10**15 + int(str(second)) * 10**6).named()]).result()
            elif what == "erase":
                memory.revise([ledger.erase_user(str(more[0])).result() or []], [[]])
            elif what == "erase item":
                before, after = ledger.erase_events(str(more[0]), f"item {more[1]}").result()
                memory.revise([before], [after])
            elif what == "merge" and more[0] != more[1]:
                theirs, mine, both = ledger.merge(str(more[0]), str(more[1])).result()
                memory.revise([theirs, mine], [both])
            elif what == "learn":
                memory.catch_up()
        memory.catch_up()
        assert memory.refused == 0
        assert model.id == learned_at_once(small(name), ledger)
        started = Memory(ledger, small(name), 0)
        started.begin()
        assert started.model.id == model.id
        if name == "transitions":
            assert started.new_items() == memory.new_items()
            larger, again = memory.grown()
            fresh = small(name)
            assert isinstance(fresh, Growing)
            assert larger.id == learned_at_once(fresh.grown(memory.new_items()), ledger)
            assert again.catch_up() == 0
        ledger.close()


def test_states_stay_valid_while_a_memory_learns(ledger: Ledger, did: Did) -> None:
    model = small("transitions")
    before, learned = model.state_id, model.id
    ledger.append([did("ann", 1, 1), did("ann", 2, 2)]).result()
    assert Memory(ledger, model, 0).catch_up() == 2
    assert model.state_id == before
    assert model.id != learned


def test_a_model_without_memory_lets_events_pass(ledger: Ledger, lstm: Model, did: Did) -> None:
    ledger.append([did("ann", 1, 1)]).result()
    memory, before = Memory(ledger, lstm, 0), lstm.id
    assert memory.catch_up() == 1
    assert memory.catch_up() == 0
    memory.revise([ledger.erase_user("ann").result() or []], [[]])
    assert lstm.id == before


def test_what_was_never_learned_is_not_taken_away(ledger: Ledger, did: Did) -> None:
    """A late event between two the model is believed to know, but wasn't trained on: its counts stay whole."""
    model = small("transitions")
    ledger.append([did("zoe", 0, 1), *(did("zoe", 7, second) for second in (2, 3, 4))]).result()
    memory = Memory(ledger, model, int(ledger.meta()["clock"]))
    before = model.id
    ledger.append([did("zoe", 1, 1.1), did("zoe", 2, 1.2), did("zoe", 3, 1.3)]).result()
    ledger.append([did("yan", 1, 1), did("yan", 5, 2)]).result()
    memory.catch_up()
    assert memory.refused == 1
    assert model.id != before  # what others did is learned
    memory.revise([ledger.erase_user("yan").result() or []], [[]])
    assert model.id == before


def test_what_a_model_knows_of_a_store_is_told_by_its_lineage(ledger: Ledger, did: Did) -> None:
    assert learned_before(ledger, {}) == 0
    log = log_of([("ann", "tea", 1), ("ann", "cup", 2)])
    ledger.load(log)
    ledger.append([did("ann", 1)]).result()
    assert learned_before(ledger, {"dataset": "another"}) == 0
    assert learned_before(ledger, {"dataset": log.content_hash}) == 2
    assert learned_before(ledger, {"dataset": log.content_hash, "store": ledger.meta()["store"], "learned_to": 3}) == 3


def test_unknown_items_between_do_not_hide_what_came_before(ledger: Ledger, did: Did) -> None:
    model = small("transitions")
    memory = Memory(ledger, model, 0)
    ledger.append([did("zoe", 1, 1), *(did("zoe", 90 + place, 2 + place) for place in range(6))]).result()
    memory.catch_up()
    ledger.append([did("zoe", 5, 20)]).result()
    memory.catch_up()
    assert model.id == learned_at_once(small("transitions"), ledger)


def test_unknown_items_leave_with_whoever_met_them(ledger: Ledger, did: Did) -> None:
    memory = Memory(ledger, small("transitions"), 0)
    ledger.append([did("ann", "new", 1), did("ann", "new", 2), did("ann", "ann's", 3), did("bob", "new", 4)]).result()
    memory.catch_up()
    theirs, mine, both = ledger.merge("eve", "ann").result()
    memory.revise([theirs, mine], [both])
    assert memory.unknown == {"new": 3, "ann's": 1}
    before, after = ledger.erase_events("eve", "ann's").result()
    memory.revise([before], [after])
    assert memory.unknown == {"new": 3}
    ledger.append([did("bob", "newer", 5)]).result()  # not learned yet when it is erased
    memory.revise([ledger.erase_user("bob").result() or []], [[]])
    assert memory.unknown == {"new": 2}
    memory.revise([ledger.erase_user("eve").result() or []], [[]])
    assert not memory.unknown
    assert memory.catch_up() == 0


def test_what_cannot_grow_keeps_no_unknown_items(ledger: Ledger, lstm: Model, did: Did) -> None:
    memory = Memory(ledger, lstm, 0)
    ledger.append([did("ann", "new", 1)]).result()
    assert memory.catch_up() == 1
    assert not memory.unknown
