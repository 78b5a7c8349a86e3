"""Training and comparing as functions: what is written, what is refused, what survives a kill."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penchant import artifact, workflow
from penchant.evaluation import leave_one_out, report
from penchant.interests import topics
from penchant.models import create
from penchant.models.validation import validate
from penchant.testing import log_of
from penchant.types import Interactions, PenchantError

SETTINGS = {"width": 6, "epochs": 4, "batch_events": 64, "batch_histories": 1}
MAKE_LOG = "log_of([(f'u{u:02}', f'i{(u * 3 + n * (1 + u % 2)) % 17:02}', 100 * n + u) for u in range(30) for n in range(8)])"


@pytest.fixture(scope="module")
def log() -> Interactions:
    made: Interactions = eval(MAKE_LOG, {"log_of": log_of})
    return made


def checkpoint_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.checkpoint") / "fit"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_training_writes_a_model_and_tells_what_it_measured(log: Interactions, tmp_path: Path) -> None:
    told: list[str] = []
    out = tmp_path / "deep" / "lstm"
    measured = workflow.train(
        log, "lstm", out, settings=SETTINGS, split="leave-one-out", progress=lambda what, done, total: told.append(what)
    )
    assert measured.keys() == {"model", "epochs", "seconds", "targets_per_second", "peak_memory_mb", "valid"}
    assert measured["epochs"] == 4
    assert measured["model"] == str(out)
    assert 20 < measured["peak_memory_mb"] < 100_000
    assert names(out.parent) == ["lstm"]
    model = artifact.load(out)
    assert measured["valid"] == validate(model, leave_one_out(log).valid)
    lineage = artifact.read_lineage(out)
    assert (lineage["dataset"], lineage["split"]) == (log.content_hash, "leave-one-out")
    assert sum(lineage["inputs"]["items"]) == len(leave_one_out(log).train.item)
    assert "epoch 4" in told
    json.dumps(measured, allow_nan=False)


def test_popularity_is_measured_too(log: Interactions, tmp_path: Path) -> None:
    measured = workflow.train(log, "popularity", tmp_path / "p", split="leave-one-out")
    assert measured["epochs"] == 0
    assert measured["targets_per_second"] > 0
    assert set(measured["valid"]) == {"ndcg@10", "recall@10"}


def killed(out: Path, how: str = "SIGKILL", settings: dict[str, Any] = SETTINGS) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own that gets a signal as soon as its second epoch begins."""
    code = f"""
import os, signal
from penchant import workflow
from penchant.testing import log_of
def watch(what, done, total):
    if what == "epoch 2":
        os.kill(os.getpid(), signal.{how})
signal.signal(signal.SIGINT, signal.default_int_handler)
workflow.train({MAKE_LOG}, "lstm", {str(out)!r}, settings={settings!r}, split="leave-one-out", progress=watch)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_a_training_that_was_killed_and_resumed_ends_as_one_that_was_not(log: Interactions, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert killed(out).returncode == -signal.SIGKILL
    assert names(tmp_path) == ["model.checkpoint"]
    told: list[str] = []
    workflow.train(
        log,
        "lstm",
        out,
        settings=SETTINGS,
        split="leave-one-out",
        resume=True,
        progress=lambda what, *numbers: told.append(what),
    )
    assert "epoch 1" not in told
    assert "epoch 2" in told
    assert names(tmp_path) == ["model"]
    workflow.train(log, "lstm", tmp_path / "whole", settings=SETTINGS, split="leave-one-out")
    resumed, whole = artifact.load(out), artifact.load(tmp_path / "whole")
    assert resumed.id == whole.id
    for name, array in whole.weights().items():
        assert np.array_equal(array, resumed.weights()[name])


def test_an_interrupted_training_leaves_no_model_and_says_how_to_go_on(log: Interactions, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "epoch 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="--resume goes on from there"):
        workflow.train(log, "lstm", tmp_path / "m", settings=SETTINGS, split="leave-one-out", progress=interrupt)
    assert names(tmp_path) == ["m.checkpoint"]
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        workflow.train(
            log, "lstm", tmp_path / "n", settings=SETTINGS, split="leave-one-out",
            progress=lambda what, *numbers: interrupt("epoch 2", *numbers),
        )  # fmt: skip
    assert names(tmp_path) == ["m.checkpoint"]


def test_an_unfinished_training_is_not_thrown_away(log: Interactions, tmp_path: Path) -> None:
    checkpoint_of(tmp_path / "m").parent.mkdir()
    checkpoint_of(tmp_path / "m").write_text("left by another training")
    for name in ("lstm", "popularity"):
        with pytest.raises(PenchantError, match="holds an unfinished training; go on with it by --resume, or delete it"):
            workflow.train(log, name, tmp_path / "m")
    assert checkpoint_of(tmp_path / "m").read_text() == "left by another training"
    assert names(tmp_path) == ["m.checkpoint"]


def test_one_training_at_a_time_writes_a_model(log: Interactions, tmp_path: Path) -> None:
    def meanwhile(what: str, done: int, total: int) -> None:
        if what == "epoch 1":
            for resume in (True, False):
                with pytest.raises(PenchantError, match="a training already goes on in another process"):
                    workflow.train(log, "popularity", tmp_path / "m", split="leave-one-out", resume=resume)

    workflow.train(log, "lstm", tmp_path / "m", settings=SETTINGS, split="leave-one-out", progress=meanwhile)
    assert names(tmp_path) == ["m"]
    (tmp_path / "n.checkpoint").mkdir()  # killed before its first epoch ended: there is nothing to go on with
    with pytest.raises(PenchantError, match="nothing to resume"):
        workflow.train(log, "popularity", tmp_path / "n", split="leave-one-out", resume=True)
    workflow.train(log, "popularity", tmp_path / "n", split="leave-one-out")
    assert names(tmp_path) == ["m", "n"]


def test_what_cannot_be_resumed_is_refused(log: Interactions, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="nothing to resume; train without --resume"):
        workflow.train(log, "lstm", tmp_path / "m", resume=True)
    checkpoint_of(tmp_path / "m").parent.mkdir()
    checkpoint_of(tmp_path / "m").write_text("not ours")
    with pytest.raises(PenchantError, match="is not a checkpoint; delete it"):
        workflow.train(log, "lstm", tmp_path / "m", settings=SETTINGS, resume=True)
    assert names(tmp_path) == ["m.checkpoint"]


def test_a_bad_wish_costs_nothing_that_was_there(log: Interactions, tmp_path: Path) -> None:
    checkpoint_of(tmp_path / "m").parent.mkdir()
    checkpoint_of(tmp_path / "m").write_text("hours of work")
    for wish in ({"name": "lsmt"}, {"settings": {"widht": 3}}, {"split": "random"}):
        with pytest.raises(PenchantError):
            workflow.train(log, **({"name": "lstm", "out": tmp_path / "m"} | wish))  # type: ignore[arg-type]
    assert checkpoint_of(tmp_path / "m").read_text() == "hours of work"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(PenchantError, match="is not replaced"):
        workflow.train(log, "popularity", tmp_path / "letters")


def test_comparing_names_and_paths(log: Interactions, tmp_path: Path) -> None:
    workflow.train(log, "lstm", tmp_path / "m", settings=SETTINGS, split="leave-one-out")
    result = workflow.compare(log, ["popularity", str(tmp_path / "m")], split="leave-one-out", k=3)
    assert list(result.models) == ["popularity", str(tmp_path / "m")]
    assert list(result.controls) == ["markov", "recent_popularity"]
    assert [pair.first for pair in result.shuffled] == list(result.models)
    lstm = result.costs[str(tmp_path / "m")]
    assert lstm.settings == SETTINGS
    assert lstm.parameters == sum(array.size for array in artifact.load(tmp_path / "m").weights().values())
    lineage = artifact.read_lineage(tmp_path / "m")
    assert (lstm.train_seconds, lstm.peak_memory_mb) == (lineage["seconds"], lineage["peak_memory_mb"])
    assert 20 < (result.costs["popularity"].peak_memory_mb or 0) < 100_000
    assert 0 < lstm.next_event_ms["p50"] <= lstm.next_event_ms["p99"]
    assert len(lstm.curve) == 4
    assert result.costs["popularity"].state_bytes == 0
    plain = workflow.compare(log, ["popularity"], split="leave-one-out", k=3, controls=False)
    assert (plain.controls, plain.shuffled) == ({}, ())
    assert plain.models["popularity"] == result.models["popularity"]


def test_a_report_is_written_whole_and_replaced_by_force_alone(log: Interactions, tmp_path: Path) -> None:
    result = workflow.compare(log, ["transitions"], split="leave-one-out", k=3)
    out = tmp_path / "report"
    workflow.write_report(result, out)
    assert names(out) == sorted(report.FILES)
    assert json.loads((out / "report.json").read_text()) == result.to_json()
    with pytest.raises(PenchantError, match="report: exists; --force replaces it, or name another folder"):
        workflow.write_report(result, out)
    workflow.write_report(result, out, force=True)
    (out / "letter.txt").write_text("dear")
    with pytest.raises(PenchantError, match=r"exists and holds letter.txt, so it is not replaced"):
        workflow.write_report(result, out, force=True)


def test_a_model_that_may_know_the_answers_is_refused(log: Interactions, tmp_path: Path) -> None:
    workflow.train(log, "popularity", tmp_path / "m", split="leave-one-out")
    with pytest.raises(PenchantError, match="was trained on the split leave-one-out, not temporal: it may know the answers"):
        workflow.compare(log, [str(tmp_path / "m")], split="temporal", k=3)
    other = log_of([(f"u{u}", f"i{n}", n) for u in range(5) for n in range(5)])
    with pytest.raises(PenchantError, match=r"was trained on the dataset .*: it may know the answers"):
        workflow.compare(other, [str(tmp_path / "m")], split="leave-one-out", k=3)
    artifact.save(create("popularity").fit(leave_one_out(log).train), tmp_path / "nameless")
    with pytest.raises(PenchantError, match="was trained on the dataset None"):
        workflow.compare(log, [str(tmp_path / "nameless")], split="leave-one-out", k=3)


def test_models_of_another_reading_or_another_budget_do_not_stand_in_one_table(log: Interactions, tmp_path: Path) -> None:
    split = "leave-one-out"
    workflow.train(log, "transitions", tmp_path / "refit", split=split, refit=True)
    workflow.train(log, "transitions", tmp_path / "tuned", split=split, trials=30)
    refit, tuned = str(tmp_path / "refit"), str(tmp_path / "tuned")
    with pytest.raises(
        PenchantError, match=r"trained on the split's training and validation parts, and the others .* without --refit"
    ):
        workflow.compare(log, [refit], split=split, k=3)
    with pytest.raises(PenchantError, match="that is no fair comparison; train it with --refit, or choose another --reading"):
        workflow.compare(log, [tuned], split=split, k=3, reading="refit")
    with pytest.raises(
        PenchantError, match="tuned was tuned in 30 trials and item_knn in 0: one table needs one tuning budget"
    ):
        workflow.compare(log, ["popularity", "item_knn", tuned], split=split, k=3)
    found = workflow.compare(log, ["popularity", tuned], split=split, k=3)  # popularity has nothing to tune
    assert found.costs[tuned].trials == 30
    both = workflow.compare(log, [refit, "popularity"], split=split, k=3, reading="refit").models[refit]
    expected = validate(create("transitions").fit(leave_one_out(log).before_test), leave_one_out(log).test, 3)
    assert both["ndcg@3"] == pytest.approx(expected["ndcg@3"])


def test_each_seed_and_each_fold_is_a_training(log: Interactions) -> None:
    told: list[str] = []

    def tell(what: str, *_: int) -> None:
        told.append(what)

    found = workflow.compare(log, ["lstm", "markov"], split="rolling", folds=2, k=3, seeds=(1, 2), progress=tell)
    assert [line for line in told if line.startswith("training")] == [
        "training lstm with seed 1",
        "training lstm with seed 2",
        "training markov",
    ] * 2
    assert found.split == "rolling, 2 folds"
    assert found.seeds.keys() == {"lstm"}
    assert len(found.seeds["lstm"]["ndcg@3"]) == 2
    assert [part.name for part in found.slices if part.family == "split"] == ["rolling 1 of 2", "rolling 2 of 2"]


def test_a_model_trained_once_is_refused_in_several_folds(log: Interactions, tmp_path: Path) -> None:
    workflow.train(log, "markov", tmp_path / "m", split="temporal")
    with pytest.raises(PenchantError, match="was trained on the split temporal, not rolling 1 of 3"):
        workflow.compare(log, [str(tmp_path / "m")], split="rolling", k=3)


def test_a_model_named_twice_is_refused(log: Interactions) -> None:
    with pytest.raises(PenchantError, match="popularity is named twice; a table has one line for each model"):
        workflow.compare(log, ["popularity", "markov", "popularity"], k=3)
    with pytest.raises(PenchantError, match=r"\./m is named twice"):
        workflow.check_names(["popularity", "./m", "m/", "markov"])


def test_ablation_needs_longshort_and_stands_beside_it(log: Interactions, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="--ablate takes longshort apart, and it isn't among the models"):
        workflow.compare(log, ["markov"], split="leave-one-out", k=3, ablate=True)
    settings = SETTINGS | {"network": False, "neighbours": False, "regression": False}
    for refit, reading in ((False, "train-only"), (True, "refit")):
        path = str(tmp_path / reading)
        workflow.train(log, "longshort", path, settings=settings, split="leave-one-out", refit=refit)
        found = workflow.compare(log, [path], split="leave-one-out", k=3, ablate=True, reading=reading)
        assert list(found.models) == [path, f"{path} without memory", f"{path} without popularity"]
        assert found.costs[f"{path} without memory"].settings["memory"] is False
        # Parts are a family of tests of their own, and no rivals of the whole.
        assert [(pair.first, pair.second) for pair in found.ablations] == [(path, name) for name in list(found.models)[1:]]
        assert not {pair.second for pair in found.ablations} & {name for c in found.comparisons for name in (c.first, c.second)}
        assert found.leader in found.rivals == (path, *found.controls)


def test_miscalibration_goes_by_what_the_dataset_names_else_by_topics_beside_a_model(log: Interactions, tmp_path: Path) -> None:
    path = str(tmp_path / "m")
    workflow.train(log, "transitions", path, split="leave-one-out")
    none = workflow.compare(log, [path], split="leave-one-out", k=3, controls=False)
    assert "miscalibration@3" not in none.models[path]
    assert none.notes()[-1].startswith("Miscalibration isn't shown: no column of the items names kinds")
    size = len(log.items)
    membership = np.eye(2, dtype=np.float32)[np.arange(size) % 2]
    kept = [topics.Topic(n, f"t{n}", (), size // 2, ()) for n in range(2)]
    place = np.zeros((size, 2), np.float32)
    found = topics.Topics(log.items, ("",) * size, membership, place, np.ones(2, np.float32), tuple(kept))
    topics.save(found, topics.beside(path))
    beside = workflow.compare(log, [path], split="leave-one-out", k=3, controls=False)
    assert 0 < beside.models[path]["miscalibration@3"] < 4.61
    assert beside.intervals[path]["miscalibration@3"][0] <= beside.models[path]["miscalibration@3"]
    assert beside.notes()[-1] == f"Miscalibration goes by the 2 topics beside {path}."
    assert "miscalibration@3" in beside.definitions()
    named = workflow.compare(
        log, [path], split="leave-one-out", k=3, controls=False, kinds=replace(found.kinds, source="genres")
    )
    assert named.notes()[-1] == "Miscalibration goes by genres."
    assert named.models == beside.models


def test_names_and_paths_that_are_no_models_are_refused(log: Interactions, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="no model 'popularty'; did you mean popularity"):
        workflow.compare(log, ["popularty"], k=3)
    with pytest.raises(PenchantError, match="is not a model"):
        workflow.compare(log, [str(tmp_path)], k=3)
    with pytest.raises(PenchantError, match="no model was named"):
        workflow.compare(log, [], k=3)


def test_a_list_longer_than_the_catalogue_is_refused_before_anything_is_trained(log: Interactions) -> None:
    told: list[str] = []
    with pytest.raises(PenchantError, match="k is 18, but must lie between 1 and 17"):
        workflow.compare(log, ["lstm"], split="leave-one-out", k=18, progress=lambda what, *numbers: told.append(what))
    assert told == []


def test_what_is_refused_is_refused_before_anything_trains(log: Interactions) -> None:
    told: list[str] = []
    with pytest.raises(PenchantError, match="there is no model 'nosuch'"):
        workflow.compare(log, ["popularity", "nosuch"], progress=lambda what, *n: told.append(what))
    with pytest.raises(PenchantError, match="seed is -1, but must not be negative"):
        workflow.compare(log, ["popularity"], seed=-1, k=3, progress=lambda what, *n: told.append(what))
    assert told == []


def test_a_model_of_another_dataset_is_loaded_with_a_remark(log: Interactions, tmp_path: Path) -> None:
    workflow.train(log, "popularity", tmp_path / "m")
    told: list[str] = []

    def tell(what: str, *_: int) -> None:
        told.append(what)

    workflow.load_for(tmp_path / "m", log, tell)
    assert told == []
    workflow.load_for(tmp_path / "m", replace(log, content_hash="another"), tell)
    assert [f"{tmp_path / 'm'} was trained on the dataset " in remark for remark in told] == [True]


def test_refit_learns_from_both_parts_for_the_best_number_of_epochs(log: Interactions, tmp_path: Path) -> None:
    measured = workflow.train(log, "lstm", tmp_path / "m", settings=SETTINGS, split="leave-one-out", refit=True)
    cut = leave_one_out(log)
    first = create("lstm", **SETTINGS).fit(cut.train, cut.valid)
    best = 1 + max(range(len(first.history)), key=lambda epoch: first.history[epoch]["ndcg@10"])
    expected = create("lstm", **(SETTINGS | {"epochs": best})).fit(cut.before_test)
    assert artifact.load(tmp_path / "m").id == expected.id
    assert measured["valid"] == validate(first, cut.valid)
    assert artifact.read_lineage(tmp_path / "m")["trained_on"] == "the split's training and validation parts"


BLEND = {"members": "lstm+gru+popularity"}


@pytest.mark.parametrize("where", [("training gru", "epoch 2"), ("training again", "epoch 2")])
def test_a_blend_of_networks_and_its_refit_go_on_where_they_were_interrupted(
    log: Interactions, tmp_path: Path, where: tuple[str, str]
) -> None:
    seen: list[str] = []

    def interrupt(what: str, done: int, total: int) -> None:
        seen.append(what)
        if what == where[1] and any(earlier.startswith(where[0]) for earlier in seen):
            raise KeyboardInterrupt

    def train(out: str, **more: Any) -> None:
        workflow.train(log, "blend", tmp_path / out, settings=BLEND, split="leave-one-out", refit=True, **more)

    with pytest.raises(KeyboardInterrupt, match="--resume goes on from there"):
        train("m", progress=interrupt)
    told: list[str] = []
    train("m", resume=True, progress=lambda what, *_: told.append(what))
    again = told.index("training again, on the training and validation parts")
    assert "epoch 1" not in told[:again]
    assert told[again + 1] == ("epoch 1" if where[0] == "training gru" else "epoch 2")
    train("whole")
    assert artifact.load(tmp_path / "m").id == artifact.load(tmp_path / "whole").id
    assert names(tmp_path) == ["m", "whole"]


def test_a_reading_says_what_is_known_of_the_events_before_the_test(log: Interactions) -> None:
    cut = leave_one_out(log)
    found = {
        reading: workflow.compare(log, ["transitions", "popularity", "item_knn"], split="leave-one-out", reading=reading)
        for reading in workflow.READINGS
    }
    for name, online in (("transitions", cut.before_test), ("popularity", cut.before_test), ("item_knn", cut.train)):
        for reading, known in (("train-only", cut.train), ("online", online), ("refit", cut.before_test)):
            expected = validate(create(name).fit(known), cut.test)["ndcg@10"]
            assert found[reading].models[name]["ndcg@10"] == pytest.approx(expected)
            assert found[reading].to_json()["reading"] == reading
    with pytest.raises(PenchantError, match="no reading 'oracle'; the readings are train-only, online, refit"):
        workflow.compare(log, ["popularity"], reading="oracle")


def test_scalars_and_a_profile_are_written_or_said_to_be_nothing(log: Interactions, tmp_path: Path) -> None:
    told: list[str] = []
    for name, settings in (("lstm", SETTINGS), ("popularity", {})):
        workflow.train(
            log,
            name,
            tmp_path / name,
            settings=settings,
            split="leave-one-out",
            scalars=tmp_path / f"{name}-scalars",
            profile=tmp_path / f"{name}-profile.json",
            progress=lambda what, *_: told.append(what),
        )
    assert list((tmp_path / "lstm-scalars").glob("events.*"))
    assert json.loads((tmp_path / "lstm-profile.json").read_text())["traceEvents"]
    assert told.count("popularity learns in one go: there are no epochs to write of") == 1
    assert not (tmp_path / "popularity-profile.json").exists()
