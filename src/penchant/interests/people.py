"""Topics of a model and profiles of a dataset's people: what the command line, a notebook and the page of a file show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.data import catalog, dataset
from penchant.interests import topics as kept
from penchant.interests import words
from penchant.interests.finding import find_topics
from penchant.interests.profiles import Past, Profile, pasts, profile, shares_of_memories
from penchant.interests.reasons import reasons
from penchant.interests.topics import Topics
from penchant.models.base import Model
from penchant.models.validation import people_at_once
from penchant.types import Array, Interactions, Progress, quiet


def topics_of(
    model: Model,
    log: Interactions,
    model_folder: str | Path,
    dataset_folder: str | Path,
    *,
    count: int | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Topics:
    """The topics kept beside a model, or new ones, which are kept there: matched to the old ones where there are some.

    New ones are found where the model has other items now, or another ``count`` is wanted. See ``find_topics``.
    """
    folder = kept.beside(model_folder)
    old = kept.load(folder) if folder.exists() else None
    if old is not None and old.items == model.items and count in (None, len(old)):
        return old
    described = catalog.describe_items(Path(dataset_folder) / dataset.ITEMS)
    more = dataset.measures(dataset_folder)
    made = find_topics(model, log, described, count=count, old=old, more=more, seed=seed, progress=progress)
    kept.save(made, folder)
    return made


def profiles_of(
    model: Model,
    log: Interactions,
    topics: Topics,
    users: Sequence[str],
    *,
    more: Mapping[str, Array] | None = None,
    now: int | None = None,
    progress: Progress = quiet,
) -> Iterator[Profile]:
    """The profiles of some people at ``now`` (by default the log's last event), whoever the log doesn't know among them.

    ``more`` are the log's columns ``completion`` and ``dwell``, ``[m]``.
    """
    moment = int(log.timestamp.max(initial=0)) if now is None else now
    everyone = dict(zip(log.users.ids, pasts(log, topics, more), strict=True))
    nothing = np.zeros(0, np.int64)
    stranger = Past(nothing, nothing, nothing, log.clock)
    histories = seq.of_users(seq.histories(log), users)
    for rows in people_at_once(len(users), len(model.items)):
        both = shares_of_memories(model, model.encode(seq.select(histories, rows)), topics)
        for place, row in enumerate(rows.tolist()):
            memories = None if both is None else (both[0][place], both[1][place])
            yield profile(topics, everyone.get(users[row], stranger), users[row], moment, memories)
        progress("reading people", int(rows[-1]) + 1, len(users))


def explained(
    model: Model,
    log: Interactions,
    rows: Iterable[dict[str, Any]],
    titles: Mapping[str, str],
    *,
    now: int | None = None,
    language: str = "en",
) -> Iterator[dict[str, Any]]:
    """Rows of recommendations (``offline.recommend_users``), each with a ``reason``: a sentence."""
    words.check_language(language)
    moment = int(log.timestamp.max(initial=0)) if now is None else now
    everyone = seq.histories(log)
    for user, some in groupby(rows, key=lambda row: row["user_id"]):
        mine = list(some)
        codes = model.items.codes([row["item_id"] for row in mine])
        found = reasons(model, seq.of_users(everyone, [user]), codes, moment, lambda item: titles.get(item) or item)
        for row, reason in zip(mine, found, strict=True):
            yield row | {"reason": reason.words(language)}
