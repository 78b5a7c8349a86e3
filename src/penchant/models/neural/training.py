"""Training a network: next-event prediction at every position, early stopping, resumable.

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
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from penchant.models.neural import checkpoint, losses
from penchant.models.neural.checkpoint import Run
from penchant.models.neural.examples import LEFT_OUT, Negatives, Piece, pieces, repeats, steps, with_replay, worth_of
from penchant.models.neural.network import Body, Moments, Network, Shape, State
from penchant.models.neural.settings import NeuralSettings
from penchant.models.neural.start import Earlier, carried_over, factors
from penchant.models.validation import some_cases, validate
from penchant.types import MICROSECONDS, Arrays, Cases, Int, Monitor, PenchantError, Sequences

if TYPE_CHECKING:
    from collections.abc import Callable

    from penchant.models.neural.model import NeuralModel

# oneDNN keeps up to 1,024 products it has compiled, one for each shape, and shapes differ from step to step: gigabytes in time.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
METRIC = "ndcg@10"
JUDGED = 25_000
"""Validation cases an epoch is judged by, at most, spread evenly over all: asking costs people times items."""
FULL_SOFTMAX_UP_TO = 5_000
"""Items of a catalogue up to which ``loss=auto`` takes the whole softmax: it costs about twice the default sample there."""
PROFILED_STEPS = 20
AVERAGED = 32
"""How often an epoch weights are averaged, if they are; in fewer steps, after each."""
SOON_FORGOTTEN = 9
"""Early weights are worth little: the averages after ``n`` times keep ``n / (n + 9)`` at most (Shamir and Zhang 2013, §4)."""
GENTLY = 0.3
"""What an earlier network learned is moved by this much of the rates: by more, it unlearns at first more than it learns."""
PATIENCE = 2
"""Going on ends sooner than beginning anew: the first epochs do most."""


def train_network(
    model: NeuralModel, body: Callable[[Any, Shape], Body], train: Sequences, valid: Cases | None, monitor: Monitor
) -> None:
    """Fit ``model`` in place; its ``history`` holds each epoch's loss, seconds, targets per second and validation.

    The weights of the best epoch by validation ndcg@10 (of at most ``JUDGED`` cases) stay, or those it went on from; without
    ``valid``, those of the last.
    """
    settings = model.settings
    valid = None if valid is None else some_cases(valid, JUDGED)
    if not (train.lengths > 1).any():
        raise PenchantError("no user has two events in the training part, so there is nothing that follows anything to learn")
    network = Network(shape_of(train), settings, body)
    trainer = Trainer(network, settings, train)
    identity = _identity(model, train, valid)
    run = checkpoint.load(monitor.checkpoint, identity)
    begun: list[dict[str, float]] = []
    epochs, patience = settings.epochs, settings.patience
    if run.epoch:
        trainer.restore(run)
    elif model.earlier is not None:
        trainer.go_on_from(model.earlier)
        epochs, patience = epochs if model.earlier.epochs is None else model.earlier.epochs, min(patience, PATIENCE)
        run.best = run.averaged = _export(network)
        if valid is not None:
            model.set_weights(run.best)
            begun = [validate(model, valid)]
            monitor.progress(f"before the first epoch: valid {METRIC} {begun[0][METRIC]:.4f}", 0, 0)
    elif settings.start == "factors":
        trainer.begin_near()
    while run.epoch < epochs and not _enough(run, patience):
        with _profiling(monitor, run.epoch) as profiler:
            measured = trainer.epoch(run, monitor, profiler)
        run.weights = _export(network)
        run.averaged = trainer.used()
        if valid is not None:
            model.set_weights(run.averaged)
            measured |= validate(model, valid)
        run.history.append(measured)
        run.epoch += 1
        if valid is None or _is_best([*begun, *run.history]):
            run.best, run.best_epoch = run.averaged, run.epoch
        if monitor.checkpoint is not None:
            run.optimiser = trainer.memory()
            checkpoint.save(run, monitor.checkpoint, identity)
        monitor.progress(_words(run), 0, 0)
        if monitor.observe is not None:
            monitor.observe(run.epoch, measured)
    model.history = run.history
    if model.earlier is not None:
        model.earlier = replace(model.earlier, epochs=run.best_epoch)
    model.set_weights(run.best)


def shape_of(train: Sequences) -> Shape:
    """What of the data the network's size and its clock depend on."""
    gaps = np.diff(train.timestamp)
    inside = np.ones(len(train.timestamp), bool)
    inside[train.offsets[:-1][train.lengths > 0]] = False
    gaps = gaps[inside[1:]]
    gaps = gaps[gaps > 0]
    unit = float(np.median(gaps)) if len(gaps) else float(MICROSECONDS)
    longest = float(train.lengths.max()) * MICROSECONDS if train.clock == "index" else float(np.ptp(train.timestamp))
    return Shape(
        items=len(train.items),
        event_types=len(train.event_types),
        timed=train.clock == "real",
        unit=unit / MICROSECONDS,
        span=max(longest / unit, 1.0),
    )


def _had(piece: Piece, some: slice) -> tuple[Tensor, Tensor]:
    """What came before some of a piece's targets, as a loss leaves it out."""
    row, item = piece.had(some)
    return torch.from_numpy(row), torch.from_numpy(item)


class Trainer:
    """A network, its optimisers and the data they learn from.

    With the whole softmax, AdamW moves everything. With a sampled loss a step touches few embeddings: those are moved by
    row-sparse Adagrad (Duchi et al. 2011), the rest by AdamW.
    """

    def __init__(self, network: Network, settings: NeuralSettings, train: Sequences) -> None:
        self.network, self.settings, self.train = network, settings, train
        self.loss = settings.loss
        if self.loss == "auto":
            self.loss = "softmax" if len(train.items) <= FULL_SOFTMAX_UP_TO else "sampled"
        self.sampled = self.loss != "softmax"
        table = {"embedding", "bias"} if self.sampled else set()
        self.dense = [p for name, p in network.named_parameters() if name not in table]
        # Decay shrinks products, not offsets, norms or time constants.
        groups = [
            {"params": [p for p in self.dense if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in self.dense if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, settings.learning_rate, fused=True)
        self.squares = {name: torch.full_like(p, 1e-6) for name, p in network.named_parameters() if name in table}
        self.only_new = settings.only_new == "yes"
        if settings.only_new == "auto" and not self.sampled and not settings.label_smoothing:
            self.only_new = not repeats(train)
        self.dtype = torch.bfloat16 if _bfloat16(settings.precision) else torch.float32
        self.negatives = Negatives(np.bincount(train.item, minlength=len(train.items)), settings.negative_power)
        count = settings.negatives
        self.log_expected = np.log(count * self.negatives.share).astype(np.float32)
        self.pairs: dict[str, losses.Pairs] = {
            "sampled": losses.cross_entropy,
            "bpr_max": losses.bpr_max(settings.bpr_penalty),
            "gbce": losses.gbce(min(1.0, count / max(1, len(train.items) - 1)), settings.calibration),
        }
        targets = np.maximum(train.lengths - 1, 0)
        self.usual = float(np.average(worth_of(targets, settings), weights=targets))
        self.step = 0
        self.average = _copied(network) if settings.average else {}
        self.learned: Int | None = None

    def go_on_from(self, earlier: Earlier) -> None:
        """Begin with what another network learned, and train on what it doesn't know."""
        weights = carried_over(earlier, _export(self.network), self.train)
        self.network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
        self.learned = earlier.learned
        self.average = _copied(self.network) if self.settings.average else {}

    def begin_near(self) -> None:
        """Begin with embeddings that say what stands near what."""
        embedding = self.network.embedding.detach()
        embedding.copy_(torch.from_numpy(factors(self.train, self.settings.width, embedding.numpy())))

    def epoch(self, run: Run, monitor: Monitor, profiler: Any) -> dict[str, float]:
        """One pass over all histories; returns the mean loss of a target and how fast it went."""
        started = time.perf_counter()
        chance = np.random.default_rng([self.settings.seed, run.epoch])
        dropout = np.random.Generator(np.random.SFC64([self.settings.seed, run.epoch, 1]))
        train = self.train
        if self.learned is not None:
            train = with_replay(train, self.learned, self.settings.max_length, chance)
        plan = steps(train, self.settings, chance)
        total, targets = 0.0, 0
        for number, users in enumerate(plan):
            state: State | None = None
            for piece in pieces(train, users, self.settings, chance):
                state = None if piece.first or state is None else tuple(s.detach() for s in state)
                progress = (run.epoch + number / len(plan)) / self.settings.epochs
                loss, state = self._step(piece, state, progress, chance, dropout)
                if not math.isfinite(loss):
                    raise PenchantError(self._no_number(run, number, monitor))
                total += loss * len(piece.target)
                targets += len(piece.target)
            self._keep_average(run.epoch, number, len(plan))
            profiler.step()
            monitor.progress(f"epoch {run.epoch + 1}", number + 1, len(plan))
        seconds = time.perf_counter() - started
        return {"loss": total / targets, "seconds": seconds, "targets_per_second": targets / seconds}

    def _keep_average(self, epoch: int, number: int, plan: int) -> None:
        """Mix the weights after a step into the averaged ones, ``AVERAGED`` times an epoch."""
        times = min(AVERAGED, plan)
        before, now = (epoch * times + done * times // plan for done in (number, number + 1))
        if now == before or not self.average:
            return
        keep = self.settings.average ** (1 / times)
        if self.learned is None:
            keep = min(keep, before / (before + SOON_FORGOTTEN))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)

    def used(self) -> Arrays:
        """The weights as they are used: averaged, where the settings say so."""
        return {name: value.numpy().copy() for name, value in self.average.items()} or _export(self.network)

    def _no_number(self, run: Run, step: int, monitor: Monitor) -> str:
        good = (
            f"the last good epochs are in {monitor.checkpoint}" if monitor.checkpoint and run.epoch else "no epoch was finished"
        )
        rates = f"learning_rate ({self.settings.learning_rate})"
        rates += f" or embedding_rate ({self.settings.embedding_rate})" if self.sampled else ""
        return f"the loss is no number in epoch {run.epoch + 1}, batch {step + 1}; {good}; lower {rates}"

    def _step(
        self, piece: Piece, state: State | None, progress: float, chance: np.random.Generator, dropout: np.random.Generator
    ) -> tuple[float, State]:
        settings, network = self.settings, self.network
        rate = _rate(settings, self.step, progress) * (1.0 if self.learned is None else GENTLY)
        self.step += 1
        inside = torch.from_numpy(piece.inside)
        if self.sampled:
            drawn = self.negatives.draw(settings.negatives, chance)
            item = np.maximum(piece.item, 0)
            rows, places = np.unique(np.concatenate([item.ravel(), piece.target, drawn]), return_inverse=True)
            touched = torch.from_numpy(rows)
            own, target, negative = torch.split(torch.from_numpy(places), [item.size, len(piece.target), len(drawn)])
            weight = network.embedding.detach()[touched].requires_grad_()
            bias = network.bias.detach()[touched].requires_grad_()
            handicap = torch.from_numpy(self.log_expected[drawn]) if self.loss == "sampled" else 0.0
            pairs = self.pairs[self.loss]
            value = partial(losses.sampled_loss, target=target, negative=negative, handicap=handicap, pairs=pairs)
            own = own.view(piece.item.shape)
            had = piece.among(drawn, rows) if self.only_new else None
        else:
            weight, bias = network.embedding, network.bias
            own, target = torch.from_numpy(np.maximum(piece.item, 0)), torch.from_numpy(piece.target)
            had = piece if self.only_new else None
            value = partial(losses.softmax_loss, target=target, smoothing=settings.label_smoothing)
        # Read outside the graph, whose gradient by the table would be dense: that of the loss is, and one is enough.
        vectors = functional.embedding(own, weight.detach()).requires_grad_()
        x = vectors
        if settings.mask:
            x = x * torch.from_numpy(piece.item != LEFT_OUT).unsqueeze(-1)
        moments = Moments(torch.from_numpy(piece.gap), torch.from_numpy(piece.until))
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bfloat16"):
            interest, state = network(x, torch.from_numpy(piece.kind), moments, state, dropout)
        left_out = None if had is None else partial(_had, had)
        worth = torch.from_numpy(piece.worth / self.usual)
        loss = value(interest[inside].float(), weight, bias, worth=worth, left_out=left_out, dtype=self.dtype)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        assert vectors.grad is not None
        weight.grad.index_add_(0, own.flatten(), vectors.grad.flatten(0, 1))
        for parameter in self.dense:
            if parameter.grad is not None and parameter.dim() > 1:
                self._penalise(parameter.detach(), parameter.grad)
        torch.nn.utils.clip_grad_norm_(self.dense, settings.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate
        self.optimiser.step()
        if self.sampled:
            for name, leaf in (("embedding", weight), ("bias", bias)):
                self._adagrad(name, touched, leaf, settings.embedding_rate * rate)
        return float(loss.detach()), state

    def _penalise(self, values: Tensor, grad: Tensor) -> None:
        """Add the slopes of the L1 and L2 penalties on some weights."""
        if self.settings.l2:
            grad.add_(values, alpha=self.settings.l2)
        if self.settings.l1:
            grad.add_(values.sign(), alpha=self.settings.l1)

    def _adagrad(self, name: str, touched: Tensor, leaf: Tensor, rate: float) -> None:
        """Move some rows of a table."""
        grad, values = leaf.grad, leaf.detach()
        assert grad is not None
        if values.dim() > 1:
            self._penalise(values, grad)
        squares = self.squares[name][touched].addcmul_(grad, grad)
        self.squares[name][touched] = squares
        getattr(self.network, name).detach()[touched] = values.addcdiv_(grad, squares.sqrt_(), value=-rate)

    def memory(self) -> Arrays:
        """What the optimisers remember."""
        state = self.optimiser.state_dict()["state"]
        adam = {f"{i}.{name}": value.numpy().copy() for i, values in state.items() for name, value in values.items()}
        return (
            adam
            | {f"squares.{name}": value.numpy().copy() for name, value in self.squares.items()}
            | {"steps": np.array([self.step])}
        )

    def restore(self, run: Run) -> None:
        """Go on from where ``run`` stands."""
        self.network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in run.weights.items()})
        adam: dict[int, dict[str, Tensor]] = {}
        for key, array in run.optimiser.items():
            owner, _, name = key.partition(".")
            if owner == "squares":
                self.squares[name] = torch.from_numpy(array.copy())
            elif owner != "steps":
                adam.setdefault(int(owner), {})[name] = torch.from_numpy(array.copy())
        if self.average:
            self.average = {name: torch.from_numpy(array.copy()) for name, array in run.averaged.items()}
        self.optimiser.load_state_dict({"state": adam, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step = int(run.optimiser["steps"][0])


def _rate(settings: NeuralSettings, step: int, progress: float) -> float:
    """The share of the full rates at a step, ``progress`` (0 to 1) of the way through all epochs."""
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    fall = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return rise * fall[settings.schedule]


def _bfloat16(precision: str) -> bool:
    """Whether products with the catalogue are made in bfloat16: where the processor has it, unless told."""
    if precision != "auto":
        return precision == "bfloat16"
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def _profiling(monitor: Monitor, epoch: int) -> Iterator[Any]:
    """A profiler over the first steps of the first epoch, whose trace goes to ``monitor.profile``."""
    if monitor.profile is None or epoch > 0:
        yield _NoProfiler()
        return
    path = str(monitor.profile)
    schedule = torch.profiler.schedule(wait=0, warmup=1, active=PROFILED_STEPS, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=lambda p: p.export_chrome_trace(path)) as profiler:
        yield profiler


class _NoProfiler:
    def step(self) -> None:
        """Nothing is profiled."""


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _export(network: Network) -> Arrays:
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def _is_best(history: list[dict[str, float]]) -> bool:
    return all(history[-1][METRIC] > earlier[METRIC] for earlier in history[:-1])


def _enough(run: Run, patience: int) -> bool:
    return bool(run.history) and METRIC in run.history[-1] and run.epoch - run.best_epoch >= patience


def _words(run: Run) -> str:
    last = run.history[-1]
    measured = f", valid {METRIC} {last[METRIC]:.4f}" if METRIC in last else ""
    return f"epoch {run.epoch}: loss {last['loss']:.3f}{measured}"


def _identity(model: NeuralModel, train: Sequences, valid: Cases | None) -> str:
    """What a checkpoint must agree in to be gone on from: the model, its settings (but the patience, and the epochs unless
    rates depend on them), and the events of this split.
    """
    settings = model.settings
    free = ("epochs", "patience") if settings.schedule == "constant" else ("patience",)
    chosen = {k: v for k, v in asdict(settings).items() if k not in free}
    cut = hashlib.sha256()
    for part in (train, *((valid.histories, valid.targets) if valid is not None else ())):
        for array in (part.offsets, part.item, part.timestamp):
            cut.update(np.ascontiguousarray(array).tobytes())
    return json.dumps([model.name, chosen, train.content_hash, len(train.items), cut.hexdigest()], sort_keys=True)
