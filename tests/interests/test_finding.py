"""Finding topics: what is there by construction is found, named, kept over retrains; odd catalogues end sensibly."""

import builtins
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.interests.finding import find_topics, item_vectors
from penchant.models import create
from penchant.models.neural.model import LSTM
from penchant.models.neural.runtime import RUNTIMES, common_shapes
from penchant.testing import log_of
from penchant.types import Interactions, PenchantError, Vocabulary

from .conftest import World, make_log

HORROR = [f"i{number}" for number in range(20)]


def test_the_two_kinds_of_items_are_the_two_topics(world: World) -> None:
    topics = world.topics
    horror = topics.nearest[topics.items.codes(HORROR)]
    assert len(set(horror.tolist())) == 1
    assert [topic.items for topic in topics.topics] == [20, 20]
    np.testing.assert_allclose(topics.membership.sum(axis=1), 1, rtol=1e-5)
    mine = topics.topics[horror[0]]
    assert mine.terms[0] == "horror"
    assert "horror" in mine.name
    assert set(mine.typical) <= set(HORROR)
    assert mine.rule.fidelity == 1
    assert len(mine.rule.conditions) == 1
    assert mine.rule.conditions[0].feature in ("genres: horror", "genres: comedy", "price")


def test_topics_are_the_same_each_time(world: World) -> None:
    again = find_topics(world.model, world.log, world.descriptions, count=2)
    np.testing.assert_array_equal(again.membership, world.topics.membership)
    assert again.topics == world.topics.topics


@pytest.mark.parametrize(("apart", "expected"), [(0.9, 6), (0.0, 10)])
def test_the_number_is_what_is_there_else_the_middle_whatever_the_seed(world: World, apart: float, expected: int) -> None:
    chance = np.random.default_rng(1)
    items = Vocabulary(tuple(f"i{number}" for number in range(180)))
    embedding = chance.normal(0, 0.3, (180, 8 if apart else 32)).astype(np.float32)
    embedding[np.arange(180), np.arange(180) % 6] += apart
    nobody = world.log.where(np.zeros(len(world.log), bool))
    for seed in range(3):
        found = find_topics(lstm(items, embedding), nobody, seed=seed)
        assert len(found) == expected
        assert f"topics: {expected}, by the mean silhouette of 10 samples (4: " in found.criterion["en"]


@pytest.mark.parametrize("count", [0, 101])
def test_a_count_that_can_t_be_is_refused(world: World, count: int) -> None:
    with pytest.raises(PenchantError, match="must lie between 1 and 100"):
        find_topics(world.model, world.log, count=count)


def test_a_retrained_model_keeps_numbers_and_names(world: World) -> None:
    """Other people, other order of items, two new items: topics that share their items keep number and name."""
    old = find_topics(world.model, world.log, world.descriptions, count=4)
    log = make_log(people=80, seed=99)
    order = np.random.default_rng(0).permutation(40)
    ids = tuple(log.items[int(code)] for code in order)
    log = replace(log, items=Vocabulary(ids), item=np.argsort(order).astype(np.int32)[log.item])
    renamed = replace(old, topics=tuple(replace(topic, name=f"mine {topic.topic}") for topic in old.topics))
    new = find_topics(create("transitions").fit(seq.histories(log)), log, world.descriptions, old=renamed, seed=7)
    assert len(new) == 4
    same = np.mean([new.nearest[new.items.code(i)] == old.nearest[old.items.code(i)] for i in old.items.ids])
    assert same > 0.6
    for topic in new.topics:
        mine = {i for i in new.items.ids if new.nearest[new.items.code(i)] == topic.topic}
        was = {i for i in old.items.ids if old.nearest[old.items.code(i)] == topic.topic}
        if len(mine & was) > 0.4 * len(mine | was):
            assert topic.name == f"mine {topic.topic}"
        else:
            assert not topic.name.startswith("mine")


def test_topics_of_vectors_that_moved_a_little_stay_where_nothing_is_separate(world: World) -> None:
    """Of many groupings that are as good, the one that was there before is found again, whatever the seed."""
    chance = np.random.default_rng(3)
    items, nobody = Vocabulary(tuple(f"i{number}" for number in range(300))), world.log.where(np.zeros(len(world.log), bool))
    before = chance.normal(size=(300, 12)).astype(np.float32)
    after = before + chance.normal(0, 0.1, before.shape).astype(np.float32)
    old = find_topics(lstm(items, before), nobody, count=8)
    new = find_topics(lstm(items, after), nobody, old=old, seed=5)
    assert (new.nearest == old.nearest).mean() > 0.9
    assert [topic.name for topic in new.topics] == [topic.name for topic in old.topics]
    assert new.criterion == {"en": "topics: 8, as many as before", "zh": "主题数：8，与之前相同"}


def test_fewer_topics_than_before_have_numbers_from_nought(world: World) -> None:
    old = find_topics(world.model, world.log, world.descriptions, count=6)
    new = find_topics(world.model, world.log, world.descriptions, count=2, old=old)
    assert [topic.topic for topic in new.topics] == [0, 1]


def lstm(items: Vocabulary, embedding: Any = None) -> LSTM:
    """As if trained: with weights drawn at random."""
    model, chance = create("lstm", width=8 if embedding is None else embedding.shape[1]), np.random.default_rng(2)
    assert isinstance(model, LSTM)
    model.items, model.event_types = items, ("event",)
    shapes = common_shapes(len(items), 1, timed=True, settings=model.settings)
    shapes |= RUNTIMES["lstm"].shapes(model.settings, timed=True)
    weights = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    model.set_weights(weights | ({} if embedding is None else {"embedding": embedding}))
    return model


def test_a_network_s_topics_are_those_of_its_vectors(world: World) -> None:
    chance = np.random.default_rng(1)
    embedding = chance.normal(0, 0.1, (40, 8)).astype(np.float32)
    embedding[::2, 0] += 3
    found = find_topics(lstm(world.log.items, embedding), world.log, count=2)
    assert found.made_of == {"en": "vectors of lstm", "zh": "lstm的向量"}
    assert len(set(found.nearest[::2].tolist())) == len(set(found.nearest[1::2].tolist())) == 1
    assert found.nearest[0] != found.nearest[1]


def test_all_equal_vectors_are_one_topic(world: World) -> None:
    for wanted in (None, 5):
        found = find_topics(lstm(world.log.items, np.ones((40, 8), np.float32)), world.log, count=wanted)
        assert len(found) == 1
        assert "no more of the vectors differ" in found.criterion["en"]
        assert found.topics[0].name
        np.testing.assert_allclose(found.membership, 1)
        assert np.isfinite(found.place).all()
    same = log_of([(f"u{user}", f"i{item}", user * 10 + item) for user in range(30) for item in range(4)])
    assert len(find_topics(create("popularity").fit(seq.histories(same)), same)) == 1  # and nothing is warned of


def test_items_without_text_are_named_by_the_typical_ones(world: World) -> None:
    found = find_topics(world.model, world.log, count=2)
    for topic in found.topics:
        assert topic.name == " · ".join(topic.typical[:2])
        assert topic.terms == ()


def test_dates_that_items_share_make_and_name_no_topic(world: World) -> None:
    dated = {
        item: {**known, "released": f"{1 + place % 28:02}-Oct-19{'96' if item in HORROR else '97'}"}
        for place, (item, known) in enumerate(world.descriptions.items())
    }
    found = find_topics(world.model, world.log, dated, count=2)
    assert not [term for topic in found.topics for term in topic.terms if "oct" in term]
    assert {"horror", "comedy"} <= {topic.terms[0] for topic in found.topics}
    assert np.array_equal(found.membership, find_topics(world.model, world.log, world.descriptions, count=2).membership)


def test_chinese_titles_name_topics_by_words(world: World) -> None:
    horror, comedy = ("午夜恐怖故事", "恐怖古堡", "恐怖夜话"), ("喜剧之王", "都市喜剧", "欢乐喜剧人")
    titles = {f"i{n}": {"title": f"{(horror if n < 20 else comedy)[n % 3]}{n}"} for n in range(40)}
    found = find_topics(world.model, world.log, titles, count=2)
    assert {topic.terms[0] for topic in found.topics} == {"恐怖", "喜剧"}
    for topic in found.topics:
        characters = "".join(topic.terms)
        assert len(characters) == len(set(characters))


def test_a_catalogue_of_one_and_a_log_of_one_person() -> None:
    whole = make_log(people=1)
    first = whole.where(whole.item == whole.item[0])
    for log, most in ((first, 1), (whole, 16)):
        model = create("popularity").fit(seq.histories(log))
        found = find_topics(model, log)
        assert 1 <= len(found) <= most
        np.testing.assert_allclose(found.membership.sum(axis=1), 1, rtol=1e-5)
        assert found.segments.segments == ()


def test_people_are_told_apart_by_what_they_like(world: World) -> None:
    kinds = world.topics.segments.segments
    assert sum(kind.people for kind in kinds) == 60
    assert any(kind.rule.fidelity and kind.rule.fidelity > 0.8 for kind in kinds)
    assert all(kind.name() and kind.name("zh") for kind in kinds)


def test_items_nobody_knows_anything_of_have_no_vector(world: World) -> None:
    histories = seq.histories(world.log)
    vectors, _ = item_vectors(world.model, replace(histories, item=np.where(histories.item == 7, 8, histories.item)), {})
    assert not vectors[7].any()
    np.testing.assert_allclose(np.linalg.norm(np.delete(vectors, 7, axis=0), axis=1), 1, rtol=1e-5)


def test_without_scikit_learn_it_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PenchantError, match=r"pip install 'penchant\[interests\]'"):
        find_topics(world.model, world.log, count=2)


def test_an_empty_log_finds_topics_by_words(world: World) -> None:
    nothing: Interactions = world.log.where(np.zeros(len(world.log), bool))
    found = find_topics(world.model, nothing, world.descriptions, count=2)
    assert [topic.items for topic in found.topics] == [20, 20]
    assert np.isfinite(found.popularity).all()
