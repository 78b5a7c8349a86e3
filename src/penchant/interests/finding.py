"""Finding topics and kinds of people: K-means, names from words, the old topics found again. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array, diags_array

from penchant import sequences as seq
from penchant.data import catalog
from penchant.interests import words
from penchant.interests.profiles import Past, features, flow, habits, pasts
from penchant.interests.rules import explain, item_features, needed
from penchant.interests.topics import NO_SEGMENTS, TYPICAL, Segment, Segments, Topic, Topics, renamed
from penchant.models.als import Als
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.interest import Interest
from penchant.models.item_to_item import counts_by_user
from penchant.models.neural.model import NeuralModel
from penchant.types import UNKNOWN, Array, Float, Int, Interactions, PenchantError, Progress, Sequences, Vocabulary, quiet

COUNTS = (4, 6, 8, 10, 12, 14, 16)
"""How many topics are tried: no more than a person can take in;"""
SEGMENT_COUNTS = (3, 4, 5, 6, 8)
"""and segments."""
MOST_TOPICS = 100
SAMPLE = 2000
"""People by whom segments are found."""
JUDGED, ROUNDS = 1000, 10
"""Items (or people) by which a number is judged at a time, and how often, each time others and from another start."""
ALIKE = 0.005
"""Numbers whose mean silhouettes differ by less can't be told apart: the next sample would choose another."""
LEAST_SPREAD = 1e-3
"""What differs less among people tells nothing of them."""
SHARPNESS = 10.0
"""Membership is ``softmax(SHARPNESS · cosine)``: a tenth of cosine more is e times as much."""
TEXT_WIDTH = 64
ITEM_WIDTH = 64
TERMS = 8
NAMED_BY = 3
SAME = 0.4
"""A topic keeps the name of the old one it shares so much of its items with (Jaccard)."""


def find_topics(
    model: Model,
    log: Interactions,
    descriptions: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    count: int | None = None,
    old: Topics | None = None,
    more: Mapping[str, Array] | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Topics:
    """The topics of a model's catalogue, by its item vectors and the items' words, and kinds of the log's people.

    ``descriptions`` are columns by item (``catalog.describe_items``), ``more`` the log's columns ``completion`` and ``dwell``.
    Without ``count`` there are as many topics as in ``old``, or else as many of ``COUNTS`` as have the best silhouette
    (Rousseeuw 1987), on the mean over ``ROUNDS`` seeded samples of ``JUDGED`` items; of those within ``ALIKE`` of the best, the
    one nearest the middle. Where there are as many as in ``old``, they are looked for from where those lie now, and those that
    share their items keep number and name. Raises ``PenchantError`` for a count that can't be, or where scikit-learn isn't
    installed.
    """
    if count is not None and not 1 <= count <= MOST_TOPICS:
        raise PenchantError(f"topics is {count}, but must lie between 1 and {MOST_TOPICS}")
    described = descriptions or {}
    progress("finding topics", 0, 0)
    histories = seq.known_only(seq.recode(seq.histories(log), model.items))
    vectors, made_of = item_vectors(model, histories, described, seed)
    wanted = count if count is not None else len(old) if old else None
    start = None if old is None else _old_centres(vectors, model.items, old)
    centres, criterion = _cluster(vectors, wanted, COUNTS, seed, start)
    if count is None and len(centres) == wanted:
        criterion = words.sentence("as_before", count=wanted)
    membership = _membership(vectors, centres)
    if old:
        membership = membership[:, np.argsort(_old_numbers(membership, model.items, old))]
    events = np.bincount(histories.item, minlength=len(model.items))
    titles = tuple(catalog.title(described.get(item, {})) for item in model.items.ids)
    made = Topics(
        items=model.items,
        titles=titles,
        membership=membership,
        place=_places(vectors, seed),
        popularity=np.asarray(events @ membership / max(1, events.sum()), np.float32),
        topics=(),
        criterion=criterion,
        made_of=made_of,
        model=model.id,
    )
    progress("naming topics", 0, 0)
    made = replace(made, topics=_described(made, described, events, old, seed))
    progress("finding kinds of people", 0, 0)
    return replace(made, segments=find_segments(made, pasts(log, made, more), int(log.timestamp.max(initial=0)), seed))


# Vectors.


def item_vectors(
    model: Model, histories: Sequences, descriptions: Mapping[str, Mapping[str, Any]], seed: int = 0
) -> tuple[Float, dict[str, str]]:
    """``[V, d]`` of length 1 (0 for an item nothing is known of), and what they are made of, in words of each language.

    The model's own vectors where it has some, else those of who had what (truncated SVD); beside them, weighing as much, those
    of the items' words (TF-IDF, truncated SVD) where there are words. Both are centred before.
    """
    own = _vectors_of(model)
    if own is not None:
        kinds = [(own, words.sentence("of_model", model=model.name))]
    else:
        kinds = [(_by_people(histories, seed), words.sentence("of_people"))]
    said = _by_words(model.items.ids, descriptions, seed)
    if said is not None:
        kinds.append((said, words.sentence("of_words")))
    joined = np.concatenate([_unit(vectors) for vectors, _ in kinds], axis=1)
    return _unit(joined, centred=False), words.joined([name for _, name in kinds])


def _vectors_of(model: Model) -> Float | None:
    if isinstance(model, Interest):
        return _vectors_of(model.base)
    if isinstance(model, Blend):
        speaking = [member for member, weight in zip(model.members.values(), model.coefficients, strict=True) if weight]
        return next((found for found in map(_vectors_of, speaking) if found is not None), None)
    if isinstance(model, NeuralModel):
        return np.asarray(model.weights()["embedding"], np.float32)
    return np.asarray(model.weights()["factors"], np.float32) if isinstance(model, Als) else None


def _by_people(histories: Sequences, seed: int) -> Float:
    """Items by who had them: the counts' logarithms, people of long histories weighing less, as few dimensions."""
    had = counts_by_user(histories)
    had.data = np.log1p(had.data)
    length = np.sqrt(np.maximum(np.asarray((had * had).sum(axis=1)).ravel(), 1e-12))
    return _narrowed(csr_array((diags_array(1 / length) @ had).T), ITEM_WIDTH, seed)


def _by_words(ids: Sequence[str], descriptions: Mapping[str, Mapping[str, Any]], seed: int) -> Float | None:
    bags = [" ".join(words.terms(_text(descriptions.get(item, {})))) for item in ids]
    if sum(map(bool, bags)) < 2:
        return None
    with needed():
        from sklearn.feature_extraction.text import TfidfVectorizer
    try:
        weighed = TfidfVectorizer(analyzer=str.split, min_df=2, sublinear_tf=True, dtype=np.float32).fit_transform(bags)
    except ValueError:  # no word is said of two items
        return None
    return _narrowed(csr_array(weighed), TEXT_WIDTH, seed)


def _text(description: Mapping[str, Any]) -> str:
    return " ".join(str(value) for column, value in description.items() if column != "events")


def _narrowed(matrix: csr_array, width: int, seed: int) -> Float:
    with needed():
        from sklearn.decomposition import TruncatedSVD
    width = min(width, min(matrix.shape) - 1)
    if width < 1 or matrix.nnz == 0:
        return np.asarray(matrix[:, :1].toarray(), np.float32)
    with np.errstate(invalid="ignore"):  # of what all have alike there is no variance to explain
        return np.asarray(TruncatedSVD(width, random_state=seed).fit_transform(matrix), np.float32)


def _unit(vectors: Float, *, centred: bool = True) -> Float:
    """Rows of length 1; 0 stays 0, and so does what can't be told from it."""
    there = np.abs(vectors).sum(axis=1) > 0
    moved = vectors - vectors[there].mean(axis=0) if centred and there.any() else vectors
    length = np.sqrt(np.square(moved).sum(axis=1, keepdims=True))
    return np.asarray(np.where((length > 1e-6) & there[:, None], moved / np.maximum(length, 1e-6), 0), np.float32)


def _places(vectors: Float, seed: int) -> Float:
    """Where items lie on a map, ``[V, 2]``: the two directions in which the vectors differ most."""
    if len(vectors) < 2 or not np.ptp(vectors, axis=0).any():
        return np.zeros((len(vectors), 2), np.float32)
    with needed():
        from sklearn.decomposition import PCA
    found = PCA(min(2, *vectors.shape), random_state=seed, svd_solver="randomized").fit_transform(vectors)
    return np.asarray(np.pad(found, ((0, 0), (0, 2 - found.shape[1]))), np.float32)


# Clusters.


def _cluster(
    vectors: Array, count: int | None, counts: Sequence[int], seed: int, start: Array | None = None
) -> tuple[Array, dict[str, str]]:
    """Centres ``[T, d]``, and how their number was chosen, in words; found from ``start`` where that has as many."""
    distinct = len(np.unique(vectors.round(6), axis=0))
    if count is None and distinct > 2:
        tried = [number for number in counts if number < min(distinct, JUDGED)] or [2]
        worth = np.mean([[_silhouette(vectors, number, [seed, turn]) for number in tried] for turn in range(ROUNDS)], axis=0)
        middle = counts[len(counts) // 2]
        alike = [number for number, value in zip(tried, worth, strict=True) if value >= worth.max() - ALIKE]
        best = min(alike, key=lambda number: abs(number - middle))
        values = ", ".join(f"{number}: {value:.3f}" for number, value in zip(tried, worth, strict=True))
        said = words.sentence("by_silhouette", best=best, rounds=ROUNDS, values=values, middle=middle, alike=ALIKE)
        return _k_means(vectors, best, seed), said
    chosen = min(count or 1, distinct)
    if count is not None and chosen == count:
        return _k_means(vectors, chosen, seed, start), words.sentence("as_asked", count=count)
    return _k_means(vectors, chosen, seed), words.sentence("no_more_differ", count=chosen)


def _k_means(vectors: Array, count: int, seed: int, start: Array | None = None) -> Array:
    with needed():
        from sklearn.cluster import KMeans
    if start is not None and len(start) == count:
        return np.asarray(KMeans(count, init=start, n_init=1, random_state=seed).fit(vectors).cluster_centers_)
    return np.asarray(KMeans(count, n_init=4, random_state=seed).fit(vectors).cluster_centers_)


def _old_centres(vectors: Array, items: Vocabulary, old: Topics) -> Array | None:
    """Where the old topics lie among the new vectors, ``[T, d]``: the means of their items'. From there K-means finds what is
    much the same as before, and not another grouping that is as good. ``None`` where a topic has no item left.
    """
    codes = old.items.codes(items.ids)
    shared = np.flatnonzero(codes != UNKNOWN)
    topic = old.nearest[codes[shared]]
    counts = np.bincount(topic, minlength=len(old))
    if not counts.all():
        return None
    sums = np.zeros((len(old), vectors.shape[1]), vectors.dtype)
    np.add.at(sums, topic, vectors[shared])
    return np.asarray(sums / counts[:, None], vectors.dtype)


def _silhouette(vectors: Array, count: int, seed: Sequence[int]) -> float:
    """How much nearer items lie to their own group than to the next, on a sample of at most four fifths."""
    with needed():
        from sklearn.cluster import KMeans
        from sklearn.metrics import silhouette_score
    chance = np.random.default_rng(seed)
    rows = chance.permutation(len(vectors))[: min(JUDGED, max(count + 1, len(vectors) * 4 // 5))]
    labels = KMeans(count, n_init=1, random_state=int(chance.integers(2**31))).fit_predict(vectors[rows])
    if not 2 <= len(np.unique(labels)) < len(rows):
        return -1.0
    return float(silhouette_score(vectors[rows], labels))


def _membership(vectors: Float, centres: Array) -> Float:
    near = SHARPNESS * (vectors @ _unit(np.asarray(centres, np.float32), centred=False).T)
    likely = np.exp(near - near.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True), np.float32)


def _old_numbers(membership: Float, items: Vocabulary, old: Topics) -> Int:
    """For each new topic its number ``[T]``: that of the old topic it shares most with, all together (Kuhn 1955)."""
    codes = old.items.codes(items.ids)
    shared = np.flatnonzero(codes != UNKNOWN)
    together = membership[shared].T @ old.membership[codes[shared]]
    mine, theirs = linear_sum_assignment(together, maximize=True)
    numbers = np.full(membership.shape[1], -1)
    fits = theirs < len(numbers)
    numbers[mine[fits]] = theirs[fits]
    free = iter(np.setdiff1d(np.arange(len(numbers)), numbers).tolist())
    return np.array([next(free) if number < 0 else number for number in numbers.tolist()])


# Names and rules.


def _described(
    made: Topics, descriptions: Mapping[str, Mapping[str, Any]], events: Int, old: Topics | None, seed: int
) -> tuple[Topic, ...]:
    terms = _terms(made, descriptions)
    traits, names, binary = item_features(made.items.ids, descriptions, events)
    topics = []
    for number in range(made.membership.shape[1]):
        mine = made.nearest == number
        typical = _typical(made, number, events)
        name = " · ".join(terms[number][:NAMED_BY]) or " · ".join(made.title(item)[:40] for item in typical[:2])
        topics.append(
            Topic(
                number,
                _kept_name(made, number, old) or name or words.label("topic").format(number),
                tuple(terms[number]),
                int(mine.sum()),
                typical,
                explain(traits, names, binary, mine, seed),
            )
        )
    return renamed(topics)


def _typical(made: Topics, number: int, events: Int) -> tuple[str, ...]:
    """Items that belong to a topic most, those that people know before others."""
    weight = made.membership[:, number] * np.log1p(events) * (made.nearest == number)
    order = np.argsort(-weight, kind="stable")[:TYPICAL]
    return tuple(made.items[int(code)] for code in order if weight[code] > 0)


def _terms(made: Topics, descriptions: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """The strongest terms of each topic: TF-IDF with a topic as one document (Grootendorst 2022, "BERTopic", section 3.3),
    over the words said of at least two of its items.
    """
    count = made.membership.shape[1]
    said: list[dict[str, int]] = [{} for _ in range(count)]
    for code, item in enumerate(made.items.ids):
        mine = said[int(made.nearest[code])]
        for term in set(words.terms(_text(descriptions.get(item, {})))):
            mine[term] = mine.get(term, 0) + 1
    everywhere: dict[str, int] = {}
    for mine in said:
        for term, times in mine.items():
            everywhere[term] = everywhere.get(term, 0) + times
    mean = sum(everywhere.values()) / max(1, count)
    found = []
    for mine in said:
        total = max(1, sum(mine.values()))
        weight = {t: times / total * np.log1p(mean / everywhere[t]) for t, times in mine.items() if times > 1}
        found.append(words.distinct(sorted(weight, key=lambda term: (-weight[term], -len(term), term)))[:TERMS])
    return found


def _kept_name(made: Topics, number: int, old: Topics | None) -> str:
    """The old topic's name, if this one is much the same; empty if not."""
    if old is None or number >= len(old):
        return ""
    codes = old.items.codes(made.items.ids)
    both = codes != UNKNOWN
    new, before = made.nearest[both] == number, old.nearest[codes[both]] == number
    return old.topics[number].name if (new & before).sum() > SAME * max(1, (new | before).sum()) else ""


# Kinds of people.


def find_segments(topics: Topics, people: Sequence[Past], now: int, seed: int = 0) -> Segments:
    """Kinds of people, by K-means over habits and topic shares of up to ``SAMPLE`` of them, each scaled to mean 0 and spread 1
    (counts by their logarithm), as many as have the best silhouette.
    """
    some = [past for past in people if (past.item != UNKNOWN).any()]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(some))[:SAMPLE])
    if len(chosen) < 10 * min(SEGMENT_COUNTS):
        return NO_SEGMENTS
    rows = [features(topics, some[i], habits(some[i]), flow(topics, some[i]), now) for i in chosen.tolist()]
    names = tuple(rows[0])
    values = np.array([[row[name] for name in names] for row in rows])
    told = ~np.isnan(values).all(axis=0)
    told[told] &= np.nanstd(values[:, told], axis=0) > LEAST_SPREAD
    names, values = tuple(np.array(names)[told].tolist()), values[:, told]
    mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scaled = np.nan_to_num((values - mean) / spread)
    centres, _ = _cluster(np.clip(scaled, -3, 3), None, SEGMENT_COUNTS, seed)
    kinds = np.argmin(np.square(scaled[:, None] - centres).sum(axis=2), axis=1)
    neither = np.zeros(len(names), bool)
    segments = []
    for number, centre in enumerate(centres):
        marks = np.argsort(-np.abs(centre), kind="stable")[:NAMED_BY]
        rule = explain(values, names, neither, kinds == number, seed)
        segments.append(Segment(tuple((names[m], bool(centre[m] > 0)) for m in marks), int((kinds == number).sum()), rule))
    return Segments(names, mean, spread, centres, tuple(segments))
