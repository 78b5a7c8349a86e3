"""Gorse's own Python client (PyPI ``pygorse``): every call, against the server, over HTTP."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import gorse
import pytest

Running = Any
TIME = "2024-05-31T18:30:00Z"


class Called:
    """A client that notes which of its methods were called; an asynchronous one is waited for."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*words: Any, **more: Any) -> Any:
            self.names.add(name)
            found = method(*words, **more)
            return asyncio.run(found) if inspect.iscoroutine(found) else found

        return call


@pytest.mark.parametrize("kind", [gorse.Gorse, gorse.AsyncGorse])
def test_the_published_client_passes_every_call(running: Running, kind: Any) -> None:
    client = Called(kind(running.address, "any key"))
    _users(client)
    _items(client)
    _feedback(client)
    _recommendations(client)
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    assert client.names == public


def _users(client: Called) -> None:
    ann = {"UserId": "ann", "Labels": ["reader"], "Comment": "first"}
    assert client.insert_user(ann) == {"RowAffected": 1}
    assert client.get_user("ann") == ann
    assert client.insert_users([{"UserId": f"user {number}"} for number in range(5)]) == {"RowAffected": 5}
    first, cursor = client.get_users(4)
    rest, end = client.get_users(4, cursor)
    assert ([user["UserId"] for user in first + rest], end) == (["ann", *(f"user {number}" for number in range(5))], "")
    assert client.delete_user("user 0") == {"RowAffected": 1}
    with pytest.raises(gorse.GorseException) as missing:
        client.get_user("user 0")
    assert missing.value.status_code == 404


def _items(client: Called) -> None:
    tea = {"ItemId": "item 4", "IsHidden": False, "Categories": ["tea"], "Timestamp": TIME, "Labels": ["hot"], "Comment": "Tea"}
    assert client.insert_item(tea) == {"RowAffected": 1}
    assert client.get_item("item 4") == tea
    client.insert_item(
        {"ItemId": "item 9", "IsHidden": True, "Categories": None, "Labels": None, "Timestamp": "", "Comment": ""}
    )
    assert client.update_item("item 4", comment="Green tea", categories=["tea", "green"]) == {"RowAffected": 1}
    assert client.get_item("item 4") == tea | {"Comment": "Green tea", "Categories": ["tea", "green"]}
    assert [item["ItemId"] for item in client.search_items("green")] == ["item 4"]
    found, cursor = client.get_items(1)
    assert [item["ItemId"] for item in found] == ["item 4"]
    assert [item["ItemId"] for item in client.get_items(5, cursor)[0]] == ["item 9"]
    assert client.delete_item("item 9") == {"RowAffected": 1}


def _feedback(client: Called) -> None:
    assert client.insert_feedback("read", "bob", "item 3", TIME) == {"RowAffected": 1}
    more = [
        {"FeedbackType": kind, "UserId": "bob", "ItemId": f"item {item}", "Timestamp": f"2024-06-0{item}", "Value": 2.0}
        for kind, item in (("read", 1), ("like", 2))
    ]
    assert client.insert_feedbacks(more) == {"RowAffected": 2}
    assert client.insert_feedbacks(more) == {"RowAffected": 0}
    read = client.list_feedbacks("read", "bob")
    assert [feedback["ItemId"] for feedback in read] == ["item 3", "item 1"]
    assert read[0]["Timestamp"] == TIME
    page, cursor = client.get_feedbacks(2)
    rest, end = client.get_feedbacks(2, cursor)
    assert [feedback["ItemId"] for feedback in page + rest] == ["item 3", "item 1", "item 2"]
    assert end == ""
    assert client.delete_feedback("bob", "item 1") == {"RowAffected": 1}
    assert [feedback["ItemId"] for feedback in client.list_feedbacks("read", "bob")] == ["item 3"]


def _recommendations(client: Called) -> None:
    found = client.get_recommend("carol", n=3)
    assert len(found) == 3
    assert all(isinstance(score, gorse.Score) for score in found)
    assert [score.id for score in client.get_recommend("carol", category="green")] == ["item 4"]
    written = client.get_recommend("carol", n=2, offset=1, write_back_type="read", write_back_delay="1m")
    assert [score.id for score in written] == [score.id for score in found[1:]]
    session = client.session_recommend([{"FeedbackType": "read", "UserId": "x", "ItemId": "item 3", "Timestamp": TIME}], n=1)
    assert [score["Id"] for score in session] == ["item 4"]
    assert [score["Id"] for score in client.get_neighbors("item 3", n=1)] == ["item 4"]


def test_older_clients_get_plain_ids(running: Running) -> None:
    answer = running.client.get("/api/recommend/ann", headers={"X-API-Key": "k"}, params={"n": 2})
    assert all(isinstance(item, str) for item in answer.json())
    assert answer.headers["X-Recommendation-Id"]
