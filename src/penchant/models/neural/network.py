"""The networks as torch trains them. ``runtime.py`` computes the same in NumPy.

A ``Network`` turns events into vectors, hands them to a body, and scores items by the interest the body leaves. Bodies
differ in what they remember: each takes ``x[n, L, d]`` and the state before, and gives the interest after each event and
the state behind the last.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from penchant.models.neural.runtime import GAP_SCALES
from penchant.models.neural.settings import LongShortNetworkSettings, NeuralSettings, RingSettings

State = tuple[Tensor, ...]
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
"""Multiples of it, less their whole parts, fill the interval from 0 to 1 evenly however many there are."""


@dataclass(frozen=True)
class Moments:
    """When events came, in seconds, ``[n, L]`` each: since the event before (-1 for none), and until the next."""

    gap: Tensor
    until: Tensor


@dataclass(frozen=True)
class Shape:
    """What of a dataset a network's size depends on."""

    items: int
    event_types: int
    timed: bool
    """Whether the log has times: gaps are inputs."""
    unit: float
    """The gap, in seconds, that counts as one: the median of those above 0."""
    span: float
    """Seconds between the first and last event of all, in units."""


def gap_features(gap: Tensor) -> Tensor:
    """``[…, 9]``: bumps over the logarithm of the gap in seconds, all 0 where there is none (a gap below 0)."""
    log = torch.log10(1 + gap.clamp(min=0))
    bumps = torch.exp(-torch.square(log.unsqueeze(-1) - torch.arange(GAP_SCALES)))
    return bumps * (gap >= 0).unsqueeze(-1)


class Dropout:
    """Dropout drawn from a generator of our own, never from the global one; without a generator, nothing is dropped."""

    def __init__(self, share: float, chance: np.random.Generator | None) -> None:
        self.keep = 1 - share
        self.chance = chance

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` with a share of its numbers zeroed and the others raised to make up for it."""
        if self.chance is None or self.keep == 1:
            return x
        # NumPy's generator draws several times faster than torch's.
        kept = self.chance.random(x.shape, np.float32) < np.float32(self.keep)
        return x * torch.from_numpy(kept * np.float32(1 / self.keep))


class Body(nn.Module, ABC):
    """What a network remembers and how: see the module's words."""

    @abstractmethod
    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """Interests after each event, ``[n, L, d]``, and the state after the last."""


class Network(nn.Module):
    """Event → vector (item + kind + time gap, layer norm, dropout) → body → dropout → interest.

    The output layer is tied: an item's score is its embedding times the interest, plus a bias of its own (Press and
    Wolf 2017).
    """

    def __init__(self, shape: Shape, settings: NeuralSettings, body: Callable[[NeuralSettings, Shape], Body]) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        with torch.random.fork_rng(devices=[]):  # start values depend on the seed alone, and move no global generator
            torch.manual_seed(settings.seed)
            self.embedding = nn.Parameter(torch.randn(shape.items, width) * width**-0.5)
            self.bias = nn.Parameter(torch.zeros(shape.items))
            if settings.event_types and shape.event_types > 1:
                self.kind = nn.Parameter(torch.zeros(shape.event_types, width))
            if settings.time_gaps and shape.timed:
                self.gap = nn.Parameter(torch.zeros(GAP_SCALES, width))
            self.norm_in = nn.LayerNorm(width)
            self.body = body(settings, shape)

    def forward(
        self, x: Tensor, kind: Tensor, at: Moments, state: State | None = None, chance: np.random.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Interests after each event, ``[n, L, d]``, and the state, from the events' embeddings ``x[n, L, d]`` and kinds.

        With ``chance``, dropout is applied.
        """
        drop = Dropout(self.settings.dropout, chance)
        if hasattr(self, "kind"):
            x = x + functional.embedding(kind, self.kind)
        if hasattr(self, "gap"):
            x = x + gap_features(at.gap) @ self.gap
        interest, state = self.body(drop(self.norm_in(x)), at, state, drop)
        return drop(interest), state


class LSTMBody(Body):
    """LSTM layers (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), then residual and layer norm."""

    kind: type[nn.LSTM | nn.GRU] = nn.LSTM

    def __init__(self, settings: NeuralSettings, shape: Shape) -> None:
        super().__init__()
        self.rnn = self.kind(settings.width, settings.width, settings.layers, batch_first=True)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``."""
        with torch.autocast("cpu", enabled=False):  # not every processor has an LSTM in bfloat16
            h, after = self.rnn(x, state)
        return self.norm(h + x), after


class GRUBody(LSTMBody):
    """The same with gated recurrent units (Cho et al. 2014), in the form whose reset gate acts after the product."""

    kind = nn.GRU

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``."""
        h, last = self.rnn(x, None if state is None else state[0])
        return self.norm(h + x), (last,)


class ArticleBody(Body):
    """The cell as the article writes it: ``g = f ⊙ g̃``, ``c_t = g ⊙ g̃ + (1 - i) ⊙ c_{t-1}``, ``h_t = o ⊙ tanh(c_t)``.

    Unlike the standard cell, the forget gate filters the candidate and not the memory, the input gate says how much of the
    memory leaves, and the candidate enters squared, so that what is written is never negative.
    """

    def __init__(self, settings: NeuralSettings, shape: Shape) -> None:
        super().__init__()
        width = settings.width
        self.input = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(settings.layers))
        self.recurrent = nn.ModuleList(nn.Linear(width, 4 * width, bias=False) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``."""
        first = x
        shape = (len(self.input), x.shape[0], x.shape[2])
        hs, cs = (x.new_zeros(shape), x.new_zeros(shape)) if state is None else state
        last: list[tuple[Tensor, Tensor]] = []
        for into, recurrent, h, c in zip(self.input, self.recurrent, hs, cs, strict=True):
            x, h, c = article_layer(into(x), recurrent, h, c)
            last.append((h, c))
        return self.norm(x + first), (torch.stack([h for h, _ in last]), torch.stack([c for _, c in last]))


def article_layer(from_x: Tensor, recurrent: nn.Module, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One layer of the article's cell over ``from_x[n, L, 4d]``: its outputs ``[n, L, d]``, and the last ``h`` and ``c``."""
    outputs = []
    for gates in from_x.unbind(1):
        i, g, f, o = (gates + recurrent(h)).chunk(4, 1)
        candidate = torch.tanh(g)
        c = torch.sigmoid(f) * candidate * candidate + (1 - torch.sigmoid(i)) * c
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1), h, c


class Attention(nn.Module):
    """Each event looks back at the last ``ring`` vectors, itself included (Vaswani et al. 2017), near or far by a learned
    bias for each age.
    """

    def __init__(self, settings: RingSettings | LongShortNetworkSettings) -> None:
        super().__init__()
        width = settings.width
        self.ring, self.heads = settings.ring, settings.heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.age = nn.Parameter(torch.zeros(settings.heads, settings.ring))

    def forward(self, x: Tensor, before: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """``[n, L, d]`` from ``x[n, L, d]`` and ``before[n, m, d]``, of which ``known[n, m]`` are there."""
        length, width = x.shape[1:]
        q, k, v = self.qkv(x).chunk(3, -1)
        if before is not None:
            earlier = self.qkv(before)[..., width:].chunk(2, -1)
            k, v = (torch.cat([old, new], 1) for old, new in zip(earlier, (k, v), strict=True))
        age = k.shape[1] - length + torch.arange(length)[:, None] - torch.arange(k.shape[1])
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        bias = self.age[:, age.clamp(0, self.ring - 1)].masked_fill((age < 0) | (age >= self.ring), -torch.inf)
        if known is not None:
            there = functional.pad(known, (0, length), value=True)
            bias = bias + torch.zeros(len(x), 1, 1, 1).masked_fill(~there[:, None, None, :], -torch.inf)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        looked: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return looked


class AttentionLSTMBody(Body):
    """An LSTM whose every output looks back at the last ``ring`` outputs: the state keeps a ring of them."""

    def __init__(self, settings: RingSettings, shape: Shape) -> None:
        super().__init__()
        self.rnn = nn.LSTM(settings.width, settings.width, settings.layers, batch_first=True)
        self.norm_state = nn.LayerNorm(settings.width)
        self.attention = Attention(settings)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``."""
        n, ring = len(x), self.attention.ring
        before = x.new_zeros(n, ring, x.shape[2]) if state is None else state[2]
        known = torch.zeros(n, ring, dtype=torch.bool) if state is None else state[3]
        with torch.autocast("cpu", enabled=False):  # not every processor has an LSTM in bfloat16
            h, (last, cell) = self.rnn(x, None if state is None else state[:2])
        h = self.norm_state(h + x)
        interest = self.norm(h + drop(self.attention(h, before, known)))
        kept = torch.cat([before, h], 1)[:, -ring:]
        known = torch.cat([known, known.new_ones(h.shape[:2])], 1)[:, -ring:]
        return interest, (last, cell, kept, known)


class FeedForward(nn.Module):
    """``LN(x + W₂ gelu(W₁ x))``, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, drop: Dropout) -> Tensor:
        """``[…, d]`` from ``[…, d]``."""
        inside = drop(functional.gelu(self.up(x), approximate="tanh"))
        fed: Tensor = self.norm(x + drop(self.down(inside)))
        return fed


class TransformerBody(Body):
    """Blocks of causal self-attention and feed-forward over the last ``ring`` events (SASRec: Kang and McAuley 2018).

    The state is a ring of the last events' vectors; a piece of history is trained on its own, with places from its start.
    """

    def __init__(self, settings: RingSettings, shape: Shape) -> None:
        super().__init__()
        width = settings.width
        self.ring = settings.ring
        self.place = nn.Parameter(torch.randn(settings.ring, width) * 0.02)
        self.attention = nn.ModuleList(Attention(settings) for _ in range(settings.layers))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(settings.layers))
        self.forward_layers = nn.ModuleList(FeedForward(width) for _ in range(settings.layers))

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``. ``L`` is at most ``ring``."""
        x = x + self.place[: x.shape[1]]
        for attention, norm, feed in zip(self.attention, self.norm, self.forward_layers, strict=True):
            x = feed(norm(x + drop(attention(x))), drop)
        return x, ()


class Scan(torch.autograd.Function):
    """``c_t = a_t ⊙ c_{t-1} + b_t`` over axis 1, forwards and backwards without a graph of steps; real or complex."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor) -> Tensor:
        """``c[n, L, d]`` from ``a``, ``b`` and the ``start[n, d]``."""
        c = torch.empty_like(b)
        last = start
        for step in range(b.shape[1]):
            last = torch.addcmul(b[:, step], a[:, step], last, out=c[:, step])
        ctx.save_for_backward(a, c, start)
        return c

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Gradients by ``a``, ``b`` and ``start``: the same recurrence from the end."""
        a, c, start = ctx.saved_tensors
        back = a.conj().resolve_conj()
        g = torch.empty_like(c)
        last = torch.zeros_like(start)
        for step in range(c.shape[1] - 1, -1, -1):
            torch.add(grad[:, step], last, out=g[:, step])
            last = back[:, step] * g[:, step]
        before = torch.cat([start.unsqueeze(1), c[:, :-1]], 1)
        return g * before.conj(), g, last


class LinearRecurrence(nn.Module):
    """A bank of leaky sums with time constants of their own, in real time, each event let in by a gate.

    ``c_t = e^(iθ - softplus(w) · Δt) ⊙ c_{t-1} + γ ⊙ σ(W_i x_t) ⊙ W_v x_t``, complex, ``Δt`` in the dataset's units. Each event
    turns the sums by angles ``θ``, so that they tell in which order it was that things came, and not only how long ago. Time
    constants begin spread evenly over the logarithm from one unit to the log's span, angles evenly over the circle among like
    time constants; ``γ = √(1 - e^(-2 softplus(w)))`` makes slow sums no louder than quick ones. After the linear recurrent unit
    (Orvieto et al. 2023, §3), LRURec (Yue et al. 2024) and RG-LRU (De et al. 2024).
    """

    def __init__(self, width: int, shape: Shape) -> None:
        super().__init__()
        constants = torch.logspace(0, max(1.0, math.log10(shape.span)), width)
        self.rate = nn.Parameter(torch.log(torch.expm1(1 / constants)))
        self.angle = nn.Parameter(2 * math.pi * torch.frac(torch.arange(width) * GOLDEN_RATIO))
        self.value, self.out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gate = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed = FeedForward(width)

    def forward(self, x: Tensor, elapsed: Tensor, start: Tensor, drop: Dropout) -> tuple[Tensor, Tensor]:
        """``[n, L, d]`` and the sums after the last event, complex ``[n, d]``; ``elapsed[n, L]`` units since the one before."""
        rate = functional.softplus(self.rate)
        a = torch.polar(torch.exp(-rate * elapsed.unsqueeze(-1)), self.angle.expand(*elapsed.shape, -1))
        value = torch.view_as_complex(self.value(x).float().unflatten(-1, (-1, 2)))
        loudness = torch.sqrt(-torch.expm1(-2 * rate))
        c = Scan.apply(a, loudness * torch.sigmoid(self.gate(x)) * value, start)  # type: ignore[no-untyped-call]
        told = self.out(torch.view_as_real(c).flatten(-2))
        return self.feed(self.norm(x + drop(told)), drop), c[:, -1]


class LongShortBody(Body):
    """Short-term memory (LSTM), long-term memory (bank of linear recurrences) and a gate between them at each moment.

    ``interest = g · long + (1 - g) · short`` with ``g = σ(w · [long, short, gap until asked])``, one number in [0, 1].
    """

    def __init__(self, settings: LongShortNetworkSettings, shape: Shape) -> None:
        super().__init__()
        width = settings.width
        self.short, self.long = settings.short, settings.long
        if self.short:
            self.recent = LSTMBody(settings, shape)
        if self.long:
            self.unit: Tensor
            self.register_buffer("unit", torch.tensor(shape.unit))
            self.bank = nn.ModuleList(LinearRecurrence(width, shape) for _ in range(settings.long_layers))
            self.ring = settings.ring
            if self.ring:
                self.attention = Attention(settings)
                self.norm = nn.LayerNorm(width)
        if self.short and self.long:
            self.timed = settings.time_gaps and shape.timed
            self.fusion = nn.Linear(2 * width + GAP_SCALES * self.timed, 1)

    def forward(self, x: Tensor, at: Moments, state: State | None, drop: Dropout) -> tuple[Tensor, State]:
        """See ``Body``."""
        after: State = ()
        if self.short:
            short, after = self.recent(x, at, None if state is None else state[:2], drop)
        if self.long:
            nothing = torch.zeros(len(self.bank), len(x), x.shape[2], dtype=x.dtype.to_complex())
            sums = nothing if state is None else state[-1]
            long, ends, elapsed = x, [], at.gap.clamp(min=0) / self.unit
            for layer, start in zip(self.bank, sums, strict=True):
                long, end = layer(long, elapsed, start, drop)
                ends.append(end)
                if self.ring and len(ends) == 1:
                    before = None if state is None else state[-2]
                    after = (*after, (long if before is None else torch.cat([before, long], 1))[:, -self.ring :])
                    long = self.norm(long + drop(self.attention(long, before)))
            after = (*after, torch.stack(ends))
        if not self.long:
            return short, after
        if not self.short:
            return long, after
        seen = [long, short] + ([gap_features(at.until)] if self.timed else [])
        g = torch.sigmoid(self.fusion(torch.cat(seen, -1)))
        return g * long + (1 - g) * short, after


BODIES: Mapping[str, Callable[[Any, Shape], Body]] = {
    "lstm": LSTMBody,
    "gru": GRUBody,
    "article_lstm": ArticleBody,
    "attention_lstm": AttentionLSTMBody,
    "transformer": TransformerBody,
    "longshort_network": LongShortBody,
}
