"""Several models, one split, one candidate set, one rule for seen items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from penchant import metrics
from penchant import sequences as seq
from penchant.evaluation import slices
from penchant.evaluation.cost import Cost
from penchant.evaluation.leaks import check
from penchant.evaluation.significance import Comparison, bootstrap, compare, normal_interval
from penchant.evaluation.splits import trained_on
from penchant.evaluation.yardsticks import Yardsticks, yardsticks
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.neural.model import NeuralModel
from penchant.models.validation import Answers, ask
from penchant.types import Array, Cases, Int, Kinds, PenchantError, Progress, Sequences, Split, Vocabulary, quiet

SEEN = ("exclude", "keep")
PER_PERSON = (*metrics.METRICS, "novelty", "diversity", "repeat_ratio")
"""Metrics with a value for each case, and so with an interval: see ``per_person``."""
BOUNDED = (*metrics.METRICS, "diversity", "repeat_ratio")
"""Those that lie between 0 and 1, so that of a single person's value it can be said that it may have been any."""
OF_ALL_LISTS = ("coverage", "gini")
IN_SLICES = ("recall", "ndcg")
MAIN = ("recall", "hit", "ndcg", "mrr", "coverage")
"""What is shown where there is little room."""
SHUFFLED = "with its histories shuffled"


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


@dataclass(frozen=True)
class Measured:
    """What models answered on one split, case by case; ``summarise`` makes one evaluation of one or several.

    ``person[n]`` are codes of users; ``values[name][n, m]`` (``per_person``) are means over the seeds of a model,
    ``by_seed[name][seeds, m]`` its means of each; ``of_lists[name][seeds, 2]`` (``OF_ALL_LISTS``); ``shuffled[name][n]``.
    A slice holds its places among the cases, how many targets it has, and ``values[name][c, 2]`` (``IN_SLICES``).
    """

    split: str
    person: Int
    values: Mapping[str, Array]
    by_seed: Mapping[str, Array]
    of_lists: Mapping[str, Array]
    slices: Mapping[tuple[str, str], tuple[Int, int, Mapping[str, Array]]]
    facts: Mapping[str, float]
    simple: tuple[str, ...]
    alike: str
    kinds: str = ""
    shuffled: Mapping[str, Array] = field(default_factory=dict)


def evaluate(
    models: Mapping[str, Model | Sequence[Model]],
    split: Split,
    *,
    k: int = 10,
    seen: str = "exclude",
    reading: str = "train-only",
    seed: int = 0,
    controls: Mapping[str, Model] | None = None,
    shuffle: bool = False,
    own_items: bool = False,
    kinds: Kinds | None = None,
    progress: Progress = quiet,
) -> Evaluation:
    """Rank the full catalogue for every test case and score it.

    A name may stand for several models, trained alike with different seeds. ``seen`` is ``exclude`` (what a person already
    has isn't recommended, and a repeat can't be hit) or ``keep``. A target outside a model's catalogue is a miss. ``seed``
    drives resampling alone, and ``reading`` is what the report says of the models. ``controls`` are simple methods to
    compare with; with ``shuffle``, models are asked after the same histories in another order too. With ``own_items`` each
    may choose from a catalogue of its own, as an older model and a newer one do. Where ``kinds`` of items are known, lists are
    measured by miscalibration too. Raises ``PenchantError`` where the
    comparison wouldn't be fair: models with different catalogues otherwise, or a split that leaks.
    """
    measured = measure(
        models,
        split,
        k=k,
        seen=seen,
        reading=reading,
        seed=seed,
        controls=controls,
        shuffle=shuffle,
        own_items=own_items,
        kinds=kinds,
        progress=progress,
    )
    return summarise([measured], list(models), split=split.name, k=k, seen=seen, reading=reading, seed=seed)


def measure(
    models: Mapping[str, Model | Sequence[Model]],
    split: Split,
    *,
    k: int = 10,
    seen: str = "exclude",
    reading: str = "train-only",
    seed: int = 0,
    controls: Mapping[str, Model] | None = None,
    shuffle: bool = False,
    own_items: bool = False,
    kinds: Kinds | None = None,
    progress: Progress = quiet,
) -> Measured:
    """The answers of models on one split, scored case by case: see ``evaluate``."""
    check_seed(seed)
    everyone = contestants(models, controls, split, seen=seen, reading=reading, own_items=own_items)
    check(split)
    cases, exclude = split.test, seen == "exclude"
    answers = {
        name: [ask(model, cases, k, exclude_seen=exclude, progress=progress) for model in same]
        for name, same in everyone.items()
    }
    shuffled = {}
    if shuffle:
        turned = replace(cases, histories=in_another_order(cases.histories, seed))
        for name in models:
            same = [ask(m, turned, k, exclude_seen=exclude, progress=progress) for m in everyone[name]]
            shuffled[name] = np.mean([found.per_case(metrics.ndcg, k) for found in same], axis=0).astype(np.float32)
    known = learned_from(split, reading)
    questions = slices.asked(cases, known)
    agreement = slices.agreement([same[0] for same in everyone.values()], cases)
    parts = slices.parts(questions, known, agreement)
    simple = [name for name, same in everyone.items() if not trains_by_gradients(same[0])]
    measured = score(split.name, answers, questions, parts, known, k, simple, kinds)
    return replace(measured, shuffled=shuffled, facts={**measured.facts, **_facts(cases)})


def cell(words: str) -> str:
    """Words that may be anybody's, as a cell of a Markdown table."""
    return in_markdown(words).replace("|", "\\|")


def in_markdown(words: str) -> str:
    """Words that may be anybody's, in a line of Markdown."""
    return " ".join(words.split()).replace("&", "&amp;").replace("<", "&lt;")


def learned_from(split: Split, reading: str) -> Sequences:
    """The part of a split that models have learned from."""
    return split.before_test if reading == "refit" else split.train


def score(
    split: str,
    answers: Mapping[str, Sequence[Answers]],
    questions: slices.Asked,
    parts: Sequence[slices.Part],
    known: Sequences,
    k: int,
    simple: Sequence[str],
    kinds: Kinds | None = None,
) -> Measured:
    """Score answers to questions on a split by models that have learned what is ``known``, case by case and slice by slice."""
    yard = yardsticks(known, kinds)
    mixtures = yard.mixtures(questions)
    places = {(part.family, part.name): _of_part(questions.case, part.of) for part in parts}
    values, by_seed, of_lists = {}, {}, {}
    in_slices: dict[tuple[str, str], dict[str, Array]] = {key: {} for key in places}
    for name, found in answers.items():
        each = [_of_each_case(answer, yard, mixtures, known.items, k) for answer in found]
        values[name] = np.mean(each, axis=0).astype(np.float32) if len(each) > 1 else each[0].astype(np.float32)
        by_seed[name] = np.stack([one.mean(axis=0) for one in each])
        of_lists[name] = np.array([[of(a.recommended, a.catalogue) for of in (metrics.coverage, metrics.gini)] for a in found])
        for part in parts:
            _, case, count = places[part.family, part.name]
            chosen = [metrics.METRICS[metric] for metric in IN_SLICES]
            figures = [[metric(a.ranks[part.of], case, count, k) for metric in chosen] for a in found]
            in_slices[part.family, part.name][name] = np.mean(figures, axis=0).T
    trained = np.bincount(known.item, minlength=len(known.items)) > 0
    return Measured(
        split,
        questions.person,
        values,
        by_seed,
        of_lists,
        {key: (places[key][0], len(places[key][1]), of_models) for key, of_models in in_slices.items()},
        {"targets": len(questions.target), "targets_never_trained": float(1 - trained[questions.target].mean())},
        tuple(simple),
        yard.alike,
        "" if kinds is None else kinds.source,
    )


def _of_each_case(answer: Answers, yard: Yardsticks, mixtures: csr_array | None, items: Vocabulary, k: int) -> Array:
    """``per_person`` metrics of each case, ``[n, m] float64``; yardsticks go by ``items``."""
    lists = answer.items.translation(items)[answer.recommended]
    columns = {metric: answer.per_case(of, k) for metric, of in metrics.METRICS.items()}
    columns |= yard.of_lists(lists, mixtures)
    columns["repeat_ratio"] = answer.repeats
    return np.stack([columns[metric] for metric in per_person(mixtures is not None)], axis=1)


def summarise(
    measured: Sequence[Measured],
    models: Sequence[str],
    *,
    split: str,
    k: int,
    seen: str,
    reading: str = "train-only",
    seed: int = 0,
    ablated: Mapping[str, str] | None = None,
) -> Evaluation:
    """One evaluation of what was measured on one or several splits of the same people; each of several is a slice too.

    ``ablated`` names models that are another without a part, and that one: they are compared with it alone.
    """
    parts = ablated or {}
    person = np.concatenate([one.person for one in measured])
    people = len(np.unique(person))
    names = list(measured[0].values)
    values = {name: np.concatenate([one.values[name] for one in measured]) for name in names}
    weight = np.array([len(one.person) for one in measured]) / len(person)
    by_seed = {name: np.tensordot(weight, np.stack([one.by_seed[name] for one in measured]), 1) for name in names}
    of_lists = {name: np.tensordot(weight, np.stack([one.of_lists[name] for one in measured]), 1) for name in names}
    per_seed = {name: np.concatenate([by_seed[name], of_lists[name]], axis=1) for name in names}
    of_people = per_person(bool(measured[0].kinds))
    metric_names = [f"{metric}@{k}" for metric in (*of_people, *OF_ALL_LISTS)]
    figures = {
        name: dict(zip(metric_names, [*values[name].mean(axis=0, dtype=np.float64), *of_lists[name].mean(axis=0)], strict=True))
        for name in names
    }
    figures = {name: {metric: float(value) for metric, value in found.items()} for name, found in figures.items()}
    ends = bootstrap(values, person, seed)
    shuffled = {
        name: np.concatenate([one.shuffled[name] for one in measured]) for name in measured[0].shuffled if name not in parts
    }
    among_all, with_parts, in_order = _tests(values, by_seed, shuffled, person, seed, parts)
    return Evaluation(
        split=split,
        k=k,
        seen=seen,
        reading=reading,
        models={name: figures[name] for name in models},
        controls={name: figures[name] for name in names if name not in models},
        intervals={name: _ends(metric_names[: len(of_people)], *ends[name]) for name in names}
        if people > 1
        else {name: {f"{metric}@{k}": (0.0, 1.0) for metric in BOUNDED} for name in names},
        facts=_pooled([one.facts for one in measured]) | {"test_users": people},
        comparisons=among_all,
        ablations=with_parts,
        shuffled=in_order,
        seeds={
            name: {metric: tuple(per_seed[name][:, m].tolist()) for m, metric in enumerate(metric_names)}
            for name in names
            if len(per_seed[name]) > 1
        },
        slices=tuple(_slices(measured, k)),
        simple=tuple(name for name in names if name in measured[0].simple),
        alike=measured[0].alike,
        kinds=measured[0].kinds,
    )


def _tests(
    values: Mapping[str, Array],
    by_seed: Mapping[str, Array],
    shuffled: Mapping[str, Array],
    person: Int,
    seed: int,
    parts: Mapping[str, str],
) -> tuple[tuple[Comparison, ...], tuple[Comparison, ...], tuple[Comparison, ...]]:
    """Comparisons, ablations and shuffled ones, by ndcg: three families of tests, each corrected for its own number."""
    each, seeds = ({name: of[:, PER_PERSON.index("ndcg")] for name, of in some.items()} for some in (values, by_seed))
    turned = {f"{name} {SHUFFLED}": of for name, of in shuffled.items()}
    return (
        compare({name: of for name, of in each.items() if name not in parts}, person, seed, seeds),
        compare(each, person, seed, seeds, pairs=[(whole, name) for name, whole in parts.items()]),
        compare(each | turned, person, seed, pairs=[(name, f"{name} {SHUFFLED}") for name in shuffled]),
    )


def _slices(measured: Sequence[Measured], k: int) -> list[Slice]:
    """What of each slice was measured on any split, and each split where there are several."""
    names = [f"{metric}@{k}" for metric in IN_SLICES]
    wanted = [PER_PERSON.index(metric) for metric in IN_SLICES]
    keys = list(dict.fromkeys(key for one in measured for key in one.slices))
    pieces = {
        key: [(one.person[one.slices[key][0]], *one.slices[key][1:]) for one in measured if key in one.slices] for key in keys
    }
    if len(measured) > 1:
        for one in measured:
            of_models = {name: values[:, wanted] for name, values in one.values.items()}
            pieces["split", one.split] = [(one.person, int(one.facts["targets"]), of_models)]
    families = [family for family, _ in pieces]
    found = []
    for (family, name), some in pieces.items():
        if families.count(family) == 1:
            continue  # a part that is all there is tells nothing
        person = np.concatenate([people for people, _, _ in some])
        models, intervals = {}, {}
        for model in some[0][2]:
            values = np.concatenate([of_models[model] for _, _, of_models in some])
            models[model] = dict(zip(names, values.mean(axis=0).tolist(), strict=True))
            intervals[model] = _ends(names, *np.clip(normal_interval(values, person), 0, 1))
        found.append(Slice(family, name, len(np.unique(person)), sum(targets for _, targets, _ in some), models, intervals))
    return found


def per_person(kinds: bool) -> tuple[str, ...]:
    """Metrics with a value for each case; miscalibration among them where ``kinds`` of items are known."""
    return (*PER_PERSON, "miscalibration") if kinds else PER_PERSON


def check_seed(seed: int) -> None:
    """``PenchantError`` unless resampling can begin with ``seed``."""
    if seed < 0:
        raise PenchantError(f"seed is {seed}, but must not be negative")


def contestants(
    models: Mapping[str, Model | Sequence[Model]],
    controls: Mapping[str, Model] | None,
    split: Split,
    *,
    seen: str,
    reading: str,
    own_items: bool,
) -> dict[str, Sequence[Model]]:
    """Models and controls by name, one for each seed; ``PenchantError`` unless they can stand in one table: each trained on
    what the ``reading`` says of the ``split``, all choosing from the same items. With ``own_items`` neither is asked.
    """
    if seen not in SEEN:
        raise PenchantError(f"seen items are either to 'exclude' or to 'keep', not {seen!r}")
    if not models:
        raise PenchantError("no model was named")
    everyone = {name: several(model) for name, model in models.items()}
    if twice := everyone.keys() & (controls or {}).keys():
        raise PenchantError(f"{min(twice)} names a model and a control; a table has one line for each")
    everyone |= {name: [control] for name, control in (controls or {}).items()}
    for name, same in everyone.items():
        if not same:
            raise PenchantError(f"{name} stands for no model")
        if not all(len(model.items) for model in same):
            raise PenchantError(f"{name} has learned nothing yet; fit it first")
    if not own_items:
        check_alike(everyone)
        _check_learned(everyone, split, reading)
    return everyone


def check_alike(models: Mapping[str, Sequence[Model]]) -> None:
    """``PenchantError`` unless all choose from the same items: a model with fewer to choose from has it easier."""
    (first, same), *_ = models.items()
    candidates = set(same[0].items.ids)
    for name, others in models.items():
        for model in others:
            if set(model.items.ids) != candidates:
                more = len(set(model.items.ids) - candidates)
                fewer = len(candidates - set(model.items.ids))
                raise PenchantError(
                    f"{name} and {first} can't stand in one table: {name} knows {more:,} items that {first} doesn't, and not "
                    f"{fewer:,} that it does; train both on the same part of the data, with the same reading"
                )


def _check_learned(models: Mapping[str, Sequence[Model]], split: Split, reading: str) -> None:
    """``PenchantError`` if one is known to have learned other events than the others."""
    expected, refit = seq.digest(learned_from(split, reading)), reading == "refit"
    for name, same in models.items():
        if any(model.learned_from not in ("", expected) for model in same):
            raise PenchantError(
                f"{name} was trained on other events than {trained_on(refit=refit)}: it may know the answers, and is no fair "
                f"match for others; fit it to {'before_test' if refit else 'train'} of this split, or name another reading"
            )


def in_another_order(histories: Sequences, seed: int) -> Sequences:
    """Each person's items (with their kinds) in a random order; the times stay where they are."""
    chance = np.random.default_rng(seed)
    person = np.repeat(np.arange(len(histories)), histories.lengths)
    order = np.lexsort((chance.random(len(person)), person))
    return replace(histories, item=histories.item[order], event_type=histories.event_type[order])


def trains_by_gradients(model: Model) -> bool:
    """Whether a network is in it; models without are called simple."""
    members = model.members.values() if isinstance(model, Blend) else ()
    return isinstance(model, NeuralModel) or any(map(trains_by_gradients, members))


def several(model: Model | Sequence[Model]) -> Sequence[Model]:
    """The models of a name, one for each seed."""
    return [model] if isinstance(model, Model) else model


def _of_part(case: Int, of: Array) -> tuple[Int, Int, int]:
    """The cases that have targets in a slice, the place of each of those targets among them, and how many they are."""
    places, among = np.unique(case[of], return_inverse=True)
    return places, among, len(places)


def _ends(names: Sequence[str], low: Array, high: Array) -> dict[str, tuple[float, float]]:
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def _plain(intervals: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, dict[str, list[float]]]:
    return {name: {metric: list(ends) for metric, ends in values.items()} for name, values in intervals.items()}


def _facts(cases: Cases) -> dict[str, float]:
    """Who wasn't asked, and which targets were there already."""
    width = len(cases.targets.items)
    owner = np.repeat(np.arange(len(cases)), cases.histories.lengths)
    pairs, wanted = np.sort(owner * width + cases.histories.item), cases.case * width + cases.target
    had = pairs[np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)] == wanted
    return {
        "newcomers_not_asked": cases.newcomers,
        "too_few_events_not_asked": cases.too_few,
        "targets_already_seen": float(had.mean()),
    }


def _pooled(facts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Facts of several splits: numbers added up, shares weighed by targets."""
    targets = np.array([one["targets"] for one in facts])
    return {
        name: float(np.average([one[name] for one in facts], weights=targets))
        if name.startswith("targets_")
        else int(sum(one[name] for one in facts))
        for name in facts[0]
    }
