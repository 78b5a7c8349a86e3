"""The quick way answers as the routes do, and leaves to them whatever it isn't sure of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from penchant.live import events as checks
from penchant.server.hot import fresh_id, read_events
from penchant.server.shapes import Arrivals, EventIn
from penchant.types import PenchantError

Running = Any
NOW = 1_717_180_200_000_000
WORDS = st.one_of(
    st.text(max_size=5), st.sampled_from(["ann", " ", "a\0b", "x" * 1025, "2024-05-31T18:30:00Z", "0001-01-01", "12"])
)
VALUES = st.one_of(
    WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from([0, -1, 1717180200, 1e300, 1.5, [], {}])
)
NAMES = ("user_id", "item_id", "timestamp", "event_type", "value", "event_id", "session_id", "recommendation_id")
GORSE = ("UserId", "ItemId", "Timestamp", "FeedbackType", "Value", "event_id", "Comment")
EVENTS = st.one_of(
    *(
        st.fixed_dictionaries({names[0]: WORDS, names[1]: WORDS}, optional=dict.fromkeys((*names[2:], *more), VALUES))
        for names, more in ((NAMES, ()), (GORSE, ()), (NAMES, GORSE[2:]))
    )
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=3))
def test_events_are_read_alike(events: list[dict[str, Any]]) -> None:
    body = json.dumps(events).encode("utf-8", "surrogatepass")
    quick = read_events(body, NOW)
    if quick is None:
        return  # the route judges
    try:
        checks.check(quick, NOW)
    except PenchantError:
        return  # it judges here too
    try:
        arrivals = Arrivals(NOW)
        slow = [event.event(arrivals) for event in TypeAdapter(list[EventIn]).validate_python(json.loads(body))]
    except ValidationError as error:
        pytest.fail(f"{body!r} was taken, but the route refuses it: {error}")
    assert quick == slow


def test_plain_events_in_both_spellings_go_the_quick_way() -> None:
    ours = {"user_id": "ann", "item_id": "tea", "timestamp": NOW, "event_id": "e", "value": 2}
    gorse = {"FeedbackType": "read", "UserId": "ann", "ItemId": "tea", "Timestamp": "2024-05-31T18:30:00Z", "Value": 2.0}
    for event in (ours, gorse, {"user_id": "ann", "item_id": "tea"}):
        assert read_events(json.dumps([event]).encode(), NOW) == [EventIn.model_validate(event).event(Arrivals(NOW))]


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}", b'[{"user_id": 7, "item_id": "x"}]', b'[{"user_id": "a", "ItemId": "x"}]', b"[[]]", b"\xff"]
)
def test_what_is_not_plain_is_left_to_the_route(body: bytes) -> None:
    assert read_events(body, NOW) is None


def test_a_list_is_the_same_both_ways(running: Running) -> None:
    client = running.client
    client.post("/api/feedback", json=[{"user_id": "ann", "item_id": "item 3"}, {"user_id": "bo/b", "item_id": "item 3"}])
    at = {"at": running.clock() / 10**6}  # a filter, which the route answers
    for user, n in (("ann", {}), ("ann", {"n": 3}), ("nobody", {"n": 40})):
        quick, slow = (client.get(f"/api/recommend/{user}", params=params) for params in (n, n | at))
        ours, theirs = quick.json(), slow.json()
        assert ours.pop("recommendation_id") != theirs.pop("recommendation_id")
        assert ours == theirs
        assert quick.headers["content-type"] == slow.headers["content-type"]


def test_ids_are_never_the_same() -> None:
    assert len({fresh_id() for _ in range(1000)}) == 1000
    assert fresh_id().isalnum()
