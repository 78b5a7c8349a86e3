"""Pictures: Plotly takes them, they show the numbers of the profile, in both languages and themes."""

from typing import Any

import numpy as np
import pytest

from penchant.interests import pictures
from penchant.interests.finding import find_topics
from penchant.interests.profiles import Profile, pasts, profile
from penchant.types import PenchantError

from .conftest import World


@pytest.fixture(scope="module")
def someone(world: World) -> Profile:
    topics = find_topics(world.model, world.log, world.descriptions, count=10)
    return profile(topics, pasts(world.log, topics)[0], "u0", int(world.log.timestamp.max()))


@pytest.mark.parametrize("name", list(pictures.OF_PEOPLE))
@pytest.mark.parametrize("theme", pictures.THEMES)
def test_plotly_takes_every_picture(someone: Profile, name: str, theme: str) -> None:
    shown = {language: pictures.OF_PEOPLE[name](someone, language=language, theme=theme) for language in ("en", "zh")}
    assert shown["en"]["layout"]["title"] != shown["zh"]["layout"]["title"]
    for picture in shown.values():
        assert len(pictures.figure(picture).data) == len(picture["data"])
    dark = shown["en"]["layout"]["font"]["color"] == "#eeeeee"
    assert dark == (theme == "dark")


def test_the_river_s_bands_sum_to_one_at_each_moment(someone: Profile) -> None:
    picture = pictures.river(someone)
    for group in ("0", "1"):
        bands = [band["y"] for band in picture["data"] if band["stackgroup"] == group]
        assert len(bands) == len(pictures.COLOURS) + 1
        np.testing.assert_allclose(np.sum(bands, axis=0), 1, atol=1e-3)
    assert picture["data"][0]["x"] == someone.river.moments()
    names = [band["name"] for band in picture["data"] if band["showlegend"]]
    assert names[-1] == "other topics"
    assert names[0] == someone.names[int(np.argmax(np.maximum(someone.long_term, someone.short_term)))]


def test_bars_are_the_shares(someone: Profile) -> None:
    long, short = pictures.beside(someone)["data"]
    assert long["x"] == [round(float(someone.long_term[someone.names.index(name)]), 5) for name in long["y"]]
    assert short["y"] == long["y"]


def test_a_map_says_when_it_is_a_sample(world: World) -> None:
    whole, some = (pictures.topic_map(world.topics, most=most) for most in (100, 15))
    assert sum(len(trace["x"]) for trace in whole["data"]) == 40
    assert sum(len(trace["x"]) for trace in some["data"]) == 15
    assert whole["layout"]["title"]["text"] == "Items by topic"
    assert some["layout"]["title"]["text"] == "Items by topic (a sample: 15 of 40 items)"
    pictures.figure(some)


def test_topics_beyond_the_colours_have_other_symbols(world: World) -> None:
    topics = find_topics(world.model, world.log, world.descriptions, count=12)
    looks = [(trace["marker"]["color"], trace["marker"]["symbol"]) for trace in pictures.topic_map(topics)["data"]]
    assert len(set(looks)) == 12


def test_a_profile_plots_itself(someone: Profile) -> None:
    assert type(someone.plot(language="zh", theme="dark")).__name__ == "Figure"


@pytest.mark.parametrize(("more", "sentence"), [({"theme": "pink"}, "light, dark"), ({"language": "xx"}, "en, zh")])
def test_what_there_isn_t_is_refused(someone: Profile, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PenchantError, match=sentence):
        pictures.river(someone, **more)
