"""What an evaluation found: figures and intervals, comparisons, slices, and sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from penchant import metrics
from penchant.evaluation.cost import Cost
from penchant.evaluation.significance import Comparison

MAIN = ("recall", "hit", "ndcg", "mrr", "coverage")
"""What is shown where there is little room."""


@dataclass(frozen=True)
class Slice:
    """Some of the targets, and how each model ranked those: see ``slices.parts``.

    A person with none of them isn't counted; intervals are normal approximations.
    """

    family: str
    name: str
    people: int
    targets: int
    models: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]


@dataclass(frozen=True)
class Evaluation:
    """What each model scored on the test part: ``models[name][metric]``, with 95% bootstrap ``intervals`` over users.

    Figures are means over cases, and over seeds where a model was trained with several. Coverage and gini are figures of
    all lists together and have no interval. ``facts`` say who was asked: users, targets, and the shares of targets no model
    could hit.
    """

    split: str
    k: int
    seen: str
    models: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    facts: Mapping[str, float]
    comparisons: tuple[Comparison, ...]
    """Every two models by their ndcg, save those without a part."""
    simple: tuple[str, ...]
    """Models and controls that learn without gradients, in one go."""
    controls: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Simple methods that nobody asked for; their intervals are with the models'."""
    ablations: tuple[Comparison, ...] = ()
    """Each model beside itself without one of its parts, by ndcg."""
    shuffled: tuple[Comparison, ...] = ()
    """Each model beside itself asked after the same histories in another order."""
    seeds: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    """Of models trained with several seeds, the figures of each."""
    slices: tuple[Slice, ...] = ()
    reading: str = "train-only"
    """What models know of the events between training and test: see ``workflow.compare``."""
    alike: str = "people"
    """By what diversity tells items apart: see ``yardsticks``."""
    kinds: str = ""
    """What kinds of items miscalibration is measured by, in words; empty where none are known, and it isn't measured."""
    costs: Mapping[str, Cost] = field(default_factory=dict, compare=False)
    """What each model costs, where it was measured."""

    @property
    def everyone(self) -> dict[str, Mapping[str, float]]:
        """Models and controls."""
        return {**self.models, **self.controls}

    @property
    def rivals(self) -> tuple[str, ...]:
        """Models and controls that are compared with each other: all that aren't another without a part."""
        parts = {pair.second for pair in self.ablations}
        return tuple(name for name in self.everyone if name not in parts)

    @property
    def leader(self) -> str:
        """The model, or control, with the highest ndcg."""
        return max(self.rivals, key=self._ndcg)

    @property
    def close(self) -> tuple[str, ...]:
        """Models and controls whose difference to the leader is inside the noise."""
        return tuple(name for name in self.rivals if name != self.leader and not self.distinct(name, self.leader))

    def distinct(self, one: str, other: str) -> bool:
        """Whether the difference between two models is outside the noise."""
        return any(pair.distinct for pair in self.comparisons if {pair.first, pair.second} == {one, other})

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "split": self.split,
            "k": self.k,
            "seen": self.seen,
            "reading": self.reading,
            "models": {name: dict(values) for name, values in self.models.items()},
            "controls": {name: dict(values) for name, values in self.controls.items()},
            "intervals": _plain(self.intervals),
            "facts": dict(self.facts),
            "verdict": list(self.findings()),
            "too_close_to_the_leader": list(self.close),
            "comparisons": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.comparisons],
            "ablations": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.ablations],
            "shuffled": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.shuffled],
            "seeds": {name: {m: list(values) for m, values in found.items()} for name, found in self.seeds.items()},
            "slices": [
                asdict(part) | {"models": {n: dict(v) for n, v in part.models.items()}, "intervals": _plain(part.intervals)}
                for part in self.slices
            ],
            "definitions": self.definitions(),
            "notes": list(self.notes()),
            "costs": {name: asdict(cost) | {"curve": list(cost.curve)} for name, cost in self.costs.items()},
        }

    def definitions(self) -> dict[str, str]:
        """What each metric is, in words."""
        return {name: metrics.definition(name) for name in next(iter(self.models.values()))}

    def notes(self) -> tuple[str, ...]:
        """What holds for several metrics, in sentences: ties, unknown items, and what is known of items."""
        alike = "their words" if self.alike == "words" else "the people who had them"
        stopped = "Training stopped, and weights of parts were chosen, by validation with seen items excluded."
        return (
            *([stopped] if self.seen == "keep" else []),
            "Ranks are among all items a model knows, less those a person already has where seen items are excluded.",
            "Among equal scores a target stands at its expected place, and several at theirs, one behind the other.",
            "A target a model doesn't know is a miss.",
            f"Diversity compares items by {alike}.",
            f"Miscalibration goes by {self.kinds}."
            if self.kinds
            else "Miscalibration isn't shown: no column of the items names kinds (genres, categories, tags), and no model has "
            "topics beside it (penchant interests finds them).",
        )

    def to_markdown(self, names: Sequence[str] | None = None) -> str:
        """A table, one line a model, intervals in brackets; of some metrics, by default all."""
        names = list(names or next(iter(self.models.values())))
        lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
        for model, values in self.everyone.items():
            cells = []
            for metric in names:
                low, high = self.intervals[model].get(metric, (None, None))
                cells.append(f"{values[metric]:.4f}" + ("" if low is None else f" [{low:.4f}, {high:.4f}]"))
            label = cell(f"{model} (control)" if model in self.controls else model)
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    @property
    def main(self) -> tuple[str, ...]:
        """The metrics to show where there is little room."""
        return tuple(f"{name}@{self.k}" for name in MAIN)

    def conditions(self) -> str:
        """How the figures came about, in a sentence."""
        facts = self.facts
        name, comma, rest = self.split.partition(", ")
        return (
            f"{name} split{comma}{rest}, {self.reading}, full catalogue, seen items: {self.seen}; "
            f"{facts['test_users']:,} people, {facts['targets']:,} targets, of which "
            f"{facts['targets_never_trained']:.1%} were never trained on and {facts['targets_already_seen']:.1%} seen before "
            f"by the person; not asked: {facts['newcomers_not_asked']:,} newcomers, "
            f"{facts['too_few_events_not_asked']:,} with too few events"
        )

    def findings(self) -> tuple[str, ...]:
        """What was found, in sentences: whether a simple method wins, who leads, what parts are worth, if order matters."""
        found = (self._simple_wins(), self._lead(), self._parts(), self._order())
        return tuple(sentence for sentence in found if sentence)

    def verdict(self) -> str:
        """The findings, in one line."""
        return "; ".join(self.findings()[: 2 if self._simple_wins() else 1])

    def _ndcg(self, name: str) -> float:
        return self.everyone[name][f"ndcg@{self.k}"]

    def _lead(self) -> str:
        if self._ndcg(self.leader) == 0:
            return f"no model has a target among its first {self.k} for anybody"
        words = f"{self.leader} leads by ndcg@{self.k} ({self._ndcg(self.leader):.4f})"
        return words + (f"; too close to tell from it: {', '.join(self.close)}" if self.close else "")

    def _simple_wins(self) -> str:
        """A sentence where nothing that trains by gradients is ahead of everything simple beyond the noise."""
        simple = [name for name in self.rivals if name in self.simple]
        trained = [name for name in self.rivals if name not in self.simple]
        if not trained or not simple:
            return ""
        best, method = max(trained, key=self._ndcg), max(simple, key=self._ndcg)
        both = f"{method} ({self._ndcg(method):.4f}) {{}} {best} ({self._ndcg(best):.4f})"
        if not self.distinct(method, best):
            return f"a simple method may be as good: {both.format('is too close to tell from')}"
        if self._ndcg(method) > self._ndcg(best):
            return f"a simple method wins: {both.format('is ahead of')}"
        return ""

    def _parts(self) -> str:
        change = {pair.second: f"{-pair.difference:+.4f}".replace("-", "−") for pair in self.ablations if pair.distinct}
        apart = [f"{name} ({difference})" for name, difference in change.items()]
        others = [pair.second for pair in self.ablations if not pair.distinct]
        words = [f"ndcg changes by taking a part away: {', '.join(apart)}"] if apart else []
        words += [f"no change beyond the noise: {', '.join(others)}"] if others else []
        return "; ".join(words)

    def _order(self) -> str:
        loss = {pair.first: f"{pair.first} (−{pair.difference:.4f})" for pair in self.shuffled}
        matters = [loss[pair.first] for pair in self.shuffled if pair.distinct and pair.difference > 0]
        others = [pair.first for pair in self.shuffled if not (pair.distinct and pair.difference > 0)]
        words = [f"the order of events matters to {', '.join(matters)}"] if matters else []
        words += [f"no loss beyond the noise by shuffled histories: {', '.join(others)}"] if others else []
        return "; ".join(words)

    def __str__(self) -> str:
        return self.to_markdown(self.main)


def cell(words: str) -> str:
    """Words that may be anybody's, as a cell of a Markdown table."""
    return in_markdown(words).replace("|", "\\|")


def in_markdown(words: str) -> str:
    """Words that may be anybody's, in a line of Markdown."""
    return " ".join(words.split()).replace("&", "&amp;").replace("<", "&lt;")


def _plain(intervals: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, dict[str, list[float]]]:
    return {name: {metric: list(ends) for metric, ends in values.items()} for name, values in intervals.items()}
