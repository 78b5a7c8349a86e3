"""What is said in English and Chinese."""

import pytest

from penchant.interests import words
from penchant.types import PenchantError


def test_words_of_texts_name_something() -> None:
    assert words.terms("The Aristocats (1970), a173 x12 3d") == ["aristocats"]
    assert words.terms("Children's Sci-Fi") == ["children's", "sci-fi"]
    assert words.terms("May 01-Jan-1995, sept-96, mayor-1995") == ["may", "mayor-1995"]
    assert words.terms("三体 abc小说 Ünïcode 书") == ["三体", "abc", "小说", "ünïcode"]
    assert words.terms("") == []


def test_everything_labelled_has_both_languages() -> None:
    for name in words._LABELS:
        assert words.label(name, "en") != words.label(name, "zh")
    assert words.feature("long:Drama", "zh") == "Drama的占比"
    assert words.label("what nobody named") == "what nobody named"


def test_a_language_nothing_is_said_in_is_refused() -> None:
    with pytest.raises(PenchantError, match="must be one of en, zh"):
        words.check_language("fr")
