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
from typing import Any

import numpy as np

from penchant import artifact, evaluation, folders
from penchant import sequences as seq
from penchant.data import dataset
from penchant.data.clean import PrepareConfig
from penchant.evaluation.drift import reference
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
TRIES = 3
"""So often the newest events are learned too, if meanwhile some of the store's were deleted."""


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

    What is deleted from the store while this goes on isn't in the model that is put there. Raises ``PenchantError`` where the
    store has too few events that the model hasn't learned, or nobody to ask, or where another model was put at the folder
    meanwhile.
    """
    folder = Path(model)
    mend(folder)
    serving = artifact.read_config(folder)["id"]  # where there is no model, nothing is put beside it
    with folders.alone(folder, "an update of this model"), folders.scratch(folder, "update") as work:
        champion, lineage = artifact.load(folder), artifact.read_lineage(folder)
        store = read_store(ledger, work, progress)
        log, new = store.log, store.number > learned_before(ledger, lineage)
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
            about = {
                "store": ledger.meta()["store"],
                "parent": serving,
                "parent_dataset": lineage.get("dataset"),
                "promoted_because": why,
                "compared": result.models,
                "update_histories": challenger.histories(),
            }
            challenger = _promote(folder, champion, challenger, store, ledger, work, about, progress)
    return Update(
        promoted=promoted,
        why=why,
        champion=serving,
        challenger=challenger.id,
        new_events=int(new.sum()),
        asked=int(result.facts["targets"]),
        metrics=result.models,
        items_before=len(champion.items),
        items_after=len(challenger.items) if promoted else len(champion.items),
    )


def _compared(
    champion: Model, challenger: Model, log: Interactions, cut: Split, k: int, seed: int, progress: Progress
) -> evaluation.Evaluation:
    """Both asked about each of the newest events in order of time, which then they know, as they would live."""
    models = {"champion": champion, "challenger": challenger}
    measured = evaluation.measure_live(models, log, cut, LIVE, k=k, own_items=True, progress=progress)
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


@dataclass(frozen=True)
class Store:
    """A store's events and items as a log, cleaned, and each event's ``number[m]`` in the store."""

    log: Interactions
    number: Int
    last: int
    """The number of the last event there was,"""
    extent: tuple[int, int, int]
    """and ``Ledger.extent`` of all up to it."""

    def holds(self, ledger: Ledger) -> bool:
        """Whether all that was there then still is, and of the same people."""
        return ledger.extent(self.last) == self.extent


def read_store(ledger: Ledger, work: Path, progress: Progress) -> Store:
    """A store as it is at this moment, prepared as any log is."""
    progress("reading the store", 0, 0)
    events, items = work / "events.csv", work / "items.csv"
    with ledger.database.reading():  # of one moment
        last = ledger.last_number()
        extent = ledger.extent(last)
        with events.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user_id", "item_id", "timestamp", "event_type", "value", "event_id", NUMBER])
            writer.writerows(ledger.export())
        with items.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["item_id", "title", "categories", "labels"])
            writer.writerows([i.item_id, i.text, "|".join(i.categories), labels_text(i.labels)] for i in ledger.items())
        described = items if ledger.counts()["items"] else None
        timed = ledger.is_timed()
    read = dataset.read(events, items=described, time_unit="us" if timed else "index")
    # Times were checked as they came; those of a log without times, before others', are places.
    config = PrepareConfig(skip=("impossible_times",))
    dataset.write_dataset(read, work / "dataset", config, progress=progress)
    return Store(dataset.load(work / "dataset"), dataset.column(work / "dataset", NUMBER), last, extent)


def labels_text(labels: Any) -> str:
    """All strings in some JSON, one after another."""
    if isinstance(labels, str):
        return labels
    inside = labels.values() if isinstance(labels, Mapping) else labels if isinstance(labels, Sequence) else ()
    return " ".join(word for word in map(labels_text, inside) if word)


# The folder, and the one before. While two are exchanged there may be none for an instant.


def previous(folder: Path) -> Path:
    """Where the model stands that served before."""
    return _beside(folder, "previous")


def _beside(folder: Path, name: str) -> Path:
    return folder.absolute().with_name(f"{folder.absolute().name}.{name}")


def _promote(
    folder: Path,
    champion: Model,
    challenger: Model,
    store: Store,
    ledger: Ledger,
    work: Path,
    about: Mapping[str, Any],
    progress: Progress,
) -> Model:
    """Let the challenger learn the newest events too, those that are still in the store then, and put it in the place of the
    champion, which stays beside it.
    """
    arriving = _beside(folder, "next")
    try:
        for _ in range(TRIES):
            progress("the challenger learns the newest events too", 0, 0)
            if not store.holds(ledger):
                store = read_store(ledger, work, progress)
            everything = seq.histories(store.log)
            made = challenger.refitted(everything, progress=progress)
            made.set_histories(champion.histories())  # what a training from the beginning goes by
            learned = {
                "dataset": store.log.content_hash,
                "split": "none: all events of the store",
                "trained_on": f"the store's events up to number {store.last}",
                "learned_to": store.last,
                "inputs": reference(made.items, everything),
            }
            artifact.save(made, arriving, {**about, **learned})
            if artifact.read_config(folder)["id"] != about["parent"]:
                raise PenchantError(f"{folder}: isn't the model any more that was to be updated; it stays as it is")
            if store.holds(ledger):
                rmtree(previous(folder), ignore_errors=True)
                folders.rename(folder, previous(folder))
                folders.rename(arriving, folder)
                return made
        raise PenchantError(f"events were deleted from the store during each of {TRIES} trainings; update {folder} later")
    finally:
        rmtree(arriving, ignore_errors=True)


def roll_back(model: str | Path) -> str:
    """Put the model that served before in its place again, and this one beside it; returns its id.

    Raises ``PenchantError`` where there is none.
    """
    folder = Path(model)
    mend(folder)
    before = previous(folder)
    if not before.exists():
        raise PenchantError(f"{before}: isn't there, so there is nothing to go back to")
    artifact.load(before)  # which says what is wrong with it, if anything is
    aside = _beside(folder, "aside")
    with folders.alone(before, "an exchange of models"):
        folders.rename(folder, aside)
        folders.rename(before, folder)
        folders.rename(aside, before)
    return str(artifact.read_config(folder)["id"])


def rolled_back(model: str | Path) -> bool:
    """Whether the model beside it is one that this one was the parent of: somebody went back."""
    folder = Path(model)
    before = previous(folder)
    return before.exists() and artifact.read_lineage(before).get("parent") == artifact.read_config(folder)["id"]


def mend(model: str | Path) -> None:
    """Bring an exchange of models to its end that a crash came between."""
    folder = Path(model)
    before, aside = previous(folder), _beside(folder, "aside")
    if folder.exists() and not aside.exists():
        return
    for left in (folder, before, aside):  # one of them is held by whoever exchanges models now
        if left.exists():
            with folders.alone(left, "an exchange of models"):
                pass
    if not folder.exists():
        whole = next((left for left in (aside, _beside(folder, "next"), before) if _is_model(left)), None)
        if whole is not None:
            folders.rename(whole, folder)
    if folder.exists() and aside.exists():
        rmtree(aside) if before.exists() else folders.rename(aside, before)


def _is_model(folder: Path) -> bool:
    try:
        artifact.load(folder)
    except PenchantError:
        return False
    return True
