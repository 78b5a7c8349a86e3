"""Tuning: what is searched, what is kept, what ends a trial, what is refused."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from penchant import tuning
from penchant.evaluation import leave_one_out
from penchant.models import MODELS, create
from penchant.models.neural.model import LSTM
from penchant.models.validation import validate
from penchant.testing import log_of
from penchant.tuning import SPACES, Range, tune
from penchant.types import Cases, Content, Interactions, Monitor, PenchantError, Sequences

SMALL = {"width": 6, "epochs": 2, "batch_events": 64, "batch_histories": 1, "loss": "softmax"}
SPLIT = "leave-one-out"


@pytest.fixture(scope="module")
def log() -> Interactions:
    return log_of([(f"u{u:02}", f"i{(u * 3 + n * (1 + u % 2)) % 17:02}", 100 * n + u) for u in range(30) for n in range(8)])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "new" / "tuned.study.db"


def trials_of(study: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{study}")
    (name,) = optuna.study.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return trials


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Makes the LSTM "train" three epochs whose ndcg@10 is its dropout's distance from 1; returns the epochs begun."""
    begun: list[float] = []

    def fit(self: LSTM, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        for epoch in (1, 2, 3):
            begun.append(self.settings.dropout)
            if monitor.observe is not None:
                value = 1 - self.settings.dropout
                monitor.observe(epoch, {"loss": 1.0, "ndcg@10": value, "recall@10": value})

    monkeypatch.setattr(LSTM, "_fit", fit)
    monkeypatch.setattr(
        tuning, "validate", lambda model, cases: dict.fromkeys(("ndcg@10", "recall@10"), 1 - model.settings.dropout)
    )
    return begun


@pytest.mark.parametrize("name", [name for name in SPACES if name in MODELS])
def test_every_space_holds_settings_that_its_model_takes(name: str) -> None:
    for key, among in SPACES[name].items():
        for value in among if isinstance(among, tuple) else (among.low, among.high):
            assert asdict(create(name, **{key: value}).settings)[key] == value
        default = asdict(create(name).settings)[key]
        if isinstance(among, Range):
            assert type(default) is type(among.low)
            assert among.low <= default <= among.high


def test_what_is_found_is_what_training_gives(log: Interactions, study: Path) -> None:
    told: list[str] = []
    found = tune(log, "transitions", study=study, trials=4, split=SPLIT, progress=lambda what, *numbers: told.append(what))
    assert found.keys() == {"model", "best", "valid", "trials", "pruned", "study", "arguments"}
    assert (found["model"], found["trials"], found["pruned"], found["study"]) == ("transitions", 4, 0, str(study))
    assert found["best"].keys() == SPACES["transitions"].keys()
    cut = leave_one_out(log)
    words, trials = found["arguments"].removeprefix("--set ").split(" --trials ")
    assert trials == "4"
    pairs = dict(pair.split("=") for pair in words.split())
    model = create("transitions", **pairs)
    assert model.settings == create("transitions", **found["best"]).settings
    assert validate(model.fit(cut.train, cut.valid), cut.valid) == found["valid"]
    defaults = validate(create("transitions").fit(cut.train, cut.valid), cut.valid)
    assert found["valid"]["ndcg@10"] >= defaults["ndcg@10"]
    assert [line.split(":")[0] for line in told if line.startswith("trial")] == [f"trial {n}" for n in range(4)]
    json.dumps(found, allow_nan=False)


def test_the_first_trial_has_the_defaults(log: Interactions, study: Path) -> None:
    tune(log, "item_knn", study=study, trials=1, split=SPLIT)
    assert trials_of(study)[0].params == {"neighbours": 500, "window": 100}


def test_a_study_goes_on(log: Interactions, study: Path) -> None:
    first = tune(log, "transitions", study=study, trials=3, split=SPLIT)
    second = tune(log, "transitions", study=study, trials=3, split=SPLIT)
    assert (first["trials"], second["trials"]) == (3, 6)
    assert second["valid"]["ndcg@10"] >= first["valid"]["ndcg@10"]
    tried = [tuple(trial.params.values()) for trial in trials_of(study)]
    assert len(set(tried)) == 6


def test_the_seed_decides_what_is_tried(log: Interactions, tmp_path: Path) -> None:
    tried = []
    for number, seed in enumerate((5, 5, 6)):
        tune(log, "transitions", study=tmp_path / str(number), trials=3, split=SPLIT, seed=seed)
        tried.append([trial.params for trial in trials_of(tmp_path / str(number))])
    assert tried[0] == tried[1] != tried[2]


def test_other_data_splits_and_fixed_settings_are_kept_apart(log: Interactions, study: Path) -> None:
    calls: list[tuple[Interactions, dict[str, Any]]] = [
        (log, {"split": SPLIT}),
        (replace(log, content_hash="another"), {"split": SPLIT}),
        (log, {"split": "temporal"}),
        (log, {"split": SPLIT, "settings": {"window": 3}}),
    ]
    for data, options in calls:
        assert tune(data, "transitions", study=study, trials=1, **options)["trials"] == 1
    assert tune(log, "transitions", study=study, trials=1, split=SPLIT)["trials"] == 2
    assert tune(log, "item_knn", study=study, trials=1, split=SPLIT)["trials"] == 1


def test_fixed_settings_leave_the_space(log: Interactions, study: Path) -> None:
    found = tune(log, "lstm", study=study, trials=2, split=SPLIT, settings={**SMALL, "width": "6"})
    assert found["best"].items() >= SMALL.items()
    assert found["best"].keys() == SMALL.keys() | {"dropout", "learning_rate"}
    assert "width=6" in found["arguments"].split()
    assert all(trial.params.keys() == {"dropout", "learning_rate"} for trial in trials_of(study))
    assert all(trial.intermediate_values.keys() == {1, 2} for trial in trials_of(study))


def test_bad_trials_are_stopped_early(log: Interactions, study: Path, measuring: list[float]) -> None:
    found = tune(log, "lstm", study=study, trials=20, split=SPLIT, settings=SMALL)
    assert 0 < found["pruned"] < 20
    pruned = [trial for trial in trials_of(study) if trial.state.name == "PRUNED"]
    assert len(pruned) == found["pruned"]
    assert all(trial.intermediate_values.keys() == {1} for trial in pruned)
    assert len(measuring) == 3 * (20 - len(pruned)) + len(pruned)
    assert found["best"]["dropout"] == min(measuring)


def test_the_end_of_the_time_ends_the_running_trial_after_its_epoch(
    log: Interactions, study: Path, measuring: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 20.0, 40.0, 60.0, 80.0])
    monkeypatch.setattr("penchant.tuning.time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = tune(log, "lstm", study=study, minutes=1, split=SPLIT, settings=SMALL)
    assert (found["trials"], len(measuring)) == (1, 3)
    assert found["valid"] == {"ndcg@10": 0.5, "recall@10": 0.5}
    clock = iter([0.0, 60.0])
    found = tune(log, "lstm", study=study, minutes=1, split=SPLIT, settings=SMALL)
    assert (found["trials"], found["pruned"], len(measuring)) == (2, 0, 4)


def test_a_real_training_ends_with_the_time(log: Interactions, study: Path) -> None:
    settings = SMALL | {"epochs": 100_000, "patience": 100_000}
    found = tune(log, "lstm", study=study, minutes=0.02, split=SPLIT, settings=settings)
    assert found["trials"] == 1
    assert 0 < len(trials_of(study)[0].intermediate_values) < 100_000
    assert found["valid"]["ndcg@10"] == max(trials_of(study)[0].intermediate_values.values())


def test_no_time_at_all(log: Interactions, study: Path) -> None:
    with pytest.raises(PenchantError, match="no trial came to a measurement within 1e-12 minutes; allow more"):
        tune(log, "lstm", study=study, minutes=1e-12, split=SPLIT)


def test_an_interrupted_study_goes_on(log: Interactions, study: Path, measuring: list[float]) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith("trial 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"tuned\.study\.db has the finished trials, and the same command goes on"):
        tune(log, "lstm", study=study, split=SPLIT, settings=SMALL, progress=interrupt)
    assert [trial.state.name for trial in trials_of(study)] == ["COMPLETE", "FAIL"]
    assert tune(log, "lstm", study=study, trials=2, split=SPLIT, settings=SMALL)["trials"] == 3


def test_settings_that_cannot_be_trained_with_are_passed_over(
    log: Interactions, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: LSTM, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if self.settings.dropout != good:
            raise PenchantError("the loss is no number")

    good = 0.5
    told: list[str] = []
    monkeypatch.setattr(LSTM, "_fit", fit)
    monkeypatch.setattr(tuning, "validate", lambda model, cases: {"ndcg@10": 0.1, "recall@10": 0.2})
    found = tune(
        log, "lstm", study=study, trials=3, split=SPLIT, settings=SMALL, progress=lambda what, *numbers: told.append(what)
    )
    assert (found["trials"], found["pruned"], found["best"]["dropout"]) == (3, 2, 0.5)
    assert told[1:] == ["trial 1: the loss is no number", "trial 2: the loss is no number"]
    good = 0.0
    with pytest.raises(PenchantError, match=r"^the loss is no number$"):
        tune(log, "lstm", study=study.with_name("other"), trials=3, split=SPLIT, settings=SMALL)


def test_what_cannot_be_tuned_is_refused(log: Interactions, study: Path) -> None:
    known = ", ".join(name for name in SPACES if name in MODELS)
    for name, options, words in (
        ("popularity", {}, f"the model popularity has no search space; those that can be tuned are {known}$"),
        ("lsmt", {}, "there is no model 'lsmt'; did you mean lstm?"),
        ("lstm", {"settings": {"widht": 3}}, "there is no setting 'widht'; did you mean width?"),
        ("lstm", {"settings": {"width": 0}}, "width must be at least 1"),
        ("item_knn", {"settings": {"window": 9, "neighbours": 9}}, "every setting of item_knn that could be tuned is fixed"),
        ("lstm", {"split": "random"}, "there is no split 'random'"),
        ("lstm", {"minutes": 0}, "minutes must be above 0 and trials at least 1"),
        ("lstm", {"minutes": float("nan")}, "minutes must be above 0"),
        ("lstm", {"trials": 0}, "trials at least 1"),
    ):
        with pytest.raises(PenchantError, match=words):
            tune(log, name, study=study, **options)
    assert not study.parent.exists()


def test_a_file_that_is_no_study_is_left_alone(log: Interactions, tmp_path: Path) -> None:
    letter = tmp_path / "dear.txt"
    letter.write_text("dear reader, " * 200)
    with pytest.raises(PenchantError, match=r"dear\.txt: can't be opened as a study \(file is not a database\); name another"):
        tune(log, "lstm", study=letter, split=SPLIT)
    assert letter.read_text() == "dear reader, " * 200
    with pytest.raises(PenchantError, match="can't be opened as a study"):
        tune(log, "lstm", study=tmp_path, split=SPLIT)


def test_without_optuna(log: Interactions, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "optuna")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(PenchantError, match=r"^tuning needs Optuna; install it with: pip install 'penchant\[tune\]'$"):
        tune(log, "lstm", study=study, split=SPLIT)
    assert not study.parent.exists()


def test_optuna_is_silent_and_as_loud_as_before_afterwards(
    log: Interactions, study: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    tune(log, "item_knn", study=study, trials=2, split=SPLIT)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_what_is_known_of_the_items_is_part_of_the_study(log: Interactions, study: Path) -> None:
    for weight in (1.0, 0.5, 1.0):
        known = Content(log.items, np.array([0, 1] + [1] * 16), np.array([0]), np.array([weight], np.float32), 1)
        found = tune(replace(log, content=known), "item_knn", study=study, trials=1, split=SPLIT)
    assert found["trials"] == 2
