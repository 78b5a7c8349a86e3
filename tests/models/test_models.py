"""The contract, over every registered model, and finding models by name."""

from typing import Any

import pytest

from penchant.models import MODELS, create
from penchant.testing import check_recommender
from penchant.types import PenchantError

NETWORK: dict[str, Any] = {"width": 6, "epochs": 2, "batch_events": 64}
SMALL: dict[str, list[dict[str, Any]]] = {
    "lstm": [NETWORK, {"width": 30, "layers": 2, "epochs": 2, "max_length": 5, "dropout": 0}],
    "gru": [NETWORK],
    "article_lstm": [NETWORK],
    "attention_lstm": [NETWORK | {"ring": 5}],
    "transformer": [NETWORK | {"ring": 5, "max_length": 5}],
    "longshort_network": [NETWORK],
    "longshort": [NETWORK],
    "blend": [{"members": "transitions+item_knn"}],
}
"""Settings for a quick check; a model not named here is checked with its defaults."""


@pytest.mark.parametrize(
    ("name", "settings"), [(name, settings) for name in MODELS for settings in SMALL.get(name, [{}])], ids=str
)
def test_every_model_keeps_the_law_and_the_contract(name: str, settings: dict[str, Any]) -> None:
    check_recommender(lambda: create(name, **settings))


def test_models_are_registered_under_their_own_names() -> None:
    assert {"popularity", "recent_popularity", "lstm"} <= set(MODELS)
    assert all(create(name).name == name for name in MODELS)


def test_a_name_that_is_nearly_right_gets_a_hint() -> None:
    with pytest.raises(PenchantError, match=r"no model 'popularty'; did you mean popularity\? the models are popularity, "):
        create("popularty")
    with pytest.raises(PenchantError, match=r"no model '\?'; the models are"):
        create("?")


def test_a_setting_called_name_is_just_a_setting_that_is_not_there() -> None:
    with pytest.raises(PenchantError, match="there is no setting 'name'"):
        create("lstm", name="x")
