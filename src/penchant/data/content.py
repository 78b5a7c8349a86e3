"""What is known of items, as vectors: TF-IDF over the words of their titles, genres, brands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from penchant.data import engine
from penchant.types import Content, PenchantError, Vocabulary

NOT_CONTENT = ("item_id", "events")
_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]{2,}")


def read_content(path: Path, columns: Sequence[str] | None = None) -> Content | None:
    """The items of an ``items.parquet`` as sparse vectors; ``None`` where nothing is known of them.

    ``columns`` are those to read; without it, all that hold words: a column whose every value is a number is a measure,
    often of the very events to predict, and is read only when named. An item's vector holds the words and pairs of
    neighbouring words of all columns, by TF-IDF; a word of a single item tells nothing and is left out. Named columns of
    numbers are kept as ``measures`` too, so that a split can be checked for what they tell of its answers.
    Raises ``PenchantError`` for a column that isn't there.
    """
    table = engine.collect(engine.read([path]))
    known = [column for column in table.columns if column not in NOT_CONTENT]
    wrong = [column for column in columns or () if column not in known]
    if wrong:
        raise PenchantError(f"{path}: has no column {wrong[0]!r} that tells of items; it has {', '.join(known) or 'none'}")
    items = Vocabulary(tuple(table["item_id"].to_list()))
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    size = 0
    measures: dict[str, np.ndarray] = {}
    for column in known if columns is None else columns:
        values = ["" if value is None else str(value) for value in table[column].to_list()]
        if all(_is_number(value) for value in values if value):
            if columns is None:
                continue
            measures[column] = np.array([float(value) if value else np.nan for value in values])
        item, feature, weight, features = _tf_idf(values)
        rows.append((item, feature + size, weight))
        size += features
    if size == 0:
        return None
    item, feature, weight = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    order = np.argsort(item, kind="stable")
    item, feature, weight = item[order], feature[order], weight[order]
    length = np.sqrt(np.bincount(item, weights=weight * weight, minlength=len(items)))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(items)))]).astype(np.int64)
    return Content(items, offsets, feature.astype(np.int32), (weight / length[item]).astype(np.float32), size, measures)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _tf_idf(values: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Item, feature and weight of each word, and the number of features."""
    bags = [Counter(_terms(value)) for value in values]
    items_with = Counter(chain.from_iterable(bags))
    codes = {term: code for code, term in enumerate(sorted(t for t, count in items_with.items() if count > 1))}
    found = [[code for term in bag if (code := codes.get(term)) is not None] for bag in bags]
    times = [count for bag in bags for term, count in bag.items() if term in codes]
    item = np.repeat(np.arange(len(values)), [len(mine) for mine in found])
    feature = np.fromiter(chain.from_iterable(found), np.int64)
    inverse = np.log(len(values) / np.array([items_with[term] for term in codes], np.float64))
    weight = (1 + np.log(np.array(times, np.float64))) * inverse[feature]
    told = weight > 0
    return item[told], feature[told], weight[told], len(codes) if told.any() else 0


def _terms(value: str) -> list[str]:
    """Words and pairs of neighbouring words; of Chinese, not written in words, every two characters that stand together."""
    words = [part for word in _WORD.findall(value.lower()) for part in _parts(word)]
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def _parts(word: str) -> list[str]:
    return ["".join(pair) for pair in pairwise(word)] if _CHINESE.fullmatch(word) else [word]
