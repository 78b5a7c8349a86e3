"""Interests over HTTP: profiles, topics, the map, pictures and reasons, as the page reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penchant import artifact
from penchant.interests import pictures
from penchant.live.interests import topics_of_store
from penchant.server import shapes

Running = Any


@pytest.fixture
def insightful(running: Running, tmp_path: Path) -> Running:
    """The server once it has events, items with titles, and topics."""
    artifact.save(running.service.living.model, tmp_path / "model")  # before it learns on, in a thread of its own
    events = [
        {"user_id": f"u{user}", "item_id": f"item {(user * 7 + step * 3) % 40}", "timestamp": 1_700_000_000 + 60 * step}
        for user in range(20)
        for step in range(10)
    ]
    assert running.client.post("/api/feedback", json=events).status_code == 200
    items = [{"item_id": f"item {n}", "text": f"Film {n}", "categories": [f"kind {'ab'[n % 2] * 3}"]} for n in range(40)]
    assert running.client.post("/api/items", json=items).status_code == 200
    topics_of_store(tmp_path / "model", running.service.ledger)  # kept beside it, where the service finds them
    running.service.insight.begin(running.service.living.model, tmp_path / "model")
    running.service.insight.wait()
    return running


def test_a_profile_has_the_documented_shape(insightful: Running) -> None:
    found = insightful.client.get("/api/user/u3/interests").json()
    shapes.InterestsOut.model_validate(found, strict=True)
    assert found.keys() == shapes.InterestsOut.model_fields.keys()
    assert (found["user_id"], found["known"], found["events"]) == ("u3", True, 10)
    assert found["habits"].keys() == {"hours", "weekdays", "sessions", "session_minutes", "events_per_session"}
    assert len(found["habits"]["hours"]) == 24
    assert len(found["habits"]["weekdays"]) == 7
    assert sum(topic["long_term"] for topic in found["topics"]) == pytest.approx(1, abs=1e-4)
    assert len(found["river"]["times"]) == len(found["river"]["long_term"]) == len(found["river"]["short_term"])
    assert found["river"]["times"][0] == "2023-11-14T22:13:20+00:00"
    assert found["words"].keys() == {"en", "zh"}


def test_an_event_changes_the_profile(insightful: Running) -> None:
    client = insightful.client
    before = client.get("/api/user/u3/interests").json()
    client.post("/api/feedback", json=[{"user_id": "u3", "item_id": "item 1"}])
    after = client.get("/api/user/u3/interests").json()
    assert after["events"] == before["events"] + 1
    assert [t["short_term"] for t in after["topics"]] != [t["short_term"] for t in before["topics"]]


def test_somebody_never_seen_is_no_error(insightful: Running) -> None:
    answer = insightful.client.get("/api/user/nobody/interests")
    assert answer.status_code == 200
    assert answer.json()["known"] is False
    assert "newcomers" in answer.json()["words"]["en"]
    assert insightful.client.get("/api/figures/interests/nobody").status_code == 200


def test_topics_and_map_have_the_documented_shapes(insightful: Running) -> None:
    topics = insightful.client.get("/api/topics").json()
    assert [topic["topic"] for topic in topics] == list(range(len(topics)))
    for topic in topics:
        shapes.TopicOut.model_validate(topic, strict=True)
        assert topic["typical"][0]["title"].startswith("Film ")
    found = insightful.client.get("/api/items/map", params={"limit": 7}).json()
    shapes.MapOut.model_validate(found, strict=True)
    assert (found["shown"], len(found["item_id"])) == (7, 7)
    assert found["of"] == len(insightful.service.living.model.items)


@pytest.mark.parametrize("path", ["map", *(f"{name}/u3" for name in pictures.OF_PEOPLE)])
def test_pictures_are_plotly_s_in_language_and_theme(insightful: Running, path: str) -> None:
    client = insightful.client
    found = client.get(f"/api/figures/{path}", params={"language": "zh", "theme": "dark"}).json()
    assert len(pictures.figure(found).data) == len(found["data"])
    assert found["layout"]["font"]["color"] == "#eeeeee"
    assert found["layout"]["title"]["text"] != client.get(f"/api/figures/{path}").json()["layout"]["title"]["text"]


def test_a_profile_brings_the_pictures_asked_for(insightful: Running) -> None:
    client, wish = insightful.client, {"language": "zh", "theme": "dark"}
    found = client.get("/api/user/u3/interests", params=wish | {"picture": ["interests", "habits"]}).json()
    for name in ("interests", "habits"):
        assert found["pictures"].pop(name) == client.get(f"/api/figures/{name}/u3", params=wish).json()
    assert found["pictures"] == {}
    assert client.get("/api/user/u3/interests", params={"picture": "nothing"}).status_code == 422


def test_values_that_cannot_be_seconds_are_no_defect(insightful: Running) -> None:
    insightful.service.insight.value = "dwell"
    events = [{"user_id": "big", "item_id": f"item {n}", "value": 1e308} for n in range(7)]
    assert insightful.client.post("/api/feedback", json=events).json()["accepted"] == 7
    answer = insightful.client.get("/api/user/big/interests", params={"picture": list(pictures.OF_PEOPLE)})
    assert answer.status_code == 200
    assert answer.json()["habits"]["dwell_seconds"] == 24 * 60 * 60


def test_one_topic_and_one_event_are_told_and_drawn(running: Running, tmp_path: Path) -> None:
    client = running.client
    artifact.save(running.service.living.model, tmp_path / "model")
    client.post("/api/feedback", json=[{"user_id": "u", "item_id": "item 1"}])
    topics_of_store(tmp_path / "model", running.service.ledger, count=1)
    running.service.insight.begin(running.service.living.model, tmp_path / "model")
    running.service.insight.wait()
    found = client.get("/api/user/u/interests", params={"picture": list(pictures.OF_PEOPLE)}).json()
    assert [(topic["long_term"], topic["short_term"]) for topic in found["topics"]] == [(1, 1)]
    assert (found["known"], found["drift"], found["segment"]) == (True, 0, None)
    assert all("markers" in line["mode"] for line in found["pictures"]["interests"]["data"])  # a line of one point isn't seen
    assert client.get("/api/figures/map").status_code == client.get("/api/topics").status_code == 200


def test_explained_recommendations_say_why(insightful: Running) -> None:
    client = insightful.client
    found = client.get("/api/recommend/u3", params={"explain": True, "n": 3}).json()
    shapes.RecommendationOut.model_validate(found, strict=True)
    mine = {event["item_id"] for event in client.get("/api/user/u3/feedback").json()}
    for item in found["items"]:
        shares = item["reason"]["shares"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5) or not shares
        assert {one["item_id"] for one in item["reason"]["because"]} <= mine
    first = found["items"][0]["reason"]
    assert first["because"][0]["title"].startswith("Film ")
    assert f"“{first['because'][0]['title']}”" in first["sentence"]["en"]
    assert f"《{first['because'][0]['title']}》" in first["sentence"]["zh"]
    assert "reason" not in client.get("/api/recommend/u3").json()["items"][0]
    session = client.post("/api/session/recommend", params={"explain": True, "n": 1}, json=[{"item_id": "item 5"}]).json()
    assert {one["item_id"] for one in session["items"][0]["reason"]["because"]} <= {"item 5"}


def test_a_gorse_client_gets_its_own_shape_still(insightful: Running) -> None:
    answer = insightful.client.get("/api/recommend/u3", params={"explain": True}, headers={"X-API-Key": "key"})
    assert all(isinstance(item, str) for item in answer.json())


def test_without_topics_it_says_what_to_do(running: Running) -> None:
    for path in ("/api/topics", "/api/items/map", "/api/user/u1/interests", "/api/figures/map", "/api/figures/drift/u1"):
        answer = running.client.get(path)
        assert answer.status_code == 404, path
        assert "penchant interests MODEL DIR" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    ["/api/figures/nothing/u1", "/api/figures/map?theme=pink", "/api/items/map?limit=0", "/api/user/u1/interests?language=fr"],
)
def test_what_there_isn_t_is_refused_in_a_sentence(insightful: Running, path: str) -> None:
    answer = insightful.client.get(path)
    assert answer.status_code == 422
    assert answer.json().keys() == {"error"}
