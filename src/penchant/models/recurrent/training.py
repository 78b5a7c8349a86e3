"""Training a recurrent network: next-event prediction at every position, early stopping, resumable.

All chance comes from generators seeded by (seed, epoch), so a training that was killed and resumed ends in the same
weights as one that wasn't.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from penchant import sequences as seq
from penchant.models.recurrent.network import Network, tied_cross_entropy
from penchant.models.recurrent.settings import LSTMSettings
from penchant.models.validation import validate
from penchant.types import Array, Arrays, Cases, Int, PenchantError, Progress, Sequences

if TYPE_CHECKING:
    from penchant.models.recurrent.lstm import LSTM

METRIC = "ndcg@10"
LOGITS_AT_ONCE = 1 << 21
"""Logits computed at a time (8 MB)."""


@dataclass
class Run:
    """Where a training stands after a whole epoch: all that is needed to go on."""

    epoch: int
    best_epoch: int
    history: list[dict[str, float]]
    weights: Arrays
    best: Arrays
    optimiser: Arrays


def train_network(model: LSTM, train: Sequences, valid: Cases | None, progress: Progress, checkpoint: Path | None) -> None:
    """Fit ``model`` in place; its ``history`` holds each epoch's loss, seconds, targets per second and validation.

    The weights of the best epoch by validation ndcg@10 stay; without ``valid``, those of the last.
    """
    settings = model.settings
    windows = _windows(train, settings.max_length)
    if len(windows) == 0:
        raise PenchantError("no user has two events in the training part, so there is nothing that follows anything to learn")
    network = Network(len(train.items), settings, torch.Generator().manual_seed(settings.seed))
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    identity = _identity(settings, train, valid)
    run = _resume(checkpoint, identity, network, optimiser)
    targets = int((windows[:, 1] - 1).sum())
    while run.epoch < settings.epochs and not _enough(run, settings):
        started = time.perf_counter()
        loss = _epoch(network, optimiser, train, windows, settings, run.epoch, progress)
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            raise PenchantError(
                f"the loss is no number in epoch {run.epoch + 1}; lower learning_rate ({settings.learning_rate})"
            )
        measured = {"loss": loss, "seconds": seconds, "targets_per_second": targets / seconds}
        run.weights = _export(network)
        if valid is not None:
            model.set_weights(run.weights)
            measured |= validate(model, valid)
        run.history.append(measured)
        run.epoch += 1
        if valid is None or _is_best(run.history):
            run.best, run.best_epoch = run.weights, run.epoch
        if checkpoint is not None:
            run.optimiser = _optimiser_arrays(optimiser)
            _save(run, checkpoint, identity)
        progress(_words(run), 0, 0)
    model.history = run.history
    model.set_weights(run.best)


def _windows(train: Sequences, longest: int) -> Int:
    """``[w, 2]``: start and length of stretches of at most ``longest`` events that share their border event.

    Every event but a history's first is a target exactly once.
    """
    pieces = -(-np.maximum(train.lengths - 1, 0) // (longest - 1))
    user = np.repeat(np.arange(len(train)), pieces)
    first = (longest - 1) * seq.ragged_range(np.zeros_like(pieces), pieces)
    return np.stack([train.offsets[user] + first, np.minimum(longest, train.lengths[user] - first)], axis=1)


def _epoch(
    network: Network,
    optimiser: torch.optim.Optimizer,
    train: Sequences,
    windows: Int,
    settings: LSTMSettings,
    epoch: int,
    progress: Progress,
) -> float:
    """One pass over all windows; returns the mean loss of a target."""
    dropout = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
    chunk = max(1, LOGITS_AT_ONCE // len(train.items))
    plan = list(_shuffled(windows[:, 1], settings.batch_size, np.random.default_rng([settings.seed, epoch])))
    losses, targets = 0.0, 0
    for step, rows in enumerate(plan):
        item, inside = _batch(train.item, windows[rows])
        interest, _ = network(item[:, :-1], generator=dropout)
        wanted = item[:, 1:][inside]
        loss = tied_cross_entropy(interest[inside], network.embedding, network.bias, wanted, chunk)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        losses += float(loss.detach()) * len(wanted)
        targets += len(wanted)
        progress(f"epoch {epoch + 1}", step + 1, len(plan))
    return losses / targets


def _shuffled(lengths: Int, batch_size: int, chance: np.random.Generator) -> Iterator[Int]:
    """Batches of windows of like length, in random order; which windows meet in a batch is random too."""
    order = chance.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    cuts = np.arange(batch_size, len(order), batch_size)
    batches = np.split(order, cuts)
    for index in chance.permutation(len(batches)):
        yield batches[index]


def _batch(item: Int, windows: Int) -> tuple[Tensor, Tensor]:
    """Right-padded items ``[n, L]`` and which of positions ``1 … L - 1`` are targets, ``[n, L - 1]``."""
    starts, lengths = windows[:, 0], windows[:, 1]
    width = int(lengths.max())
    out = np.zeros((len(windows), width), np.int64)
    out[np.arange(width) < lengths[:, None]] = item[seq.ragged_range(starts, lengths)]
    return torch.from_numpy(out), torch.from_numpy(np.arange(1, width) < lengths[:, None])


def _export(network: Network) -> Arrays:
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def _is_best(history: list[dict[str, float]]) -> bool:
    return all(history[-1][METRIC] > earlier[METRIC] for earlier in history[:-1])


def _enough(run: Run, settings: LSTMSettings) -> bool:
    return bool(run.history) and METRIC in run.history[-1] and run.epoch - run.best_epoch >= settings.patience


def _words(run: Run) -> str:
    last = run.history[-1]
    measured = f", valid {METRIC} {last[METRIC]:.4f}" if METRIC in last else ""
    return f"epoch {run.epoch}: loss {last['loss']:.3f}{measured}"


# Checkpoints: one safetensors file, replaced whole after each epoch.


def _identity(settings: LSTMSettings, train: Sequences, valid: Cases | None) -> str:
    """What a checkpoint must agree in to be gone on from: everything but the number of epochs and the patience."""
    chosen = {k: v for k, v in asdict(settings).items() if k not in ("epochs", "patience")}
    return json.dumps([chosen, train.content_hash, len(train.item), len(train.items), valid is not None], sort_keys=True)


def _optimiser_arrays(optimiser: torch.optim.Optimizer) -> Arrays:
    state = optimiser.state_dict()["state"]
    return {f"{index}.{name}": value.numpy().copy() for index, values in state.items() for name, value in values.items()}


def _save(run: Run, path: Path, identity: str) -> None:
    groups = {"weights": run.weights, "best": run.best, "optimiser": run.optimiser}
    tensors = {f"{group}/{name}": array for group, arrays in groups.items() for name, array in arrays.items()}
    words = json.dumps({"identity": identity, "epoch": run.epoch, "best_epoch": run.best_epoch, "history": run.history})
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, partial, metadata={"run": words, "sha256": _digest(words, tensors)})
        os.replace(partial, path)  # noqa: PTH105
    except (OSError, SafetensorError) as error:
        raise PenchantError(f"{path}: the checkpoint can't be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _digest(words: str, tensors: Arrays) -> str:
    digest = hashlib.sha256(words.encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _resume(path: Path | None, identity: str, network: Network, optimiser: torch.optim.AdamW) -> Run:
    """The run in the checkpoint, its weights put back; a new run where there is no checkpoint."""
    if path is None or not path.exists():
        return Run(0, 0, [], {}, {}, {})
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        whole = metadata["sha256"] == _digest(metadata["run"], tensors)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise PenchantError(f"{path}: is not a checkpoint; delete it and train from the start") from error
    if not whole:
        raise PenchantError(f"{path}: is damaged; delete it and train from the start")
    words = json.loads(metadata["run"])
    if words["identity"] != identity:
        raise PenchantError(f"{path}: was made with other settings or data; delete it, or train with the same")
    groups: dict[str, dict[str, Array]] = {"weights": {}, "best": {}, "optimiser": {}}
    for key, array in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = array
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in groups["weights"].items()})
    state: dict[int, dict[str, Tensor]] = {}
    for key, array in groups["optimiser"].items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = torch.from_numpy(array.copy())
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return Run(words["epoch"], words["best_epoch"], words["history"], **groups)
