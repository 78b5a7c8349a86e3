"""Metrics of the yes/no question, from probabilities and 0/1 labels, with bootstrap intervals.

``probability[n] float`` is that of the label 1, ``label[n]`` is 0 or 1, ``weight[n]`` says how often a row counts; a resample
of a bootstrap is nothing but other weights. Where rows come in groups (those of one person), groups are resampled whole.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from penchant.types import Array, Int

RESAMPLES = 1000
LEAST = 1e-7
"""A probability of 0 or 1 counts as this far from it in the logarithm, as in Keras."""
METRICS = ("accuracy", "recall", "precision", "f1", "auc", "logloss")
DEFINITIONS = {
    "auc": "How often an impression with the answer yes has a higher probability than one with no, ties counting half; over "
    "all people together.",
    "auc_within": "The same within each person who gave both answers, the mean over these people.",
    "accuracy": "Share of impressions on whose side of 0.5 the probability lies.",
    "precision": "Share of yes among what has a probability of 0.5 or more; 0 where nothing has.",
    "recall": "Share of the yes that have a probability of 0.5 or more.",
    "f1": "Harmonic mean of precision and recall; 0 where nothing has a probability of 0.5 or more.",
    "logloss": "Mean negative logarithm of the probability given to what came, in nats; less is better.",
    "calibration_error": "Mean distance of what was said from what came, over 15 bins of equal size by probability; less is "
    "better.",
}
"""What the metrics of answers are, in words."""
BINS = 15

Values = Mapping[str, float]
Interval = tuple[float, float]


def auc(probability: Array, label: Array, weight: Array | None = None) -> float:
    """How often a 1 is above a 0, ties counting half; ``nan`` where there is but one class (Hanley and McNeil 1982)."""
    order = np.argsort(probability, kind="stable")
    ascending = probability[order]
    ones = label[order].astype(float)
    zeros = 1 - ones
    if weight is not None:
        ones, zeros = ones * weight[order], zeros * weight[order]
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    ones, zeros = np.add.reduceat(ones, starts), np.add.reduceat(zeros, starts)
    pairs = ones.sum() * zeros.sum()
    return float(ones @ (np.cumsum(zeros) - zeros / 2) / pairs) if pairs else float("nan")


def auc_within(probability: Array, label: Array, group: Int) -> tuple[Array, Int]:
    """The AUC within each group that has both labels, and which groups these are (of people: how each one's are told apart)."""
    order = np.lexsort((probability, group))
    p, y, g = probability[order], label[order].astype(float), group[order]
    new = np.concatenate([[True], g[1:] != g[:-1]])
    tie = np.flatnonzero(new | np.concatenate([[True], p[1:] != p[:-1]]))
    ones, zeros = np.add.reduceat(y, tie), np.add.reduceat(1 - y, tie)
    owner = (np.cumsum(new) - 1)[tie]
    below = np.cumsum(zeros) - zeros
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    won = np.bincount(owner, ones * (below - below[first][owner] + zeros / 2))
    pairs = np.bincount(owner, ones) * np.bincount(owner, zeros)
    return won[pairs > 0] / pairs[pairs > 0], g[new][pairs > 0]


def loglosses(probability: Array, label: Array) -> Array:
    """The negative log likelihood of each label, ``[n]``."""
    p = np.clip(probability, LEAST, 1 - LEAST)
    return np.asarray(-np.where(label == 1, np.log(p), np.log1p(-p)))


def logloss(probability: Array, label: Array, weight: Array | None = None) -> float:
    """Their mean."""
    return float(np.average(loglosses(probability, label), weights=weight))


def measure(probability: Array, label: Array, weight: Array | None = None) -> dict[str, float]:
    """All of ``METRICS``; what isn't defined (precision where nothing was called 1) is 0, as in scikit-learn."""
    weight = np.ones(len(label)) if weight is None else weight
    called = probability >= 0.5
    hits, said, there = (float(weight @ part) for part in (called & (label == 1), called, label == 1))
    return {
        "accuracy": float(weight @ (called == (label == 1)) / weight.sum()),
        "recall": hits / there if there else 0.0,
        "precision": hits / said if said else 0.0,
        "f1": 2 * hits / (said + there) if said + there else 0.0,
        "auc": auc(probability, label, weight),
        "logloss": logloss(probability, label, weight),
    }


def compare(
    probabilities: Mapping[str, Array], label: Array, seed: int, group: Int | None = None
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]], dict[str, dict[str, Interval]]]:
    """Values, 95% intervals of each, and intervals of how far each is above the first, by model and metric.

    All answer the same rows, so each resample draws the same for all (Efron 1979, percentile method).
    """
    values = {name: measure(p, label) for name, p in probabilities.items()}
    # In ascending order once, so that no resample has to sort.
    orders = {name: np.argsort(p, kind="stable") for name, p in probabilities.items()}
    chance = np.random.default_rng(seed)
    drawn = np.empty((RESAMPLES, len(values), len(METRICS)))
    for resample in range(RESAMPLES):
        weight = resampled(len(label), group, chance)
        for place, (name, order) in enumerate(orders.items()):
            measured = measure(probabilities[name][order], label[order], weight[order])
            drawn[resample, place] = [measured[metric] for metric in METRICS]
    return values, _intervals(drawn, values), _intervals(drawn - drawn[:, :1], values)


def resampled(rows: int, group: Int | None, chance: np.random.Generator) -> Array:
    """How often each row comes up, ``[rows] float64``, where rows (or groups ``0 … G - 1`` of them) are drawn anew."""
    units = rows if group is None else int(group.max()) + 1
    counts = np.bincount(chance.integers(units, size=units), minlength=units).astype(float)
    return counts if group is None else counts[group]


def _intervals(drawn: Array, names: Mapping[str, object]) -> dict[str, dict[str, Interval]]:
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    return {
        name: {metric: (float(low[i, j]), float(high[i, j])) for j, metric in enumerate(METRICS)}
        for i, name in enumerate(names)
    }


def reliability(probability: Array, label: Array, bins: int = BINS) -> list[dict[str, float]]:
    """The reliability curve: rows in ``bins`` of about equal size by probability, equal ones in the same, each with what was
    said and what came.
    """
    _, value, counts = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    place = (middle * min(bins, len(label)) // len(label))[value]
    parts = [np.flatnonzero(place == n) for n in np.unique(place)]
    return [{"rows": len(part), "said": float(probability[part].mean()), "came": float(label[part].mean())} for part in parts]


def calibration_error(probability: Array, label: Array, bins: int = BINS) -> float:
    """Mean distance of what was said from what came, over the reliability curve (Naeini et al. 2015; bins as there)."""
    curve = reliability(probability, label, bins)
    return sum(part["rows"] * abs(part["said"] - part["came"]) for part in curve) / len(label)
