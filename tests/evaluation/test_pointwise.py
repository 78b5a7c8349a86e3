"""Probabilities judged beside what came: who leads, whether a simple method is as good, and what the report's files say."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from penchant.evaluation.pointwise import METRICS, Pointwise, judge, shares_before
from penchant.evaluation.pointwise_report import FILES, files
from penchant.types import Array, Int

FACTS = {"impressions": 600, "people": 60, "learned_from": 900, "new_people": 0.1, "new_items": 0.2}


def world(people: int = 60, each: int = 10) -> tuple[Array, Array, Int]:
    """What would be right to say of each impression, what came, and whose it is."""
    chance = np.random.default_rng(0)
    p = chance.uniform(0.05, 0.95, people * each)
    return p, (chance.random(len(p)) < p).astype(np.int8), np.repeat(np.arange(people), each)


@pytest.fixture(scope="module")
def result() -> Pointwise:
    p, label, user = world()
    same = np.full(len(p), label.mean())
    good = judge({"<right>": p, "noisy": np.clip(p + 0.001, 0, 1)}, {"everybody's share": same}, label, user)
    poor = judge({"wrong": 1 - p}, {"everybody's share": same}, label, user)
    return Pointwise({"click": good, "like": poor}, FACTS, ("hate",))


def test_values_are_scikit_learns_and_lie_in_their_intervals(result: Pointwise) -> None:
    p, label, user = world()
    found, ends = result.answers["click"].models["<right>"], result.answers["click"].intervals["<right>"]
    assert tuple(found) == METRICS
    assert found["auc"] == pytest.approx(roc_auc_score(label, p))
    assert found["accuracy"] == pytest.approx(accuracy_score(label, p >= 0.5))
    assert found["f1"] == pytest.approx(f1_score(label, p >= 0.5))
    assert found["logloss"] == pytest.approx(log_loss(label, p))
    each = [roc_auc_score(label[user == u], p[user == u]) for u in range(60) if 0 < label[user == u].mean() < 1]
    assert found["auc_within"] == pytest.approx(np.mean(each))
    assert result.answers["click"].people_with_both == len(each)
    assert ends.keys() == set(METRICS) - {"calibration_error"}
    assert all(low <= found[metric] <= high for metric, (low, high) in ends.items())


def test_who_leads_and_whether_a_simple_method_wins_is_said_first(result: Pointwise) -> None:
    first, second, third = result.findings()
    assert first.startswith(("<right> leads by log loss of click (", "noisy leads"))
    assert "too close to tell" in first
    assert "everybody's share" not in first
    assert second.startswith("a simple method wins for like: everybody's share (")
    assert third.startswith("everybody's share leads by log loss of like")


def test_where_nobody_gave_both_answers_there_is_no_auc_within_people() -> None:
    label = np.repeat([0, 1], 10)
    found = judge({"m": np.linspace(0, 1, 20)}, {}, label, np.repeat([0, 1], 10))
    assert "auc_within" not in found.models["m"]
    assert found.people_with_both == 0
    assert found.findings("click") == ("m leads by log loss of click (0.1931)",) or "leads" in found.findings("click")[0]


def test_shares_lean_to_everybodys_and_strangers_have_it() -> None:
    key, label = np.array([0, 0, 0, 1, -1]), np.array([1, 1, 1, 0, 0])
    shares = shares_before(key, label, np.array([0, 1, 2, -1]))
    assert shares == pytest.approx([(3 + 3) / 8, 3 / 6, 0.6, 0.6])


def test_the_files_say_what_was_found(result: Pointwise) -> None:
    found = files(result)
    assert tuple(found) == FILES
    told = json.loads(found["report.json"])
    assert (told["judged"], told["left_out"]) == ("click", ["hate"])
    assert told["answers"]["click"]["models"]["noisy"]["auc"] == result.answers["click"].models["noisy"]["auc"]
    rows = list(csv.DictReader(io.StringIO(found["metrics.csv"])))
    assert len(rows) == (3 + 2) * len(METRICS)
    assert {row["control"] for row in rows if row["model"] == "everybody's share"} == {"True"}
    curve = [row for row in csv.DictReader(io.StringIO(found["reliability.csv"])) if row["model"] == "noisy"]
    assert sum(int(row["rows"]) for row in curve) == 600
    page = found["index.html"]
    assert "&lt;right&gt;" in page
    assert "<right>" not in page
    assert "http" not in page
    assert all(words.replace("'", "'") in page for words in result.definitions().values())
    assert page.index(result.findings()[1].partition(":")[0]) < page.index("Definitions")
    assert "hate isn't judged" in page
    assert found["report.md"].startswith(f"- {result.findings()[0]}\n")
    assert "| everybody's share (control) |" in found["report.md"]
