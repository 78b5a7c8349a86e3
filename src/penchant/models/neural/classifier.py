"""The article's classifier as it lives: LSTM layers over a row's steps, a sigmoid on the last. NumPy only.

``classifier_training.py`` trains the same network in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penchant.models.base import Settings, expect
from penchant.models.neural import cells
from penchant.types import Arrays, Float

CELLS = ("lstm", "article_lstm")
TEXTS = ("tfidf", "bag")


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    """The article's program (section 5.2), its numbers as defaults."""

    cell: str = "lstm"
    """lstm, or article_lstm: the article's own equations (sections 3 and 4)."""
    units: int = 50
    layers: int = 2
    epochs: int = 10
    batch: int = 32
    learning_rate: float = 0.001
    """Of RMSprop; Keras's default, which the article leaves alone."""
    text: str = "tfidf"
    """What becomes of words: tfidf, or bag (counts)."""
    words: int = 100
    """So many words of a column are told apart, the most frequent."""
    seed: int = 42
    """Of the split, the start values and the order of the batches; the article's."""

    def __post_init__(self) -> None:
        for name in ("units", "layers", "epochs", "batch", "words"):
            self.check(getattr(self, name) >= 1, f"{name} must be at least 1")
        self.check(self.units <= 8192, "units must be at most 8192")
        self.check(self.layers <= 16, "layers must be at most 16")
        self.check(self.learning_rate > 0, "learning_rate must be above 0")
        self.check(0 <= self.seed < 1 << 32, "seed must lie between 0 and 4294967295")
        for name, known in (("cell", CELLS), ("text", TEXTS)):
            self.check(getattr(self, name) in known, f"{name} must be one of {', '.join(known)}")


class ClassifierNetwork:
    """The network's ``weights``, by torch's names, and what it says of rows. ``PenchantError`` where they don't fit."""

    def __init__(self, settings: ClassifierSettings, features: int, weights: Arrays) -> None:
        expect(weights, shapes(settings, features))
        self.settings, self.weights = settings, weights

    def probabilities(self, x: Float) -> Float:
        """``[n] float32``: how likely the label of each row ``x[n, steps, features]`` is 1."""
        step = cells.lstm_step if self.settings.cell == "lstm" else cells.article_step
        n, units = len(x), self.settings.units
        for layer in range(self.settings.layers):
            into, recurrent = self.weights[f"input.{layer}.weight"].T, self.weights[f"recurrent.{layer}.weight"].T
            from_x = x @ into + self.weights[f"input.{layer}.bias"]
            h, c = np.zeros((n, units), np.float32), np.zeros((n, units), np.float32)
            outputs = np.empty((n, x.shape[1], units), np.float32)
            for place in range(x.shape[1]):
                h, c = step(from_x[:, place] + h @ recurrent, c)
                outputs[:, place] = h
            x = outputs
        return cells.sigmoid(x[:, -1] @ self.weights["output.weight"][0] + self.weights["output.bias"][0])


def shapes(settings: ClassifierSettings, features: int) -> dict[str, tuple[int, ...]]:
    """The weights and their shapes."""
    units = settings.units
    found: dict[str, tuple[int, ...]] = {"output.weight": (1, units), "output.bias": (1,)}
    for layer in range(settings.layers):
        found[f"input.{layer}.weight"] = (4 * units, units if layer else features)
        found[f"input.{layer}.bias"] = (4 * units,)
        found[f"recurrent.{layer}.weight"] = (4 * units, units)
    return found
