"""What is measured for docs/results.md: all models on all logs, each once, and what the documents say is what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import pictures, quality, tables
from penchant.models import MODELS
from penchant.models.base import Model
from penchant.models.neural import training
from penchant.models.validation import validate
from penchant.testing import log_of
from penchant.types import Cases, Interactions

FIGURES = {"ndcg@10": 0.25, "recall@10": 0.5, "on": "2026-11-24"}


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


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "load", small)
    monkeypatch.setattr(quality, "NETWORKS", ("gru",))
    monkeypatch.setattr(quality, "SETTINGS", {log: {"width": 4, "epochs": 2} for log in ("twitter", "kuairand", "ml-1m")})
    monkeypatch.setattr(tables, "facts", dict)
    monkeypatch.setattr(tables, "write", lambda: None)


def kept() -> dict[tuple[str, str], dict[str, object]]:
    """Of twitter's first seed."""
    rows = ((key.split("|"), figures) for key, figures in tables.measured().items())
    return {(model, reading): figures["1"] for (_, model, reading), figures in rows if "1" in figures}


@pytest.mark.usefixtures("small_models")
def test_only_what_is_missing_is_measured_and_then_nothing(nothing_measured: Path) -> None:
    measured = {f"twitter|{model}|{reading}": {"1": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    left = {("markov", "train-only"), ("markov", "online"), ("gru", "train-only"), ("longshort", "refit")}
    for model, reading in left:
        del measured[f"twitter|{model}|{reading}"]
    tables.FILE.write_text(json.dumps({"measured": measured}))
    assert set(quality.missing("twitter", 1)) == left
    todo = quality.fits(["twitter"], [1], [])
    assert todo == [("twitter", "markov", 1), ("twitter", "gru", 1), ("twitter", "longshort", 1)]
    assert quality.fits(["twitter"], [1], ["gru"]) == todo[1:2]
    assert quality.measure_all(todo, nothing_measured / "work") == []
    assert {row for row, figures in kept().items() if figures != FIGURES} == left
    assert all(0 <= float(str(kept()[row]["ndcg@10"])) <= 1 for row in left)
    assert quality.fits(["twitter"], [1], []) == []
    assert list((nothing_measured / "work").iterdir()) == []


@pytest.mark.usefixtures("small_models")
def test_networks_beside_each_other_have_rows_of_their_own(nothing_measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    todo = quality.fits(["ml-1m"], [2], [quality.THREE])
    assert todo == [("ml-1m", quality.THREE, 2)]
    assert quality.measure_all(todo, nothing_measured / "work") == []
    told = capsys.readouterr().out
    assert "training network_3" in told
    assert "training network_4" not in told
    rows = {quality.THREE, quality.THREE + quality.IDS_ONLY}
    assert set(tables.measured()) == {f"ml-1m|{row}|{reading}" for row in rows for reading in ("train-only", "online")}
    assert quality.measure_all(quality.fits(["ml-1m"], [2], ["longshort"]), nothing_measured / "work") == []
    assert "training network_2" not in capsys.readouterr().out


@pytest.mark.usefixtures("small_models")
def test_what_is_older_than_a_day_is_measured_again(nothing_measured: Path) -> None:
    tables.keep("twitter|popularity|train-only", 1, {"ndcg@10": 0.1, "recall@10": 0.2})
    old = {f"twitter|{model}|{reading}": {"1": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    tables.FILE.write_text(json.dumps({"measured": old | tables.measured()}))
    assert quality.missing("twitter", 1, "2026-11-24") == []
    again = quality.missing("twitter", 1, "2026-11-25")
    assert set(quality.wanted("twitter", 1)) - set(again) == {("popularity", "train-only")}


@pytest.mark.usefixtures("small_models")
def test_a_fit_that_fails_or_was_killed_costs_the_others_nothing(
    nothing_measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def breaks(model: Model, cases: Cases) -> dict[str, float]:
        asked.append(model.name)
        if asked.count("gru") == 1 and model.name == "gru":
            raise RuntimeError("no more memory")
        return validate(model, cases)

    monkeypatch.setattr(quality, "validate", breaks)
    todo = quality.fits(["twitter"], [1], ["gru", "markov", "als"])
    assert quality.measure_all(todo, nothing_measured / "work") == ["twitter, seed 1: gru"]
    assert {model for model, _ in kept()} == {"markov", "als"}
    assert "no more memory" in capsys.readouterr().err
    # Its epochs are there: what is fitted next time isn't trained again.
    trained = []
    monkeypatch.setattr(training.Trainer, "epoch", lambda *_: trained.append(1))
    assert quality.measure_all(quality.fits(["twitter"], [1], ["gru"]), nothing_measured / "work") == []
    assert trained == []
    assert ("gru", "train-only") in kept()


def test_what_is_cheap_comes_first(nothing_measured: Path) -> None:
    todo = quality.fits(list(tables.SPLITS), [1, 2, 3], [])
    assert set(quality.EVENTS) == set(tables.SPLITS)
    place = {fit: n for n, fit in enumerate(todo)}
    assert place["sports", "als", 1] < place["ml-100k", "gru", 1] < place["ml-100k", "longshort", 1]
    assert place["ml-100k", "longshort", 3] < place["ml-1m", "gru", 1] < place["ml-1m", "longshort", 1]
    assert place["twitter", "gru", 1] < place["twitter", "gru", 2]
    assert not nothing_measured.joinpath("quality.json").exists()


def test_the_documents_say_what_was_measured() -> None:
    for path, made in tables.documents().items():
        assert path.read_text(encoding="utf-8") == made, f"{path.name}: python docs/check.py --write mends it"


def test_a_log_that_is_half_measured_has_its_page_and_picture_but_no_row_in_the_readme(nothing_measured: Path) -> None:
    whole = {f"twitter|{model}|{reading}": {"1": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    half = {"ml-1m|popularity|train-only": {"1": FIGURES}, "ml-1m|longshort|train-only": {"1": FIGURES}}
    tables.FILE.write_text(json.dumps({"measured": whole | half}))
    made = {path.name: text for path, text in tables.documents().items()}
    assert made.keys() == {"README.md", "results.md", "ml-1m.svg", "twitter.svg"}
    assert "| popularity | 0.5000 / 0.2500 |  |  | 1 | 2026-11-24 |" in made["results.md"]
    assert "| twitter, temporal, 1 |" in made["README.md"]
    assert "| ml-1m" not in made["README.md"]


def test_a_reading_that_a_seed_lacks_stays_open_in_the_readme(nothing_measured: Path) -> None:
    both = {f"twitter|{model}|{reading}": {"1": FIGURES, "2": FIGURES} for model, reading in quality.wanted("twitter", 1)}
    for seeds, cell in ({"1": FIGURES, "2": FIGURES}, "0.2500"), ({"1": FIGURES}, "–"):
        tables.FILE.write_text(json.dumps({"measured": both | {"twitter|longshort|refit": seeds}}))
        assert f"| twitter, temporal, 2 | longshort | 0.2500, 0.2500, {cell} |" in tables.summary(tables.measured())


def test_the_best_stands_first(nothing_measured: Path) -> None:
    rows = {f"twitter|{model}|train-only": {"1": FIGURES | {"ndcg@10": ndcg}} for model, ndcg in (("als", 0.2), ("ease", 0.3))}
    tables.FILE.write_text(json.dumps({"measured": rows}))
    made = tables.page(tables.measured())
    assert made.index("| ease |") < made.index("| als |")


def test_a_picture_shows_each_reading_where_it_lies() -> None:
    rows = {
        "bad": {"train-only": {"1": {"ndcg@10": 0.0}}},
        "<good>": {"train-only": {"1": {"ndcg@10": 0.1}, "2": {"ndcg@10": 0.3}}, "online": {"1": {"ndcg@10": 0.4}}},
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
