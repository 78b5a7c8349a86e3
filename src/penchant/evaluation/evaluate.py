"""Several models, one split, one candidate set, one rule for seen items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant import metrics
from penchant.models.base import Model
from penchant.models.validation import ask
from penchant.types import Array, PenchantError, Progress, Split, quiet

RESAMPLES = 1000


@dataclass(frozen=True)
class Evaluation:
    """What each model scored on the test part: ``models[name][metric]``, with 95% bootstrap ``intervals`` over users.

    Coverage is a figure of all lists together and has no interval. ``facts`` say who was asked: users, targets, and the
    shares of targets no model could hit.
    """

    split: str
    k: int
    seen: str
    models: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    facts: Mapping[str, float]
    close: tuple[str, ...]
    """Models whose difference in ndcg to the leader, person by person, has an interval that holds 0."""
    reading: str = "train-only"
    """What models know of the events between training and test: see ``workflow.compare``."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "split": self.split,
            "k": self.k,
            "seen": self.seen,
            "reading": self.reading,
            "models": {name: dict(values) for name, values in self.models.items()},
            "intervals": {n: {m: list(ends) for m, ends in values.items()} for n, values in self.intervals.items()},
            "facts": dict(self.facts),
            "too_close_to_the_leader": list(self.close),
        }

    def to_markdown(self) -> str:
        """A table, one line a model, intervals in brackets."""
        names = list(next(iter(self.models.values())))
        lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
        for model, values in self.models.items():
            cells = []
            for metric in names:
                low, high = self.intervals[model].get(metric, (None, None))
                cells.append(f"{values[metric]:.4f}" + ("" if low is None else f" [{low:.4f}, {high:.4f}]"))
            lines.append(f"| {model} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def verdict(self) -> str:
        """Which model leads by ndcg, and which ones are too close to it to tell."""
        metric = f"ndcg@{self.k}"
        leader = _leader(self.models, metric)
        words = f"{leader} leads by {metric} ({self.models[leader][metric]:.4f})"
        return words + (f"; too close to tell from it: {', '.join(self.close)}" if self.close else "")

    def __str__(self) -> str:
        return self.to_markdown()


def evaluate(
    models: Mapping[str, Model],
    split: Split,
    *,
    k: int = 10,
    seen: str = "exclude",
    reading: str = "train-only",
    seed: int = 0,
    progress: Progress = quiet,
) -> Evaluation:
    """Rank the full catalogue for every test case and score it.

    ``seen`` is ``exclude`` (what a person already has isn't recommended, and a repeat can't be hit) or ``keep``. A
    target outside a model's catalogue is a miss. ``seed`` drives the bootstrap alone, and ``reading`` is
    what the report says of the models.
    """
    if seen not in ("exclude", "keep"):
        raise PenchantError(f"seen items are either to 'exclude' or to 'keep', not {seen!r}")
    if seed < 0:
        raise PenchantError(f"seed is {seed}, but must not be negative")
    if not models:
        raise PenchantError("no model was named")
    values: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    ndcg: dict[str, Array] = {}
    for name, model in models.items():
        answers = ask(model, split.test, k, exclude_seen=seen == "exclude", progress=progress)
        per_case = {f"{m}@{k}": answers.per_case(metric, k) for m, metric in metrics.METRICS.items()}
        values[name] = {m: float(v.mean()) for m, v in per_case.items()}
        values[name][f"coverage@{k}"] = metrics.coverage(answers.recommended, len(model.items))
        ndcg[name] = per_case[f"ndcg@{k}"]
        low, high = _bootstrap(np.stack(list(per_case.values()), axis=1), np.random.default_rng(seed))
        intervals[name] = {m: (float(a), float(b)) for m, a, b in zip(per_case, low, high, strict=True)}
    close = _close(ndcg, _leader(values, f"ndcg@{k}"), np.random.default_rng(seed))
    return Evaluation(split.name, k, seen, values, intervals, _facts(split), close, reading)


def _leader(values: Mapping[str, Mapping[str, float]], metric: str) -> str:
    return max(values, key=lambda name: values[name][metric])


def _close(values: Mapping[str, Array], leader: str, chance: np.random.Generator) -> tuple[str, ...]:
    """Models that can't be told from the leader: all answered the same people, so the differences are resampled."""
    others = [name for name in values if name != leader]
    if not others:
        return ()
    low, _ = _bootstrap(np.stack([values[leader] - values[name] for name in others], axis=1), chance)
    return tuple(name for name, least in zip(others, low, strict=True) if least <= 0)


def _bootstrap(values: Array, chance: np.random.Generator) -> tuple[Array, Array]:
    """95% intervals of the column means of ``values[n, m]``, by resampling rows (Efron 1979, percentile method).

    Rows with the same values are drawn together: how often each kind of row comes up is multinomial.
    """
    kinds, counts = np.unique(values, axis=0, return_counts=True)
    n = len(values)
    means = np.empty((RESAMPLES, values.shape[1]))
    for resample in range(RESAMPLES):
        means[resample] = chance.multinomial(n, counts / n) @ kinds / n
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def _facts(split: Split) -> dict[str, float]:
    """Who was asked, and which targets were out of reach from the start."""
    cases = split.test
    case = np.repeat(np.arange(len(cases)), np.diff(cases.target_offsets))
    trained = np.zeros(len(split.train.items), bool)
    trained[split.train.item] = True
    width = len(split.train.items)
    owner = np.repeat(np.arange(len(cases)), cases.histories.lengths)
    had = np.isin(case * width + cases.target, owner * width + cases.histories.item)
    return {
        "test_users": len(cases),
        "newcomers_not_asked": cases.newcomers,
        "targets": len(cases.target),
        "targets_never_trained": float(1 - trained[cases.target].mean()),
        "targets_already_seen": float(had.mean()),
    }
