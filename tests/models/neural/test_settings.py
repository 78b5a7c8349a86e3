"""Ranges of an LSTM's settings."""

import pytest
from penchant.models.recurrent.settings import LSTMSettings

from penchant.types import PenchantError


@pytest.mark.parametrize(
    ("word", "value", "sentence"),
    [
        ("width", 0, "width must be at least 1"),
        ("layers", 0, "layers must be at least 1"),
        ("batch_size", 0, "batch_size must be at least 1"),
        ("epochs", 0, "epochs must be at least 1"),
        ("patience", 0, "patience must be at least 1"),
        ("max_length", 1, "max_length must be at least 2"),
        ("dropout", 1, r"dropout must lie in \[0, 1\)"),
        ("dropout", -0.1, r"dropout must lie in \[0, 1\)"),
        ("dropout", "nan", "dropout"),
        ("learning_rate", 0, "learning_rate must be above 0"),
        ("learning_rate", "nan", "learning_rate: 'nan' is not a number"),
        ("weight_decay", -1, "weight_decay must not be negative"),
        ("seed", -1, "seed must lie between 0 and"),
        ("seed", 1 << 70, "seed must lie between 0 and"),
    ],
)
def test_a_setting_out_of_range_is_refused(word: str, value: object, sentence: str) -> None:
    with pytest.raises(PenchantError, match=f"setting {sentence}"):
        LSTMSettings.parse({word: value})


def test_the_ends_of_the_ranges_are_in() -> None:
    LSTMSettings.parse({"width": 1, "dropout": 0, "max_length": 2, "weight_decay": 0, "seed": 0})
    LSTMSettings.parse({"seed": (1 << 32) - 1, "dropout": 0.99})
