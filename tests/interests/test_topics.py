"""Topics as values and files: shares, the map, saved whole or not at all."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from penchant.interests import topics as kept
from penchant.types import PenchantError

from .conftest import World


def test_topics_come_back_as_they_were_saved(world: World, tmp_path: Path) -> None:
    kept.save(world.topics, tmp_path / "topics")
    again = kept.load(tmp_path / "topics")
    for field in dataclasses.fields(kept.Topics):
        if field.name not in ("membership", "place", "popularity", "segments"):
            assert getattr(again, field.name) == getattr(world.topics, field.name), field.name
    for name in ("membership", "place", "popularity"):
        np.testing.assert_array_equal(getattr(again, name), getattr(world.topics, name))
    assert again.segments.segments == world.topics.segments.segments
    assert again.segments.features == world.topics.segments.features
    np.testing.assert_allclose(again.segments.centres, world.topics.segments.centres, rtol=1e-5)
    assert {file.name for file in (tmp_path / "topics").iterdir()} == set(kept.FILES)


@pytest.mark.parametrize(
    ("name", "content"),
    [("topics.json", b"{"), ("topics.json", b"[]"), ("topics.safetensors", b"nothing"), ("topics.json", b'{"format": 1}')],
)
def test_damaged_topics_end_in_a_sentence(world: World, tmp_path: Path, name: str, content: bytes) -> None:
    kept.save(world.topics, tmp_path / "topics")
    (tmp_path / "topics" / name).write_bytes(content)
    with pytest.raises(PenchantError, match="is damaged; delete it"):
        kept.load(tmp_path / "topics")


def test_absent_and_newer_topics_say_what_to_do(world: World, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="make them with penchant interests"):
        kept.load(tmp_path / "nowhere")
    kept.save(world.topics, tmp_path / "topics")
    path = tmp_path / "topics" / "topics.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(PenchantError, match="reads up to 2; update Penchant"):
        kept.load(tmp_path / "topics")


def test_topics_of_format_1_are_read_with_their_english_words(world: World, tmp_path: Path) -> None:
    kept.save(world.topics, tmp_path / "topics")
    path = tmp_path / "topics" / "topics.json"
    said = json.loads(path.read_text())
    older = said | {"format": 1, "criterion": said["criterion"]["en"], "made_of": said["made_of"]["en"]}
    path.write_text(json.dumps(older))
    found = kept.load(tmp_path / "topics")
    assert found.criterion["zh"] == found.criterion["en"] == world.topics.criterion["en"]
    assert found.topics == world.topics.topics


def test_the_map_is_a_sample_that_stays_the_same(world: World) -> None:
    told = world.topics.map_json(10)
    assert (told["shown"], told["of"], len(told["x"])) == (10, 40, 10)
    assert told == world.topics.map_json(10)
    assert world.topics.map_json(1000)["shown"] == 40
    place = world.topics.items.code(told["item_id"][0])
    assert told["topic"][0] == world.topics.nearest[place]
    assert told["title"][0] == world.topics.titles[place]


def test_an_item_without_a_title_is_called_by_its_id(world: World) -> None:
    assert world.topics.title("stranger") == "stranger"
    bare = dataclasses.replace(world.topics, titles=("",) * 40)
    assert bare.title("i3") == "i3"


def test_names_are_told_apart() -> None:
    twice = [kept.Topic(number, name, (), 1, ()) for number, name in enumerate(["a", "b", "a"])]
    assert [topic.name for topic in kept.renamed(twice)] == ["a (0)", "b", "a (2)"]
