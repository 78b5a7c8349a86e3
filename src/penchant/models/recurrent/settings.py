"""What can be set on a recurrent model."""

from __future__ import annotations

from dataclasses import dataclass

from penchant.models.base import Settings


@dataclass(frozen=True)
class LSTMSettings(Settings):
    """Size, training and seed of an LSTM."""

    width: int = 64
    """Numbers in an item's embedding and in each memory."""
    layers: int = 1
    dropout: float = 0.4
    """Share of the inputs and outputs of the LSTM that is zeroed in training."""
    learning_rate: float = 0.005
    weight_decay: float = 0.01
    batch_size: int = 64
    """Histories a step."""
    max_length: int = 200
    """Longer histories are trained in windows of so many events; living states have no such bound."""
    epochs: int = 60
    """At most so many passes over the data."""
    patience: int = 3
    """Training stops after so many epochs without a better validation."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "layers", "batch_size", "max_length", "epochs", "patience"):
            self.check(getattr(self, name) >= 1, f"{name} must be at least 1")
        self.check(self.width <= 8192, "width must be at most 8192")
        self.check(self.layers <= 16, "layers must be at most 16")
        self.check(0 <= self.seed < 1 << 32, "seed must lie between 0 and 4294967295")
        self.check(0 <= self.dropout < 1, "dropout must lie in [0, 1)")
        self.check(self.learning_rate > 0, "learning_rate must be above 0")
        self.check(self.weight_decay >= 0, "weight_decay must not be negative")
        self.check(self.max_length >= 2, "max_length must be at least 2: an event and the one that follows it")
