"""The article's program: what it learns, what it says, what it refuses."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from penchant import binary, classification
from penchant.classification import classify, load_classifier
from penchant.cli import main
from penchant.data.table import Encoding, read_table
from penchant.models.neural.classifier import CELLS, ClassifierNetwork, ClassifierSettings
from penchant.models.neural.classifier_training import Classifier
from penchant.types import PenchantError

STEPS = 6


def write_table(path: Path, rows: int, *, ordered: bool, extra: dict[str, Any] | None = None) -> Path:
    """Steps of 0 and 1 and a label: whether the last two differ (``ordered``), or whether the first column is large."""
    chance = np.random.default_rng(5)
    x = chance.integers(0, 2, (rows, STEPS))
    size = chance.normal(size=rows)
    label = x[:, -1] != x[:, -2] if ordered else size > 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"clicked_t{n + 1}" for n in range(STEPS)), "size", *(extra or {}), "likes"])
        for row in range(rows):
            writer.writerow([*x[row], f"{size[row]:.3f}", *(v(row) for v in (extra or {}).values()), int(label[row])])
    return path


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("tables") / "ordered.csv", 1200, ordered=True)


@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_what_only_steps_tell(ordered: Path, cell: str) -> None:
    settings = {"cell": cell, "learning_rate": 0.02, "units": 12, "epochs": 8}
    result = classify(ordered, settings=settings)
    assert result.models[cell]["auc"] > 0.95
    assert result.models["logistic regression"]["auc"] < 0.7, "no sum of the steps tells whether two differ"
    assert result.models["majority class"]["auc"] == 0.5
    assert set(result.intervals[cell]) == {"accuracy", "recall", "precision", "f1", "auc", "logloss"}


def test_it_says_the_same_each_time(ordered: Path) -> None:
    first, again = (classify(ordered, settings={"epochs": 1, "units": 4}).to_json() for _ in range(2))
    assert first == again


def test_the_defaults_are_the_articles() -> None:
    s = ClassifierSettings()
    assert (s.layers, s.units, s.epochs, s.batch, s.seed, s.cell) == (2, 50, 10, 32, 42, "lstm")


def test_the_split_is_scikit_learns_a_fifth_by_the_seed(ordered: Path) -> None:
    facts = classify(ordered, settings={"epochs": 1, "units": 2}).facts
    assert (facts["trained_on"], facts["tested_on"], facts["steps"]) == (960, 240, STEPS)


def test_it_says_plainly_when_it_does_not_win(tmp_path: Path) -> None:
    simple = write_table(tmp_path / "simple.csv", 400, ordered=False)
    result = classify(simple, settings={"epochs": 1, "units": 4})
    assert result.verdict().startswith("the lstm doesn't win: ")
    assert result.verdict().endswith(f"it has {result.models['lstm']['auc']:.4f}")
    assert "size tells the label all alone: likely a leak" in result.warnings


def test_a_tie_is_no_win(ordered: Path) -> None:
    values = {"lstm": {"auc": 0.8}, "decision tree": {"auc": 0.8}, "majority class": {"auc": 0.5}}
    above = {"lstm": {"auc": (0.0, 0.0)}, "decision tree": {"auc": (-0.1, 0.1)}, "majority class": {"auc": (-0.4, -0.2)}}
    result = classification.Classification("t", ClassifierSettings(), values, {}, above, {}, ())
    assert result.verdict() == (
        "the lstm leads by AUC (0.8000; decision tree 0.8000), but doesn't win: too close to tell from decision tree"
    )


def test_people_times_steps_and_repeats_are_remarked_on(tmp_path: Path) -> None:
    extra = {"user_id": lambda row: row // 9, "timestamp": lambda row: 1_600_000_000 + row}
    path = write_table(tmp_path / "t.csv", 90, ordered=True, extra=extra)
    said = " ".join(classify(path, settings={"epochs": 1, "units": 2}).warnings)
    assert "has a column of people (user_id): rows of one person lie on both sides" in said
    assert "has a column of times (timestamp): the models have learned from rows later" in said
    flat = tmp_path / "flat.csv"
    flat.write_text("a,y\n" + "".join(f"{i % 7},{(i % 3) % 2}\n" for i in range(90)))
    result = classify(flat, settings={"epochs": 1, "units": 2})
    assert result.warnings[0].startswith("no columns are named …_t1, …_t2, so every row is a single step")
    assert result.facts["repeated_rows"] == 90 - 14 - 0
    assert "76 rows equal an earlier one" in " ".join(result.warnings)


@pytest.mark.parametrize("cell", CELLS)
def test_the_numpy_network_says_what_torch_says(cell: str) -> None:
    settings = ClassifierSettings(cell=cell, units=7, layers=3)
    network = Classifier(settings, 4)
    x = np.random.default_rng(0).normal(size=(50, 5, 4)).astype(np.float32)
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    said = ClassifierNetwork(settings, 4, weights).probabilities(x)
    with torch.no_grad():
        np.testing.assert_allclose(said, torch.sigmoid(network(torch.from_numpy(x))).numpy(), atol=1e-5)


def test_the_lstm_is_torchs_own() -> None:
    network = Classifier(ClassifierSettings(units=6), 3)
    theirs = torch.nn.LSTM(3, 6, 2, batch_first=True)
    state = dict(network.state_dict())
    for layer in range(2):
        for mine, name in (
            (f"input.{layer}.weight", "weight_ih"),
            (f"recurrent.{layer}.weight", "weight_hh"),
            (f"input.{layer}.bias", "bias_ih"),
        ):
            getattr(theirs, f"{name}_l{layer}").data = state[mine]
        getattr(theirs, f"bias_hh_l{layer}").data.zero_()
    x = torch.randn(9, 4, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = network.output(theirs(x)[0][:, -1])[:, 0]
        torch.testing.assert_close(network(x), wanted)


def test_a_saved_classifier_answers_without_torch_and_scikit_learn(ordered: Path, tmp_path: Path) -> None:
    out = tmp_path / "classifier"
    result = classify(ordered, settings={"epochs": 2, "units": 5}, out=out)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "weights.safetensors"]
    table = read_table(ordered)
    said = load_classifier(out).probabilities(table)
    held = classification._split(table, result.settings)[1]
    assert binary.auc(said[held], table.label[held]) == pytest.approx(result.models["lstm"]["auc"])
    program = (
        "import sys; sys.modules['torch'] = sys.modules['sklearn'] = None\n"
        "import penchant; from penchant.data.table import read_table\n"
        f"print(penchant.load_classifier({str(out)!r}).probabilities(read_table({str(ordered)!r}))[:3].tolist())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == said[:3].tolist()


def test_a_classifier_refuses_other_tables_and_damage(ordered: Path, tmp_path: Path) -> None:
    out = tmp_path / "classifier"
    classify(ordered, settings={"epochs": 1, "units": 2}, out=out)
    other = tmp_path / "other.csv"
    other.write_text("size,y\n1,0\n2,1\n")
    with pytest.raises(PenchantError, match=r"other.csv: has no column clicked_t1, which the classifier was trained on"):
        load_classifier(out).probabilities(read_table(other))
    weights = out / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(PenchantError, match="is not the file this classifier was saved with"):
        load_classifier(out)
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(PenchantError, match="is not a classifier; make one with penchant classify --out"):
            load_classifier(place)


def test_encodings_survive_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,said,y\n" + "".join(f"{i},word{i % 4} again,{(i % 5) % 2}\n" for i in range(60)))
    classify(path, settings={"epochs": 1, "units": 2, "batch": 8}, out=tmp_path / "out")
    table = read_table(path)
    loaded = load_classifier(tmp_path / "out").encoding
    fitted = Encoding.fit(table, classification._split(table, ClassifierSettings(batch=8))[0], "tfidf", 100)
    assert loaded == fitted
    np.testing.assert_array_equal(loaded(table)[0], fitted(table)[0])


def command(*words: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["classify", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_for_people_and_machines(ordered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(ordered, "--set", "epochs=1", "units=2", "--cell", "article_lstm", "--json", capsys=capsys)
    assert code == 0, err
    value = json.loads(out)
    assert out.count("\n") == 1
    assert list(value["models"]) == [
        "article_lstm",
        "majority class",
        "logistic regression",
        "decision tree",
        "gradient boosting",
    ]
    assert value["settings"]["cell"] == "article_lstm"
    assert value["facts"]["rows"] == 1200
    code, out, _ = command(ordered, "--set", "epochs=1", "units=2", capsys=capsys)
    assert code == 0
    assert "1,200 rows" in out
    assert "the lstm doesn't win: " in out
    assert "note: the rows are split at random, as the article does" in out


WRONG = {
    "x,y\n1,0\n2,1\n3,0\n": "has 3 rows, of which 2 are to learn from, fewer than a batch of 32",
    "x,y\n" + "1,0\n2,0\n" * 30 + "3,1\n": "hold one class only, so rare is the other",
    "x,y\n1,0\n2,3\n": "must be 0 or 1, but holds '3' (1 ×), in line 3",
    "x_t1,x_t3,y\n1,2,0\n1,2,1\n": "has x_t1, x_t3 but no x_t2",
    "5,2,0\n": "has no header",
}


@pytest.mark.parametrize(("content", "sentence"), WRONG.items())
def test_bad_tables_end_in_one_sentence_and_leave_nothing(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    code, out, err = command(tmp_path / "bad.csv", "--out", tmp_path / "out", "--json", capsys=capsys)
    assert (code, out) == (2, "")
    said = json.loads(err)["error"]
    assert sentence in said
    assert "\n" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "unit=3"], "there is no setting 'unit'; did you mean units?"),
        (["--set", "units=0"], "units must be at least 1"),
        (["--set", "text=words"], "text must be one of tfidf, bag"),
        (["--set", "learning_rate=1e38"], "the loss is no number in epoch"),
        (["--cell", "gru"], "invalid choice: 'gru'"),
    ],
)
def test_bad_settings_end_in_one_sentence(
    ordered: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = command(ordered, *words, capsys=capsys)
    assert (code, out) == (2, "")
    assert sentence in " ".join(err.split())


@pytest.mark.parametrize(("module", "sentence"), [("sklearn", "needs scikit-learn"), ("torch", "needs PyTorch")])
def test_what_is_not_installed_is_named(ordered: Path, module: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"] if module == "sklearn" else []:
        monkeypatch.delitem(sys.modules, name)
    for name in ("classifier_training", "network"):
        monkeypatch.delitem(sys.modules, f"penchant.models.neural.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PenchantError, match=sentence):
        classify(ordered)
