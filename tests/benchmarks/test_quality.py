"""What is measured for docs/results.md: all models on all logs, each once, and what the documents say is what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import pictures, quality, tables
from penchant.models import MODELS
from penchant.testing import log_of
from penchant.types import Interactions

FIGURES = {"ndcg@10": 0.25, "recall@10": 0.5}


@pytest.fixture
def nothing_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tables, "FILE", tmp_path / "quality.json")
    monkeypatch.setattr(tables, "FIRST", tmp_path / "first.json")
    return tmp_path


def small(*_: object) -> Interactions:
    return log_of([(f"u{u:02}", f"i{(u * 3 + n) % 17:02}", 100 * n + u) for u in range(20) for n in range(6)])


def test_every_model_is_measured_on_every_log_or_said_to_be_elsewhere() -> None:
    of_words = {model for model, _ in quality.wanted("ml-100k", 1)}
    alone = {"longshort_network"}  # as a row of longshort
    assert set(MODELS) - alone - set(quality.ELSEWHERE) <= of_words
    assert quality.NETWORK in of_words
    assert set(quality.SETTINGS) == set(tables.SPLITS)
    for name in tables.SPLITS:
        assert ("longshort", "refit") in quality.wanted(name, 3)
        assert ("popularity", "train-only") in quality.wanted(name, 1)
        assert ("popularity", "train-only") not in quality.wanted(name, 2)
    assert "recent_popularity" not in {model for model, _ in quality.wanted("beauty", 1)}
    assert "content" not in {model for model, _ in quality.wanted("twitter", 1)}


def test_only_what_is_missing_is_measured_and_then_nothing(nothing_measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "load", small)
    monkeypatch.setattr(quality, "NETWORKS", ("gru",))
    monkeypatch.setattr(quality, "SETTINGS", {"twitter": {"width": 4, "epochs": 1}})
    monkeypatch.setattr(quality, "facts", dict)
    measured = {f"twitter|{model}|{reading}": {"1": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    left = {("markov", "train-only"), ("markov", "online"), ("gru", "train-only"), ("longshort", "refit")}
    for model, reading in left:
        del measured[f"twitter|{model}|{reading}"]
    tables.FILE.write_text(json.dumps({"measured": measured}))
    assert set(quality.missing("twitter", 1)) == left
    made = list(quality.measure("twitter", 1, nothing_measured))
    assert left <= {(model, reading) for model, reading, _ in made}
    assert "popularity" not in {model for model, _, _ in made}
    for model, reading, figures in made:
        measured.setdefault(f"twitter|{model}|{reading}", {})["1"] = figures
    tables.FILE.write_text(json.dumps({"measured": measured}))
    assert quality.missing("twitter", 1) == []
    assert list(quality.measure("twitter", 1, nothing_measured)) == []


def test_the_documents_say_what_was_measured() -> None:
    for path, made in tables.documents().items():
        assert path.read_text(encoding="utf-8") == made, f"{path.name}: python docs/check.py --write mends it"


def test_a_log_that_is_half_measured_has_its_page_and_picture_but_no_row_in_the_readme(nothing_measured: Path) -> None:
    whole = {f"twitter|{model}|{reading}": {"1": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    half = {"ml-1m|popularity|train-only": {"1": FIGURES}, "ml-1m|longshort|train-only": {"1": FIGURES}}
    tables.FILE.write_text(json.dumps({"measured": whole | half}))
    made = {path.name: text for path, text in tables.documents().items()}
    assert made.keys() == {"README.md", "results.md", "ml-1m.svg", "twitter.svg"}
    assert "| popularity | 0.5000 / 0.2500 |  |  | 1 |" in made["results.md"]
    assert "| twitter, temporal, 1 |" in made["README.md"]
    assert "| ml-1m" not in made["README.md"]


def test_a_picture_shows_each_reading_where_it_lies() -> None:
    rows = {
        "<good>": {"train-only": {"1": {"ndcg@10": 0.1}, "2": {"ndcg@10": 0.3}}, "online": {"1": {"ndcg@10": 0.4}}},
        "bad": {"train-only": {"1": {"ndcg@10": 0.0}}},
    }
    drawn = ElementTree.fromstring(pictures.picture("log", rows))
    within = "{http://www.w3.org/2000/svg}"
    words = ["".join(one.itertext()) for one in drawn.iter(f"{within}text")]
    assert words.index("bad") < words.index("<good>")
    dots = [float(dot.get("cx", "")) for dot in drawn.iter(f"{within}circle")][3:]  # after the legend's
    span = pictures.WIDTH - pictures.NAMES - pictures.RIGHT
    assert dots == pytest.approx([pictures.NAMES, pictures.NAMES + span / 2, pictures.NAMES + span], abs=0.1)
    bars = [(float(bar.get("x1", "")), float(bar.get("x2", ""))) for bar in drawn.iter(f"{within}line") if bar.get("stroke")]
    assert bars[1] == pytest.approx((pictures.NAMES + span / 4, pictures.NAMES + span * 3 / 4), abs=0.1)
