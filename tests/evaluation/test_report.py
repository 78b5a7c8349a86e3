"""The report's files: whole, self-contained, and saying what the evaluation says."""

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from penchant.evaluation import Evaluation, evaluate, leave_one_out
from penchant.evaluation.cost import cost
from penchant.evaluation.pieces import ticks
from penchant.evaluation.report import FILES, files
from penchant.evaluation.result import cell
from penchant.models import create
from penchant.models.base import Model
from penchant.testing import log_of

ODD = "<script>alert('x')</script> & co"


@pytest.fixture(scope="module")
def result() -> Evaluation:
    cut = leave_one_out(log_of([(f"u{u:02}", f"i{(u + n) % 12:02}", 3600 * n) for u in range(30) for n in range(7)]))
    lstm = create("lstm", width=6, epochs=2).fit(cut.train, cut.valid)
    models: dict[str, Model | list[Model]] = {ODD: create("markov").fit(cut.train), "lstm": [lstm, lstm]}
    controls = {"popularity": create("popularity").fit(cut.train)}
    found = evaluate(models, cut, k=3, controls=controls, shuffle=True)
    return replace(found, costs={"lstm": cost(lstm, cut.test, 1.5, 256.0, 4)})


class Page(HTMLParser):
    """What a page holds: its words, its tags, and whether each that opens is closed."""

    VOID = ("meta", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module")
def page(result: Evaluation) -> Page:
    return Page(files(result)["index.html"])


def test_the_page_is_whole_and_loads_nothing(result: Evaluation, page: Page) -> None:
    assert page.open == []
    assert not any({"src", "href", "srcset"} & attributes.keys() for _, attributes in page.tags)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    text = files(result)["index.html"]
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_names_are_words_and_not_markup(page: Page) -> None:
    assert ODD in " ".join(page.words).replace("</ script", "</script") or ODD in "".join(page.words)


def test_the_page_says_what_was_found_in_the_order_it_matters(result: Evaluation, page: Page) -> None:
    words = "".join(page.words)
    places = [words.index(sentence) for sentence in result.findings()]
    assert places == sorted(places)
    assert result.findings()[0].startswith("a simple method wins")
    for part in ("Differences in ndcg@3", "Does order matter?", "Where: ndcg@3 by slices", "Seed by seed", "Learning curves"):
        assert words.index(part) > places[-1]
    for name, definition in result.definitions().items():
        assert name in words
        assert definition in words
    assert "popularity (control)" in words


def test_an_interval_is_drawn_where_it_lies(result: Evaluation) -> None:
    text = files(result)["index.html"]
    top = max(ends["ndcg@3"][1] for ends in result.intervals.values())
    low, high = result.intervals["lstm"]["ndcg@3"]
    assert f"left:{100 * low / top:.2f}%;width:{100 * (high - low) / top:.2f}%" in text
    assert f"left:{100 * result.models['lstm']['ndcg@3'] / top:.2f}%" in text


def test_curves_go_through_what_training_measured(result: Evaluation, page: Page) -> None:
    lines = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    assert len(lines) == 2
    losses = [step["loss"] for step in result.costs["lstm"].curve]
    first, last = (float(str(point).split(",")[1]) for point in str(lines[1]).split())
    assert (first < last) == (losses[0] > losses[-1])  # what is greater stands higher


def test_the_same_in_json_csv_and_markdown(result: Evaluation) -> None:
    found = files(result)
    assert tuple(found) == FILES
    assert json.loads(found["report.json"]) == json.loads(json.dumps(result.to_json(), allow_nan=False))
    rows = {(row["model"], row["metric"]): row for row in csv.DictReader(io.StringIO(found["metrics.csv"]))}
    assert len(rows) == 3 * 11
    assert float(rows[ODD, "ndcg@3"]["value"]) == result.models[ODD]["ndcg@3"]
    assert float(rows["lstm", "recall@3"]["low"]) == result.intervals["lstm"]["recall@3"][0]
    assert rows["lstm", "gini@3"]["low"] == ""
    assert rows["popularity", "gini@3"]["control"] == "True"
    slices = list(csv.DictReader(io.StringIO(found["slices.csv"])))
    assert len(slices) == len(result.slices) * 3 * 2
    text = found["report.md"]
    assert ODD.replace("&", "&amp;").replace("<", "&lt;") in text.splitlines()[0]
    assert "<script>" not in text
    assert result.to_markdown() in text
    assert "inside the noise" in text or all(pair.distinct for pair in result.comparisons)


def test_costs_are_of_the_model(result: Evaluation) -> None:
    of_lstm = result.costs["lstm"]
    assert (of_lstm.train_seconds, of_lstm.trials, of_lstm.settings) == (1.5, 4, {"width": 6, "epochs": 2})
    assert of_lstm.peak_memory_mb == 256
    assert of_lstm.model_mb == pytest.approx(4 * of_lstm.parameters / 1e6)
    assert 0 < of_lstm.next_event_ms["p50"] <= of_lstm.next_event_ms["p99"]


def test_ticks_are_round_and_hold_all() -> None:
    for low, high in ((0.0, 0.0), (0.5, 0.5), (-3.0, 7.0), (0.0999, 0.1001), (1e-9, 3e-9), (6.39, 7.93)):
        marks = ticks(low, high)
        assert marks[0] <= low
        assert marks[-1] >= high
        assert 2 <= len(marks) <= 7


def test_what_anybody_may_be_called_breaks_no_markdown() -> None:
    assert cell("buy|now\n<b>&") == "buy\\|now &lt;b>&amp;"
