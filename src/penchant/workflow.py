"""What the command line does, as functions: train a model on a dataset folder, compare several."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from penchant import artifact, evaluation, folders, tensorboard
from penchant import sequences as seq
from penchant.evaluation import Evaluation, report
from penchant.evaluation.ablation import ablated
from penchant.evaluation.cost import Cost, cost
from penchant.evaluation.drift import reference
from penchant.evaluation.evaluate import check_seed
from penchant.evaluation.progressive import Live, stream
from penchant.interests import topics
from penchant.models import MODELS, RANKERS, create
from penchant.models.base import Model
from penchant.models.longshort import LongShort
from penchant.models.validation import validate
from penchant.ranking import length
from penchant.types import Interactions, Kinds, Learning, PenchantError, Progress, Split, quiet

READINGS = ("train-only", "online", "refit")


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
    trials: int = 0,
    folder: str | Path | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Train a model on the training part of a split, write its folder at ``out``, and return what was measured.

    With ``refit`` the model written has learned from the training and validation parts together, with what validation
    chose (epochs, weights of parts); what was measured on validation is of the model before. After each epoch the training
    is saved beside ``out``; with ``resume`` it goes on from there. ``scalars`` is a folder for TensorBoard's events,
    ``profile`` a file for a trace of the first steps; ``trials`` says in how many the settings were chosen, ``folder`` where
    the dataset lies, for whoever is told later that it was another one. Raises ``PenchantError`` on settings the model doesn't
    have, or where there is nothing to resume; ``KeyboardInterrupt`` leaves no model, and the words to go on with.
    """
    out = Path(out)
    folders.check_replaceable(out, artifact.FILES)
    if trials < 0:
        raise PenchantError(f"there can't have been {trials} trials")
    model = create(name, **(settings or {}))
    with _unfinished(out, resume) as unfinished:
        cut = evaluation.split(log, split)
        started = time.perf_counter()
        try:
            model, measured = _learned(model, cut, unfinished, scalars, profile, refit=refit, progress=progress)
        except KeyboardInterrupt as interrupt:
            if any(unfinished.iterdir()):
                raise KeyboardInterrupt(
                    f"interrupted; {unfinished} has the finished epochs, and --resume goes on from there"
                ) from interrupt
            raise
        seconds = time.perf_counter() - started
        if not model.histories() and (scalars or profile):
            progress(f"{name} learns in one go: there are no epochs to write of", 0, 0)
        lineage = {
            "dataset": log.content_hash,
            "split": cut.name,
            "trained_on": evaluation.trained_on(refit=refit),
            "seconds": seconds,
            "trials": trials,
            "peak_memory_mb": peak_memory_mb(),
            "inputs": reference(model.items, cut.before_test if refit else cut.train),
        }
        lineage |= {} if folder is None else {"dataset_folder": str(folder)}
        artifact.save(model, out, lineage)
        shutil.rmtree(unfinished, ignore_errors=True)
    return _figures(model, cut, seconds) | {"model": str(out), "valid": measured}


def _learned(
    model: Model,
    cut: Split,
    unfinished: Path,
    scalars: str | Path | None,
    profile: str | Path | None,
    *,
    refit: bool,
    progress: Progress,
) -> tuple[Model, dict[str, float]]:
    """The model fit, and refit if wanted, and what was measured on validation before that."""
    with nullcontext() if scalars is None else tensorboard.writing(scalars) as observe:
        trace = None if profile is None else Path(profile)
        if trace is not None:
            folders.make_parent(trace)
        model.fit(cut.train, cut.valid, progress=progress, checkpoint=unfinished / "fit", observe=observe, profile=trace)
    measured, histories = validate(model, cut.valid), model.histories()
    if refit:
        progress("training again, on the training and validation parts", 0, 0)
        model = model.refitted(cut.before_test, progress=progress, checkpoint=unfinished / "refit")
        model.set_histories(histories)
    return model, measured


@contextmanager
def _unfinished(out: Path, resume: bool) -> Iterator[Path]:
    """Where an unfinished training of the model ``out`` is kept, for this process alone while the block runs; it vanishes where
    nothing is in it then. ``PenchantError`` if there is one or not, against what is asked for, or it goes on elsewhere.
    """
    unfinished = out.absolute().with_name(f"{out.name}.checkpoint")
    nothing = PenchantError(f"{unfinished}: isn't there, so there is nothing to resume; train without --resume")
    if resume and not unfinished.exists():
        raise nothing
    folders.make_parent(out)
    try:
        unfinished.mkdir(exist_ok=True)
    except OSError as error:
        raise PenchantError(f"{unfinished}: can't be written: {error.strerror}") from error
    with folders.alone(unfinished, "a training"):
        begun = any(unfinished.iterdir())
        try:
            if resume and not begun:
                raise nothing
            if begun and not resume:
                raise PenchantError(f"{unfinished}: holds an unfinished training; go on with it by --resume, or delete it")
            yield unfinished
        finally:
            with suppress(OSError):  # something is in it
                unfinished.rmdir()


def _figures(model: Model, cut: Split, seconds: float) -> dict[str, Any]:
    """What a training took."""
    speeds = [h["targets_per_second"] for h in model.history]
    return {
        "epochs": len(model.history),
        "seconds": seconds,
        "targets_per_second": sum(speeds) / len(speeds) if speeds else len(cut.train.item) / seconds,
        "peak_memory_mb": peak_memory_mb(),
    }


def load_for(path: str | Path, log: Interactions, progress: Progress = quiet) -> Model:
    """Load a model to recommend from a dataset; remarks if it was trained on another, whose ids may mean other items."""
    model = artifact.load(path)
    lineage = artifact.read_lineage(path)
    if lineage.get("dataset") not in (None, log.content_hash):
        progress(f"{path} {artifact.other_dataset(lineage, log.content_hash)}: equal ids must mean equal items", 0, 0)
    return model


def compare(
    log: Interactions,
    models: Sequence[str],
    *,
    split: str | None = None,
    folds: int = evaluation.FOLDS,
    k: int | None = None,
    seen: str = "exclude",
    reading: str | None = None,
    seed: int = 0,
    seeds: Sequence[int] = (),
    controls: bool = True,
    ablate: bool = False,
    live: Live | None = None,
    kinds: Kinds | None = None,
    progress: Progress = quiet,
) -> Evaluation:
    """Evaluate models on one split of a dataset, or on each of a rolling origin's ``folds``.

    ``models`` are names, trained here with their defaults, and paths of trained models. Lists have ``k`` items (by default
    ten, or all of a small catalogue). ``reading`` says what they know of the events between training and test:
    ``train-only``: nothing; ``online``: models that learn without gradients learn them, as they would when live; ``refit``:
    all learn again from training and validation parts together, with what validation chose. Models with a setting ``seed``
    are trained once with each of ``seeds``. With ``controls``, simple methods stand beside, and models are asked after
    shuffled histories too; with ``ablate``, ``longshort`` is trained without each of its parts. With ``live``, every event
    after the test cut is asked about in order of time, and taken in; ``reading`` is then ``online`` by default, else
    ``train-only``. Miscalibration goes by the dataset's ``kinds`` of items, else by topics beside the first trained model
    that has some.

    Raises ``PenchantError`` for models that can't stand in one table: trained on another dataset, split or reading (they
    may know the answers), or chosen in more trials than others.
    """
    reading = _reading(reading, live)
    check_seed(seed)
    _check_seeds(seeds)
    cuts = evaluation.rolling_origin(log, folds) if split == evaluation.ROLLING else [evaluation.split(log, split)]
    candidates = _candidates(models, log, cuts[0], reading, ablate)
    # All that can be refused is refused before the first model trains.
    k = length(k, min(len(seq.occurring(cut.train).items) for cut in cuts), progress)
    _check_replayable(log, cuts, live)
    simple = [name for name in _controls(log) if controls and name not in {candidate.kind for candidate in candidates}]
    how: dict[str, Any] = {"k": k, "seen": seen, "reading": reading, "progress": progress}
    how["kinds"] = kinds or _topics_beside(models)
    measured = []
    for cut in cuts:
        trained, costs = _trained(candidates, cut, seeds, reading, ablate, progress)
        others = {name: _read_on(create(name).fit(cut.train, cut.valid), cut, reading, progress) for name in simple}
        if live:
            measured.append(evaluation.measure_live(trained, log, cut, live, controls=others, **how))
        else:
            measured.append(evaluation.measure(trained, cut, seed=seed, controls=others, shuffle=controls, **how))
    name, wholes = _called(cuts, live), _wholes(trained, candidates)
    found = evaluation.summarise(
        measured, list(trained), split=name, k=k, seen=seen, reading=reading, seed=seed, ablated=wholes
    )
    return replace(found, costs=costs)


def _check_replayable(log: Interactions, cuts: Sequence[Split], live: Live | None) -> None:
    for cut in cuts:
        if live:
            stream(log, cut, live)


def _check_seeds(seeds: Sequence[int]) -> None:
    if len(set(seeds)) < len(seeds):
        raise PenchantError(f"seed {max(seeds, key=list(seeds).count)} is named twice; the same seed trains the same model")


def _called(cuts: Sequence[Split], live: Live | None) -> str:
    """What was compared on, in words."""
    name = cuts[0].name if len(cuts) == 1 else f"{evaluation.ROLLING}, {len(cuts)} folds"
    return name + (f", {live}" if live else "")


def _reading(reading: str | None, live: Live | None) -> str:
    reading = reading or ("online" if live else "train-only")
    if reading not in READINGS:
        raise PenchantError(f"there is no reading {reading!r}; the readings are {', '.join(READINGS)}")
    return reading


def _topics_beside(models: Sequence[str]) -> Kinds | None:
    """The topics that penchant interests found for the first of the models that have some, as kinds."""
    for path in (name for name in models if topics.beside(name).exists()):
        found = topics.load(topics.beside(path)).kinds
        return replace(found, source=f"the {found.source} beside {path}")
    return None


@dataclass(frozen=True)
class _Candidate:
    """A model to compare: by name, to be trained, or from a path, trained already."""

    name: str
    kind: str
    tunable: bool
    trained: Model | None = None
    trials: int = 0
    seconds: float | None = None
    memory: float | None = None


def check_names(models: Sequence[str]) -> None:
    """``PenchantError`` for what is neither a model's name nor a path, or is named twice, before data is read for it."""
    if not models:
        raise PenchantError("no model was named")
    same = [name if name in MODELS else os.path.realpath(name) for name in models]
    if len(set(same)) < len(same):
        twice = models[same.index(max(same, key=same.count))]
        raise PenchantError(f"{twice} is named twice; a table has one line for each model")
    for name in models:
        if name not in MODELS and not Path(name).exists():
            create(name)


def _candidate(name: str, log: Interactions, cut: Split, reading: str) -> _Candidate:
    # A path that isn't there is a name that isn't known.
    if name in MODELS or not Path(name).exists():
        model = create(name)
        return _Candidate(name, model.name, bool(fields(model.settings)))
    lineage = artifact.read_lineage(name)
    if lineage.get("dataset") != log.content_hash:
        raise PenchantError(
            f"{name}: {artifact.other_dataset(lineage, log.content_hash)}: it may know the answers; name that dataset, or "
            "train it on this one"
        )
    if artifact.read_config(name)["model"] in RANKERS:
        raise PenchantError(f"{name}: tells whether people like what they are shown; judge it by --impressions FILE")
    if lineage.get("split") != cut.name:
        raise PenchantError(
            f"{name}: was trained on the split {lineage.get('split')}, not {cut.name}: it may know the answers; train it on "
            "this split"
        )
    expected = evaluation.trained_on(refit=reading == "refit")
    if lineage.get("trained_on") != expected:
        raise PenchantError(
            f"{name}: was trained on {lineage.get('trained_on')}, and the others are trained on {expected}: that is no fair "
            f"comparison; train it {'with' if reading == 'refit' else 'without'} --refit, or choose another --reading"
        )
    model = artifact.load(name)
    kept = lineage.get("trials", 0), lineage.get("seconds"), lineage.get("peak_memory_mb")
    return _Candidate(name, model.name, bool(fields(model.settings)), model, *kept)


def _candidates(models: Sequence[str], log: Interactions, cut: Split, reading: str, ablate: bool) -> list[_Candidate]:
    """The models to compare; ``PenchantError`` where they can't be, or nothing is there to take apart."""
    check_names(models)
    candidates = [_candidate(name, log, cut, reading) for name in models]
    if ablate and LongShort.name not in {candidate.kind for candidate in candidates}:
        raise PenchantError("--ablate takes longshort apart, and it isn't among the models; add it, or leave --ablate out")
    tunable = [candidate for candidate in candidates if candidate.tunable]
    for one in tunable:
        if one.trials < max(candidate.trials for candidate in tunable):
            most = max(tunable, key=lambda candidate: candidate.trials)
            raise PenchantError(
                f"{most.name} was tuned in {most.trials:,} trials and {one.name} in {one.trials:,}: one table needs one tuning "
                f"budget; tune {one.name} as long, or leave one of them out"
            )
    return candidates


def _trained(
    candidates: Sequence[_Candidate], cut: Split, seeds: Sequence[int], reading: str, ablate: bool, progress: Progress
) -> tuple[dict[str, list[Model]], dict[str, Cost]]:
    """The models, with what they may know, several of one name where there are several seeds; and what they cost."""
    trained: dict[str, list[Model]] = {}
    took: dict[str, tuple[float | None, float | None]] = {}
    for candidate in candidates:
        same = [candidate.trained] if candidate.trained else []
        took[candidate.name] = candidate.seconds, candidate.memory
        if not same:
            started = time.perf_counter()
            same = list(_fitted(candidate, cut, seeds, progress))
            took[candidate.name] = (time.perf_counter() - started) / len(same), peak_memory_mb()
        trained[candidate.name] = same
        if ablate and candidate.kind == LongShort.name:
            # What was refit has learned from validation: its parts can't be weighed there.
            for model in _fitted(candidate, cut, (), progress) if candidate.trained and reading == "refit" else same:
                assert isinstance(model, LongShort)
                for part, without in ablated(model, cut, progress):
                    trained.setdefault(f"{candidate.name} without {part}", []).append(without)
    as_they_are = [candidate.name for candidate in candidates if candidate.trained and reading == "refit"]
    for name, same in trained.items():
        if name not in as_they_are:
            trained[name] = [_read_on(model, cut, reading, progress) for model in same]
    trials = {candidate.name: candidate.trials for candidate in candidates}
    costs = {
        name: cost(same[0], cut.test, *took.get(name, (None, None)), trials.get(name, 0)) for name, same in trained.items()
    }
    return trained, costs


def _wholes(trained: Mapping[str, Any], candidates: Sequence[_Candidate]) -> dict[str, str]:
    """Of the models trained without a part, the whole one."""
    names = {candidate.name for candidate in candidates}
    return {name: name.rpartition(" without ")[0] for name in trained if name not in names}


def _fitted(candidate: _Candidate, cut: Split, seeds: Sequence[int], progress: Progress) -> Iterator[Model]:
    """The model fit to the split, with each of ``seeds`` where chance enters it."""
    settings = {} if candidate.trained is None else asdict(candidate.trained.settings)
    seeded = any(field.name == "seed" for field in fields(MODELS[candidate.kind].settings_type))
    for more in [{"seed": seed} for seed in seeds if seeded] or [{}]:
        progress(" ".join([f"training {candidate.name}", *(f"with seed {seed}" for seed in more.values())]), 0, 0)
        yield create(candidate.kind, **settings | more).fit(cut.train, cut.valid, progress=progress)


def _controls(log: Interactions) -> tuple[str, ...]:
    """What the last item alone tells, and what is popular: lately, where the log has times."""
    return ("markov", "recent_popularity" if log.clock == "real" else "popularity")


def _read_on(model: Model, cut: Split, reading: str, progress: Progress) -> Model:
    """The model with what it may know of the events between training and test."""
    if reading == "online" and isinstance(model, Learning):
        model.unlearn(cut.train)
        model.learn(cut.before_test)
    if reading == "refit":
        return model.refitted(cut.before_test, progress=progress)
    return model


def write_report(result: Evaluation, out: str | Path, *, force: bool = False) -> None:
    """Write the report's files into the folder ``out``. ``PenchantError`` where it exists, unless by ``force``."""
    folders.write_texts(out, report.files(result), force=force)


def check_report(out: str | Path, *, force: bool = False) -> None:
    """``PenchantError`` if a report can't be written to ``out``: what is there stays, unless by ``force``."""
    folders.check_replaceable(out, report.FILES, force=force)
    folders.check_writable(out)


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
