"""Will these people like these items? A head learned from impressions with labels, and candidates ranked by it.

Learning needs the extra ``train`` (PyTorch); ranking doesn't.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from penchant import artifact, binary, folders
from penchant import sequences as seq
from penchant.data import dataset
from penchant.data.impressions import check_items, read_candidates, read_impressions
from penchant.evaluation import pointwise, pointwise_report
from penchant.evaluation.pointwise import Pointwise
from penchant.evaluation.splits import PARTS
from penchant.models import RANKERS
from penchant.models.interest import Interest, InterestSettings, states_at
from penchant.types import UNKNOWN, Array, Impressions, Interactions, Monitor, PenchantError, Progress, quiet

VALID_SHARE = TEST_SHARE = 0.15
"""Of impressions; a person has few, and figures within people need some of each."""


def split(impressions: Impressions) -> tuple[Impressions, Impressions, Impressions]:
    """The earlier impressions to learn from, later ones to choose by, the latest to report on."""
    cuts = cuts_of(impressions)
    part = np.searchsorted(np.array(cuts), impressions.timestamp, side="right")
    train, valid, test = (impressions.take(np.flatnonzero(part == number)) for number in range(3))
    for what, some in (("learn from", train), ("validate on", valid), ("test on", test)):
        label = next(iter(some.labels.values()))
        if len(some) == 0 or label.min() == label.max():
            raise PenchantError(
                f"the {len(some):,} impressions to {what} (by time) hold {'nothing' if len(some) == 0 else 'one class only'}; "
                "give impressions of a longer time"
            )
    return train, valid, test


def cuts_of(impressions: Impressions) -> tuple[int, int]:
    """The moments from which impressions are for validation, and for the test."""
    ascending = np.sort(impressions.timestamp)
    n = len(ascending)
    return int(ascending[int(n * (1 - VALID_SHARE - TEST_SHARE))]), int(ascending[int(n * (1 - TEST_SHARE))])


def train_interest(
    folder: str | Path,
    base: str | Path,
    impressions: str | Path,
    out: str | Path,
    *,
    labels: Mapping[str, str] | None = None,
    context: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    content: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    encoding: str = "utf-8",
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Train the head ``interest`` on impressions, over the trained model ``base`` and the dataset ``folder`` it read.

    The earliest 70% of the impressions are learned from, the next 15% choose the epoch and calibrate, the last 15% are
    reported on. Writes a model folder at ``out`` and returns what was measured. Raises ``PenchantError`` for labels, columns
    or a base that know what happened later, naming them.
    """
    out = Path(out)
    folders.check_replaceable(out, artifact.FILES)
    model = Interest(InterestSettings.parse(settings or {}))
    log = dataset.load(folder, content)
    shown = read_impressions(impressions, log, columns=columns, labels=labels, context=context, encoding=encoding)
    parts = split(shown)
    cut = int(parts[1].timestamp.min())
    check_items(Path(folder) / dataset.ITEMS, content or (), shown, cut)
    model.take_base(artifact.load(base), log.items, log.event_types)
    _check_base(base, log, cut)
    try:
        from penchant.models.neural.interest_training import train_head
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise PenchantError(
            "training the model interest needs PyTorch; install it with: pip install 'penchant[train]' "
            "(the README tells how to get the small CPU build)"
        ) from error
    started = time.perf_counter()
    train, valid, test = parts
    said = train_head(model, seq.histories(log), train, valid, [test], log.content, Monitor(progress))
    measured = {
        name: measure(model, logits, part) for name, logits, part in zip(("valid", "test"), said, (valid, test), strict=True)
    }
    lineage = {
        "dataset": log.content_hash,
        "dataset_folder": str(folder),
        "split": f"impressions before {cut}",
        "base": artifact.read_lineage(base),
    }
    artifact.save(model, out, lineage | measured)
    return {
        "model": str(out),
        "epochs": len(model.history),
        "seconds": time.perf_counter() - started,
        "impressions_per_second": float(np.mean([epoch["impressions_per_second"] for epoch in model.history])),
        "impressions": {"train": len(train), "valid": len(valid), "test": len(test)},
        **measured,
    }


def _check_base(path: str | Path, log: Interactions, cut: int) -> None:
    """Refuse a base that has learned from other data, or from events after the impressions that are learned from."""
    lineage = artifact.read_lineage(path)
    if lineage.get("dataset") != log.content_hash:
        raise PenchantError(
            f"{path}: {artifact.other_dataset(lineage, log.content_hash)}, where equal ids may be other items; train it on "
            "this one"
        )
    ascending = np.sort(log.timestamp)
    refit = "validation" in str(lineage.get("trained_on"))
    last = ascending[max(0, len(log) * (PARTS - (1 if refit else 2)) // PARTS - 1)]
    if log.clock != "real" or lineage.get("split") != "temporal" or last >= cut:
        raise PenchantError(
            f"{path}: has learned from events later than the impressions to learn from, so it may know the answers; train it "
            "with --split temporal on a log that begins earlier"
        )


def measure(model: Interest, logits: Array, part: Impressions) -> dict[str, Any]:
    """Of each target: ``binary.METRICS``, ``auc_within`` people, ``calibration_error``, counts, and the reliability curve."""
    slope, offset = model.calibration
    found: dict[str, Any] = {}
    for place, (target, label) in enumerate(part.labels.items()):
        p = 1 / (1 + np.exp(-(logits[:, place].astype(float) * slope[place] + offset[place])))
        within = binary.auc_within(p, label, part.user)[0]
        found[target] = {name: _number(value) for name, value in binary.measure(p, label).items()} | {
            "auc_within": _number(float(within.mean()) if len(within) else math.nan),
            "calibration_error": binary.calibration_error(p, label),
            "impressions": len(part),
            "share_of_ones": float(label.mean()),
            "people_with_both": len(within),
            "reliability": binary.reliability(p, label),
        }
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def load_ranker(path: str | Path) -> Interest:
    """A model that ``train_interest`` wrote. ``PenchantError`` for another."""
    config = artifact.read_config(path)
    if config["model"] not in RANKERS:
        raise PenchantError(
            f"{path}: is a {config['model']}, which recommends but doesn't rank candidates; train --model interest"
        )
    model = artifact.load(path)
    assert isinstance(model, Interest)
    return model


def evaluate_rankers(
    folder: str | Path,
    models: Sequence[str],
    impressions: str | Path,
    *,
    labels: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    encoding: str = "utf-8",
    progress: Progress = quiet,
) -> Pointwise:
    """Judge models that ``train_interest`` wrote by the latest 15% of the impressions they learned from, beside simple methods.

    Raises ``PenchantError`` for models that can't stand in one table: of another dataset, of other impressions (they may know
    the answers), or of other targets.
    """
    heads = {name: load_ranker(name) for name in _once(models)}
    log = dataset.load(folder)
    context = dict.fromkeys(place for head in heads.values() for place in head.form.places)
    shown = read_impressions(impressions, log, columns=columns, labels=labels, context=list(context), encoding=encoding)
    _, valid, test = split(shown)
    cut = int(valid.timestamp.min())
    for name, head in heads.items():
        _check_comparable(name, head, next(iter(heads.items())), log, shown, cut)
    said = {name: _probabilities(head, log, _coded(test, log, head), progress) for name, head in heads.items()}
    known = shown.take(np.flatnonzero(shown.timestamp < test.timestamp.min()))
    answers, left_out = {}, []
    for target in next(iter(heads.values())).form.targets:
        progress(f"judging {target}", 0, 0)
        label, before = test.labels[target], known.labels[target]
        if label.min() == label.max():
            left_out.append(target)
            continue
        controls = {
            "everybody's share": np.full(len(test), before.mean()),
            "the item's share": pointwise.shares_before(known.item, before, test.item),
            "the person's share": pointwise.shares_before(known.user, before, test.user),
        }
        answers[target] = pointwise.judge({name: p[target] for name, p in said.items()}, controls, label, test.user, seed)
    facts = {
        "impressions": len(test),
        "people": len(np.unique(test.user)),
        "learned_from": len(known),
        "new_people": float((~np.isin(test.user, known.user)).mean()),
        "new_items": float((~np.isin(test.item, known.item)).mean()),
    }
    return Pointwise(answers, facts, tuple(left_out))


def write_report(result: Pointwise, out: str | Path, *, force: bool = False) -> None:
    """Write the report's files into the folder ``out``. ``PenchantError`` where it exists, unless by ``force``."""
    folders.write_texts(out, pointwise_report.files(result), force=force)


def check_report(out: str | Path, *, force: bool = False) -> None:
    """``PenchantError`` if a report can't be written to ``out``: what is there stays, unless by ``force``."""
    folders.check_replaceable(out, pointwise_report.FILES, force=force)
    folders.check_writable(out)


def _once(models: Sequence[str]) -> Sequence[str]:
    if not models:
        raise PenchantError("no model was named")
    twice = [name for place, name in enumerate(models) if name in models[:place]]
    if twice:
        raise PenchantError(f"{twice[0]} is named twice; a table has one line for each model")
    return models


def _check_comparable(
    name: str, head: Interest, first: tuple[str, Interest], log: Interactions, shown: Impressions, cut: int
) -> None:
    lineage = artifact.read_lineage(name)
    if lineage.get("dataset") != log.content_hash:
        told = artifact.other_dataset(lineage, log.content_hash)
        raise PenchantError(f"{name}: {told}; name that one, or train it on this one")
    if lineage.get("split") != f"impressions before {cut}":
        raise PenchantError(
            f"{name}: learned from other impressions than the first 70% of these, so it may know the answers; train it on these"
        )
    if head.form.targets != first[1].form.targets:
        raise PenchantError(
            f"{name} and {first[0]} can't stand in one table: one tells {', '.join(head.form.targets)}, the other "
            f"{', '.join(first[1].form.targets)}"
        )
    if missing := [target for target in head.form.targets if target not in shown.labels]:
        raise PenchantError(
            f"the impressions have no column of {missing[0]}, which {name} tells; name it, for example "
            f"--labels {missing[0]}=COLUMN"
        )


def _coded(read: Impressions, log: Interactions, model: Interest) -> Impressions:
    """The same with items as the model codes them."""
    return replace(read, item=log.items.translation(model.items)[read.item], items=model.items)


def rank_candidates(
    model: Interest,
    log: Interactions,
    candidates: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    now: int | None = None,
    encoding: str = "utf-8",
    progress: Progress = quiet,
) -> Iterator[dict[str, Any]]:
    """Rows ``user_id, item_id``, the probability of each target, ``rank``: the candidates of each person, likeliest first.

    ``candidates`` is a file of users and items, with the context columns the model was trained with, and moments if it has
    some (else all are asked about at ``now``, by default that of the log's last event). People are read up to that moment.
    """
    moment = int(log.timestamp.max()) if now is None else now
    read, ids = read_candidates(
        candidates, log, columns=columns, context=list(model.form.places), now=moment, encoding=encoding
    )
    read = _coded(read, log, model)
    strangers = len(read.users) - len(log.users)
    if strangers:
        progress(f"{strangers:,} people aren't in the dataset: they are told as newcomers are", 0, 0)
    unknown = float((read.item == UNKNOWN).mean())
    if unknown:
        progress(
            f"{unknown:.1%} of the candidates are items the model doesn't know: told by when and where they are shown", 0, 0
        )
    said = _probabilities(model, log, read, progress)
    first = next(iter(said.values()))
    order = np.lexsort((-first, read.user))
    ranks = np.arange(len(read)) - np.searchsorted(read.user, read.user, side="left") + 1
    for place, row in enumerate(order.tolist()):
        told = {target: float(p[row]) for target, p in said.items()}
        yield {"user_id": read.users[int(read.user[row])], "item_id": str(ids[row]), **told, "rank": int(ranks[place])}


def _probabilities(model: Interest, log: Interactions, candidates: Impressions, progress: Progress) -> dict[str, Array]:
    """P(target) of each candidate, ``[N]`` by name: all that one person is asked at one moment at once."""
    new = (np.diff(candidates.user, prepend=-1) != 0) | (np.diff(candidates.timestamp, prepend=-1) != 0)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(candidates))
    codes = model.codes(candidates.context)
    said = {target: np.empty(len(candidates), np.float32) for target in model.form.targets}
    for rows, state in states_at(model, seq.histories(log), candidates.take(first), progress=progress):
        for place, row in enumerate(rows.tolist()):
            some = slice(first[row], last[row])
            found = model.probabilities(
                state[place : place + 1],
                candidates.timestamp[first[row] : first[row] + 1],
                candidates.item[None, some],
                {name: values[None, some] for name, values in codes.items()},
            )
            for target, p in found.items():
                said[target][some] = p[0]
    return said
