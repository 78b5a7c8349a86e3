"""The demo from end to end, with a small log in the place of the one it fetches."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from penchant import demo, workflow
from penchant.data import sources

STEPS = ("1. Fetching", "2. Cleaning", "3. Training", "4. Comparing", "5. Recommending", "6. Serving")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The demo, with thirty people's ratings and an LSTM of one epoch."""

    def fetch(name: str, out: str | Path, **_: object) -> dict[str, str]:
        folder = Path(out)
        folder.mkdir(parents=True)
        rows = [f"{u},{(u + n) % 23},{3 + n % 3},{900000000 + 86400 * n + u}" for u in range(1, 31) for n in range(9)]
        (folder / sources.EVENTS).write_text("user_id,item_id,rating,timestamp\n" + "\n".join(rows) + "\n")
        items = [f'{item},"Film, the {item}th"' for item in range(23)]
        (folder / sources.ITEMS).write_text("item_id,title\n" + "\n".join(items) + "\n")
        return {"name": name, "place": "a test", "sha256": "0" * 64, "licence": "none"}

    train = workflow.train

    def train_little(*arguments: Any, **words: Any) -> dict[str, Any]:
        return train(*arguments, **(words | {"settings": {"epochs": 1, "width": 4}}))

    monkeypatch.setattr(sources, "fetch", fetch)
    monkeypatch.setattr(workflow, "train", train_little)
    return tmp_path / "demo"


def test_the_demo_goes_the_whole_way_and_says_so(small: Path) -> None:
    said: list[str] = []
    figures = demo.run(small, say=said.append)
    words = "\n".join(said)
    steps = [words.index(step) for step in STEPS]
    assert steps == sorted(steps)
    assert set(figures) == {"source", "manifest", "train", "evaluate", "recommend", "replay"}
    assert {"popularity", str(small / "lstm")} < figures["evaluate"]["models"].keys()
    assert "| popularity | 0." in words
    assert " leads by ndcg@10 (" in words
    people = {row["user_id"] for row in figures["recommend"]}
    assert len(people) == demo.PEOPLE
    assert len(figures["recommend"]) == 5 * demo.PEOPLE
    assert figures["replay"]["events"] == 30
    assert f"30 events of the leave-one-out split: {figures['replay']['hit_rate']:.1%} were on the list" in words
    assert f"penchant serve {small}/lstm --store" in words
    assert "its page, while the demo runs: http://127.0.0.1:" in words
    picture = small / demo.PICTURE
    assert picture.exists() == (f"the page, as it looked: {picture}" in words) == any(map(shutil.which, demo.BROWSERS))
    assert words.count("Film, the ") == 5 * demo.PEOPLE
    assert f"penchant recommend {small}/lstm {small}/dataset" in words
    assert (small / "dataset" / "manifest.json").exists()
    json.dumps(figures, allow_nan=False)


def test_the_demo_can_be_run_again_in_the_same_place_and_without_a_server(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    first = demo.run(small, say=lambda line: None)
    (small / demo.DATASET).rename(small.parent / "before")
    again = demo.run(small, say=lambda line: None)
    for figures in (first, again):
        figures["evaluate"].pop("costs")  # times
    assert first["evaluate"] == again["evaluate"]
    assert first["recommend"] == again["recommend"]
    assert first["replay"] is None
