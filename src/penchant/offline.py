"""Recommendations for the people of a dataset: their histories in, the output frame out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model
from penchant.models.validation import people_at_once, seen_items
from penchant.ranking import check_k, recommend
from penchant.types import UNKNOWN, Interactions, PenchantError, Progress, Sequences, quiet


def recommend_users(
    model: Model,
    log: Interactions,
    users: Sequence[str] | None = None,
    *,
    k: int = 10,
    seen: str = "exclude",
    now: int | None = None,
    explain: bool = False,
    progress: Progress = quiet,
) -> Iterator[dict[str, Any]]:
    """Rows ``user_id, item_id, score, rank`` for each of ``users`` (by default all), from their whole history in ``log``.

    A user the log doesn't know gets what the model says of someone new. ``now`` (microseconds) is the moment asked
    about, by default that of the log's last event. With ``explain``, a row has the parts of its score too.
    """
    check_k(k, len(model.items))
    if seen not in ("exclude", "keep"):
        raise PenchantError(f"seen items are either to 'exclude' or to 'keep', not {seen!r}")
    everyone = seq.histories(log)
    chosen = everyone if users is None else seq.of_users(everyone, users)
    histories = seq.recode(chosen, model.items)
    _remark(chosen, histories, progress)
    moment = int(log.timestamp.max()) if now is None else now
    without = 0
    for rows in people_at_once(len(histories), len(model.items)):
        some = seq.select(histories, rows)
        exclude = seen_items(some) if seen == "exclude" else None
        states = model.encode(some)
        ranking = recommend(model, states, k, now=np.full(len(some), moment), exclude=exclude, explain=explain)
        without += int((ranking.item == UNKNOWN).all(axis=1).sum())
        yield from ranking.rows(some.users.ids)
        progress("recommending", int(rows[-1]) + 1, len(histories))
    if without:
        progress(
            f"{without:,} of {len(histories):,} people get no list: they had all items there are to recommend, and what "
            "people had is left out",
            0,
            0,
        )


def _remark(chosen: Sequences, known: Sequences, progress: Progress) -> None:
    """Say whom the log doesn't know, and how much of it the model doesn't; refuse where the model knows nothing of it."""
    strangers = int((chosen.lengths == 0).sum())
    if strangers:
        progress(f"{strangers:,} of {len(chosen):,} people aren't in the dataset: they get what newcomers get", 0, 0)
    unknown = float((known.item == UNKNOWN).mean()) if len(known.item) else 0.0
    if unknown == 1:
        raise PenchantError("the model knows none of the items in these histories; it was trained on other items")
    if unknown > 0:
        progress(f"{unknown:.1%} of their events are of items the model doesn't know, and are passed over", 0, 0)
