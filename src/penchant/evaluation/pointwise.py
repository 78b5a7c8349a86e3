"""Will this person like this item: what probabilities of yes were worth, beside what came and beside simple methods.

Impressions are judged one by one (pointwise), where ``evaluate`` judges lists. People are the unit of chance: whoever was shown
several items is resampled, or turned round, as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from penchant import binary
from penchant.evaluation.significance import Comparison, bootstrap, compare
from penchant.types import Array, Int

METRICS = ("auc", "auc_within", "accuracy", "precision", "recall", "f1", "logloss", "calibration_error")
JUDGED_BY = "logloss"
"""What models are compared by; less is better."""


@dataclass(frozen=True)
class Answer:
    """What probabilities of one answer (a click, a like) were worth: ``models[name][metric]`` of ``METRICS``, with 95%
    ``intervals`` by bootstrap over people.

    ``auc_within`` is missing where nobody gave both answers, and calibration error has no interval. ``comparisons`` are of log
    loss, the first model's less the second's; ``reliability[name]`` is the curve of what was said and what came.
    """

    models: Mapping[str, Mapping[str, float]]
    controls: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    comparisons: tuple[Comparison, ...]
    reliability: Mapping[str, Sequence[Mapping[str, float]]]
    share_of_ones: float
    people_with_both: int

    @property
    def everyone(self) -> dict[str, Mapping[str, float]]:
        """Models and controls."""
        return {**self.models, **self.controls}

    @property
    def leader(self) -> str:
        """The model, or control, with the least log loss."""
        return self._best(self.everyone)

    def findings(self, of: str) -> tuple[str, ...]:
        """What was found, in sentences: whether a simple method is as good, and who leads. ``of`` names the answer."""
        close = [name for name in self.everyone if name != self.leader and not self._distinct(name, self.leader)]
        words = f"{self.leader} leads by log loss of {of} ({self._loss(self.leader):.4f})"
        words += f"; too close to tell from it: {', '.join(close)}" if close else ""
        return tuple(sentence for sentence in (self._simple_wins(of), words) if sentence)

    def _simple_wins(self, of: str) -> str:
        if not self.controls:
            return ""
        method, best = self._best(self.controls), self._best(self.models)
        said = f"{method} ({self._loss(method):.4f})"
        other = f"{best} ({self._loss(best):.4f})"
        if not self._distinct(method, best):
            return f"a simple method may be as good for {of}: {said} is too close to tell from {other}"
        ahead = self._loss(method) < self._loss(best)
        return f"a simple method wins for {of}: {said} is ahead of {other}" if ahead else ""

    def _loss(self, name: str) -> float:
        return self.everyone[name][JUDGED_BY]

    def _best(self, names: Mapping[str, object]) -> str:
        return min(names, key=self._loss)

    def _distinct(self, one: str, other: str) -> bool:
        return any(pair.distinct for pair in self.comparisons if {pair.first, pair.second} == {one, other})


@dataclass(frozen=True)
class Pointwise:
    """What models' probabilities were worth on the same impressions, answer by answer; the first is the one judged.

    ``facts`` say how many impressions and people there were, and how many of both were never learned from; ``left_out`` names
    answers that can't be judged, since all gave the same.
    """

    answers: Mapping[str, Answer]
    facts: Mapping[str, float]
    left_out: tuple[str, ...] = ()

    def findings(self) -> tuple[str, ...]:
        """What was found, in sentences, the judged answer first."""
        return tuple(sentence for name, answer in self.answers.items() for sentence in answer.findings(name))

    def conditions(self) -> str:
        """How the figures came about, in a sentence."""
        facts = self.facts
        return (
            f"the last {facts['impressions']:,} impressions, of {facts['people']:,} people; models learned from the "
            f"{facts['learned_from']:,} before, and know of people what they did until each; {facts['new_people']:.1%} are of "
            f"people and {facts['new_items']:.1%} of items without impressions before"
        )

    def definitions(self) -> dict[str, str]:
        """What each metric is, in words."""
        return {name: binary.DEFINITIONS[name] for name in METRICS}

    def notes(self) -> tuple[str, ...]:
        """What holds for all of it, in sentences."""
        return (
            "Intervals are 95%, by bootstrap over people (1,000 resamples, percentiles). Differences are tested by "
            "randomisation, person by person (10,000 flips of signs), corrected by Holm's method.",
            "Controls know nothing of the moment: everybody's share of yes, the item's, and the person's, leaning to "
            f"everybody's as if there had been {SMOOTHED} impressions more.",
            *(f"{name} isn't judged: all impressions held back have the same answer." for name in self.left_out),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "judged": next(iter(self.answers)),
            "judged_by": JUDGED_BY,
            "verdict": list(self.findings()),
            "facts": dict(self.facts),
            "answers": {name: _plain(answer) for name, answer in self.answers.items()},
            "left_out": list(self.left_out),
            "definitions": self.definitions(),
            "notes": list(self.notes()),
        }


SMOOTHED = 5
"""A person's or item's share leans to everybody's as if there had been so many impressions more."""


def judge(said: Mapping[str, Array], controls: Mapping[str, Array], label: Array, user: Int, seed: int = 0) -> Answer:
    """Judge probabilities ``said[name][N]`` and those of ``controls`` by ``label[N]`` (0 or 1), given by ``user[N]``."""
    person = np.unique(user, return_inverse=True)[1]
    everyone = {**said, **controls}
    values, intervals, _ = binary.compare(everyone, label, seed, person)
    within = {name: binary.auc_within(p, label, person) for name, p in everyone.items()}
    both = next(iter(within.values()))[1]
    found = {name: dict(measured) for name, measured in values.items()}
    ends = {name: dict(of) for name, of in intervals.items()}
    if len(both):
        low_high = bootstrap({name: auc[:, None] for name, (auc, _) in within.items()}, both, seed)
        for name, (auc, _) in within.items():
            found[name]["auc_within"] = float(auc.mean())
            ends[name]["auc_within"] = (float(low_high[name][0][0]), float(low_high[name][1][0]))
    for name, p in everyone.items():
        found[name]["calibration_error"] = binary.calibration_error(p, label)
    ordered = {name: {metric: of[metric] for metric in METRICS if metric in of} for name, of in found.items()}
    losses = {name: binary.loglosses(p, label) for name, p in everyone.items()}
    return Answer(
        {name: ordered[name] for name in said},
        {name: ordered[name] for name in controls},
        ends,
        compare(losses, person, seed),
        {name: binary.reliability(p, label) for name, p in everyone.items()},
        float(label.mean()),
        len(both),
    )


def shares_before(key: Int, label: Array, asked: Int) -> Array:
    """Of each key asked about the share of 1 among earlier rows of it, leaning to everybody's, ``[N]``; below 0 is unknown."""
    share = float(label.mean())
    size = int(max(key.max(initial=0), asked.max(initial=0))) + 1
    known = key >= 0
    shown = np.bincount(key[known], minlength=size)
    ones = np.bincount(key[known], label[known], minlength=size)
    return np.where(asked < 0, share, ((ones + SMOOTHED * share) / (shown + SMOOTHED))[np.maximum(asked, 0)])


def _plain(answer: Answer) -> dict[str, Any]:
    return {
        "models": {name: dict(values) for name, values in answer.models.items()},
        "controls": {name: dict(values) for name, values in answer.controls.items()},
        "intervals": {name: {m: list(ends) for m, ends in of.items()} for name, of in answer.intervals.items()},
        "comparisons": [asdict(pair) | {"interval": list(pair.interval)} for pair in answer.comparisons],
        "reliability": {name: [dict(part) for part in curve] for name, curve in answer.reliability.items()},
        "share_of_ones": answer.share_of_ones,
        "people_with_both": answer.people_with_both,
    }
