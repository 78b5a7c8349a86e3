"""Training the head of the model interest: all targets together, a person's candidates sharing one reading of their events.

Needs torch; ``models/interest.py`` computes the same in NumPy.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from penchant.binary import auc, auc_within
from penchant.models.interest import (
    GAP_EDGES,
    GAPS,
    HOUR,
    HOURS,
    Form,
    Interest,
    InterestSettings,
    events_before,
    states_at,
)
from penchant.models.neural.network import Dropout
from penchant.types import Array, Content, Float, Impressions, Int, Monitor, PenchantError, Sequences, Vocabulary

TOGETHER = 8
"""Impressions of one person, at most, that share a reading of the person's events."""


@dataclass(frozen=True)
class Lessons:
    """Impressions as the head learns from them, in rows of one person's: ``R`` rows of at most ``I`` impressions.

    Row ``r`` has the impressions ``first[r]`` to ``last[r]`` and sees the events ``begin[r]`` to ``end[r]``, each impression
    of them the ring before ``upto[N]``. Beside: ``long[N, …]``, ``short[N, …]``, ``counts[N, kinds]``, ``hour[N]``,
    ``places[N, columns]``, ``labels[N, targets]``.
    """

    histories: Sequences
    impressions: Impressions
    upto: Int
    floor: Int
    first: Int
    last: Int
    begin: Int
    end: Int
    long: Float
    short: Float
    counts: Float
    hour: Int
    places: Int
    labels: Float

    def __len__(self) -> int:
        return len(self.first)


def lessons(model: Interest, form: Form, histories: Sequences, impressions: Impressions, monitor: Monitor) -> Lessons:
    """What the head learns from impressions, the model beneath having read the events before each."""
    ring = model.settings.ring
    upto = events_before(histories, impressions)
    starts = np.append(histories.offsets, histories.offsets[-1])[np.minimum(impressions.user, len(histories))]
    floor = np.maximum(upto - ring, starts)
    n = len(impressions)
    long, short = np.zeros((n, form.vectors[0]), np.float32), np.zeros((n, form.vectors[1]), np.float32)
    if any(form.vectors):
        for rows, state in states_at(model, histories, impressions, progress=monitor.progress):
            long[rows], short[rows] = model.vectors(state.arrays, impressions.timestamp[rows])
    seen = np.zeros((len(histories.item) + 1, form.kinds), np.int32)
    np.cumsum(histories.event_type[:, None] == np.arange(form.kinds), axis=0, out=seen[1:])
    # A row is a person's impressions in order, up to TOGETHER of them that see nearly the same events.
    place = np.arange(n) - np.maximum.accumulate(np.where(np.diff(impressions.user, prepend=-1) != 0, np.arange(n), 0))
    key = np.stack([impressions.user, place // TOGETHER, (upto - starts) // ring])
    first = np.flatnonzero((np.diff(key, axis=1, prepend=-1) != 0).any(axis=0))
    last = np.append(first[1:], n)
    places = [Vocabulary(values).codes([str(v) for v in impressions.context[c]]) for c, values in form.places.items()]
    return Lessons(
        histories,
        impressions,
        upto,
        floor,
        first,
        last,
        floor[first],
        upto[last - 1],
        long,
        short,
        np.log1p(seen[upto] - seen[floor]).astype(np.float32),
        (impressions.timestamp // HOUR) % HOURS,
        np.stack(places, axis=1) if places else np.zeros((n, 0), np.int32),
        np.stack([impressions.labels[t] for t in form.targets], axis=1).astype(np.float32),
    )


@dataclass(frozen=True)
class Step:
    """Some rows of lessons, padded: ``n`` impressions in ``R`` rows of ``I``, each row seeing ``L`` events."""

    rows: Tensor
    inside: Tensor
    item: Tensor
    events: Tensor
    kinds: Tensor
    hidden: Tensor
    age: Tensor


def step_of(all_: Lessons, rows: Int, *, attended: bool) -> Step:
    """The step of these rows."""
    count, length = all_.last[rows] - all_.first[rows], all_.end[rows] - all_.begin[rows]
    inside = np.arange(count.max()) < count[:, None]
    places = np.where(inside, all_.first[rows, None] + np.arange(count.max()), all_.first[rows, None])
    flat = places[inside]
    item = all_.impressions.item[places]
    at = all_.begin[rows, None] + np.arange(max(1, length.max(initial=0) * attended))
    out = (all_.floor[places][:, :, None] > at[:, None]) | (at[:, None] >= all_.upto[places][:, :, None])
    at = np.minimum(at, max(0, len(all_.histories.item) - 1))
    gone = all_.impressions.timestamp[places][:, :, None] - all_.histories.timestamp[at][:, None]
    age = np.searchsorted(GAP_EDGES, gone, side="right")
    return Step(
        torch.from_numpy(flat),
        torch.from_numpy(inside),
        torch.from_numpy(item.astype(np.int64)),
        torch.from_numpy(all_.histories.item[at].astype(np.int64)),
        torch.from_numpy(np.maximum(all_.histories.event_type[at], 0).astype(np.int64)),
        torch.from_numpy(out),
        torch.from_numpy(age),
    )


class _Sparse(torch.autograd.Function):
    """A fixed sparse matrix times a dense one, by SciPy: several times as fast as torch's bags."""

    @staticmethod
    def forward(ctx: Any, matrix: csr_array, dense: Tensor) -> Tensor:
        """``matrix @ dense``."""
        ctx.matrix = matrix
        return torch.from_numpy(matrix @ dense.detach().numpy())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """The gradient by ``dense``."""
        return None, torch.from_numpy(ctx.matrix.T @ grad.numpy())


class Head(nn.Module):
    """The head as torch trains it; an item's vector is its own and what its content's features add up to."""

    def __init__(self, form: Form, settings: InterestSettings, content: Content | None) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        d, (long, short) = settings.width, form.vectors
        with torch.random.fork_rng(devices=[]):  # start values depend on the seed alone, and move no global generator
            torch.manual_seed(settings.seed)
            self.own = nn.Parameter(torch.randn(form.items + 1, d) * 0.01)
            self.features = nn.Parameter(torch.randn(content.size, d) * 0.05) if content is not None else None
            self.hour = nn.Parameter(torch.zeros(HOURS, settings.hidden))
            self.place = nn.ParameterDict(
                {name: nn.Parameter(torch.zeros(len(v) + 1, settings.hidden)) for name, v in form.places.items()}
            )
            if settings.short:
                self.kind = nn.Parameter(torch.randn(form.kinds, d) * 0.05)
                self.age, self.nothing = nn.Parameter(torch.zeros(GAPS)), nn.Parameter(torch.zeros(1))
                self.query, self.attended = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
                self.counts = nn.Linear(form.kinds, settings.hidden, bias=False)
            if short:
                self.short = nn.Linear(short, d, bias=False)
            if long:
                self.long = nn.Linear(long, d, bias=False)
            if settings.short and long:
                self.gate = nn.Linear(long + short + d, 1)
            self.up = nn.Linear(d * (3 if settings.short or long else 1), settings.hidden)
            self.down = nn.Linear(settings.hidden, len(form.targets))
        self.content = None
        if content is not None:
            # An unknown item has no features.
            offsets = np.append(content.offsets, content.offsets[-1])
            self.content = csr_array((content.weight, content.feature, offsets), (form.items + 1, content.size))

    def table(self) -> Tensor:
        """The vectors of all items, and of an unknown one, ``[items + 1, d]``."""
        if self.features is None or self.content is None:
            return self.own
        sums: Tensor = _Sparse.apply(self.content, self.features)  # type: ignore[no-untyped-call]
        return self.own + sums

    def forward(self, step: Step, all_: Lessons, chance: np.random.Generator | None = None) -> Tensor:
        """Logits ``[n, targets]`` of a step's impressions."""
        drop = Dropout(self.settings.dropout, chance)
        table = drop(self.table())
        rows = step.rows.numpy()
        candidate = functional.embedding(step.item % len(table), table)
        inside = step.inside
        flat = candidate[inside]
        long, short = torch.from_numpy(all_.long[rows]), torch.from_numpy(all_.short[rows])
        hidden = functional.embedding(torch.from_numpy(all_.hour[rows]), self.hour)
        for column, (_, place) in enumerate(self.place.items()):
            hidden = hidden + functional.embedding(torch.from_numpy(all_.places[rows, column] % len(place)).long(), place)
        interest = None
        if self.settings.short:
            hidden = hidden + self.counts(torch.from_numpy(all_.counts[rows]))
            interest = self.attended(self._attended(candidate, step, table)[inside])
            if all_.short.shape[1]:
                interest = interest + self.short(short)
        if all_.long.shape[1]:
            lasting = self.long(long)
            if interest is None:
                interest = lasting
            else:
                g = torch.sigmoid(self.gate(torch.cat([long, short, flat], 1)))
                interest = g * lasting + (1 - g) * interest
        x = flat if interest is None else torch.cat([flat, interest, flat * interest], 1)
        said: Tensor = self.down(drop(functional.gelu(self.up(x) + hidden, approximate="tanh")))
        return said

    def _attended(self, candidate: Tensor, step: Step, table: Tensor) -> Tensor:
        # A product finds the gradient of a few rows faster than a sum over places does.
        events = functional.embedding(step.events, table) + functional.one_hot(step.kinds, len(self.kind)).float() @ self.kind
        scores = torch.bmm(self.query(candidate), events.transpose(1, 2)) / math.sqrt(self.settings.width)
        ages = functional.embedding(step.age, self.age.unsqueeze(1)).squeeze(-1)
        scores = (scores + ages).masked_fill(step.hidden, -torch.inf)
        nothing = self.nothing.expand(*scores.shape[:2], 1)
        share = torch.softmax(torch.cat([scores, nothing], 2), 2)[:, :, :-1]
        return torch.bmm(share, events)

    def weights(self) -> dict[str, Array]:
        """By the names of ``interest.shapes``."""
        found = {
            name: value.detach().numpy().copy() for name, value in self.named_parameters() if name not in ("own", "features")
        }
        return found | {"table": self.table().detach().numpy().copy()}


def train_head(
    model: Interest,
    histories: Sequences,
    train: Impressions,
    valid: Impressions,
    others: Sequence[Impressions],
    content: Content | None,
    monitor: Monitor,
) -> list[npt.NDArray[np.float64]]:
    """Fit the head of ``model``, which stands on a trained base, in place; the epoch that tells the first target best within
    people on ``valid`` stays, and calibration is learned there. ``history`` holds what each epoch measured.

    Returns the logits ``[N, targets]`` of ``valid`` and of each of the ``others``.
    """
    settings = model.settings
    places = {name: tuple(np.unique(values).tolist()) for name, values in train.context.items()}
    form = model.form_for(tuple(train.labels), places)
    learn, judge = (lessons(model, form, histories, part, monitor) for part in (train, valid))
    head = Head(form, settings, content)
    # Decay shrinks products, not offsets.
    groups = [
        {"params": [p for p in head.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in head.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, settings.learning_rate, fused=True)
    said = predict(head, judge)
    best, stale, state = -math.inf, 0, copy.deepcopy(head.state_dict())
    model.history = []
    for epoch in range(settings.epochs):
        measured = _epoch(head, learn, optimiser, epoch, monitor)
        answers = predict(head, judge)
        within = auc_within(answers[:, 0], judge.labels[:, 0], valid.user)[0]
        # Where nobody has both labels, all are one person.
        measured["auc"] = float(within.mean()) if len(within) else auc(answers[:, 0], judge.labels[:, 0])
        model.history.append(measured)
        monitor.progress(f"epoch {epoch + 1}: loss {measured['loss']:.4f}, valid AUC within people {measured['auc']:.4f}", 0, 0)
        stale += 1
        if measured["auc"] > best:
            best, stale, state, said = measured["auc"], 0, copy.deepcopy(head.state_dict()), answers
        if stale >= settings.patience:
            break
    head.load_state_dict(state)
    model.set_head(form, head.weights(), calibrate(said, judge.labels))
    later = [predict(head, lessons(model, form, histories, part, monitor)) for part in others]
    return [said, *later]


def _epoch(head: Head, learn: Lessons, optimiser: torch.optim.Optimizer, epoch: int, monitor: Monitor) -> dict[str, float]:
    started, cpu = time.perf_counter(), time.process_time()
    settings = head.settings
    chance = np.random.default_rng([settings.seed, epoch])
    dropout = np.random.Generator(np.random.SFC64([settings.seed, epoch, 1]))
    total, plan = 0.0, _plan(learn, settings.batch, chance)
    head.train()
    for number, rows in enumerate(plan):
        step = step_of(learn, rows, attended=settings.short)
        wanted = torch.from_numpy(learn.labels[step.rows.numpy()])
        loss = functional.binary_cross_entropy_with_logits(head(step, learn, dropout), wanted)
        if not math.isfinite(float(loss.detach())):
            raise PenchantError(f"the loss is no number in epoch {epoch + 1}; lower learning_rate ({settings.learning_rate})")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(wanted)
        monitor.progress(f"epoch {epoch + 1}", number + 1, len(plan))
    n = len(learn.impressions)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return {
        "loss": total / n,
        "seconds": seconds,
        "impressions_per_second": n / seconds,
        "impressions_per_cpu_second": n / cpu_seconds,
    }


def _plan(learn: Lessons, batch: int, chance: np.random.Generator | None) -> list[Int]:
    """Rows of as many impressions and about as many events together, about ``batch`` impressions a step, in random order."""
    order = np.arange(len(learn)) if chance is None else chance.permutation(len(learn))
    count = learn.last - learn.first
    order = order[np.lexsort(((learn.end - learn.begin)[order], count[order]))]
    count = np.cumsum(count[order])
    groups: list[Int] = np.split(order, np.flatnonzero(np.diff(count // batch)) + 1)
    return groups if chance is None else [groups[i] for i in chance.permutation(len(groups))]


def predict(head: Head, judge: Lessons) -> npt.NDArray[np.float64]:
    """Logits ``[N, targets] float64``."""
    out = np.empty(judge.labels.shape)
    head.eval()
    with torch.no_grad():
        for rows in _plan(judge, head.settings.batch, None):
            step = step_of(judge, rows, attended=head.settings.short)
            out[step.rows.numpy()] = head(step, judge).numpy()
    return out


def calibrate(logits: Array, labels: Array) -> tuple[Float, Float]:
    """For each target the slope and offset of its logit with the least log loss (Platt 1999): ranks stay as they are."""
    found = []
    for said, label in zip(logits.T, labels.T, strict=True):

        def loss(x: Array, said: Array = said, label: Array = label) -> float:
            z = np.exp(x[0]) * said + x[1]
            return float(np.mean(np.logaddexp(0, z) - label * z))

        slope, offset = minimize(loss, np.zeros(2), method="BFGS").x if 0 < label.mean() < 1 else (0.0, 0.0)
        found.append((np.exp(slope), offset))
    slopes, offsets = np.array(found, np.float32).T
    return slopes, offsets
