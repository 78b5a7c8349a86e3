"""The commands around a live model: what they print, and how they refuse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penchant import artifact
from penchant import sequences as seq
from penchant.cli import main
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.models import create
from penchant.testing import log_of

BEGIN = 1_600_000_000
WALKS = [(user, step) for user in range(20) for step in range(12)]
LOG = log_of([(f"user {user}", f"item {(user + step) % 20}", BEGIN + 60 * step + user) for user, step in WALKS])


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A model and a store that it hasn't learned."""
    model = create("markov").fit(seq.histories(LOG.where(LOG.timestamp < (BEGIN + 300) * 10**6)))
    artifact.save(model, tmp_path / "model")
    ledger = Ledger(tmp_path / "store.db", create=True)
    ledger.append(
        [
            Event(LOG.users[user], LOG.items[item], moment).named()
            for user, item, moment in zip(LOG.user.tolist(), LOG.item.tolist(), LOG.timestamp.tolist(), strict=True)
        ]
    ).result()
    ledger.close()
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_verify_update_and_roll_back(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, store = str(served / "model"), f"sqlite:///{served / 'store.db'}"
    before = artifact.read_config(model)["id"]
    found = run(capsys, "verify", model, "--store", store)
    assert (found["users"], found["events"], found["differing"]) == (20, len(LOG), [])
    result = run(capsys, "update", model, "--store", store)
    assert result["promoted"] is True
    assert result["champion"] == before != result["challenger"]
    assert run(capsys, "update", model, "--roll-back") == {"model": before}
    assert main(["verify", model, "--store", store]) == 0
    assert "every state equals" in capsys.readouterr().out


def test_interests_of_a_store_are_kept_beside_the_model(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, store = str(served / "model"), f"sqlite:///{served / 'store.db'}"
    found = run(capsys, "interests", model, "--store", store, "--topics", "3")
    assert len(found["topics"]) == 3
    assert sum(topic["items"] for topic in found["topics"]) == len(artifact.load(model).items)
    assert run(capsys, "interests", model, "--store", store)["topics"] == found["topics"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify", "model", "--store", "sqlite:///nowhere.db"], "no such store"),
        (["interests", "model"], "name DIR or --store"),
        (["interests", "model", "dataset", "--store", "sqlite:///store.db"], "name DIR or --store"),
        (["interests", "model", "--store", "sqlite:///store.db", "--users", "1"], "are for a dataset"),
        (["verify", "model", "--store", "redis://x"], "is no store"),
        (["serve", "nowhere"], "is not a model"),
        (["serve", "model", "--update-every", "soon"], "is no time"),
        (["update", "model", "--roll-back"], "nothing to go back to"),
        (["replay", "nowhere"], "is not a dataset"),
    ],
)
def test_refusals_are_one_sentence(
    served: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(served)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.fixture
def server(served: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    words = ["serve", str(served / "model"), "--store", f"sqlite:///{served / 'store.db'}", "--port", "0", "--json"]
    command = [sys.executable, "-m", "penchant", *words, "--update-every", "1s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())["address"]
    process.kill()
    process.communicate()


def test_serve_answers_learns_by_itself_and_stops_in_order(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server

    def model() -> str:
        with urllib.request.urlopen(f"{address}/health/ready") as answer:
            return str(json.load(answer)["model"])

    with pytest.raises(urllib.error.HTTPError, match="400") as refused:  # another site's name that leads here
        urllib.request.urlopen(urllib.request.Request(f"{address}/api/people", headers={"Host": "else.example"}))
    refused.value.close()
    first, tries = model(), 0
    while model() == first:
        tries += 1
        assert tries < 600, "no other model took over"
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["message"].endswith("answers from now on") for line in lines)
    assert lines[-1]["message"].startswith("stopped")
