"""The vocabulary of the library: codes, states, rankings."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.types import NEVER, UNKNOWN, Float, PenchantError, Ranking, UserState, Vocabulary, text

ids = st.text(st.characters(codec="utf-8"), max_size=8)


def a_state(rows: int, width: int, event_ids: Sequence[str], model_id: str = "model-1") -> UserState:
    chance = np.random.default_rng(rows * 31 + width)
    return UserState(
        model_id,
        {
            "h": chance.normal(size=(rows, 2, width)).astype(np.float32),
            "recent": chance.integers(-1, 9, (rows, width)).astype(np.int32),
        },
        np.arange(rows, dtype=np.int64) - 2,
        text(list(event_ids)),
    )


@given(st.lists(ids, unique=True), st.lists(ids))
def test_a_vocabulary_gives_every_id_its_place_and_others_unknown(known: list[str], asked: list[str]) -> None:
    vocabulary = Vocabulary(tuple(known))
    assert vocabulary.codes(known).tolist() == list(range(len(known)))
    assert [vocabulary[code] for code in range(len(vocabulary))] == known
    expected = [known.index(i) if i in known else UNKNOWN for i in asked]
    assert vocabulary.codes(asked).tolist() == expected == [vocabulary.code(i) for i in asked]


def test_ids_are_strings_and_leading_zeros_count() -> None:
    vocabulary = Vocabulary(("7", "007", "☕", ""))
    assert vocabulary.codes(["007", "7", "☕", "", "07"]).tolist() == [1, 0, 2, 3, UNKNOWN]


def test_a_translation_maps_codes_and_leaves_unknown_unknown() -> None:
    table = Vocabulary(("a", "b", "c")).translation(Vocabulary(("c", "a")))
    assert table.tolist() == [1, UNKNOWN, 0, UNKNOWN]
    assert table[np.array([UNKNOWN, 2])].tolist() == [UNKNOWN, 0]
    assert table.dtype == np.int32
    assert Vocabulary(()).translation(Vocabulary(("a",))).tolist() == [UNKNOWN]


@given(st.integers(0, 4), st.integers(1, 3), st.data())
def test_a_state_survives_bytes_and_the_same_state_gives_the_same_bytes(rows: int, width: int, data: st.DataObject) -> None:
    names = data.draw(st.lists(ids, min_size=rows, max_size=rows))
    state = a_state(rows, width, names, data.draw(ids))
    raw = state.to_bytes()
    back = UserState.from_bytes(raw)
    assert back.to_bytes() == raw == state.to_bytes()
    assert back.model_id == state.model_id
    assert back.event_id.tolist() == names
    assert back.timestamp.tolist() == state.timestamp.tolist()
    for name, array in state.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert np.array_equal(back.arrays[name], array)


def test_a_state_read_from_bytes_keeps_nothing_but_its_numbers() -> None:
    state = UserState.from_bytes(a_state(2, 3, ["a", "b"]).to_bytes())
    assert all(array.base is None for array in (state.timestamp, *state.arrays.values()))


def test_a_state_cut_with_a_step_has_the_bytes_of_its_rows() -> None:
    state = a_state(4, 3, ["a", "b", "c", "d"])
    assert state[::2].to_bytes() == state[np.array([0, 2])].to_bytes()
    assert UserState.from_bytes(state[::-1].to_bytes()).timestamp.tolist() == [1, 0, -1, -2]


def test_states_are_cut_and_joined() -> None:
    state = a_state(3, 2, ["a", "b", "c"])
    joined = UserState.concatenate([state[np.array([2])], state[0:2]])
    assert joined.event_id.tolist() == ["c", "a", "b"]
    assert np.array_equal(joined.arrays["h"], state.arrays["h"][[2, 0, 1]])
    assert len(joined) == 3


@given(st.data())
def test_bytes_that_are_not_a_whole_state_are_refused_in_a_sentence(data: st.DataObject) -> None:
    raw = a_state(2, 2, ["a", "b"]).to_bytes()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(PenchantError, match="not a user state"):
        UserState.from_bytes(raw[:cut])


@given(st.integers(8, 400), st.integers(0, 255))
def test_a_state_with_a_wrong_byte_is_read_or_refused_but_never_crashes(place: int, byte: int) -> None:
    raw = bytearray(a_state(2, 2, ["a", "b"]).to_bytes())
    raw[place % len(raw)] = byte
    try:
        UserState.from_bytes(bytes(raw))
    except PenchantError as error:
        assert "not a user state" in str(error)  # noqa: PT017


def test_a_state_whose_parts_differ_in_length_is_refused() -> None:
    state = a_state(2, 2, ["a", "b"])
    broken = UserState(state.model_id, state.arrays, np.array([NEVER]), state.event_id)
    with pytest.raises(PenchantError, match="differ in length"):
        UserState.from_bytes(broken.to_bytes())


def test_a_ranking_as_rows_ends_where_items_end() -> None:
    part: Float = np.array([[0.5, 0.25, 0], [1, 0, 0]], np.float32)
    ranking = Ranking(
        Vocabulary(("x", "y", "z")),
        np.array([[2, 0, 1], [1, UNKNOWN, UNKNOWN]], np.int32),
        np.array([[3, 2, 1], [5, -np.inf, -np.inf]], np.float32),
        {"short_term": part},
    )
    assert list(ranking.rows(["ann", "bob"])) == [
        {"user_id": "ann", "item_id": "z", "score": 3.0, "rank": 1, "short_term": 0.5},
        {"user_id": "ann", "item_id": "x", "score": 2.0, "rank": 2, "short_term": 0.25},
        {"user_id": "ann", "item_id": "y", "score": 1.0, "rank": 3, "short_term": 0.0},
        {"user_id": "bob", "item_id": "y", "score": 5.0, "rank": 1, "short_term": 1.0},
    ]
    assert len(ranking) == 2
