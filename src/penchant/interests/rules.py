"""Rules: a small decision tree tells in features people understand what belongs to a topic or segment. Needs scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from penchant.data.catalog import TITLES
from penchant.interests import words
from penchant.interests.topics import Condition, Rule
from penchant.types import Array, PenchantError

DEPTH = 3
HELD_OUT = 0.3
FEWEST = 20
"""Below so many, or with fewer than five on either side, nothing is explained."""
MOST_WORDS = 300
"""Words that rules may speak of: the most frequent ones."""
FIT = 20_000
"""Rows a tree sees, at most."""


def explain(features: Array, names: Sequence[str], binary: Array, belongs: Array, seed: int = 0) -> Rule:
    """The rule for ``belongs[n] bool`` by ``features[n, F]``, of which ``binary[F] bool`` are there or not.

    A tree of depth 3, both sides weighing alike, is learned on 70% of the rows; of its leaves that say so, the one
    that tells best what belongs (F1) gives the conditions, and the other 30% the fidelity of the whole tree (balanced
    accuracy). NaN, a value nobody knows, goes where it fits best. Raises ``PenchantError`` where scikit-learn isn't installed.
    """
    if len(features) < FEWEST or min(belongs.sum(), (~belongs).sum()) < 5:
        return Rule()
    with needed():
        from sklearn.metrics import balanced_accuracy_score
        from sklearn.model_selection import train_test_split
        from sklearn.tree import DecisionTreeClassifier
    rows = np.random.default_rng(seed).permutation(len(features))[:FIT]
    kept, held = train_test_split(rows, test_size=HELD_OUT, random_state=seed, stratify=belongs[rows])
    leaf = max(2, len(kept) // 200)
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=leaf, class_weight="balanced", random_state=seed)
    tree.fit(features[kept], belongs[kept])
    fidelity = float(balanced_accuracy_score(belongs[held], tree.predict(features[held])))
    return Rule(tuple(_conditions(tree, features[kept], belongs[kept], names, binary)), fidelity)


@contextmanager
def needed() -> Iterator[None]:
    """While scikit-learn is imported: says how to install it where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise PenchantError("topics need scikit-learn; install it with: pip install 'penchant[interests]'") from error


def _conditions(tree: Any, features: Array, belongs: Array, names: Sequence[str], binary: Array) -> Iterator[Condition]:
    """The way to the leaf that says yes and holds most of what belongs, each feature's bounds told once."""
    leaves = tree.apply(features)
    says_yes = tree.predict(features)
    if not says_yes.any():
        return
    right, all_in = (np.bincount(leaves[rows], minlength=leaves.max() + 1) for rows in (says_yes & belongs, says_yes))
    best = (2 * right / (all_in + belongs.sum())).argmax()
    row = features[np.flatnonzero(leaves == best)[0]]
    bounds: dict[tuple[int, bool], float] = {}
    inner, node = tree.tree_, 0
    while inner.children_left[node] != -1:
        feature, threshold = int(inner.feature[node]), float(inner.threshold[node])
        value = row[feature]
        left = bool(inner.missing_go_to_left[node]) if np.isnan(value) else bool(np.float32(value) <= threshold)
        key = (feature, not left)
        tighter = min if left else max
        bounds[key] = tighter(bounds[key], threshold) if key in bounds else threshold
        node = int(inner.children_left[node] if left else inner.children_right[node])
    for (feature, above), threshold in bounds.items():
        yield Condition(names[feature], above, threshold, bool(binary[feature]))


def item_features(
    ids: Sequence[str], descriptions: Mapping[str, Mapping[str, Any]], events: Array
) -> tuple[Array, list[str], Array]:
    """What rules may say of items: ``[V, F]``, the features' names, and which are there or not (``[F] bool``).

    The frequent words of each column (``genres: comedy``), columns of numbers (year, price), and how many ``events[V]`` an
    item has.
    """
    columns: dict[str, list[str]] = {}
    for row, item in enumerate(ids):
        for column, value in descriptions.get(item, {}).items():
            if column != "events":
                columns.setdefault(column, [""] * len(ids))[row] = str(value)
    found: list[tuple[str, Array, bool]] = [("events", np.asarray(events, np.float32), False)]
    said: list[tuple[int, str, set[int]]] = []
    for column, values in columns.items():
        numbers = _numbers(values)
        if numbers is not None:
            found.append((_called(column), numbers, False))
            continue
        rows_of: dict[str, set[int]] = {}
        for row, value in enumerate(values):
            for term in words.terms(value):
                rows_of.setdefault(term, set()).add(row)
        said += [(len(rows), f"{_called(column)}: {term}", rows) for term, rows in rows_of.items()]
    said.sort(key=lambda word: (-word[0], word[1]))
    for count, name, rows in said[:MOST_WORDS]:
        if count >= 5:
            there = np.zeros(len(ids), np.float32)
            there[list(rows)] = 1
            found.append((name, there, True))
    names = [name for name, _, _ in found]
    return np.stack([values for _, values, _ in found], axis=1), names, np.array([binary for _, _, binary in found])


def _numbers(values: Sequence[str]) -> Array | None:
    """A column as numbers, NaN where it is empty or beyond what trees can hold (float32); ``None`` unless all are."""
    try:
        numbers = np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return None
    numbers[np.abs(numbers) > np.finfo(np.float32).max] = np.nan
    return None if np.isnan(numbers).all() else numbers.astype(np.float32)


def _called(column: str) -> str:
    """A column's name without RecBole's type; titles are called that."""
    return "title" if column.lower() in TITLES else re.sub(r":(token|float)(_seq)?$", "", column)
