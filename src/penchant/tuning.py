"""Searching a model's settings: a study that stops bad trials early and can be gone on with (needs the extra ``tune``)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant import evaluation, folders
from penchant.models import MODELS, create
from penchant.models.blend import Blend
from penchant.models.validation import validate
from penchant.types import Interactions, PenchantError, Progress, Split, quiet

if TYPE_CHECKING:
    import optuna

METRIC = "ndcg@10"
DIGITS = 4
"""Significant digits of the numbers tried, so that the arguments printed are exactly what was measured."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones if ``low`` is. With ``log``, equal ratios weigh alike."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Range | tuple[Any, ...]]

_NETWORK: Space = {
    "width": (32, 64, 96, 128, 192, 256),
    "dropout": Range(0.1, 0.7),
    "learning_rate": Range(5e-4, 2e-2, log=True),
    "batch_events": (256, 512, 1024, 2048, 4096),
    "loss": ("softmax", "sampled", "bpr_max"),
}
_NETWORKS = ("lstm", "gru", "article_lstm", "attention_lstm", "transformer", "longshort_network", "longshort")

SPACES: Mapping[str, Space] = {
    "recent_popularity": {"half_life_days": Range(0.1, 365.0, log=True)},
    "transitions": {
        "window": Range(1, 50),
        "distance_power": Range(0.0, 2.0),
        "age_decay": Range(0.3, 1.0),
        "scale": Range(0.1, 100.0, log=True),
        "popularity": Range(-0.6, 0.2),
    },
    "item_knn": {"neighbours": Range(20, 2000, log=True), "window": Range(5, 200)},
    "ease": {"l2": Range(1.0, 5000.0, log=True)},
    "als": {
        "factors": (16, 32, 64, 128, 256),
        "regularization": Range(1e-3, 10.0, log=True),
        "alpha": Range(0.1, 100.0, log=True),
    },
    **dict.fromkeys(_NETWORKS, _NETWORK),
}
"""What is tried of each model's settings: a range, or some values."""


def tune(
    log: Interactions,
    name: str,
    *,
    study: str | Path,
    minutes: float = 30.0,
    trials: int | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Search the settings with the best validation ndcg@10, and return them with what was measured.

    The search lasts ``minutes``, or ``trials`` trials if those end first. A training that the end of the time meets stops
    after its epoch and counts with its best epoch so far; a blend, which has no figure before its end, doesn't count.
    ``settings`` are fixed. The file ``study`` keeps every finished trial: the same call goes on from there, while other
    fixed settings, datasets and splits have studies of their own in it. The first trial has the model's defaults where they
    lie in the space.

    Raises ``PenchantError`` for a model without a search space or a setting it doesn't have, and without Optuna.
    """
    fixed, space = _space(name, settings or {})
    if not minutes > 0 or (trials is not None and trials < 1):
        raise PenchantError("minutes must be above 0 and trials at least 1")
    if not 0 <= seed < 1 << 31:
        raise PenchantError(f"the seed must lie between 0 and {(1 << 31) - 1}")
    cut = evaluation.split(log, split)
    study = Path(study)
    with _opened(study, _study_name(log, cut, name, fixed, space), seed) as opened:
        if not _finished(opened):
            defaults = asdict(create(name).settings)
            opened.enqueue_trial({key: defaults[key] for key, among in space.items() if _within(defaults[key], among)})
        search = _Search(opened, name, fixed, space, cut, time.monotonic() + 60 * minutes, progress)
        try:
            opened.optimize(search.trial, n_trials=trials, timeout=60 * minutes)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                f"interrupted; {study} has the finished trials, and the same command goes on from there"
            ) from interrupt
        ended = _finished(opened)
        if all(trial.state.name == "PRUNED" for trial in ended):
            raise PenchantError(f"no trial came to a measurement within {minutes:g} minutes; allow more")
        best = opened.best_trial.user_attrs
        return {
            "model": name,
            "best": best["settings"],
            "valid": best["valid"],
            "trials": len(ended),
            "pruned": sum(trial.state.name == "PRUNED" for trial in ended),
            "study": str(study),
            "arguments": " ".join(
                ["--set", *(f"{key}={value}" for key, value in best["settings"].items()), "--trials", str(len(ended))]
            ),
        }


@dataclass(frozen=True)
class _Search:
    """What one trial after another needs."""

    study: optuna.Study
    name: str
    fixed: Mapping[str, Any]
    space: Space
    cut: Split
    deadline: float
    progress: Progress

    def trial(self, trial: optuna.Trial) -> float:
        """Train with suggested settings; returns the validation ndcg@10."""
        from optuna import TrialPruned

        chosen = {**{key: _suggested(trial, key, among) for key, among in self.space.items()}, **self.fixed}
        try:
            valid = self._measured(trial, chosen)
        except PenchantError as error:
            # Some settings can't be trained with; if the first ones can't, the fault is likely to lie elsewhere.
            if not _finished(self.study):
                raise
            self.progress(f"trial {trial.number}: {error}", 0, 0)
            raise TrialPruned from error
        except TrialPruned:
            self.progress(f"trial {trial.number}: stopped early, {_words(chosen)}", 0, 0)
            raise
        trial.set_user_attr("settings", chosen)
        trial.set_user_attr("valid", valid)
        self.progress(f"trial {trial.number}: {METRIC} {valid[METRIC]:.4f}, {_words(chosen)}", 0, 0)
        return valid[METRIC]

    def _measured(self, trial: optuna.Trial, chosen: Mapping[str, Any]) -> dict[str, float]:
        from optuna import TrialPruned

        epochs: list[dict[str, float]] = []

        def observe(epoch: int, measured: Mapping[str, float]) -> None:
            epochs.append({key: measured[key] for key in (METRIC, "recall@10")})
            trial.report(measured[METRIC], epoch)
            if time.monotonic() >= self.deadline:
                raise _TimeIsUpError
            if trial.should_prune():
                raise TrialPruned

        model = create(self.name, **chosen)
        try:
            model.fit(self.cut.train, self.cut.valid, progress=self._bars, observe=observe)
        except _TimeIsUpError as up:
            self.study.stop()
            if isinstance(model, Blend):  # what was measured so far is of a member alone
                raise TrialPruned from up
            return max(epochs, key=lambda measured: measured[METRIC])
        return validate(model, self.cut.valid)

    def _bars(self, what: str, done: int, total: int) -> None:
        """A training's progress without its remarks, of which many trainings make too many."""
        if total:
            self.progress(what, done, total)


class _TimeIsUpError(Exception):
    """Ends a training from within."""


def _space(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], Space]:
    """The fixed settings of a model, with their types, and the space of the others."""
    model = create(name, **settings)
    if name not in SPACES:
        known = ", ".join(model for model in SPACES if model in MODELS)
        raise PenchantError(f"the model {name} has no search space; those that can be tuned are {known}")
    fixed = {key: getattr(model.settings, key) for key in settings}
    space = {key: among for key, among in SPACES[name].items() if key not in fixed}
    if not space:
        raise PenchantError(f"every setting of {name} that could be tuned is fixed; leave one out of --set")
    return fixed, space


def _study_name(log: Interactions, cut: Split, name: str, fixed: Mapping[str, Any], space: Space) -> str:
    """Trials of one name can be compared: same model, data, columns of items, split, fixed settings and space."""
    rest = hashlib.sha256(json.dumps([fixed, repr(space)], sort_keys=True).encode())
    if log.content is not None:
        rest.update(log.content.feature.tobytes() + log.content.weight.tobytes())
    return f"{name} {log.content_hash} {cut.name} {rest.hexdigest()[:16]}"


@contextmanager
def _opened(path: Path, name: str, seed: int) -> Iterator[optuna.Study]:
    """The study of this name in the file at ``path``, new if it isn't there; Optuna keeps silent meanwhile."""
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool
    except ModuleNotFoundError as error:
        if error.name not in ("optuna", "sqlalchemy"):
            raise
        raise PenchantError("tuning needs Optuna; install it with: pip install 'penchant[tune]'") from error
    folders.make_parent(path)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        try:
            # What isn't pooled is closed by whoever fails, too.
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
            study = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
        except (SQLAlchemyError, RuntimeError) as error:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise PenchantError(f"{path}: can't be opened as a study ({reason}); name another file with --study") from error
        # Going on with the first seed would try the first settings again.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        study.pruner = optuna.pruners.MedianPruner()
        try:
            yield study
        finally:
            storage.remove_session()
    finally:
        optuna.logging.set_verbosity(verbosity)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that ended in a measurement, or were stopped early."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def _suggested(trial: optuna.Trial, key: str, among: Range | tuple[Any, ...]) -> Any:
    if isinstance(among, tuple):
        return trial.suggest_categorical(key, among)
    if isinstance(among.low, int):
        return trial.suggest_int(key, among.low, int(among.high), log=among.log)
    return float(f"{trial.suggest_float(key, among.low, among.high, log=among.log):.{DIGITS}g}")


def _within(value: Any, among: Range | tuple[Any, ...]) -> bool:
    return value in among if isinstance(among, tuple) else among.low <= value <= among.high


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())
