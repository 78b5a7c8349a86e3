"""Learning from what the store has seen: a challenger is trained, compared on the newest events, promoted if it isn't worse.

The model that serves (the champion) and one that learned all before the newest events too (the challenger) are both asked about
these, each knowing of the time before them what it would have known live. A challenger that isn't worse, so far as people can
tell from so many answers, learns the newest events too and takes the champion's place; the champion stays beside it, to go
back to. A challenger's network goes on from the champion's weights, on new events and a sample of old ones (see
``Model.updated``). Items that were unknown join the catalogue. A server that serves the folder notices (see
``deployment.Following``).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penchant import artifact, evaluation, folders
from penchant import sequences as seq
from penchant.data import dataset
from penchant.data.clean import PrepareConfig
from penchant.evaluation.drift import reference
from penchant.live.events import FIRST_YEAR
from penchant.live.ledger import Ledger
from penchant.live.memory import learned_before
from penchant.models.base import Model
from penchant.types import Array, Int, Interactions, Learning, PenchantError, Progress, Sequences, Split, quiet

FEWEST = 100
"""New events needed to learn from; with fewer, nothing could be told."""
TEST_SHARE = 0.25
VALID_SHARE = 0.25
"""Of the new events, the newest are asked about, and those before them choose when training stops."""
METRIC = "ndcg"
LIVE = evaluation.Live()
"""How the newest events are asked about: states take in each at once, memories learn hour by hour."""
NUMBER = "number_in_store"


@dataclass(frozen=True)
class Update:
    """What came of an update: both models' figures on the newest events, and what was done."""

    promoted: bool
    why: str
    champion: str
    challenger: str
    new_events: int
    asked: int
    metrics: Mapping[str, Mapping[str, float]]
    items_before: int
    items_after: int


def update(model: str | Path, ledger: Ledger, *, k: int = 10, seed: int = 0, progress: Progress = quiet) -> Update:
    """Learn from a store and put the better model at the folder ``model``; the one before is kept beside it (``rollback``).

    Raises ``PenchantError`` where the store has too few events that the model hasn't learned, or nobody to ask.
    """
    folder = Path(model)
    artifact.read_config(folder)  # where there is no model, nothing is put beside it
    with (
        folders.alone(folder, "an update of this model"),
        TemporaryDirectory(dir=folder.absolute().parent, prefix=".update-") as work,
    ):
        champion, lineage = artifact.load(folder), artifact.read_lineage(folder)
        log, numbers = read_store(ledger, Path(work), progress)
        new = numbers > learned_before(ledger, lineage)
        if new.sum() < FEWEST:
            raise PenchantError(f"the store has {new.sum():,} events that {folder} hasn't learned; an update needs {FEWEST:,}")
        cut = _cut(log, new)
        known = seq.histories(log, ~new)
        progress(f"training a challenger on {len(cut.train.item):,} events, of which {len(known.item):,} are known", 0, 0)
        challenger = champion.updated(cut.train, cut.valid, known, progress=progress)
        _as_if_live(champion, known, cut.before_test)
        _as_if_live(challenger, cut.train, cut.before_test)
        result = _compared(champion, challenger, log, cut, min(k, len(champion.items)), seed, progress)
        promoted, why = _judged(result)
        if promoted:
            progress("the challenger learns the newest events too", 0, 0)
            histories, everything = challenger.histories(), seq.histories(log)
            challenger = challenger.refitted(everything, progress=progress)
            challenger.set_histories(champion.histories())  # what a training from the beginning goes by
            comes_from = _lineage(folder, ledger, log, int(numbers.max())) | {
                "inputs": reference(challenger.items, everything),
                "promoted_because": why,
                "compared": result.models,
                "update_histories": histories,
            }
            _promote(challenger, folder, comes_from)
    return Update(
        promoted=promoted,
        why=why,
        champion=artifact.read_config(previous(folder) if promoted else folder)["id"],
        challenger=challenger.id,
        new_events=int(new.sum()),
        asked=int(result.facts["targets"]),
        metrics=result.models,
        items_before=len(champion.items),
        items_after=len(challenger.items) if promoted else len(champion.items),
    )


def _lineage(folder: Path, ledger: Ledger, log: Interactions, last: int) -> dict[str, Any]:
    """Where a model comes from that learned all events of a store, up to number ``last``, after the one in ``folder``."""
    return {
        "dataset": log.content_hash,
        "split": "none: all events of the store",
        "trained_on": f"the store's events up to number {last}",
        "store": ledger.meta()["store"],
        "learned_to": last,
        "parent": artifact.read_config(folder)["id"],
        "parent_dataset": artifact.read_lineage(folder).get("dataset"),
    }


def _compared(
    champion: Model, challenger: Model, log: Interactions, cut: Split, k: int, seed: int, progress: Progress
) -> evaluation.Evaluation:
    """Both asked about each of the newest events in order of time, which then they know, as they would live."""
    models = {"champion": champion, "challenger": challenger}
    measured = evaluation.measure_live(models, log, cut, LIVE, cut.before_test, k=k, own_items=True, progress=progress)
    return evaluation.summarise([measured], list(models), split=str(LIVE), k=k, seen="exclude", reading="online", seed=seed)


def _judged(result: evaluation.Evaluation) -> tuple[bool, str]:
    """Whether the challenger isn't worse, and why."""
    metric = f"{METRIC}@{result.k}"
    champion, challenger = (result.models[name][metric] for name in ("champion", "challenger"))
    figures = f"{metric} {challenger:.4f} beside the champion's {champion:.4f}"
    if challenger >= champion:
        return True, f"the challenger isn't worse: {figures}"
    if "challenger" in result.close:
        return True, f"the challenger can't be told from the champion, and knows newer events: {figures}"
    return False, f"the challenger is worse: {figures}"


def _cut(log: Interactions, new: Array) -> Split:
    """A split event by event whose test part are the newest of the new events, and whose validation part those before."""
    moments = np.sort(log.timestamp[new])
    first_valid = int(moments[int(len(moments) * (1 - TEST_SHARE - VALID_SHARE))])
    first_test = int(moments[int(len(moments) * (1 - TEST_SHARE))])
    return replace(evaluation.event_by_event(log, first_valid, first_test), cuts=(first_valid, first_test))


def _as_if_live(model: Model, learned: Sequences, before: Sequences) -> None:
    """Let a model that learns without gradients know what it would have known live at the moment it is asked."""
    if isinstance(model, Learning):
        model.learn(before)
        try:
            model.unlearn(learned)
        except PenchantError:  # it was trained on less than the store was loaded with
            model.unlearn(before)


def read_store(ledger: Ledger, work: Path, progress: Progress) -> tuple[Interactions, Int]:
    """The store's events and items, prepared as any log is, and each event's number in the store."""
    progress("reading the store", 0, 0)
    events, items = work / "events.csv", work / "items.csv"
    with events.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp", "event_type", "value", "event_id", NUMBER])
        writer.writerows(ledger.export())
    with items.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title", "categories", "labels"])
        writer.writerows([i.item_id, i.text, "|".join(i.categories), labels_text(i.labels)] for i in ledger.items())
    described = items if ledger.counts()["items"] else None
    timed = max(ledger.last_times(1), default=FIRST_YEAR) >= FIRST_YEAR
    read = dataset.read(events, items=described, time_unit="us" if timed else "index")
    # Times were checked as they came; those of a log without times, before others', are places.
    config = PrepareConfig(skip=("impossible_times",))
    dataset.write_dataset(read, work / "dataset", config, progress=progress)
    return dataset.load(work / "dataset"), dataset.column(work / "dataset", NUMBER)


def labels_text(labels: Any) -> str:
    """All strings in some JSON, one after another."""
    if isinstance(labels, str):
        return labels
    inside = labels.values() if isinstance(labels, Mapping) else labels if isinstance(labels, Sequence) else ()
    return " ".join(word for word in map(labels_text, inside) if word)


# The folder, and the one before.


def previous(folder: Path) -> Path:
    """Where the model stands that served before."""
    return folder.absolute().with_name(f"{folder.absolute().name}.previous")


def _promote(model: Model, folder: Path, lineage: Mapping[str, Any]) -> None:
    """Put a model in the place of another, which stays beside it. A reader finds the old one, the new one, or for an instant
    none.
    """
    arriving = folder.absolute().with_name(f"{folder.absolute().name}.next")
    artifact.save(model, arriving, lineage)
    rmtree(previous(folder), ignore_errors=True)
    folder.rename(previous(folder))
    arriving.rename(folder)


def roll_back(model: str | Path) -> str:
    """Put the model that served before in its place again, and this one beside it; returns its id.

    Raises ``PenchantError`` where there is none.
    """
    folder = Path(model)
    before = previous(folder)
    if not before.exists():
        raise PenchantError(f"{before}: isn't there, so there is nothing to go back to")
    artifact.load(before)  # which says what is wrong with it, if anything is
    aside = folder.absolute().with_name(f"{folder.absolute().name}.aside")
    folder.rename(aside)
    before.rename(folder)
    aside.rename(before)
    return str(artifact.read_config(folder)["id"])
