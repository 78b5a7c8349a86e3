"""The networks as they live: NumPy only, from the weights that training left.

A parity test holds each body to its twin in ``network.py`` within 1e-5. A state is a set of arrays with a first axis of
people; ``last_time[n] int64`` among them is the moment of the last event (``NEVER`` before the first).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from penchant.models.neural import cells
from penchant.models.neural.settings import LongShortNetworkSettings, NeuralSettings, RingSettings
from penchant.types import MICROSECONDS, NEVER, Array, Arrays, Batch, Float, Int

Shapes = dict[str, tuple[int, ...]]
GAP_SCALES = 9
"""Features of a time gap: bumps at 1, 10, … 10^8 seconds."""


# Of a single person an operation costs more than its numbers: hence results written into, and constants of the right type.
SCALES = np.arange(GAP_SCALES, dtype=np.float32)
SECOND = np.float64(MICROSECONDS)


def gap_features(gap: Float) -> Float:
    """``[n, 9]``: bumps over the logarithm of the gap ``[n] float32`` in seconds, all 0 where there is none (a gap below 0)."""
    bumps: Float = np.log10(1 + np.maximum(gap, 0))[:, None] - SCALES
    bumps *= -bumps
    np.exp(bumps, out=bumps)
    bumps[gap < 0] = 0
    return bumps


def seconds_between(last: Int, now: Int) -> Float:
    """``[n] float32``: from ``last`` to ``now``, never negative; -1 where there was no last event."""
    gap = (np.maximum(now, last) - last) / SECOND  # from ``NEVER``, which is no time, it is no number that counts
    gap[last == NEVER] = -1
    return gap.astype(np.float32)


class Runtime(ABC):
    """A body in NumPy: what it remembers (``initial``), how an event changes it (``step``), what interest it leaves."""

    def __init__(self, weights: Arrays, settings: Any) -> None:
        self.weights = weights
        self.settings = settings
        self.width = settings.width
        # The bias as one more row, met by a constant 1: one product and no second pass over the scores.
        self.output = np.vstack([weights["embedding"].T, weights["bias"]])
        self._transposed: dict[str, Array] = {}
        self._layers: dict[tuple[str, ...], tuple[Float, Float]] = {}

    @staticmethod
    @abstractmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """The body's weights and their shapes, by torch's names."""

    @abstractmethod
    def initial(self, n: int) -> dict[str, Array]:
        """The memory of ``n`` people nothing is known of."""

    @abstractmethod
    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """The memory after an event of each of ``n`` people: of vector ``x[n, d]``, ``gap[n]`` seconds after the one before."""

    def interests(self, state: Arrays, until: Float) -> dict[str, Float]:
        """The addends of the interest, each ``[n, d]`` by name, asked ``until[n]`` seconds after the last event."""
        return {"short_term": state["interest"]}

    # What all bodies do alike.

    def start(self, n: int) -> dict[str, Array]:
        """States of ``n`` people nothing is known of: items rank by their bias."""
        return self.initial(n) | {"last_time": np.full(n, NEVER, np.int64)}

    def advance(self, state: Arrays, batch: Batch) -> dict[str, Array]:
        """States after the batch's events, all of known items."""
        after, own = dict(state), False
        for step in range(batch.item.shape[1]):
            going_on = batch.lengths > step
            if going_on.all():
                after, own = self._after(after, batch, slice(None), step), True
            elif going_on.any():
                if not own:
                    after, own = {name: array.copy() for name, array in after.items()}, True
                rows = np.flatnonzero(going_on)
                for name, array in self._after({name: array[rows] for name, array in after.items()}, batch, rows, step).items():
                    after[name][rows] = array
        return after

    def _after(self, state: dict[str, Array], batch: Batch, rows: slice | Int, step: int) -> dict[str, Array]:
        """The memory of the people in some rows of a batch after one event of each."""
        now = batch.timestamp[rows, step].copy()  # not a view: the state outlives the batch, and is written into
        gap = seconds_between(state["last_time"], now)
        x = self._vector(batch.item[rows, step], batch.event_type[rows, step], gap)
        return self.step(state, x, gap) | {"last_time": now}

    def _vector(self, item: Int, kind: Int, gap: Float) -> Float:
        x = self.weights["embedding"][item]
        if "kind" in self.weights:
            known = kind >= 0
            x = x + np.where(known[:, None], self.weights["kind"][np.where(known, kind, 0)], 0)
        if "gap" in self.weights:
            x = x + gap_features(gap) @ self.weights["gap"]
        return self.norm(x, "norm_in")

    def interest(self, state: Arrays, now: Int) -> dict[str, Float]:
        """The addends of the interest at ``now[n]``, 0 for people nothing is known of."""
        parts = self.interests(state, seconds_between(state["last_time"], now))
        known = state["last_time"] != NEVER
        if known.all():
            return parts
        return {name: np.where(known[:, None], part, np.float32(0)) for name, part in parts.items()}

    def score(self, state: Arrays, now: Int, weight: float = 1) -> Float:
        """``weight · (interest · item + bias)``, ``[n, V] float32``."""
        weighed = np.full((len(now), self.width + 1), weight, np.float32)
        weighed[:, :-1] *= sum(self.interest(state, now).values())
        scores: Float = weighed @ self.output
        return scores

    def parts(self, state: Arrays, now: Int, item: Int) -> dict[str, Float]:
        """The addends of the scores of ``item[n, k]``."""
        vectors = self.weights["embedding"][item]
        liking = {name: np.einsum("nd,nkd->nk", part, vectors) for name, part in self.interest(state, now).items()}
        return liking | {"bias": self.weights["bias"][item]}

    def linear(self, x: Float, *names: str) -> Float:
        """``x Wᵀ + b`` with a torch layer's weights, or those of several layers side by side."""
        if names not in self._layers:
            weights, biases = ([self.weights[f"{name}.{kind}"] for name in names] for kind in ("weight", "bias"))
            self._layers[names] = np.ascontiguousarray(np.concatenate(weights).T), np.concatenate(biases)
        weight, bias = self._layers[names]
        y: Float = x @ weight
        y += bias
        return y

    def transposed(self, name: str) -> Float:
        """A weight matrix, transposed and laid out for products; once."""
        if name not in self._transposed:
            self._transposed[name] = np.ascontiguousarray(self.weights[name].T)
        return self._transposed[name]

    def norm(self, x: Float, name: str) -> Float:
        """Layer norm with a torch layer's weights."""
        return cells.layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def feed_forward(self, x: Float, name: str) -> Float:
        """``LN(x + W₂ gelu(W₁ x))``."""
        return self.norm(x + self.linear(cells.gelu(self.linear(x, f"{name}.up")), f"{name}.down"), f"{name}.norm")

    def initial_ring(self, n: int) -> dict[str, Array]:
        """Keys and values of the last ``ring`` events, each ``[n, ring, width]``, the newest last; ``seen[n]`` counts them."""
        ring = np.zeros((n, self.settings.ring, self.width), np.float32)
        return {"keys": ring, "values": ring.copy(), "seen": np.zeros(n, np.int32)}

    def look_back(self, state: dict[str, Array], x: Float, name: str) -> tuple[Float, dict[str, Array]]:
        """What ``x[n, d]`` finds among the last ``ring`` events, itself included, and these with it."""
        ring, heads = self.settings.ring, self.settings.heads
        q, k, v = np.split(self.linear(x, f"{name}.qkv"), 3, axis=1)
        keys = np.concatenate([state["keys"][:, 1:], k[:, None]], axis=1)
        values = np.concatenate([state["values"][:, 1:], v[:, None]], axis=1)
        seen = np.minimum(state["seen"] + 1, ring).astype(np.int32)
        age = np.arange(ring)[::-1]
        bias = self.weights[f"{name}.age"][None, :, None, age]
        bias = np.where((age < seen[:, None])[:, None, None], bias, -np.inf)
        found = cells.attend(_heads(q[:, None], heads), _heads(keys, heads), _heads(values, heads), bias)
        found = found.transpose(0, 2, 1, 3).reshape(len(x), self.width)
        return self.linear(found, f"{name}.out"), {"keys": keys, "values": values, "seen": seen}


def common_shapes(items: int, event_types: int, *, timed: bool, settings: NeuralSettings) -> Shapes:
    """The weights of every network apart from its body's."""
    width = settings.width
    shapes = {"embedding": (items, width), "bias": (items,)} | _norm("norm_in", width)
    if settings.event_types and event_types > 1:
        shapes["kind"] = (event_types, width)
    if settings.time_gaps and timed:
        shapes["gap"] = (GAP_SCALES, width)
    return shapes


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, into: int, out: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _rnn(name: str, settings: NeuralSettings, gates: int) -> Shapes:
    width = settings.width
    shapes: Shapes = {}
    for layer in range(settings.layers):
        for kind in ("ih", "hh"):
            shapes |= {
                f"{name}.weight_{kind}_l{layer}": (gates * width, width),
                f"{name}.bias_{kind}_l{layer}": (gates * width,),
            }
    return shapes


def _feed_forward(name: str, width: int) -> Shapes:
    return _linear(f"{name}.up", width, 4 * width) | _linear(f"{name}.down", 4 * width, width) | _norm(f"{name}.norm", width)


class LSTMRuntime(Runtime):
    """``h`` and ``c``, each ``[n, layers, width]``, and the ``interest[n, width]`` that the last event left."""

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        return _rnn("body.rnn", settings, 4) | _norm("body.norm", settings.width)

    def initial(self, n: int) -> dict[str, Array]:
        """See ``Runtime``."""
        memory = (n, self.settings.layers, self.width)
        return {
            "h": np.zeros(memory, np.float32),
            "c": np.zeros(memory, np.float32),
            "interest": np.zeros((n, self.width), np.float32),
        }

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        h, c = self.lstm(state, x, "body.rnn")
        return {"h": h, "c": c, "interest": self.norm(h[:, -1] + x, "body.norm")}

    def lstm(self, state: dict[str, Array], x: Float, name: str) -> tuple[Float, Float]:
        """The new ``h`` and ``c`` of all layers."""
        h, c = np.empty_like(state["h"]), np.empty_like(state["c"])
        for layer in range(self.settings.layers):
            gates = self.recurrent(x, state["h"][:, layer], name, f"l{layer}")
            x, c[:, layer] = cells.lstm_step(gates, state["c"][:, layer])
            h[:, layer] = x
        return h, c

    def recurrent(self, x: Float, h: Float, name: str, layer: str) -> Float:
        """What a torch layer (``l0``, …) makes of an event and a memory, ``W_x x + b_x + W_h h + b_h``, as one product."""
        if (name, layer) not in self._layers:
            ends = [f"{of}_{layer}" for of in ("ih", "hh")]
            both = np.concatenate([self.weights[f"{name}.weight_{end}"] for end in ends], axis=1)
            bias = np.add(*(self.weights[f"{name}.bias_{end}"] for end in ends))
            self._layers[name, layer] = np.ascontiguousarray(both.T), bias
        weight, bias = self._layers[name, layer]
        gates: Float = np.concatenate([x, h], axis=1) @ weight
        gates += bias
        return gates


class GRURuntime(Runtime):
    """``h[n, layers, width]`` and the ``interest[n, width]``."""

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        return _rnn("body.rnn", settings, 3) | _norm("body.norm", settings.width)

    def initial(self, n: int) -> dict[str, Array]:
        """See ``Runtime``."""
        return {
            "h": np.zeros((n, self.settings.layers, self.width), np.float32),
            "interest": np.zeros((n, self.width), np.float32),
        }

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        h, first = state["h"].copy(), x
        for layer in range(self.settings.layers):
            name = "body.rnn"
            from_x = x @ self.transposed(f"{name}.weight_ih_l{layer}") + self.weights[f"{name}.bias_ih_l{layer}"]
            from_h = h[:, layer] @ self.transposed(f"{name}.weight_hh_l{layer}") + self.weights[f"{name}.bias_hh_l{layer}"]
            h[:, layer] = x = cells.gru_step(from_x, from_h, h[:, layer])
        return {"h": h, "interest": self.norm(x + first, "body.norm")}


class ArticleRuntime(LSTMRuntime):
    """Like an LSTM's, with the article's cell."""

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        width = settings.width
        shapes = _norm("body.norm", width)
        for layer in range(settings.layers):
            shapes |= _linear(f"body.input.{layer}", width, 4 * width) | {f"body.recurrent.{layer}.weight": (4 * width, width)}
        return shapes

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        h, c, first = state["h"].copy(), state["c"].copy(), x
        for layer in range(self.settings.layers):
            from_h: Float = np.asarray(h[:, layer] @ self.transposed(f"body.recurrent.{layer}.weight"), np.float32)
            gates = self.linear(x, f"body.input.{layer}") + from_h
            h[:, layer], c[:, layer] = cells.article_step(gates, c[:, layer])
            x = h[:, layer]
        return {"h": h, "c": c, "interest": self.norm(x + first, "body.norm")}


def _attention(name: str, settings: RingSettings | LongShortNetworkSettings) -> Shapes:
    width = settings.width
    return (
        _linear(f"{name}.qkv", width, 3 * width)
        | _linear(f"{name}.out", width, width)
        | {f"{name}.age": (settings.heads, settings.ring)}
    )


def _heads(x: Float, heads: int) -> Float:
    """``[n, m, d]`` as ``[n, heads, m, d / heads]``."""
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads).transpose(0, 2, 1, 3)


class AttentionLSTMRuntime(LSTMRuntime):
    """An LSTM's, and the keys and values of its last ``ring`` outputs, the newest last; ``seen[n]`` counts them."""

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        width = settings.width
        norms = _norm("body.norm", width) | _norm("body.norm_state", width)
        return _rnn("body.rnn", settings, 4) | norms | _attention("body.attention", settings)

    def initial(self, n: int) -> dict[str, Array]:
        """See ``Runtime``."""
        return super().initial(n) | self.initial_ring(n)

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        h, c = self.lstm(state, x, "body.rnn")
        output = self.norm(h[:, -1] + x, "body.norm_state")
        found, ring = self.look_back(state, output, "body.attention")
        return {"h": h, "c": c, "interest": self.norm(output + found, "body.norm")} | ring


class TransformerRuntime(Runtime):
    """The vectors of the last ``ring`` events, the newest last, and how many are there; they are read when a score is asked."""

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        shapes: Shapes = {"body.place": (settings.ring, settings.width)}
        for layer in range(settings.layers):
            shapes |= _attention(f"body.attention.{layer}", settings) | _norm(f"body.norm.{layer}", settings.width)
            shapes |= _feed_forward(f"body.forward_layers.{layer}", settings.width)
        return shapes

    def initial(self, n: int) -> dict[str, Array]:
        """See ``Runtime``."""
        return {"ring": np.zeros((n, self.settings.ring, self.width), np.float32), "seen": np.zeros(n, np.int32)}

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        ring = np.concatenate([state["ring"][:, 1:], x[:, None]], axis=1)
        return {"ring": ring, "seen": np.minimum(state["seen"] + 1, self.settings.ring).astype(np.int32)}

    def interests(self, state: Arrays, until: Float) -> dict[str, Float]:
        """See ``Runtime``."""
        ring, heads = self.settings.ring, self.settings.heads
        longest = max(1, int(state["seen"].max(initial=0)))
        seen = np.maximum(state["seen"], 1)
        # Left-aligned, so that places count from the first event that is still there.
        places = np.minimum(ring - seen[:, None] + np.arange(longest), ring - 1)
        x = np.take_along_axis(state["ring"], places[:, :, None], axis=1) + self.weights["body.place"][:longest]
        age = np.arange(longest)[:, None] - np.arange(longest)
        for layer in range(self.settings.layers):
            name = f"body.attention.{layer}"
            q, k, v = (_heads(part, heads) for part in np.split(self.linear(x, f"{name}.qkv"), 3, axis=2))
            bias = np.where(age >= 0, self.weights[f"{name}.age"][:, np.maximum(age, 0)], -np.inf)[None]
            looked = cells.attend(q, k, v, bias).transpose(0, 2, 1, 3).reshape(x.shape)
            x = self.feed_forward(
                self.norm(x + self.linear(looked, f"{name}.out"), f"body.norm.{layer}"), f"body.forward_layers.{layer}"
            )
        return {"short_term": np.take_along_axis(x, (seen - 1)[:, None, None], axis=1)[:, 0]}


class Bank(NamedTuple):
    """What follows from the weights of a bank of recurrences, each ``[width]``: the logarithm of what its sums keep over a
    second, the turn they take with an event (complex), and how loud an event is.
    """

    name: str
    fading: Float
    turned: Array
    loudness: Float

    @classmethod
    def of(cls, weights: Arrays, name: str) -> Bank:
        """That of the weights with this name."""
        rate = np.logaddexp(np.float32(0), weights[f"{name}.rate"])
        turned = np.exp(np.complex64(1j) * weights[f"{name}.angle"])
        return cls(name, np.asarray(-rate / weights["body.unit"], np.float32), turned, np.sqrt(-np.expm1(-2 * rate)))


class LongShortRuntime(LSTMRuntime):
    """An LSTM's memory (short-term), the sums of a bank of linear recurrences ``[n, layers, 2 · width]`` (long-term: complex
    numbers as pairs), and the interest that each leaves; the gate between them is set when a score is asked.
    """

    settings: LongShortNetworkSettings

    def __init__(self, weights: Arrays, settings: LongShortNetworkSettings) -> None:
        super().__init__(weights, settings)
        banks = range(settings.long_layers if settings.long else 0)
        self._banks = [Bank.of(weights, f"body.bank.{layer}") for layer in banks]

    @staticmethod
    def shapes(settings: Any, *, timed: bool) -> Shapes:
        """See ``Runtime``."""
        width, shapes = settings.width, Shapes()
        if settings.short:
            shapes |= _rnn("body.recent.rnn", settings, 4) | _norm("body.recent.norm", width)
        if settings.long:
            shapes["body.unit"] = ()
        for layer in range(settings.long_layers if settings.long else 0):
            name = f"body.bank.{layer}"
            shapes |= {f"{name}.rate": (width,), f"{name}.angle": (width,)}
            shapes |= _linear(f"{name}.value", width, 2 * width) | _linear(f"{name}.out", 2 * width, width)
            shapes |= _linear(f"{name}.gate", width, width) | _norm(f"{name}.norm", width)
            shapes |= _feed_forward(f"{name}.feed", width)
        if settings.long and settings.ring:
            shapes |= _attention("body.attention", settings) | _norm("body.norm", width)
        if settings.short and settings.long:
            shapes |= _linear("body.fusion", 2 * width + GAP_SCALES * timed, 1)
        return shapes

    def initial(self, n: int) -> dict[str, Array]:
        """See ``Runtime``."""
        nothing = np.zeros((n, self.width), np.float32)
        state: dict[str, Array] = {}
        if self.settings.short:
            memory = (n, self.settings.layers, self.width)
            state |= {"h": np.zeros(memory, np.float32), "c": np.zeros(memory, np.float32), "short": nothing}
        if self.settings.long:
            state |= {"sums": np.zeros((n, self.settings.long_layers, 2 * self.width), np.float32), "long": nothing.copy()}
            state |= self.initial_ring(n) if self.settings.ring else {}
        return state

    def step(self, state: dict[str, Array], x: Float, gap: Float) -> dict[str, Array]:
        """See ``Runtime``."""
        after: dict[str, Array] = {}
        if self.settings.short:
            h, c = self.lstm(state, x, "body.recent.rnn")
            after |= {"h": h, "c": c, "short": self.norm(h[:, -1] + x, "body.recent.norm")}
        if self.settings.long:
            sums, long, elapsed = np.empty_like(state["sums"]), x, np.maximum(gap, 0)[:, None]
            for layer, bank in enumerate(self._banks):
                sums[:, layer], long = self._bank(bank, long, state["sums"][:, layer], elapsed)
                if layer == 0 and self.settings.ring:
                    found, ring = self.look_back(state, long, "body.attention")
                    long, after = self.norm(long + found, "body.norm"), after | ring
            after |= {"sums": sums, "long": long}
        return after

    def _bank(self, bank: Bank, x: Float, sums: Float, elapsed: Float) -> tuple[Float, Float]:
        """One layer of the bank: its sums (complex numbers as pairs) and what it hands on."""
        name = bank.name
        value_and_gate = self.linear(x, f"{name}.value", f"{name}.gate")
        new = value_and_gate[:, : 2 * self.width].view(np.complex64)
        new *= bank.loudness * cells.sigmoid(value_and_gate[:, 2 * self.width :])
        new += np.exp(bank.fading * elapsed) * bank.turned * sums.view(np.complex64)
        sums = np.ascontiguousarray(new).view(np.float32)
        long = self.norm(x + self.linear(sums, f"{name}.out"), f"{name}.norm")
        return sums, self.feed_forward(long, f"{name}.feed")

    def interests(self, state: Arrays, until: Float) -> dict[str, Float]:
        """See ``Runtime``."""
        if not self.settings.long:
            return {"short_term": state["short"]}
        if not self.settings.short:
            return {"long_term": state["long"]}
        seen = [state["long"], state["short"]]
        if self.weights["body.fusion.weight"].shape[1] > 2 * self.width:
            seen.append(gap_features(until))
        g = cells.sigmoid(self.linear(np.concatenate(seen, axis=1), "body.fusion"))
        return {"long_term": g * state["long"], "short_term": (1 - g) * state["short"]}


RUNTIMES: Mapping[str, type[Runtime]] = {
    "lstm": LSTMRuntime,
    "gru": GRURuntime,
    "article_lstm": ArticleRuntime,
    "attention_lstm": AttentionLSTMRuntime,
    "transformer": TransformerRuntime,
    "longshort_network": LongShortRuntime,
}
