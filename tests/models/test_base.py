"""What every model shares: settings, the name of what was learned, cursors, unknown items, histories of any shape."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.models import base, create
from penchant.models.base import Model, Settings, expect
from penchant.testing import example_histories, log_of
from penchant.types import NEVER, UNKNOWN, Cases, PenchantError, Sequences, UserState, Vocabulary


@dataclass(frozen=True)
class Taste(Settings):
    width: int = 8
    rate: float = 0.5
    loss: str = "softmax"

    def __post_init__(self) -> None:
        self.check(self.width >= 1, "width must be at least 1")


@pytest.fixture(scope="module")
def train() -> Sequences:
    return example_histories(np.random.default_rng(1), 20)


@pytest.fixture(scope="module")
def lstm(train: Sequences) -> Model:
    return create("lstm", width=6, layers=2, epochs=1).fit(train)


def test_settings_are_read_from_words_and_values_alike() -> None:
    assert Taste.parse({"width": "3", "rate": "1e-2", "loss": "bpr"}) == Taste(3, 0.01, "bpr")
    assert Taste.parse({"width": 3, "rate": 1}) == Taste(3, 1.0)
    assert Taste.parse({}) == Taste()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"width": "wide"}, "setting width: 'wide' is not a whole number"),
        ({"width": "3.5"}, "setting width: '3.5' is not a whole number"),
        ({"width": 3.5}, "setting width: 3.5 is not a whole number"),
        ({"width": None}, "setting width: None is not a whole number"),
        ({"width": float("inf")}, "setting width: inf is not a whole number"),
        ({"rate": "fast"}, "setting rate: 'fast' is not a number"),
        ({"rate": [1]}, r"setting rate: \[1\] is not a number"),
        ({"loss": 3}, "setting loss: 3 is not a word"),
        ({"widht": "3"}, "there is no setting 'widht'; did you mean width\\? the settings are width, rate, loss"),
        ({"q": "3"}, "there is no setting 'q'; the settings are width, rate, loss"),
        ({"width": "0"}, "setting width must be at least 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(PenchantError, match=sentence):
        Taste.parse(words)


def test_a_model_without_settings_says_so() -> None:
    with pytest.raises(PenchantError, match="there is no setting 'width'; this model has none"):
        create("popularity", width=3)


def test_settings_may_be_given_as_an_object_and_overruled() -> None:
    from penchant.models.popularity import RecentPopularity, RecentSettings

    assert RecentPopularity(RecentSettings(3.0)).settings == RecentSettings(3.0)
    assert RecentPopularity(RecentSettings(3.0), half_life_days=4).settings == RecentSettings(4.0)


def test_the_id_is_of_all_that_was_learned_and_nothing_else(train: Sequences) -> None:
    first = create("popularity").fit(train)
    renamed = replace(train, users=Vocabulary(tuple(f"x{n}" for n in range(len(train)))))
    assert create("popularity").fit(renamed).id == first.id
    fewer = seq.select(train, np.arange(len(train) - 1))
    others = [create("popularity").fit(fewer), create("recent_popularity").fit(train)]
    others.append(create("recent_popularity", half_life_days=3).fit(train))
    assert len({first.id, *(model.id for model in others)}) == 4


def test_the_id_is_of_the_settings_too(train: Sequences, lstm: Model) -> None:
    other = create("lstm", width=6, layers=2, epochs=1, patience=9).fit(train)
    assert all(np.array_equal(array, lstm.weights()[name]) for name, array in other.weights().items())
    assert other.id != lstm.id


def test_the_id_follows_what_is_learned_and_set(train: Sequences) -> None:
    model = create("popularity").fit(train)
    first, weights = model.id, dict(model.weights())
    model.set_weights(weights | {"count": weights["count"] + 1})
    assert model.id != first
    model.set_weights(weights)
    assert model.id == first
    assert model.fit(seq.select(train, np.array([0, 1]))).id != first


@pytest.mark.parametrize("name", ["popularity", "lstm"])
def test_a_model_that_was_not_fitted_says_so(name: str) -> None:
    with pytest.raises(PenchantError, match="learned nothing yet; fit it"):
        create(name).initial(1)


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(PenchantError, match=r"the weights don't fit the configuration: share"):
        expect({"share": np.zeros(3)}, {"share": (4,)})
    with pytest.raises(PenchantError, match="missing"):
        expect({}, {"share": (4,)})


def test_nothing_to_learn_from_is_refused(train: Sequences) -> None:
    silent = seq.select(train, np.flatnonzero(train.lengths == 0))
    for name in ("popularity", "recent_popularity", "lstm"):
        with pytest.raises(PenchantError, match="no events to learn from"):
            create(name).fit(silent)


def test_the_catalogue_is_what_occurs_in_training(train: Sequences) -> None:
    some = seq.select(train, np.array([0]))
    model = create("popularity").fit(some)
    assert set(model.items.ids) == {train.items[int(code)] for code in some.item}


def test_the_cursor_is_the_last_event_unknown_ones_included(lstm: Model) -> None:
    log = log_of([("u", "item 1", 5), ("u", "never heard of", 6), ("v", "never heard of", 2)])
    states = lstm.encode(seq.histories(log))
    assert states.timestamp.tolist() == [6_000_000, 2_000_000]
    assert states.event_id.tolist() == [log.event_id[1], log.event_id[2]]
    nobody = lstm.initial(2)
    assert nobody.timestamp.tolist() == [NEVER] * 2
    assert nobody.event_id.tolist() == ["", ""]
    assert np.array_equal(states.arrays["h"][1], nobody.arrays["h"][1])


def test_the_law_for_a_history_longer_than_any_window(lstm: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    item = np.where(chance.random(300) < 0.2, UNKNOWN, chance.integers(0, len(lstm.items), 300)).astype(np.int32)
    log = log_of([("long", "unused", n) for n in range(300)] + [("short", "unused", 1)] * 7)
    histories = replace(seq.histories(log), items=lstm.items, item=np.append(item, [1, 2, 3, 4, 5, 6, 7]).astype(np.int32))
    whole = lstm.encode(histories)
    monkeypatch.setattr(base, "STEPS_AT_ONCE", 7)
    monkeypatch.setattr(base, "ROWS_AT_ONCE", 1)
    parts = lstm.encode(histories)
    for name, array in whole.arrays.items():
        assert np.allclose(array, parts.arrays[name], atol=1e-5)
    assert whole.event_id.tolist() == parts.event_id.tolist()


def test_encode_gives_states_in_the_order_it_is_asked(lstm: Model, train: Sequences) -> None:
    together = lstm.encode(train)
    for row in range(0, len(train), 7):
        alone = lstm.encode(seq.select(train, np.array([row])))
        assert np.allclose(together.arrays["interest"][row], alone.arrays["interest"][0], atol=1e-5)
        assert together.event_id[row] == alone.event_id[0]


def test_encode_recodes_histories_of_another_catalogue(lstm: Model, train: Sequences) -> None:
    turned = seq.recode(train, Vocabulary((*reversed(train.items.ids), "one more")))
    assert lstm.encode(turned).to_bytes() == lstm.encode(train).to_bytes()


def test_nobody_and_the_silent_have_states(lstm: Model, train: Sequences) -> None:
    nobody = lstm.encode(seq.select(train, np.array([], np.int64)))
    assert len(nobody) == 0
    assert UserState.from_bytes(nobody.to_bytes()).to_bytes() == nobody.to_bytes()
    silent = lstm.encode(seq.of_users(train, ["stranger", "another"]))
    assert silent.to_bytes() == lstm.initial(2).to_bytes()


def test_a_state_of_another_model_is_refused(lstm: Model, train: Sequences) -> None:
    other = create("popularity").fit(train)
    with pytest.raises(
        PenchantError, match=f"belongs to model {other.state_id}, not to {lstm.state_id}; encode the history again"
    ):
        lstm.advance(other.initial(1), seq.pad(train, np.array([0])))


def test_an_empty_validation_is_refused(train: Sequences) -> None:
    none = seq.select(train, np.zeros(0, np.int64))
    nobody = Cases(none, np.zeros(0, np.int64), none)
    with pytest.raises(PenchantError, match="the validation part is empty"):
        create("popularity").fit(train, nobody)
