"""A log's last events through a real server: hits counted before each event is sent, popularity beside it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from penchant import evaluation
from penchant import sequences as seq
from penchant.live.ledger import Ledger
from penchant.live.service import Service
from penchant.live.states import verify
from penchant.models import create
from penchant.replay import in_words, replay
from penchant.server.app import create_app
from penchant.server.run import make_server
from penchant.testing import log_of
from penchant.types import Interactions, PenchantError

# Everybody walks the same way, each beginning elsewhere: what comes next can be known, and popularity can't know it.
LOG = log_of([(f"user {user}", f"item {(user + step) % 30}", 1000 * step + user) for user in range(30) for step in range(12)])


@contextmanager
def serving(folder: Path, log: Interactions, split: str) -> Iterator[tuple[str, Service]]:
    cut = evaluation.split(log, split)
    model = create("transitions", window=2).fit(cut.before_test)
    ledger = Ledger(folder / "store.db", create=True)
    ledger.load(log.where(~evaluation.held_out(log, cut)))
    service = Service(ledger, model, {"dataset": log.content_hash})
    server = make_server(create_app(service))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", service
    server.should_exit = True
    thread.join()
    service.close()


@pytest.mark.parametrize("split", ["leave-one-out", "temporal"])
def test_what_can_be_known_is_hit_and_popularity_is_beside(tmp_path: Path, split: str) -> None:
    held = evaluation.held_out(LOG, evaluation.split(LOG, split))
    with serving(tmp_path, LOG, split) as (url, service):
        found = replay(LOG, url, split=split, k=2)
        assert found["events"] == held.sum() > 20
        assert found["hit_rate"] > 0.9
        assert found["popularity_hit_rate"] < 0.5
        assert found["of_newcomers"] == 0
        assert {"p50", "p99"} <= found["recommend_ms"].keys() & found["feedback_ms"].keys()
        assert service.ledger.counts()["events"] == len(LOG)
        assert service.figures.attributed == found["events"]
        assert service.figures.lists_clicked / service.figures.attributed == pytest.approx(found["hit_rate"])
        assert verify(service.ledger, service.living.model).differing == ()
        assert f"{found['events']} events" in in_words(found)
        with pytest.raises(PenchantError, match="already"):
            replay(LOG, url, split=split)


def test_pace_and_bounds(tmp_path: Path) -> None:
    with serving(tmp_path, LOG, "temporal") as (url, _):
        found = replay(LOG, url, split="temporal", most=5, speed=20, k=3)
        assert found["events"] == 5
        assert found["seconds"] >= 4 / 20  # one second between two events, twenty times as fast


@pytest.mark.parametrize(("url", "words"), [("nonsense", "is no address"), ("http://127.0.0.1:9", "doesn't answer")])
def test_what_is_no_server_is_said(url: str, words: str) -> None:
    with pytest.raises(PenchantError, match=words):
        replay(LOG, url, split="leave-one-out")


def test_another_server_is_told_from_ours() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *words: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request).start()
        with pytest.raises(PenchantError, match="no server of Penchant"):
            replay(LOG, f"http://127.0.0.1:{other.server_port}", split="leave-one-out")


@pytest.mark.parametrize("most", [0, -5])
def test_a_replay_of_no_events_is_refused_before_anything_is_sent(most: int) -> None:
    with pytest.raises(PenchantError, match=f"is {most}, but must be at least 1"):
        replay(LOG, "http://127.0.0.1:9", split="leave-one-out", most=most)


def test_held_out_is_what_a_split_asks_about() -> None:
    for split in ("temporal", "leave-one-out"):
        cut = evaluation.split(LOG, split)
        kept = LOG.where(~evaluation.held_out(LOG, cut))
        before = seq.histories(kept)
        assert before.lengths.tolist() == cut.before_test.lengths.tolist()
        assert before.item.tolist() == cut.before_test.item.tolist()
