"""The API over HTTP: what goes in, what comes out, what is refused and how."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from penchant.live.events import LONGEST_ID
from penchant.live.states import verify
from penchant.server.observing import LARGEST_BODY

Running = Any


def items(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_the_next_click_changes_the_next_list(running: Running) -> None:
    client = running.client
    before = items(client.get("/api/recommend/ann"))
    stored = client.post("/api/feedback", json=[{"user_id": "ann", "item_id": "item 3"}])
    assert stored.json() == {"accepted": 1, "duplicates": 0}
    after = items(client.get("/api/recommend/ann"))
    assert after != before
    assert after[0] == "item 4"
    assert items(client.get("/api/recommend/bob")) == before


def test_sending_again_stores_once_if_the_event_says_when_or_which(running: Running) -> None:
    client = running.client
    timed = {"user_id": "ann", "item_id": "item 1", "timestamp": "2024-05-31T18:30:00Z"}
    for event in (timed, {"user_id": "ann", "item_id": "item 1", "event_id": "e1"}):
        assert client.post("/api/feedback", json=[event]).json()["accepted"] == 1
        assert client.post("/api/feedback", json=[event, event]).json() == {"accepted": 0, "duplicates": 2}
    other_spelling = {"UserId": "ann", "ItemId": "item 1", "FeedbackType": "event", "Timestamp": 1717180200, "Value": 1}
    assert client.post("/api/feedback", json=[other_spelling]).json()["duplicates"] == 1


def test_explanations_filters_and_sessions(running: Running) -> None:
    client = running.client
    explained = client.get("/api/recommend/ann", params={"explain": True, "n": 3}).json()
    assert explained["known"] is False
    for place, item in enumerate(explained["items"], 1):
        assert item["rank"] == place
        assert sum(item["parts"].values()) == pytest.approx(item["score"], rel=1e-4)
    every = items(client.get("/api/recommend/ann", params={"n": 40}))
    known = [
        {"item_id": every[0], "categories": ["x"], "timestamp": "2024-01-01"},
        {"item_id": every[5], "categories": ["x"], "timestamp": "2020-01-01"},
        {"item_id": every[6], "hidden": True, "categories": ["x"]},
    ]
    client.post("/api/items", json=known)
    assert items(client.get("/api/recommend/ann", params={"category": "x"})) == [every[0], every[5]]
    assert items(client.get("/api/recommend/ann/x")) == [every[0], every[5]]
    assert items(client.get("/api/recommend/ann/x", params={"newer_than": "2023-01-01"})) == [every[0]]
    assert items(client.get("/api/recommend/ann/x", params={"exclude": every[0]})) == [every[5]]
    assert items(client.get("/api/recommend/ann", params={"n": 2, "offset": 1})) == every[1:3]
    client.patch(f"/api/item/{every[5]}", json={"hidden": True})
    assert items(client.get("/api/recommend/ann/x")) == [every[0]]
    assert items(client.get("/api/recommend/ann", params={"at": "2024-05-31T18:30:00Z"})) == items(
        client.get("/api/recommend/ann")
    )
    clicked = [{"item_id": "item 3"}]
    session = items(client.post("/api/session/recommend", json=clicked, params={"n": 1}))
    assert session == ["item 4"]
    assert items(client.post("/api/session/recommend", json=clicked, params={"n": 1, "at": "2001-01-01"})) == ["item 4"]
    assert items(client.get("/api/item-to-item/item 3", params={"n": 1})) == ["item 4"]
    assert items(client.get("/api/item/item 3/neighbors", params={"n": 1})) == ["item 4"]
    seen = [{"user_id": "ann", "item_id": "item 4"}]
    client.post("/api/feedback", json=seen)
    assert "item 4" not in items(client.get("/api/recommend/ann", params={"n": 40}))
    assert "item 4" in items(client.get("/api/recommend/ann", params={"n": 40, "exclude_seen": False}))


def test_clicks_come_back_to_their_list(running: Running) -> None:
    shown = running.client.get("/api/recommend/ann").json()
    click = {"user_id": "ann", "item_id": shown["items"][2]["item_id"], "recommendation_id": shown["recommendation_id"]}
    running.client.post("/api/feedback", json=[click])
    assert "penchant_live_hit_rate 1.0" in running.client.get("/metrics").text


def test_people_come_become_one_and_leave(running: Running) -> None:
    client = running.client
    client.post("/api/feedback", json=[{"user_id": "anonymous", "item_id": "item 3"}])
    assert client.put("/api/user/ann/merge/anonymous").json() == {"user_id": "ann", "events": 1}
    assert [event["item_id"] for event in client.get("/api/user/ann/feedback").json()] == ["item 3"]
    assert client.get("/api/user/anonymous").status_code == 404
    receipt = client.delete("/api/user/ann").json()
    assert (receipt["user_id"], receipt["events"]) == ("ann", 1)
    assert client.delete("/api/user/ann").status_code == 404
    assert client.put("/api/user/ann/merge/nobody").json() == {"error": "there is no user 'nobody'"}
    client.post("/api/user", json={"user_id": "ann", "labels": {"age": 30}, "comment": "c"})
    client.patch("/api/user/ann", json={"comment": "d"})
    assert client.get("/api/user/ann").json() == {"user_id": "ann", "labels": {"age": 30}, "comment": "d"}
    deep: Any = "x"
    for _ in range(16):
        deep = {"a": [deep]}
    assert client.patch("/api/user/ann", json={"labels": deep}).status_code == 200
    assert client.get("/api/user/ann").json()["labels"] == deep


@contextmanager
def writing_held_up(running: Running) -> Iterator[Callable[[int], None]]:
    """Nothing is written while the block runs; waits until so many changes wait for that."""
    ledger, begun, done = running.service.ledger, threading.Event(), threading.Event()

    def until(waiting: int) -> None:
        for _ in range(1000):
            if ledger.database.waiting >= waiting:
                return
            time.sleep(0.01)
        raise AssertionError("the changes don't come")

    def hold_up(connection: sqlite3.Connection) -> None:
        begun.set()
        done.wait(20)

    ledger.change(hold_up)
    assert begun.wait(20)
    try:
        yield until
    finally:
        done.set()


def test_changes_of_a_user_at_one_time_lose_nothing(running: Running) -> None:
    client = running.client
    client.post("/api/user", json={"user_id": "ann", "labels": ["a"], "comment": "c"})
    with ThreadPoolExecutor() as threads:
        with writing_held_up(running) as until:
            changes = [threads.submit(client.patch, "/api/user/ann", json=new) for new in ({"labels": ["b"]}, {"comment": "d"})]
            until(2)
        assert [change.result().json() for change in changes] == [{"stored": 1}] * 2
        assert client.get("/api/user/ann").json() == {"user_id": "ann", "labels": ["b"], "comment": "d"}
        with writing_held_up(running) as until:
            erased = threads.submit(client.delete, "/api/user/ann")
            until(1)
            changed = threads.submit(client.patch, "/api/user/ann", json={"labels": ["new"]})
            until(2)
        assert erased.result().status_code == changed.result().status_code == 200
    assert client.get("/api/user/ann").json() == {"user_id": "ann", "labels": ["new"], "comment": ""}


def test_ids_may_hold_slashes(running: Running) -> None:
    client = running.client
    user, item = "a/b", "shop/tea?#"
    client.post("/api/feedback", json=[{"user_id": user, "item_id": "item 3"}, {"user_id": user, "item_id": item}])
    client.post("/api/item", json={"item_id": item, "text": "Tea"})
    assert {e["item_id"] for e in client.get("/api/user/a%2Fb/feedback").json()} == {"item 3", item}
    assert client.get("/api/item/shop%2Ftea%3F%23").json()["text"] == "Tea"
    for path in ("/api/recommend/a%2fb", "/api/recommend/a%2fb?offset=0"):
        assert client.get(path).json()["known"] is True
    assert client.get("/api/recommend/a/b").json()["known"] is False  # user a, category b
    assert client.delete("/api/feedback/a%2Fb/shop%2Ftea%3F%23").json() == {"deleted": 1}
    assert client.delete("/api/user/a%2Fb").json()["events"] == 1


def test_everything_can_be_listed_page_by_page(running: Running) -> None:
    client = running.client
    events = [{"user_id": f"u{number % 3}", "item_id": f"item {number}", "event_id": str(number)} for number in range(10)]
    client.post("/api/feedback", json=events)
    client.post("/api/items", json=[{"item_id": f"item {number}"} for number in range(10)])
    for path, name, key, expected in (
        ("/api/feedback", "events", "event_id", 10),
        ("/api/items", "items", "item_id", 10),
        ("/api/users", "users", "user_id", 3),
    ):
        found, cursor = [], ""
        while True:
            page = client.get(path, params={"n": 3, "cursor": cursor}).json()
            found += [entry[key] for entry in page[name]]
            cursor = page["cursor"]
            if not cursor:
                break
        assert len(found) == len(set(found)) == expected
    assert [item["item_id"] for item in client.get("/api/items", params={"q": "ITEM 7"}).json()["items"]] == ["item 7"]
    client.post("/api/items", json=[{"item_id": "E", "text": "Éclair au chocolat"}])
    for path in ("/api/items", "/api/catalogue"):
        assert [item["item_id"] for item in client.get(path, params={"q": "éCL"}).json()["items"]] == ["E"]


BAD: list[tuple[str, str, Any]] = [
    ("POST", "/api/feedback", [{"item_id": "x"}]),
    ("POST", "/api/feedback", {"user_id": "a", "item_id": "x"}),
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x" * 5000}]),
    ("POST", "/api/feedback", [{"user_id": "a\0", "item_id": "x"}]),
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x", "timestamp": "yesterday"}]),
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x", "timestamp": "2100-01-01"}]),
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x", "timestamp": 1e300}]),
    ("POST", "/api/feedback", [{"user_id": " ", "item_id": "x"}]),
    ("POST", "/api/feedback", b'[{"user_id": "a", "item_id": "x", "timestamp": NaN}]'),
    ("POST", "/api/feedback", b'[{"user_id": "a", "item_id": "x", "value": Infinity}]'),
    ("POST", "/api/feedback", b'[{"user_id": "\\ud800", "item_id": "x"}]'),
    ("POST", "/api/feedback", b'[{"user_id": "\xff", "item_id": "x"}]'),
    ("POST", "/api/feedback", b"[" * 100_000),
    ("POST", "/api/feedback", b'{"a":' * 5_000),
    ("POST", "/api/feedback", b"no JSON at all"),
    ("POST", "/api/feedback", b""),
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x"}] * 10_001),
    ("POST", "/api/session/recommend", [{"item_id": "x"}] * 1_001),
    ("POST", "/api/rank", {"user_id": "a", "items": []}),
    ("POST", "/api/rank", {"user_id": "a", "items": ["x"] * 1001}),
    ("POST", "/api/rank", {"user_id": "a", "items": ["x"]}),  # no model here ranks
    ("POST", "/api/item", {"item_id": "x", "labels": "\0" * 200_000}),
    ("POST", "/api/item", b'{"item_id": "x", "labels": ["\\udfff"]}'),
    ("POST", "/api/item", b'{"item_id": "x", "labels": NaN}'),
    *(("POST", "/api/item", b'{"item_id": "x", "labels": ' + b"[" * n + b"]" * n + b"}") for n in (34, 400, 5000)),
    ("PATCH", "/api/user/x", b'{"labels": ' + b'{"a": ' * 34 + b"1" + b"}" * 34 + b"}"),
    ("POST", "/api/item", {"item_id": "x", "timestamp": 4.6e12}),  # beyond the year 9999, which can't be written again
    ("POST", "/api/feedback", [{"user_id": "a", "item_id": "x", "timestamp": True}]),
    ("PATCH", "/api/item/x", {"categories": "all"}),
    ("PATCH", "/api/item/x", {"hiden": True}),
    ("PATCH", "/api/user/x", {"coment": "c"}),
    ("PATCH", "/api/user/a%00b", {"comment": "c"}),
    ("GET", "/api/recommend/a?n=1000000000", None),
    ("GET", "/api/recommend/a?n=0", None),
    ("GET", "/api/recommend/a?n=ten", None),
    ("GET", "/api/recommend/a?newer_than=soon", None),
    ("GET", "/api/recommend/a%00b", None),
    ("GET", "/api/recommend/" + "a" * 5000, None),
    ("GET", "/api/feedback?cursor=nonsense", None),
    ("GET", "/api/erasures?cursor=9223372036854775808", None),
    ("GET", "/api/item-to-item/unheard-of", None),
    ("GET", "/api/item/unheard-of", None),
    ("GET", "/api/nothing", None),
    ("POST", "/health/live", None),
]


def test_bad_requests_get_a_sentence_and_change_nothing(running: Running) -> None:
    for method, path, body in BAD:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        answer = running.client.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, (method, path, str(body)[:80], answer.text)
        assert 5 < len(answer.json()["error"]) < 300
    assert running.service.ledger.counts() == {"events": 0, "users": 0, "items": 0, "states": 0}


def test_a_body_that_is_not_plain_json_is_told_what_to_be(running: Running) -> None:
    body, kind = b'[{"user_id": "a", "item_id": "x"}]', "application/json"
    for content, headers, said in (
        (body, {}, "Content-Type: application/json"),
        (body, {"Content-Type": "application/x-www-form-urlencoded"}, "Content-Type: application/json"),  # curl -d
        (gzip.compress(body), {"Content-Type": kind, "Content-Encoding": "gzip"}, "packed"),
        ('[{"user_id": "é"}]'.encode("latin-1"), {"Content-Type": kind}, "UTF-8"),
        (body[1:-1] + b"\n" + body[1:-1], {"Content-Type": kind}, "not JSON (Extra data at character 34)"),
    ):
        refused = running.client.post("/api/feedback", content=content, headers=headers)
        assert 400 <= refused.status_code < 500
        assert said in refused.json()["error"]


def test_an_origin_that_is_no_address_is_another_site(running: Running) -> None:
    refused = running.client.post("/api/feedback", json=[], headers={"Origin": "http://["})
    assert refused.status_code == 403


def test_who_only_looks_whether_it_lives_may_ask_for_the_head(running: Running) -> None:
    for path in ("/", "/health/live", "/health/ready"):
        answer = running.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_events_without_times_keep_the_order_they_came_in(running: Running) -> None:
    client = running.client
    for first, second, following in (("item 3", "item 7", "item 8"), ("item 7", "item 3", "item 4")):
        events = [{"item_id": first}, {"item_id": second}]
        assert items(client.post("/api/session/recommend", json=events, params={"n": 1})) == [following]
        for spelt in ({}, {"more": "than the quick way reads"}):
            user = f"{first}{len(spelt)}"
            client.post("/api/feedback", json=[event | {"user_id": user} | spelt for event in events])
            assert [event["item_id"] for event in client.get(f"/api/user/{user}/feedback").json()] == [first, second]


def test_the_plus_of_a_time_zone_may_come_as_a_blank(running: Running) -> None:
    for moment in ("2024-05-31T18:30:00+02:00", "2024-05-31 18:30:00.5+0200", "2024-05-31 18:30"):
        for asked in (f"newer_than={moment}", f"at={moment}"):
            assert running.client.get(f"/api/recommend/ann?{asked}").status_code == 200


def test_large_bodies_are_refused_by_their_length_or_on_the_way(running: Running) -> None:
    large = b" " * (LARGEST_BODY + 1)
    told = running.client.post("/api/feedback", content=large, headers={"Content-Type": "application/json"})
    untold = running.client.post(
        "/api/feedback", content=iter([large[: len(large) // 2]] * 3), headers={"Content-Type": "application/json"}
    )
    for answer in (told, untold):
        assert answer.status_code == 413
        assert "MB" in answer.json()["error"]


def test_a_client_that_stops_in_the_middle_changes_nothing(running: Running) -> None:
    host, port = running.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(
            b"POST /api/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{"
        )
    assert running.client.get("/health/ready").json()["ready"] is True
    assert running.service.ledger.counts()["events"] == 0


def test_a_clock_that_jumps_back_loses_nothing(running: Running) -> None:
    for ahead, item in ((0, 1), (-3600, 2), (-1800, 3)):
        running.clock.ahead = ahead * 1_000_000
        stored = running.client.post("/api/feedback", json=[{"user_id": "ann", "item_id": f"item {item}"}])
        assert stored.json()["accepted"] == 1
        assert running.client.get("/api/recommend/ann").status_code == 200
    kept = running.client.get("/api/user/ann/feedback").json()
    assert [event["item_id"] for event in kept] == ["item 2", "item 3", "item 1"]  # by their times
    assert verify(running.service.ledger, running.service.living.model).differing == ()


def test_requests_have_ids_and_lines(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="penchant.server"):
        mine = running.client.get("/health/live", headers={"X-Request-Id": "abc123"})
        other = running.client.get("/health/live", headers={"X-Request-Id": "no id: !"})
        end = time.monotonic() + 5
        while len(caplog.records) < 2 and time.monotonic() < end:  # a line is written behind its answer
            time.sleep(0.02)
    assert mine.headers["X-Request-Id"] == "abc123"
    assert other.headers["X-Request-Id"].isalnum()
    fields = [record.__dict__["fields"] for record in caplog.records if record.message == "request"]
    assert [entry["request_id"] for entry in fields] == ["abc123", other.headers["X-Request-Id"]]
    assert {(entry["method"], entry["path"], entry["status"]) for entry in fields} == {("GET", "/health/live", 200)}


def test_the_description_has_every_path(running: Running) -> None:
    described = running.client.get("/openapi.json").json()
    assert {"/api/feedback", "/api/recommend/{user_id}", "/api/session/recommend", "/health/ready"} <= described["paths"].keys()
    assert running.client.get("/docs").status_code == 200
    assert described["components"]["schemas"]["EventIn"]["properties"]["user_id"]["maxLength"] == LONGEST_ID


def test_a_defect_is_said_to_be_one(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.service, "similar", lambda *_: 1 / 0)
    answer = running.client.get("/api/item-to-item/x")
    assert answer.status_code == 500
    assert "defect" in answer.json()["error"]


def test_a_full_disk_is_said_and_loses_nothing(running: Running) -> None:
    """SQLite is told that it may have no more pages, which to it is a full disk. tests/faults/disk.py does it to a process."""
    client, ledger = running.client, running.service.ledger
    events = [{"user_id": f"u{number}", "item_id": "item 1", "event_id": f"{number}" * 100} for number in range(2000)]
    pages = ledger.change(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]).result()
    running.service.ledger.database._writing.execute(f"PRAGMA max_page_count = {pages + 20}")
    assert client.post("/api/feedback", json=events[:10]).status_code == 200
    refused = client.post("/api/feedback", json=events)
    assert refused.status_code == 503
    assert "the disk is full" in refused.json()["error"]
    assert ledger.counts()["events"] == 10  # all of a request or nothing
    assert client.get("/api/recommend/u1").json()["known"] is True
    running.service.ledger.database._writing.execute("PRAGMA max_page_count = 1000000")
    assert client.post("/api/feedback", json=events).json() == {"accepted": 1990, "duplicates": 10}


def test_candidates_are_ranked_by_what_a_person_just_did(ranking: Running) -> None:
    asked = {"user_id": "a/b", "items": ["item 3", "item 7", "unheard of"], "context": {"tab": "2"}}
    stranger = ranking.client.post("/api/rank", json=asked).json()
    assert stranger["known"] is False
    ranking.client.post("/api/feedback", json=[{"user_id": "a/b", "item_id": "item 5"}])
    found = ranking.client.post("/api/rank", json=asked).json()
    assert found["known"] is True
    assert {item["item_id"] for item in found["items"]} == set(asked["items"])
    assert [item["rank"] for item in found["items"]] == [1, 2, 3]
    clicks = [item["probabilities"]["click"] for item in found["items"]]
    assert clicks == sorted(clicks, reverse=True)
    assert all(0 <= p <= 1 for item in found["items"] for p in item["probabilities"].values())
    assert found["items"] != stranger["items"]
    elsewhere = ranking.client.post("/api/rank", json=asked | {"context": {"place": "2"}})
    assert elsewhere.status_code == 400
    assert "wasn't trained with 'place'; the columns it knows: tab" in elsewhere.json()["error"]


def test_a_model_that_ranks_no_candidates_says_so(running: Running) -> None:
    answer = running.client.post("/api/rank", json={"user_id": "ann", "items": ["item 3"]})
    assert answer.status_code == 400
    assert "--ranker MODEL" in answer.json()["error"]


def test_metrics_tell_how_far_events_are_from_those_of_training(informed: Running) -> None:
    """Once 500 came; of a model that says what it was trained on."""

    def drift() -> dict[str, float]:
        lines = informed.client.get("/metrics").text.splitlines()
        return {line.split('"')[1]: float(line.split()[1]) for line in lines if line.startswith("penchant_input_drift{")}

    happened = [{"user_id": f"u{n}", "item_id": "item 3", "event_type": "bought"} for n in range(600)]
    informed.client.post("/api/feedback", json=happened[:400])
    assert drift() == {}
    informed.client.post("/api/feedback", json=happened[400:])
    assert drift().keys() == {"items", "event_types"}  # of less than a week, hours tell little
    assert min(drift().values()) > 1
    old = [{"user_id": f"u{n}", "item_id": "item 3", "timestamp": 3600.0 * n} for n in range(600)]
    informed.client.post("/api/feedback", json=old)
    assert drift().keys() == {"items", "event_types", "hours"}
