"""What can be set on a network: its size, its inputs, its loss, its training."""

from __future__ import annotations

from dataclasses import dataclass

from penchant.models.base import Settings

WORDS = {
    "start": ("factors", "random"),
    "loss": ("auto", "softmax", "sampled", "bpr_max", "gbce"),
    "only_new": ("auto", "yes", "no"),
    "schedule": ("constant", "linear", "cosine"),
    "precision": ("auto", "float32", "bfloat16"),
}
"""The settings that are one of some words."""


@dataclass(frozen=True)
class NeuralSettings(Settings):
    """Size, inputs, loss and training of a network."""

    width: int = 128
    """Numbers in an item's embedding and in each memory."""
    layers: int = 1
    dropout: float = 0.5
    """Share of the inputs and outputs of the body that is zeroed in training."""
    time_gaps: bool = True
    """Whether the time since the last event is an input (where the log has times)."""
    event_types: bool = True
    """Whether the kind of an event is an input (where the log has more than one)."""
    start: str = "factors"
    """What embeddings begin as: factors of what stands near what in the histories, which saves half the epochs, or random."""
    loss: str = "auto"
    """softmax: over the whole catalogue; sampled, bpr_max, gbce: against negatives; auto: softmax for a small catalogue."""
    negatives: int = 2048
    """Sampled items that the targets of a step share as negatives."""
    negative_power: float = 0.4
    """Negatives are drawn in proportion to ``popularity ** negative_power``."""
    bpr_penalty: float = 1.0
    """Weight of the squared scores of negatives in bpr_max."""
    calibration: float = 0.75
    """Of gbce: 0 leaves binary cross-entropy as it is, 1 undoes all overconfidence that sampling brings."""
    only_new: str = "auto"
    """Whether a target competes only with items that the person didn't have before, as in a list of new items: nothing is
    learned then just to leave those out. yes, no, or auto: by the whole softmax (and with no label smoothed), where no history
    has an item twice."""
    length_power: float = 0.0
    """A target counts in proportion to ``n ** -length_power``, one of ``n`` in its history: by 0 all targets count alike, by 1
    all people."""
    label_smoothing: float = 0.0
    """Share of a softmax target that is spread over all items."""
    learning_rate: float = 0.002
    """Of AdamW, which trains all but sampled embeddings."""
    embedding_rate: float = 0.05
    """Of row-sparse Adagrad, which trains the embeddings where negatives are sampled."""
    schedule: str = "constant"
    """How the rates fall over the ``epochs``: constant, linear or cosine."""
    warmup: int = 0
    """Steps over which the rates rise from 0."""
    clip: float = 5.0
    """Gradients longer than this are shortened to it."""
    weight_decay: float = 0.01
    """Decoupled, as in AdamW; not on sampled embeddings."""
    l1: float = 0.0
    """Weight of the sum of absolute weights in the loss."""
    l2: float = 0.0
    """Weight of half the sum of squared weights in the loss."""
    crop: float = 0.0
    """How often a history is trained from a random stretch of it."""
    mask: float = 0.0
    """Share of the input events that are left out (their places stay, as targets too)."""
    reorder: float = 0.0
    """How often events of one moment are shuffled."""
    repeat: float = 0.0
    """Share of the events that are put in twice."""
    batch_events: int = 256
    """About so many targets a step,"""
    batch_histories: int = 16
    """but no fewer histories than this: of long ones, fewer make many small products."""
    max_length: int = 200
    """Longer histories are trained in pieces of so many events; living states have no such bound."""
    carry: bool = True
    """Whether a piece goes on from the state that the piece before it left (truncated backpropagation through time)."""
    average: float = 0.5
    """Share of the averaged weights that an epoch keeps, while it mixes in its own; 0 takes each epoch's last."""
    precision: str = "auto"
    """Of the products in training, where the weights themselves stay in float32: auto makes those with the catalogue in
    bfloat16 if the processor has it, bfloat16 makes all so but an LSTM's, float32 none."""
    epochs: int = 60
    """At most so many passes over the data."""
    patience: int = 5
    """Training stops after so many epochs without a better validation."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "layers", "negatives", "batch_events", "batch_histories", "epochs", "patience"):
            self.check(getattr(self, name) >= 1, f"{name} must be at least 1")
        self.check(self.width <= 8192, "width must be at most 8192")
        self.check(self.layers <= 16, "layers must be at most 16")
        self.check(0 <= self.seed < 1 << 32, "seed must lie between 0 and 4294967295")
        for name in ("dropout", "label_smoothing", "mask", "average"):
            self.check(0 <= getattr(self, name) < 1, f"{name} must lie in [0, 1)")
        for name in ("crop", "reorder", "repeat", "calibration", "negative_power", "length_power"):
            self.check(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1]")
        for name in ("learning_rate", "embedding_rate", "clip"):
            self.check(getattr(self, name) > 0, f"{name} must be above 0")
        self.check(self.warmup >= 0, "warmup must not be negative")
        for name in ("weight_decay", "l1", "l2", "bpr_penalty"):
            self.check(0 <= getattr(self, name) <= 1e6, f"{name} must lie between 0 and 1000000")
        self.check(2 <= self.max_length <= 100_000, "max_length must lie between 2 (an event and the next) and 100000")
        for name, words in WORDS.items():
            self.check(getattr(self, name) in words, f"{name} must be one of {', '.join(words)}")
        smoothed = self.only_new == "yes" and self.label_smoothing > 0
        self.check(not smoothed, "only_new can't be yes with label_smoothing, which spreads over the whole catalogue")


@dataclass(frozen=True)
class RingSettings(NeuralSettings):
    """Of networks that look back at the last events themselves."""

    ring: int = 50
    """How many last events are looked back at."""
    heads: int = 1
    """Parts of the width that attend on their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(1 <= self.ring <= 4096, "ring must lie between 1 and 4096")
        self.check(self.heads >= 1 and self.width % self.heads == 0, "heads must divide width")


@dataclass(frozen=True)
class LongShortNetworkSettings(NeuralSettings):
    """Which of the two memories are there, and how the long one is built."""

    short: bool = True
    """The LSTM over recent events."""
    long: bool = True
    """The bank of gated linear recurrences."""
    long_layers: int = 1
    """Blocks of the bank, each a linear recurrence and a feed-forward layer."""
    ring: int = 0
    """How many last events the bank looks back at, after its first block; 0: none. Each is remembered on its own."""
    heads: int = 1
    """Parts of the width that look back on their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(self.short or self.long, "short and long can't both be false")
        self.check(1 <= self.long_layers <= 16, "long_layers must lie between 1 and 16")
        self.check(0 <= self.ring <= 4096, "ring must lie between 0 and 4096")
        self.check(self.heads >= 1 and self.width % self.heads == 0, "heads must divide width")
