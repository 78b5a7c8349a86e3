"""What ``import penchant`` offers is there when it is asked for, and can be looked through."""

from __future__ import annotations

from operator import attrgetter

import pytest

import penchant
from penchant import api


def test_everything_that_is_offered_is_there_and_listed() -> None:
    assert sorted(dir(penchant)) == sorted(api.__all__)
    for name in api.__all__:
        assert getattr(penchant, name) is getattr(api, name)
    assert penchant.evaluation.split is penchant.split


def test_what_is_not_offered_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'recomend'"):
        attrgetter("recomend")(penchant)
