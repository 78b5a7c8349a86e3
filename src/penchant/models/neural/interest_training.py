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

from penchant.binary import auc
from penchant.models.interest import (
    GAP_EDGES,
    GAPS,
    HOUR,
    HOURS,
    Form,
    Interest,
    InterestSettings,
    events_before,
    kinds_done,
    standing,
    states_at,
    totals,
    totals_before,
)
from penchant.models.neural.network import Dropout
from penchant.types import Array, Content, Float, Impressions, Int, Monitor, PenchantError, Sequences, Vocabulary

TOGETHER = 8
"""Impressions of one person, at most, that share a reading of the person's events."""


@dataclass(frozen=True)
class Lessons:
    """Impressions as the head learns from them, in rows of one person's: ``R`` rows of at most ``I`` impressions.

    Row ``r`` has the impressions ``first[r]`` to ``last[r]`` and sees the events ``begin[r]`` to ``end[r]``, each impression
    of them the ring before ``upto[N]``. Beside: ``long[N, …]``, ``short[N, …]``, ``level[N, …]`` (the same, and
    logarithms of counts by kind), ``standing[N, …]``, ``hour[N]``, ``places[N, columns]``, ``labels[N, targets]``.
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
    level: Float
    standing: Float
    hour: Int
    places: Int
    labels: Float

    def __len__(self) -> int:
        return len(self.first)


def vectors_at(model: Interest, histories: Sequences, impressions: Impressions, monitor: Monitor) -> tuple[Float, Float]:
    """The long- and short-term interest beneath just before each impression, ``[N, …]`` each."""
    long, short = (np.zeros((len(impressions), width), np.float32) for width in model.form_for((), {}).vectors)
    if long.shape[1] or short.shape[1]:
        for rows, state in states_at(model, histories, impressions, progress=monitor.progress):
            long[rows], short[rows] = model.vectors(state.arrays, impressions.timestamp[rows])
    return long, short


def lessons(
    model: Interest,
    form: Form,
    histories: Sequences,
    impressions: Impressions,
    stood: Float,
    vectors: tuple[Float, Float],
) -> Lessons:
    """What the head learns from impressions: ``stood`` is what was known of the items, ``vectors`` what of the people."""
    ring, (long, short) = model.settings.ring, vectors
    upto = events_before(histories, impressions)
    starts = np.append(histories.offsets, histories.offsets[-1])[np.minimum(impressions.user, len(histories))]
    floor = np.maximum(upto - ring, starts)
    n = len(impressions)
    seen = np.zeros((len(histories.item) + 1, form.kinds), np.int32)
    np.cumsum(histories.event_type[:, None] == np.arange(form.kinds), axis=0, out=seen[1:])
    since = [starts] * model.settings.long + [floor] * model.settings.short
    counts = [np.log1p(seen[upto] - seen[begin]).astype(np.float32) for begin in since]
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
        np.concatenate([long, short, *counts], axis=1),
        stood,
        (impressions.timestamp // HOUR) % HOURS,
        np.stack(places, axis=1) if places else np.zeros((n, 0), np.int32),
        np.stack([impressions.labels[t] for t in form.targets], axis=1).astype(np.float32),
    )


@dataclass(frozen=True)
class Step:
    """Some rows of lessons, padded: ``n`` impressions in ``R`` rows of ``I``, each row seeing ``L`` events. ``opening[n]`` is
    the first impression of each one's row.
    """

    rows: Int
    opening: Int
    inside: Array
    item: Int
    events: Int
    kinds: Int
    hidden: Array
    age: Int


def step_of(all_: Lessons, rows: Int, *, attended: bool) -> Step:
    """The step of these rows."""
    count, length = all_.last[rows] - all_.first[rows], all_.end[rows] - all_.begin[rows]
    inside = np.arange(count.max()) < count[:, None]
    places = np.where(inside, all_.first[rows, None] + np.arange(count.max()), all_.first[rows, None])
    flat, opening = places[inside], np.repeat(all_.first[rows], count)
    item = all_.impressions.item[places]
    at = all_.begin[rows, None] + np.arange(max(1, length.max(initial=0) * attended))
    out = (all_.floor[places][:, :, None] > at[:, None]) | (at[:, None] >= all_.upto[places][:, :, None])
    at = np.minimum(at, max(0, len(all_.histories.item) - 1))
    gone = all_.impressions.timestamp[places][:, :, None] - all_.histories.timestamp[at][:, None]
    age = np.searchsorted(GAP_EDGES, gone, side="right")
    return Step(flat, opening, inside, item, all_.histories.item[at], np.maximum(all_.histories.event_type[at], 0), out, age)


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


class _Rows(torch.autograd.Function):
    """Rows of a table, as ``functional.embedding`` finds them; the gradient by counting, or a sparse product, is faster."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Int) -> Tensor:
        """``table[rows]``."""
        ctx.rows, ctx.shape = rows, table.shape
        return torch.from_numpy(table.detach().numpy()[rows])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """The gradient by ``table``."""
        rows, came = ctx.rows.ravel(), grad.numpy()
        if len(ctx.shape) == 1:
            return torch.from_numpy(np.bincount(rows, came.ravel(), ctx.shape[0]).astype(np.float32)), None
        one = csr_array((np.ones(len(rows), np.float32), rows, np.arange(len(rows) + 1)), (len(rows), ctx.shape[0]))
        return torch.from_numpy(one.T @ came.reshape(len(rows), -1)), None


def _rows(table: Tensor, rows: Int) -> Tensor:
    found: Tensor = _Rows.apply(table, rows)  # type: ignore[no-untyped-call]
    return found


class Head(nn.Module):
    """The head as torch trains it; an item's vector is its own and what its content's features add up to."""

    def __init__(self, form: Form, settings: InterestSettings, content: Content | None) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        d, a, h, (long, short) = settings.width, settings.attention, settings.hidden, form.vectors
        targets = len(form.targets)
        with torch.random.fork_rng(devices=[]):  # start values depend on the seed alone, and move no global generator
            torch.manual_seed(settings.seed)
            self.own = nn.Parameter(torch.randn(form.items + 1, d) * 0.01)
            self.features = nn.Parameter(torch.randn(content.size, d) * 0.05) if content is not None else None
            self.hour = nn.Parameter(torch.zeros(HOURS, h))
            self.place, self.level_place = (
                nn.ParameterDict({name: nn.Parameter(torch.zeros(len(v) + 1, h)) for name, v in places.items()})
                for places in (form.places, form.places if form.level(settings) else {})
            )
            self.standing = nn.Linear(form.standing, h, bias=False)
            self.up, self.down = nn.Linear(d, h), nn.Linear(h, targets)
            if level := form.level(settings):
                self.level_up, self.level_down = nn.Linear(level, h), nn.Linear(h, targets, bias=False)
            if settings.short:
                self.kind = nn.Parameter(torch.randn(form.kinds, a) * 0.05)
                self.age, self.nothing = nn.Parameter(torch.zeros(GAPS)), nn.Parameter(torch.zeros(1))
                self.event = nn.Linear(d, a, bias=False)
            if short:
                self.short = nn.Linear(short, a, bias=False)
            if long:
                self.long = nn.Linear(long, a, bias=False)
            if settings.short or long:
                self.query, self.match = nn.Linear(d, a, bias=False), nn.Linear(a, targets, bias=False)
                nn.init.zeros_(self.match.weight)  # what goes together is worth nothing until it shows
            if settings.short and long:
                self.gate = nn.Linear(long + short + a, 1)
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

    def forward(self, step: Step, all_: Lessons, chance: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Logits ``[n, targets]`` of a step's impressions; and the same by the level at the first of each row and without the
        match, so that nothing but items and places tells one impression of a row from another.
        """
        drop = Dropout(self.settings.dropout, chance)
        table, rows = self.table(), step.rows
        candidate = drop(_rows(table, step.item[step.inside] % len(table)))
        hidden = self.up(candidate) + _rows(self.hour, all_.hour[rows]) + self.standing(torch.from_numpy(all_.standing[rows]))
        said: Tensor = self.down(self._second(self.place, hidden, all_.places[rows], drop))
        listed = said
        if all_.level.shape[1]:
            said = said + self._level(all_.level[rows], all_.places[rows], drop)
            listed = listed + self._level(all_.level[step.opening], all_.places[rows], drop)
        interest = self._interest(candidate, table, step, all_)
        return (said if interest is None else said + self.match(drop(interest))), listed

    def _level(self, level: Float, places: Int, drop: Dropout) -> Tensor:
        told: Tensor = self.level_down(self._second(self.level_place, self.level_up(torch.from_numpy(level)), places, drop))
        return told

    def _second(self, place: nn.ParameterDict, hidden: Tensor, places: Int, drop: Dropout) -> Tensor:
        for column, name in enumerate(self.form.places):  # a ParameterDict sorts its names
            hidden = hidden + _rows(place[name], places[:, column] % len(place[name]))
        return drop(functional.gelu(hidden, approximate="tanh"))

    def _interest(self, candidate: Tensor, table: Tensor, step: Step, all_: Lessons) -> Tensor | None:
        """The interest of each impression's person at its moment, times the candidate, ``[n, a]``."""
        if not (self.settings.short or self.form.vectors[0]):
            return None
        query = self.query(candidate)
        long, short = torch.from_numpy(all_.long[step.rows]), torch.from_numpy(all_.short[step.rows])
        interest: Tensor
        if self.settings.short:
            interest = self._attended(query, step, table)
            if short.shape[1]:
                interest = interest + self.short(short)
            if long.shape[1]:
                g = torch.sigmoid(self.gate(torch.cat([long, short, query], 1)))
                interest = g * self.long(long) + (1 - g) * interest
        else:
            interest = self.long(long)
        matched: Tensor = query * interest
        return matched

    def _attended(self, query: Tensor, step: Step, table: Tensor) -> Tensor:
        # Items are projected once a step, however many events are of them.
        events = _rows(self.event(table), step.events % len(table)) + _rows(self.kind, step.kinds)
        inside = torch.from_numpy(np.flatnonzero(step.inside))
        asked = query.new_zeros(step.inside.size, query.shape[1]).index_put((inside,), query).view(*step.inside.shape, -1)
        scores = torch.bmm(asked, events.transpose(1, 2)) / math.sqrt(query.shape[1])
        scores = (scores + _rows(self.age, step.age)).masked_fill(torch.from_numpy(step.hidden), -torch.inf)
        nothing = self.nothing.expand(*scores.shape[:2], 1)
        share = torch.softmax(torch.cat([scores, nothing], 2), 2)[:, :, :-1]
        return torch.bmm(share, events).flatten(0, 1)[inside]

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
    read: Sequence[tuple[Float, Float]] | None = None,
) -> list[npt.NDArray[np.float64]]:
    """Fit the head of ``model``, which stands on a trained base, in place; the epoch with the least log loss of the first
    target on ``valid`` stays, and calibration is learned there. ``history`` holds what each epoch measured.

    What came of showing items is counted as it was known: in ``train`` before each impression, for ``valid`` over ``train``,
    in the model and for the ``others`` over both; what people did with items, up to the first of ``train``. ``read`` are the
    ``vectors_at`` ``train``, ``valid`` and the ``others``, where they are known already (several heads over one base).

    Returns the logits ``[N, targets]`` of ``valid`` and of each of the ``others``.
    """
    settings = model.settings
    places = {name: tuple(np.unique(values).tolist()) for name, values in train.context.items()}
    targets = tuple(train.labels)
    form = model.form_for(targets, places)
    usual = np.array([(label.sum() + 0.5) / (len(label) + 1) for label in train.labels.values()], np.float32)
    counted = totals(train, targets)
    vectors = read or [vectors_at(model, histories, part, monitor) for part in (train, valid, *others)]
    done, usually = kinds_done(histories, int(train.timestamp.min()))
    beside = standing(done, usually)
    stood = np.hstack([standing(totals_before(train, targets), usual), beside[train.item]])
    learn = lessons(model, form, histories, train, stood, vectors[0])
    judge = lessons(model, form, histories, valid, np.hstack([standing(counted, usual), beside])[valid.item], vectors[1])
    head = Head(form, settings, content)
    said = _fit(head, learn, judge, model, monitor)
    counted = counted + totals(valid, targets)
    weights = head.weights() | {"counted": counted, "usual": usual, "done": done, "usually": usually}
    model.set_head(form, weights, calibrate(said, judge.labels))
    now = np.hstack([standing(counted, usual), beside])
    later = [
        predict(head, lessons(model, form, histories, part, now[part.item], at))
        for part, at in zip(others, vectors[2:], strict=True)
    ]
    return [said, *later]


def _fit(head: Head, learn: Lessons, judge: Lessons, model: Interest, monitor: Monitor) -> npt.NDArray[np.float64]:
    """Train until the first target's log loss on ``judge`` rises; the best epoch stays. Returns its logits there."""
    settings = head.settings
    # Decay shrinks products, not offsets.
    groups = [
        {"params": [p for p in head.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in head.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, settings.learning_rate, fused=True)
    said = predict(head, judge)
    best, stale, state = math.inf, 0, copy.deepcopy(head.state_dict())
    model.history = []
    for epoch in range(settings.epochs):
        measured = _epoch(head, learn, optimiser, epoch, monitor)
        answers = predict(head, judge)
        label = judge.labels[:, 0]
        measured["logloss"] = float(np.mean(np.logaddexp(0, answers[:, 0]) - label * answers[:, 0]))
        measured["auc"] = auc(answers[:, 0], label)
        model.history.append(measured)
        told = f"loss {measured['loss']:.4f}, valid log loss {measured['logloss']:.4f}, AUC {measured['auc']:.4f}"
        monitor.progress(f"epoch {epoch + 1}: {told}", 0, 0)
        stale += 1
        if measured["logloss"] < best:
            best, stale, state, said = measured["logloss"], 0, copy.deepcopy(head.state_dict()), answers
        if stale >= settings.patience:
            break
    head.load_state_dict(state)
    return said


def _epoch(head: Head, learn: Lessons, optimiser: torch.optim.Optimizer, epoch: int, monitor: Monitor) -> dict[str, float]:
    started, cpu = time.perf_counter(), time.process_time()
    settings = head.settings
    chance = np.random.default_rng([settings.seed, epoch])
    dropout = np.random.Generator(np.random.SFC64([settings.seed, epoch, 1]))
    total, plan = 0.0, _plan(learn, settings.batch, chance)
    head.train()
    for number, rows in enumerate(plan):
        step = step_of(learn, rows, attended=settings.short)
        wanted = torch.from_numpy(learn.labels[step.rows])
        said, listed = head(step, learn, dropout)
        loss = functional.binary_cross_entropy_with_logits(said, wanted)
        if settings.within:
            loss = loss + settings.within * misordered(listed, wanted, step.inside)
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


def misordered(said: Tensor, wanted: Tensor, inside: Array) -> Tensor:
    """How far a row's no stand above its yes: ``log(1 + e^(no - yes))``, the mean over all such pairs of a row (BPR: Rendle et
    al. 2009), and over all rows and targets with both. ``said`` and ``wanted[n, targets]`` are of the places ``inside[R, I]``.
    """
    there = torch.from_numpy(np.flatnonzero(inside))
    logit, yes = (x.new_zeros(inside.size, x.shape[1]).index_put((there,), x).view(*inside.shape, -1) for x in (said, wanted))
    no = (1 - yes) * torch.from_numpy(inside).unsqueeze(2)
    pairs = yes.unsqueeze(2) * no.unsqueeze(1)
    lost = (functional.softplus(logit.unsqueeze(1) - logit.unsqueeze(2)) * pairs).sum((1, 2))
    count = pairs.sum((1, 2))
    return (lost / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


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
            out[step.rows] = head(step, judge)[0].numpy()
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
