"""The recurrent network as it lives: NumPy only, from the weights that training left.

A parity test holds it to ``network.py`` within 1e-5.
"""

from __future__ import annotations

import numpy as np

from penchant.models.recurrent.cells import layer_norm, lstm_step
from penchant.models.recurrent.settings import LSTMSettings
from penchant.types import Arrays, Batch, Float, Int

Shapes = dict[str, tuple[int, ...]]


def shapes(items: int, settings: LSTMSettings) -> Shapes:
    """The arrays a network of this size has, by torch's names."""
    width = settings.width
    norms: Shapes = {f"norm_{side}.{what}": (width,) for side in ("in", "out") for what in ("weight", "bias")}
    layers: Shapes = {}
    for layer in range(settings.layers):
        layers |= {f"lstm.weight_{kind}_l{layer}": (4 * width, width) for kind in ("ih", "hh")}
        layers |= {f"lstm.bias_{kind}_l{layer}": (4 * width,) for kind in ("ih", "hh")}
    return {"embedding": (items, width), "bias": (items,)} | norms | layers


class Runtime:
    """Advances and scores user states. A state is ``h`` and ``c``, each ``[n, layers, width] float32``, and the
    ``interest[n, width]`` that the last event left: what the output layer reads.
    """

    def __init__(self, weights: Arrays, settings: LSTMSettings) -> None:
        self.weights = weights
        self.settings = settings
        # The first layer's input is a function of the item alone: computed once per item, not once per event.
        self._input = layer_norm(weights["embedding"], weights["norm_in.weight"], weights["norm_in.bias"])
        self._recurrent = [np.ascontiguousarray(weights[f"lstm.weight_hh_l{i}"].T) for i in range(settings.layers)]
        self._between = [np.ascontiguousarray(weights[f"lstm.weight_ih_l{i}"].T) for i in range(settings.layers)]
        self._bias = [weights[f"lstm.bias_ih_l{i}"] + weights[f"lstm.bias_hh_l{i}"] for i in range(settings.layers)]
        # The bias as one more row, met by a constant 1: one product and no second pass over the scores.
        self._output = np.vstack([weights["embedding"].T, weights["bias"]])

    def initial(self, n: int) -> dict[str, Float]:
        """States of ``n`` people nothing is known of; their interest is 0, so items rank by their bias."""
        width, layers = self.settings.width, self.settings.layers
        return {
            "h": np.zeros((n, layers, width), np.float32),
            "c": np.zeros((n, layers, width), np.float32),
            "interest": np.zeros((n, width), np.float32),
        }

    def advance(self, state: Arrays, batch: Batch) -> dict[str, Float]:
        """States after the batch's events, all of known items."""
        h, c, interest = state["h"].copy(), state["c"].copy(), state["interest"].copy()
        for step in range(batch.item.shape[1]):
            rows = np.flatnonzero(batch.lengths > step)
            if len(rows) == 0:
                break
            x = first = self._input[batch.item[rows, step]]
            for layer in range(self.settings.layers):
                gates = x @ self._between[layer] + h[rows, layer] @ self._recurrent[layer] + self._bias[layer]
                h[rows, layer], c[rows, layer] = lstm_step(gates, c[rows, layer])
                x = h[rows, layer]
            interest[rows] = layer_norm(x + first, self.weights["norm_out.weight"], self.weights["norm_out.bias"])
        return {"h": h, "c": c, "interest": interest}

    def score(self, state: Arrays) -> Float:
        """``interest · item + bias``, ``[n, V] float32``."""
        scores: Float = np.pad(state["interest"], ((0, 0), (0, 1)), constant_values=1) @ self._output
        return scores

    def parts(self, state: Arrays, item: Int) -> dict[str, Float]:
        """The two addends of the scores of ``item[n, k]``."""
        liking = np.einsum("nd,nkd->nk", state["interest"], self.weights["embedding"][item])
        return {"short_term": liking, "bias": self.weights["bias"][item]}
