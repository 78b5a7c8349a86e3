"""Ranges of the networks' settings."""

from typing import Any

import pytest

from penchant.models import MODELS
from penchant.models.neural.model import TransformerSettings
from penchant.models.neural.settings import LongShortNetworkSettings, NeuralSettings, RingSettings
from penchant.types import PenchantError


@pytest.mark.parametrize(
    ("word", "value", "sentence"),
    [
        ("width", 0, "width must be at least 1"),
        ("width", 8193, "width must be at most 8192"),
        ("layers", 0, "layers must be at least 1"),
        ("layers", 17, "layers must be at most 16"),
        ("negatives", 0, "negatives must be at least 1"),
        ("batch_events", 0, "batch_events must be at least 1"),
        ("batch_histories", 0, "batch_histories must be at least 1"),
        ("epochs", 0, "epochs must be at least 1"),
        ("patience", 0, "patience must be at least 1"),
        ("max_length", 1, r"max_length must lie between 2 \(an event and the next\) and 100000"),
        ("max_length", 100_001, "max_length must lie between 2"),
        ("dropout", 1, r"dropout must lie in \[0, 1\)"),
        ("dropout", -0.1, r"dropout must lie in \[0, 1\)"),
        ("dropout", "nan", "dropout: 'nan' is not a number"),
        ("label_smoothing", 1, r"label_smoothing must lie in \[0, 1\)"),
        ("mask", 1, r"mask must lie in \[0, 1\)"),
        ("average", 1, r"average must lie in \[0, 1\)"),
        ("crop", 1.1, r"crop must lie in \[0, 1\]"),
        ("reorder", -0.1, r"reorder must lie in \[0, 1\]"),
        ("repeat", 2, r"repeat must lie in \[0, 1\]"),
        ("calibration", 1.5, r"calibration must lie in \[0, 1\]"),
        ("negative_power", -1, r"negative_power must lie in \[0, 1\]"),
        ("length_power", 1.1, r"length_power must lie in \[0, 1\]"),
        ("learning_rate", 0, "learning_rate must be above 0"),
        ("learning_rate", "nan", "learning_rate: 'nan' is not a number"),
        ("embedding_rate", 0, "embedding_rate must be above 0"),
        ("clip", 0, "clip must be above 0"),
        ("weight_decay", -1, "weight_decay must lie between 0 and 1000000"),
        ("l1", -1, "l1 must lie between 0 and 1000000"),
        ("l1", 1e39, "l1 must lie between 0 and 1000000"),
        ("l2", -1, "l2 must lie between 0 and 1000000"),
        ("l2", 1e39, "l2 must lie between 0 and 1000000"),
        ("bpr_penalty", -1, "bpr_penalty must lie between 0 and 1000000"),
        ("warmup", -1, "warmup must not be negative"),
        ("seed", -1, "seed must lie between 0 and"),
        ("seed", 1 << 70, "seed must lie between 0 and"),
        ("loss", "hinge", "loss must be one of auto, softmax, sampled, bpr_max, gbce"),
        ("schedule", "step", "schedule must be one of constant, linear, cosine"),
        ("precision", "float16", "precision must be one of auto, float32, bfloat16"),
        ("only_new", "sometimes", "only_new must be one of auto, yes, no"),
        ("time_gaps", "maybe", "time_gaps: 'maybe' is not true or false"),
        ("carry", 2, "carry: 2 is not true or false"),
    ],
)
def test_a_setting_out_of_range_is_refused(word: str, value: object, sentence: str) -> None:
    with pytest.raises(PenchantError, match=f"setting {sentence}"):
        NeuralSettings.parse({word: value})


@pytest.mark.parametrize(
    ("kind", "words", "sentence"),
    [
        (NeuralSettings, {"only_new": "yes", "label_smoothing": 0.1}, "only_new can't be yes with label_smoothing"),
        (RingSettings, {"ring": 0}, "ring must lie between 1 and 4096"),
        (RingSettings, {"ring": 4097}, "ring must lie between 1 and 4096"),
        (RingSettings, {"heads": 0}, "heads must divide width"),
        (RingSettings, {"heads": 3, "width": 8}, "heads must divide width"),
        (TransformerSettings, {"ring": 10, "max_length": 11}, "max_length must be at most ring"),
        (LongShortNetworkSettings, {"short": False, "long": False}, "short and long can't both be false"),
        (LongShortNetworkSettings, {"long_layers": 0}, "long_layers must lie between 1 and 16"),
        (LongShortNetworkSettings, {"ring": -1}, "ring must lie between 0 and 4096"),
        (LongShortNetworkSettings, {"heads": 3, "width": 8}, "heads must divide width"),
    ],
)
def test_what_does_not_go_together_is_refused(kind: type[NeuralSettings], words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PenchantError, match=f"setting {sentence}"):
        kind.parse(words)


def test_the_ends_of_the_ranges_are_in() -> None:
    NeuralSettings.parse({"width": 1, "dropout": 0, "max_length": 2, "weight_decay": 0, "seed": 0, "mask": 0, "warmup": 0})
    NeuralSettings.parse({"seed": (1 << 32) - 1, "dropout": 0.99, "crop": 1, "reorder": 1, "repeat": 1, "calibration": 1})
    TransformerSettings.parse({"ring": 10, "max_length": 10, "heads": 128})


def test_what_is_written_in_a_file_is_read() -> None:
    settings = NeuralSettings.parse({"carry": "false", "time_gaps": "no", "loss": "gbce", "l1": "1e-4"})
    assert (settings.carry, settings.time_gaps, settings.loss, settings.l1) == (False, False, "gbce", 1e-4)
    assert MODELS["transformer"](layers=1).settings != MODELS["transformer"]().settings
