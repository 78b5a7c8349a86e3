"""Every worked example end to end on a few people, and what its tables say against other ways to count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples import habits
from examples.__main__ import EXAMPLES, HERE, Example, gains, run, with_attributes
from examples.habits import Prepared
from penchant.testing import log_of
from penchant.types import Interactions, PenchantError

PEOPLE = {"social": 60, "books": 80, "music": 60, "video": 300, "shop": 200}
HOUR, DAY = 3600.0, 86_400.0


@pytest.mark.data
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs_from_the_log_to_its_figures(name: str, shared_data: Path, tmp_path: Path) -> None:
    example = Example.read(HERE / name / "config.toml")
    found = run(name, shared_data, tmp_path / name, sample=PEOPLE[name], brief=True)
    assert found["facts"]["test_users"] <= PEOPLE[name]
    assert found["models"].keys() == example.models.keys()
    assert found["seen"] == example.compare["seen"]
    ndcg = {model: values["ndcg@10"] for model, values in found["models"].items()}
    assert max(ndcg.values()) > 0
    assert all(0 <= value <= 1 for value in ndcg.values())
    repeated = found["models"][example.simple]["repeat_ratio@10"], found["facts"]["targets_already_seen"]
    assert (found["seen"] == "keep") or repeated[0] == 0
    assert found["habits"].keys() == set(example.habits)
    page = (tmp_path / name / "found.md").read_text()
    assert all(f"| {model} |" in page for model in example.models)
    assert (tmp_path / name / "report" / "index.html").exists()
    written = (HERE / name / "README.md").read_text()
    assert all(f"| {model} |" in written for model in example.models), "the page's table lacks a model of the config"


def prepared(log: Interactions) -> Prepared:
    return Prepared(log, Path("nowhere"), np.ones(len(log), bool))


def table(found: habits.Table) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in found.rows}


def test_repeats_are_counted_by_the_time_since_the_last_of_the_same() -> None:
    events = [("x", "a", 0), ("x", "b", 60), ("x", "a", 2 * HOUR), ("x", "a", 2 * HOUR + 1), ("y", "a", 3 * DAY)]
    rows = table(habits.repeats(prepared(log_of(events))))
    assert rows["within an hour"] == ["1", "20.0%"]
    assert rows["an hour to a day"] == ["1", "20.0%"]
    assert rows["all"] == ["2", "40.0%"]


def test_age_is_since_anybodys_first_event_of_the_item() -> None:
    events = [("x", "a", 0), ("y", "a", 1800), ("z", "a", 2 * DAY), ("z", "b", 2 * DAY + 1)]
    found = habits.freshness(prepared(log_of(events)))
    assert "median 24.2 hours" in found.words
    rows = table(found)
    assert rows["under an hour"] == ["1", "50.0%"]
    assert rows["1 to 3 days"] == ["1", "50.0%"]


def test_sessions_are_compared_with_the_one_before() -> None:
    log = log_of([("x", item, at * DAY) for at, item in enumerate("aab")] + [("x", "c", 3 * DAY), ("x", "d", 3 * DAY + 1)])
    # Sessions: a a | b | c d; of c d nothing was in b, of b nothing in a a.
    log.session[:] = [0, 0, 1, 2, 2]
    rows = table(habits.sessions(prepared(log)))
    assert rows["sessions"] == ["3"]
    assert rows["plays of a song played before in the same session"] == ["20.0%"]
    assert rows["songs of a session that the last one, in the same part of the day, had too"] == ["0.0%"]


def test_attributes_join_the_items_as_words(write: Any, tmp_path: Path) -> None:
    items = write("items.tsv", "item_id\ttitle\n1\tRed, matt\n2\tBlue\n")
    codes = write("codes.json", '{"1": [4, 17]}')
    assert with_attributes(items, codes, tmp_path / "out.csv").read_bytes() == (
        b'item_id,title,attributes\r\n1,"Red, matt",a4 a17\r\n2,Blue,\r\n'
    )


def test_gains_are_over_the_simple_model_whichever_comes_first() -> None:
    class Pair:
        first, second, difference, interval, adjusted = "popularity", "better", -0.1, (-0.2, -0.05), 0.01

    class Result:
        comparisons = (Pair,)

    assert gains("popularity", Result) == [["better", "+0.1000", "[+0.0500, +0.2000]", "0.0100"]]  # type: ignore[arg-type]


def test_a_config_with_a_table_too_many_is_refused(write: Any) -> None:
    text = (HERE / "books" / "config.toml").read_text()
    with pytest.raises(PenchantError, match="tune is missing, or isn't known"):
        Example.read(write("config.toml", text + "\n[tune]\n"))
