"""What the command line does, as functions: train a model on a dataset folder, compare several."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from penchant import artifact, evaluation, folders, tensorboard
from penchant import sequences as seq
from penchant.evaluation import Evaluation
from penchant.models import MODELS, create
from penchant.models.base import Model
from penchant.models.validation import validate
from penchant.ranking import check_k
from penchant.types import Interactions, Learning, PenchantError, Progress, Split, quiet

READINGS = ("train-only", "online", "refit")
REPORT_FILES = REPORT, TABLE = "report.json", "report.md"


def train(
    log: Interactions,
    name: str,
    out: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    resume: bool = False,
    refit: bool = False,
    scalars: str | Path | None = None,
    profile: str | Path | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Train a model on the training part of a split, write its folder at ``out``, and return what was measured.

    With ``refit`` the model written has learned from the training and validation parts together, with what validation
    chose (epochs, weights of parts); what was measured on validation is of the model before. After each epoch the training
    is saved beside ``out``; with ``resume`` it goes on from there. ``scalars`` is a folder for TensorBoard's events,
    ``profile`` a file for a trace of the first steps. Raises ``PenchantError`` on settings the model doesn't have, or where
    there is nothing to resume; ``KeyboardInterrupt`` leaves no model, and the words to go on with.
    """
    out = Path(out)
    folders.check_replaceable(out, artifact.FILES)
    model = create(name, **(settings or {}))
    unfinished = out.absolute().with_name(f"{out.name}.checkpoint")
    if resume and not unfinished.exists():
        raise PenchantError(f"{unfinished}: isn't there, so there is nothing to resume; train without --resume")
    if unfinished.exists() and not resume:
        raise PenchantError(f"{unfinished}: holds an unfinished training; go on with it by --resume, or delete it")
    cut = evaluation.split(log, split)
    folders.make_parent(out)
    started = time.perf_counter()
    trace = None if profile is None else Path(profile)
    trained_on = "the split's training part"
    try:
        with nullcontext() if scalars is None else tensorboard.writing(scalars) as observe:
            model.fit(cut.train, cut.valid, progress=progress, checkpoint=unfinished / "fit", observe=observe, profile=trace)
        measured, histories = validate(model, cut.valid), model.histories()
        if refit:
            progress("training again, on the training and validation parts", 0, 0)
            model = model.refitted(cut.before_test, progress=progress, checkpoint=unfinished / "refit")
            trained_on = "the split's training and validation parts"
            model.set_histories(histories)
    except KeyboardInterrupt as interrupt:
        if unfinished.exists():
            raise KeyboardInterrupt(
                f"interrupted; {unfinished} has the finished epochs, and --resume goes on from there"
            ) from interrupt
        raise
    seconds = time.perf_counter() - started
    if not histories and (scalars or profile):
        progress(f"{name} learns in one go: there are no epochs to write of", 0, 0)
    artifact.save(model, out, {"dataset": log.content_hash, "split": cut.name, "trained_on": trained_on})
    shutil.rmtree(unfinished, ignore_errors=True)
    speeds = [h["targets_per_second"] for h in model.history]
    return {
        "model": str(out),
        "epochs": len(model.history),
        "seconds": seconds,
        "targets_per_second": sum(speeds) / len(speeds) if speeds else len(cut.train.item) / seconds,
        "peak_memory_mb": peak_memory_mb(),
        "valid": measured,
    }


def load_for(path: str | Path, log: Interactions, progress: Progress = quiet) -> Model:
    """Load a model to recommend from a dataset; remarks if it was trained on another, whose ids may mean other items."""
    model = artifact.load(path)
    trained_on = artifact.read_lineage(path).get("dataset")
    if trained_on not in (None, log.content_hash):
        progress(f"{path} was trained on another dataset ({trained_on[:12]}…): equal ids must mean equal items", 0, 0)
    return model


def compare(
    log: Interactions,
    models: Sequence[str],
    *,
    split: str | None = None,
    k: int = 10,
    seen: str = "exclude",
    reading: str = "train-only",
    seed: int = 0,
    progress: Progress = quiet,
) -> Evaluation:
    """Evaluate models on one split of a dataset.

    ``models`` are names, trained here with their defaults, and paths of trained models. ``reading`` says what they know of
    the events between training and test: ``train-only``: nothing; ``online``: models that learn without gradients learn
    them, as they would when live; ``refit``: all learn again from training and validation parts together, with what
    validation chose (paths are taken as they were trained). Raises ``PenchantError`` for a
    model trained on another dataset or another split: it may have seen the answers.
    """
    if reading not in READINGS:
        raise PenchantError(f"there is no reading {reading!r}; the readings are {', '.join(READINGS)}")
    cut = evaluation.split(log, split)
    check_k(k, len(seq.occurring(cut.train).items))
    # All that can be refused is refused before the first model trains. A path that isn't there is a name that isn't known.
    candidates = {m: _trained(m, log, cut) if m not in MODELS and Path(m).exists() else create(m) for m in models}
    for name, model in candidates.items():
        if name in MODELS:
            progress(f"training {name}", 0, 0)
            model.fit(cut.train, cut.valid, progress=progress)
            if reading == "refit":
                candidates[name] = model.refitted(cut.before_test, progress=progress)
        if reading == "online" and isinstance(model, Learning):
            model.unlearn(cut.train)
            model.learn(cut.before_test)
    return evaluation.evaluate(candidates, cut, k=k, seen=seen, reading=reading, seed=seed, progress=progress)


def _trained(path: str, log: Interactions, cut: Split) -> Model:
    lineage = artifact.read_lineage(path)
    for what, mine, theirs in (
        ("dataset", log.content_hash, lineage.get("dataset")),
        ("split", cut.name, lineage.get("split")),
    ):
        if mine != theirs:
            raise PenchantError(
                f"{path}: was trained on the {what} {str(theirs)[:16]}, not {mine[:16]}: it may know the answers; "
                f"train it on this {what}"
            )
    return artifact.load(path)


def write_report(result: Evaluation, out: str | Path) -> None:
    """Write ``report.json`` and ``report.md`` into the folder ``out``."""
    with folders.writing(Path(out), REPORT_FILES) as target:
        (target / REPORT).write_text(json.dumps(result.to_json(), indent=1) + "\n", encoding="utf-8")
        (target / TABLE).write_text(result.to_markdown() + "\n", encoding="utf-8")


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
