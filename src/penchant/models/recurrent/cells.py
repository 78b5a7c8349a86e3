"""Recurrent cells, one step at a time, in NumPy."""

from __future__ import annotations

import numpy as np

from penchant.types import Float


def sigmoid(x: Float) -> Float:
    """``1 / (1 + e^-x)``, by the hyperbolic tangent, which can't overflow."""
    y: Float = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))
    return y


def lstm_step(gates: Float, c: Float) -> tuple[Float, Float]:
    """One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    ``gates[n, 4H]`` are the pre-activations of input, forget, cell and output, in this order; ``c[n, H]`` is the cell.
    Returns the new ``h[n, H]`` and ``c[n, H]``: ``c' = σ(f)·c + σ(i)·tanh(g)``, ``h' = σ(o)·tanh(c')``.
    """
    i, f, g, o = np.split(gates, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def layer_norm(x: Float, weight: Float, bias: Float) -> Float:
    """Normalise the last axis to mean 0 and variance 1, then scale and shift (Ba et al. 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    y: Float = centred / np.sqrt(variance + np.float32(1e-5)) * weight + bias
    return y
