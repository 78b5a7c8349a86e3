"""longshort without its parts."""

from typing import Any

import pytest

from penchant.evaluation import leave_one_out
from penchant.evaluation.ablation import MEMBERS, WITHIN, ablated
from penchant.models.longshort import LongShort, LongShortSettings
from penchant.testing import log_of
from penchant.types import Split

SMALL = LongShortSettings(width=6, epochs=1, batch_histories=1)


@pytest.fixture(scope="module")
def cut() -> Split:
    return leave_one_out(
        log_of([(f"u{u:02}", f"i{(u * 3 + n * n) % 17:02}", 100 * n + u) for u in range(12) for n in range(7)])
    )


def test_every_switch_of_a_part_is_known() -> None:
    switches = {name for name, value in vars(LongShortSettings()).items() if isinstance(value, bool)}
    assert switches == {*MEMBERS, *WITHIN, "carry"}  # which is how it is trained


def test_each_part_that_is_there_is_left_out_once(cut: Split) -> None:
    model = LongShort(SMALL).fit(cut.train, cut.valid)
    told: list[str] = []
    found = dict(ablated(model, cut, lambda what, *_: told.append(what)))
    # There are no words, and one kind of event.
    assert list(found) == ["network", "memory", "neighbours", "regression", "popularity", "short", "long", "time_gaps"]
    for part, without in found.items():
        assert without.settings == LongShort(SMALL, **{part: "false"}).settings
        assert without.members.keys() == model.members.keys() - set(MEMBERS.get(part, ()))
    # Only what is within the network has it trained again.
    assert [line for line in told if line.startswith("training ") and " without " not in line] == ["training network"] * 3
    assert found["memory"].id == LongShort(SMALL, memory=False).fit(cut.train, cut.valid).id


def test_all_networks_are_left_out_together(cut: Split) -> None:
    off: dict[str, Any] = dict.fromkeys(("memory", "neighbours", "regression", "content"), False)
    model = LongShort(SMALL, networks=2, **off).fit(cut.train, cut.valid)
    assert dict(ablated(model, cut))["network"].members.keys() == model.members.keys() - {"network", "network_2"}


def test_what_a_variant_learns_stays_with_it(cut: Split) -> None:
    model = LongShort(SMALL, network=False).fit(cut.train, cut.valid)
    before = model.id
    for _, without in ablated(model, cut):
        without.learn(cut.test.targets)
    assert model.id == before


def test_the_last_part_is_not_left_out(cut: Split) -> None:
    off: dict[str, Any] = dict.fromkeys(("network", "memory", "regression", "content", "popularity"), False)
    only = LongShort(**off).fit(cut.train, cut.valid)
    assert list(ablated(only, cut)) == []
