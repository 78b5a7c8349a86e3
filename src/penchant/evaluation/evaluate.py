"""Several models, one split, one candidate set, one rule for seen items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from penchant import metrics
from penchant.evaluation import slices
from penchant.evaluation.fairness import contestants, learned_from, trains_by_gradients
from penchant.evaluation.leaks import check
from penchant.evaluation.result import Evaluation, Slice
from penchant.evaluation.significance import Comparison, bootstrap, compare, normal_interval
from penchant.evaluation.yardsticks import Yardsticks, yardsticks
from penchant.models.base import Model
from penchant.models.validation import Answers, ask
from penchant.types import Array, Cases, Int, Kinds, PenchantError, Progress, Sequences, Split, Vocabulary, quiet

PER_PERSON = (*metrics.METRICS, "novelty", "diversity", "repeat_ratio")
"""Metrics with a value for each case, and so with an interval: see ``per_person``."""
BOUNDED = (*metrics.METRICS, "diversity", "repeat_ratio")
"""Those that lie between 0 and 1, so that of a single person's value it can be said that it may have been any."""
OF_ALL_LISTS = ("coverage", "gini")
IN_SLICES = ("recall", "ndcg")
SHUFFLED = "with its histories shuffled"


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


def in_another_order(histories: Sequences, seed: int) -> Sequences:
    """Each person's items (with their kinds) in a random order; the times stay where they are."""
    chance = np.random.default_rng(seed)
    person = np.repeat(np.arange(len(histories)), histories.lengths)
    order = np.lexsort((chance.random(len(person)), person))
    return replace(histories, item=histories.item[order], event_type=histories.event_type[order])


def _of_part(case: Int, of: Array) -> tuple[Int, Int, int]:
    """The cases that have targets in a slice, the place of each of those targets among them, and how many they are."""
    places, among = np.unique(case[of], return_inverse=True)
    return places, among, len(places)


def _ends(names: Sequence[str], low: Array, high: Array) -> dict[str, tuple[float, float]]:
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


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
