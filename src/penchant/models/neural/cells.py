"""Recurrent cells, one step at a time, in NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np

from penchant.types import Float

# Of a single person an operation costs more than its numbers: hence constants made once, and results written into.
HALF, ONE, EPSILON = np.float32(0.5), np.float32(1), np.float32(1e-5)


def sigmoid(x: Float) -> Float:
    """``1 / (1 + e^-x)``, by the hyperbolic tangent, which can't overflow."""
    y: Float = HALF * x
    np.tanh(y, out=y)
    y += ONE
    y *= HALF
    return y


def lstm_step(gates: Float, c: Float) -> tuple[Float, Float]:
    """One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    ``gates[n, 4H]`` are the pre-activations of input, forget, cell and output, in this order; ``c[n, H]`` is the cell.
    Returns the new ``h[n, H]`` and ``c[n, H]``: ``c' = σ(f)·c + σ(i)·tanh(g)``, ``h' = σ(o)·tanh(c')``.
    """
    width = c.shape[1]
    opened = sigmoid(gates[:, : 2 * width])  # input and forget at once: a call costs more than its numbers
    c = opened[:, width:] * c
    c += opened[:, :width] * np.tanh(gates[:, 2 * width : 3 * width])
    h = sigmoid(gates[:, 3 * width :])
    h *= np.tanh(c)
    return h, c


def layer_norm(x: Float, weight: Float, bias: Float) -> Float:
    """Normalise the last axis to mean 0 and variance 1, then scale and shift (Ba et al. 2016)."""
    mean = _mean(x.shape[-1])
    y: Float = x - x @ mean
    spread = (y * y) @ mean
    spread += EPSILON
    y /= np.sqrt(spread, out=spread)
    y *= weight
    y += bias
    return y


@cache
def _mean(width: int) -> Float:
    """What vectors are multiplied with for their mean, ``[width, 1]``: quicker than ``np.mean``."""
    return np.full((width, 1), 1 / width, np.float32)


def gru_step(from_x: Float, from_h: Float, h: Float) -> Float:
    """One step of a gated recurrent unit (Cho et al. 2014), the reset gate after the product.

    ``from_x[n, 3H]`` and ``from_h[n, 3H]`` are the pre-activations of reset, update and candidate; ``h[n, H]`` is the state.
    ``h' = (1 - z)·tanh(n_x + r·n_h) + z·h``.
    """
    reset_x, update_x, new_x = np.split(from_x, 3, axis=1)
    reset_h, update_h, new_h = np.split(from_h, 3, axis=1)
    z = sigmoid(update_x + update_h)
    after: Float = (np.float32(1) - z) * np.tanh(new_x + sigmoid(reset_x + reset_h) * new_h) + z * h
    return after


def article_step(gates: Float, c: Float) -> tuple[Float, Float]:
    """One step of the article's cell; ``gates[n, 4H]`` are the pre-activations of input, candidate, forget and output.

    ``g = σ(f)·g̃``, ``c' = g·g̃ + (1 - σ(i))·c``, ``h' = σ(o)·tanh(c')`` with ``g̃ = tanh(g)``.
    """
    i, g, f, o = np.split(gates, 4, axis=1)
    candidate = np.tanh(g)
    c = sigmoid(f) * candidate * candidate + (np.float32(1) - sigmoid(i)) * c
    return sigmoid(o) * np.tanh(c), c


def gelu(x: Float) -> Float:
    """Gaussian error linear unit, by the hyperbolic tangent (Hendrycks and Gimpel 2016)."""
    y: Float = x * x
    y *= np.float32(0.044715)
    y += ONE
    y *= x
    y *= np.float32(0.7978845608)
    np.tanh(y, out=y)
    y += ONE
    y *= x
    y *= HALF
    return y


def attend(q: Float, k: Float, v: Float, bias: Float) -> Float:
    """Scaled dot-product attention ``[n, heads, m, e]`` (Vaswani et al. 2017); ``bias`` is added to the scores, -inf hides."""
    scores = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(q.shape[-1])) + bias
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    seen: Float = np.asarray((scores / scores.sum(axis=-1, keepdims=True)) @ v, np.float32)
    return seen
