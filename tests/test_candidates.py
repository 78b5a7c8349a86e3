"""From impressions to ranked candidates, by command: what is learned, told and refused."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penchant
from penchant.cli import main

T = 1_650_000_000
DAY = 86_400
TRAIN = ["train", "dataset", "--model", "interest", "--impressions", "shown.csv", "--context", "tab"]
SMALL = ["--set", "width=8", "hidden=8", "ring=5", "epochs=20", "patience=20", "batch=64", "learning_rate=0.03", "dropout=0"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of two weeks, impressions of the second (people click what has their parity), models; tests run in it."""
    folder = tmp_path_factory.mktemp("place")
    before = Path.cwd()
    os.chdir(folder)
    chance = np.random.default_rng(0)
    with Path("events.csv").open("w") as events, Path("shown.csv").open("w") as shown, Path("items.csv").open("w") as items:
        events.write("user_id,item_id,timestamp,event_type\n")
        shown.write("user_id,item_id,timestamp,tab,is_click,is_like\n")
        plays = np.zeros(30, np.int64)
        for user in range(40):
            for n in range(24):
                item = 2 * int(chance.integers(15)) + user % 2
                events.write(f"u{user:02},i{item:02},{T + n * 3600 + user},watch\n")
            for n in range(15):
                item = int(chance.integers(30))
                plays[item] += 1
                click = int(item % 2 == user % 2)
                at = T + 7 * DAY + n * 6 * 3600 + user
                shown.write(f"u{user:02},i{item:02},{at},{chance.integers(3)},{click},{int(item == 4)}\n")
                events.write(f"u{user:02},i{item:02},{at},{'click' if click else 'skip'}\n" if n % 3 == 0 else "")
        kinds = ("even", "odd")
        # How often each was shown over the whole period, seen by a thousand times as many.
        items.write("item_id,kind,play_cnt\n" + "".join(f"i{n:02},{kinds[n % 2]},{1000 * plays[n] + n}\n" for n in range(30)))
    assert main(["prepare", "events.csv", "--items", "items.csv", "--out", "dataset"]) == 0
    words = ["--set", "width=8", "epochs=1", "batch_events=128"]
    for split, name in (("temporal", "base"), ("leave-one-out", "late")):
        assert main(["train", "dataset", "--model", "longshort_network", "--split", split, "--out", name, *words]) == 0
    assert main(["train", "dataset", "--model", "popularity", "--split", "temporal", "--out", "popular"]) == 0
    assert main([*TRAIN, "--base", "base", "--out", "head", "--content", "kind", *SMALL]) == 0
    rows = "".join(f"u{user:02},i{n:02},1\n" for user in (0, 1) for n in range(30))
    Path("candidates.csv").write_text(f"user_id,item_id,tab\n{rows}new,i03,2\nu01,x,7\n")
    yield folder
    os.chdir(before)


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()

    def ran(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return ran


def test_training_reports_the_later_impressions(run: Any) -> None:
    code, out, err = run(*TRAIN, "--base", "base", "--out", "again", "--content", "kind", *SMALL, "--json")
    assert code == 0, err
    value = json.loads(out)
    assert value["impressions"] == {"train": 420, "valid": 90, "test": 90}
    click = value["test"]["click"]
    assert click["auc"] > 0.8
    assert click["auc_within"] > 0.8
    assert sum(part["rows"] for part in click["reliability"]) == 90
    assert list(value["test"]) == ["click", "like"]
    lineage = json.loads(Path("again/lineage.json").read_text())
    assert lineage["base"]["split"] == "temporal"
    assert lineage["test"] == value["test"]
    code, out, _ = run(*TRAIN, "--base", "base", "--out", "again", "--force", *SMALL)
    assert code == 0
    assert "auc within people" in out


def test_candidates_come_likeliest_first_person_by_person(run: Any) -> None:
    code, out, err = run("rank", "head", "dataset", "--candidates", "candidates.csv", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert len(rows) == 62
    assert list(rows[0]) == ["user_id", "item_id", "click", "like", "rank"]
    for user, odd in (("u00", 0), ("u01", 1)):
        mine = [row for row in rows if row["user_id"] == user]
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert [row["click"] for row in mine] == sorted((row["click"] for row in mine), reverse=True)
        best = [row["item_id"] for row in mine if row["item_id"] != "x"][:10]
        assert sum(int(item[1:]) % 2 == odd for item in best) >= 9
    assert {row["user_id"] for row in rows} == {"u00", "u01", "new"}
    assert all(0 <= row["click"] <= 1 for row in rows)


def test_candidates_in_a_table_and_in_a_file(run: Any) -> None:
    code, out, _ = run("rank", "head", "dataset", "--candidates", "candidates.csv")
    assert code == 0
    assert out.splitlines()[0].split() == ["user_id", "item_id", "click", "like", "rank"]
    assert run("rank", "head", "dataset", "--candidates", "candidates.csv", "--out", "ranked.csv")[0] == 0
    with Path("ranked.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 62


def test_ranking_needs_no_torch_and_python_says_the_same(run: Any) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\nfrom penchant.cli import main\n"
        "main(['rank', 'head', 'dataset', '--candidates', 'candidates.csv', '--json'])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    log = penchant.load_dataset("dataset")
    assert json.loads(told) == list(penchant.rank_candidates(penchant.load_ranker("head"), log, "candidates.csv"))


def test_times_in_the_file_ask_about_those_moments(run: Any) -> None:
    rows = f"u00,i02,1,{T - DAY}\nu00,i02,1,{T + 9 * DAY}\nnobody,i02,1,{T - DAY}\n"
    Path("timed.csv").write_text(f"user_id,item_id,tab,timestamp\n{rows}")
    code, out, _ = run("rank", "head", "dataset", "--candidates", "timed.csv", "--json")
    assert code == 0
    rows = json.loads(out)
    early, late = sorted(row["click"] for row in rows if row["user_id"] == "u00")
    nobody = next(row["click"] for row in rows if row["user_id"] == "nobody")
    assert late > early
    assert nobody == pytest.approx(early), "before the first event a person is a newcomer"


def test_a_head_can_recommend_too_and_no_comparison_takes_it_unawares(run: Any) -> None:
    code, out, err = run("recommend", "head", "dataset", "--users", "u00,u01", "--k", "5", "--seen", "keep", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert {int(row["item_id"][1:]) % 2 == int(row["user_id"][1:]) for row in rows} == {True}
    code, _, err = run("evaluate", "dataset", "--models", "head")
    assert code == 2
    assert "judge it by --impressions FILE" in " ".join(err.split())


LEARN = "train dataset --model interest --out x --impressions"
WRONG = {
    "train dataset --model interest --out x": "learns from impressions over a trained model: --impressions FILE --base MODEL",
    "train dataset --model lstm --out x --base base": "lstm learns from events; --impressions and --base are for interest",
    f"{LEARN} shown.csv --base late": "has learned from events later than the impressions",
    f"{LEARN} shown.csv --base popular": "a head needs a recurrent model beneath",
    f"{LEARN} shown.csv --base base --content play_cnt": "column play_cnt follows the items' events of the whole period",
    f"{LEARN} shown.csv --base base --context is_like": "column is_like is a label",
    f"{LEARN} shown.csv --base base --labels buy=bought": "has no column 'bought'",
    f"{LEARN} shown.csv --base base --set widht=3": "did you mean width?",
    f"{LEARN} nowhere.csv --base base": "no such file",
    f"{LEARN} shown.csv --base nowhere": "is not a model",
    "rank base dataset --candidates candidates.csv": "is a longshort_network, which recommends but doesn't rank candidates",
    "rank head dataset --candidates nowhere.csv": "no such file",
    "rank head dataset --candidates items.csv": "no column for user_id",
    "rank head dataset": "the following arguments are required: --candidates",
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.items())
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_written(run: Any, words: str, sentence: str) -> None:
    before = sorted(path.name for path in Path().iterdir())
    code, out, err = run(*words.split(), "--json")
    assert (code, out) == (2, "")
    assert sentence in json.loads(err)["error"]
    assert sorted(path.name for path in Path().iterdir()) == before


EVALUATE = ["evaluate", "dataset", "--impressions", "shown.csv"]


MILD = ["width=8", "hidden=8", "ring=5", "epochs=6", "batch=64", "learning_rate=0.01"]
"""A head that isn't so sure of anything that its probabilities are rounded to 1."""


def test_heads_are_judged_beside_simple_methods_as_training_said(run: Any) -> None:
    assert run(*TRAIN, "--base", "base", "--out", "mild", "--content", "kind", "--force", "--set", *MILD)[0] == 0
    code, out, err = run(*EVALUATE, "--models", "mild,head", "--out", "judged", "--json")
    assert code == 0, err
    value = json.loads(out)
    assert value == json.loads(Path("judged/report.json").read_text())
    assert list(value["answers"]) == ["click", "like"]
    assert value["facts"]["impressions"] == 90
    assert value["facts"]["learned_from"] == 510
    said = json.loads(Path("mild/lineage.json").read_text())["test"]
    for answer in ("click", "like"):
        mine = value["answers"][answer]["models"]["mild"]
        for metric in ("auc", "accuracy", "f1", "logloss", "calibration_error", "auc_within"):
            assert mine[metric] == pytest.approx(said[answer][metric], abs=1e-4)
    click = value["answers"]["click"]
    assert list(click["controls"]) == ["everybody's share", "the item's share", "the person's share"]
    assert click["models"]["head"]["auc"] > max(control["auc"] for control in click["controls"].values())
    assert [sentence for sentence in value["verdict"] if " leads by log loss of " in sentence]
    code, out, _ = run(*EVALUATE, "--models", "mild", "--out", "judged", "--force")
    assert code == 0
    assert "everybody's share (control)" in out
    assert "differences, reliability and definitions: judged/index.html" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--models", "popular"], "doesn't rank candidates"),
        (["--models", "head,head"], "head is named twice"),
        (["--models", ","], "no model was named"),
        (["--models", "head", "--k", "5"], "--k tells how lists are judged"),
        (["--models", "head", "--no-controls"], "--no-controls tells how lists are judged"),
        (["--models", "head", "--out", "dataset"], "so it is not replaced"),
    ],
)
def test_heads_aren_t_judged_where_it_says_nothing(run: Any, words: list[str], sentence: str) -> None:
    code, out, err = run(*EVALUATE, *words)
    assert (code, out) == (2, "")
    assert sentence in err


def test_other_impressions_and_other_data_are_refused(run: Any) -> None:
    lines = Path("shown.csv").read_text().splitlines()
    Path("fewer.csv").write_text("\n".join([lines[0], *lines[len(lines) // 2 :]]) + "\n")
    code, _, err = run("evaluate", "dataset", "--impressions", "fewer.csv", "--models", "head")
    assert (code, "learned from other impressions" in err) == (2, True)
    Path("no-likes.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    code, _, err = run("evaluate", "dataset", "--impressions", "no-likes.csv", "--models", "head")
    assert (code, "no column of like" in err) == (2, True)
    Path("half.csv").write_text("\n".join(Path("events.csv").read_text().splitlines()[:400]) + "\n")
    assert run("prepare", "half.csv", "--out", "half", "--force")[0] == 0
    code, _, err = run("evaluate", "half", "--impressions", "shown.csv", "--models", "head")
    assert (code, "head: was trained on the dataset dataset (" in err) == (2, True)
    code, _, err = run("evaluate", "dataset", "--models", "head")
    assert (code, "judge it by --impressions FILE" in err) == (2, True)
