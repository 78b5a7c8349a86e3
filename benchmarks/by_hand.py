"""Simple methods beside the head of ``benchmarks.rank``, on numbers made by hand of what was known when an item was shown."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.machine import DATA
from penchant import binary
from penchant.models.interest import HOUR
from penchant.types import Array, Impressions, Interactions, Vocabulary

SOURCE = DATA / "kuairand-pure"
LEAVES, TREES = (15, 31), 250


def counts_before(key: Array, label: Array, moment: Array, asked: Array) -> Array:
    """Of each row, ``[N, 2]``: the labels and rows of its key at moments earlier than ``asked[N]``."""
    moments, rank = np.unique(np.concatenate([moment, asked]), return_inverse=True)
    kinds = np.unique(key, return_inverse=True)[1].astype(np.int64) * len(moments)
    had, wanted = kinds + rank[: len(key)], kinds + rank[len(key) :]
    order = np.argsort(had, kind="stable")
    start, end = np.searchsorted(had[order], kinds), np.searchsorted(had[order], wanted)
    total = np.concatenate([[0.0], np.cumsum(label[order].astype(float))])
    return np.stack([total[end] - total[start], end - start], axis=1)


def by_hand(log: Interactions, shown: Impressions, until: int) -> tuple[Array, Array, Array]:
    """Numbers ``[N, m]`` and kinds ``[N, …]`` that were known when each item was shown, and at ``until``; and which of the
    numbers, ``[m] bool``, are of the person.
    """
    items = pl.read_parquet(SOURCE / "item_features.parquet").sort("video_id")
    place = Vocabulary(tuple(str(v) for v in items["video_id"].to_list())).codes(log.items.ids)
    code = {
        c: np.unique(items[c].cast(pl.String).fill_null("").to_numpy().astype(str), return_inverse=True)[1][place]
        for c in ("tag", "author_id", "music_id", "upload_type", "video_type")
    }
    item, user, moment = shown.item, shown.user.astype(np.int64), shown.timestamp
    tab = np.array([int(v) for v in shown.context["tab"]])
    hour = (moment // HOUR) % 24
    keys = {
        "item": item, "user": user, "user, tab": user * 100 + tab, "user, tag": user * 1000 + code["tag"][item],
        "user, author": user * 10_000 + code["author_id"][item], "author": code["author_id"][item], "tag": code["tag"][item],
    }  # fmt: skip
    numbers, personal = [], []
    for name, key in keys.items():
        personal += 6 * [name.startswith("user")]
        for target in ("click", "long_view"):
            had, seen = counts_before(key, shown.labels[target], moment, np.minimum(moment, until)).T
            numbers += [had, seen, (had + 1) / (seen + 3)]
    # Of the histories before: how much the person and everybody watched of the same item, tag, author.
    past = np.array([kind.startswith("watched") for kind in log.event_types])[log.event_type]
    long = np.array([kind in ("watched_long", "watched_liked") for kind in log.event_types])[log.event_type]
    liked = np.array([kind == "watched_liked" for kind in log.event_types])[log.event_type]
    for values in (np.arange(len(log.items)), code["tag"], code["author_id"]):
        watched, *of_kind = (np.bincount(values[log.item[some]], minlength=values.max() + 1) for some in (past, long, liked))
        numbers += [((had + 1) / (watched + 3))[values[item]] for had in of_kind]
        personal += 2 * [False]
    for some in (past, past & long):
        numbers.append(np.bincount(log.item[some], minlength=len(log.items))[item])
        personal += [False, *4 * [True]]
        for values in (np.zeros(len(log.items), np.int64), np.arange(len(log.items)), code["tag"], code["author_id"]):
            width = int(values.max()) + 1
            had = np.sort(log.user[some].astype(np.int64) * width + values[log.item[some]])
            asked = user * width + values[item]
            numbers.append(np.searchsorted(had, asked, side="right") - np.searchsorted(had, asked, side="left"))
    duration = items["video_duration"].fill_null(0).to_numpy()[place][item]
    age = np.array([int(v) for v in shown.context["age"]])
    kinds = [tab, hour, code["tag"][item], code["upload_type"][item], code["video_type"][item]]
    of_person = np.array([*personal, False, False])
    return np.stack([*numbers, duration, age], axis=1).astype(float), np.stack(kinds, axis=1), of_person


def simple_methods(log: Interactions, shown: Impressions, part: Array) -> dict[str, Callable[[str], tuple[Array, Array]]]:
    """What each says of the test rows, by target, and what it says by what was known when the test began."""
    numbers, kinds, personal = by_hand(log, shown, int(shown.timestamp.max()))
    still = by_hand(log, shown, int(shown.timestamp[part == 2].min()))[0]
    learned, judged, held = (part == number for number in range(3))

    def popularity(target: str) -> tuple[Array, Array]:
        label, hour = shown.labels[target][learned], (shown.timestamp // (6 * HOUR)) % 4
        rate = np.bincount(shown.item[learned], label, len(log.items)) + 5 * label.mean()
        rate /= np.bincount(shown.item[learned], minlength=len(log.items)) + 5
        key = shown.item.astype(np.int64) * 4 + hour
        had = np.bincount(key[learned], label, 4 * len(log.items))
        seen = np.bincount(key[learned], minlength=4 * len(log.items))
        said = np.asarray((had[key] + 5 * rate[shown.item])[held] / (seen[key] + 5)[held])
        return said, said

    def logistic(target: str) -> tuple[Array, Array]:
        encode = OneHotEncoder(handle_unknown="ignore", min_frequency=20, sparse_output=False).fit(kinds[learned])
        scale = StandardScaler().fit(_logarithm(numbers[learned]))
        x, then = (np.hstack([scale.transform(_logarithm(n)), encode.transform(kinds)]) for n in (numbers, still))
        model = LogisticRegression(max_iter=300).fit(x[learned], shown.labels[target][learned])
        return model.predict_proba(x[held])[:, 1], model.predict_proba(then[held])[:, 1]

    def boosting(target: str, some: slice | Array = slice(None)) -> tuple[Array, Array]:
        """Leaves and trees are those with the least log loss on the validation part, as a head's epoch is."""
        x, then = (np.hstack([n[:, some], kinds]) for n in (numbers, still))
        label, least, best = shown.labels[target], np.inf, (np.zeros(0), np.zeros(0))
        for leaves in LEAVES:
            model = HistGradientBoostingClassifier(
                learning_rate=0.05, max_iter=TREES, max_leaf_nodes=leaves, min_samples_leaf=50, early_stopping=False
            )
            model.fit(x[learned], label[learned])
            stages = (_by_trees(model, rows) for rows in (x[judged], x[held], then[held]))
            for valid, live, standing in zip(*stages, strict=True):
                if (loss := binary.logloss(valid, label[judged])) < least:
                    least, best = loss, (live, standing)
        return best

    return {
        "popularity by hour": popularity,
        "gradient boosting": boosting,
        "gradient boosting, no history": lambda target: boosting(target, ~personal),
        "logistic regression": logistic,
    }


def _by_trees(model: HistGradientBoostingClassifier, x: Array) -> list[Array]:
    """Probabilities after 25 trees, after 50 and so on."""
    return [p[:, 1] for p in islice(model.staged_predict_proba(x), 24, None, 25)]


def _logarithm(numbers: Array) -> Array:
    return np.asarray(np.sign(numbers) * np.log1p(np.abs(numbers)))
