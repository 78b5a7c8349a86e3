"""Topics kept beside a model, profiles of a dataset's people, the command, and the page of a file, in a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penchant import artifact
from penchant import sequences as seq
from penchant.cli import main
from penchant.data import dataset
from penchant.interests import topics as kept
from penchant.models import create

from .conftest import World


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Path]:
    """A folder with a dataset made of the world's log, with words about items and dwell times, and a model; tests run in it."""
    folder = tmp_path_factory.mktemp("place")
    log = world.log
    rows = [
        f"{log.users[int(u)]},{log.items[int(i)]},{int(t) // 1_000_000},{30 + int(i)},0.5"
        for u, i, t in zip(log.user, log.item, log.timestamp, strict=True)
    ]
    (folder / "events.csv").write_text("user_id,item_id,timestamp,dwell,watch_ratio\n" + "\n".join(rows))
    items = [f"{item},{said['title']},{said['genres']},{said['price']}" for item, said in world.descriptions.items()]
    (folder / "items.csv").write_text("item_id,title,genres,price\n" + "\n".join(items))
    before = Path.cwd()
    os.chdir(folder)
    made = dataset.prepare(dataset.read("events.csv", items="items.csv"), "dataset")
    artifact.save(create("transitions").fit(seq.histories(made)), "model", {"dataset": made.content_hash})
    yield folder
    os.chdir(before)


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def ran(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["interests", "model", "dataset", *words])
        return code, *capsys.readouterr()

    return ran


def test_the_command_as_json(run: Any) -> None:
    code, out, _ = run("--users", "u0,u1,nobody", "--topics", "2", "--json")
    assert code == 0
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found.keys() == {"topics", "criterion", "made_of", "segments", "people"}
    assert sum("horror" in topic["terms"] for topic in found["topics"]) == 1
    horror = next(topic for topic in found["topics"] if "horror" in topic["terms"])
    assert horror["items"] == 20
    assert horror["fidelity"] == 1
    first, second, nobody = found["people"]
    assert first["topics"][horror["topic"]]["long_term"] > 0.6
    assert second["topics"][horror["topic"]]["long_term"] < 0.4
    assert first["habits"]["completion"] == 0.5
    assert 30 <= first["habits"]["dwell_seconds"] <= 70
    assert nobody["known"] is False


def test_topics_are_kept_beside_the_model_and_found_again(run: Any, place: Path) -> None:
    assert run("--users", "u0", "--topics", "3", "--json")[0] == 0
    made = kept.load(place / "model.interests")
    assert len(made) == 3
    again = json.loads(run("--users", "u0", "--json")[1])
    assert [topic["name"] for topic in again["topics"]] == made.names


def test_the_command_for_people(run: Any) -> None:
    code, out, _ = run("--users", "u0,nobody", "--topics", "2", "--language", "zh")
    assert code == 0
    assert "genres: horror" in out or "price" in out
    assert "u0 (" in out
    assert "长期兴趣：" in out
    assert "主题数：2，按指定；依据：" in out
    code, out, _ = run("--topics", "2")
    assert "… and 40 more people" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--users", ""], "names nobody"),
        (["--topics", "0"], "must lie between 1 and 100"),
        (["--language", "fr"], "--language"),
        (["--users", "u0", "--html", "no/such/folder/page.html"], "can't be written"),
    ],
)
def test_bad_input_ends_in_a_sentence(run: Any, words: list[str], sentence: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_the_page_opens_without_a_network(run: Any, place: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    assert run("--users", "u0,u1,nobody", "--topics", "2", "--html", "page.html")[0] == 0
    words = (place / "page.html").read_text(encoding="utf-8")
    assert "<script src=" not in words
    executable = "/usr/bin/chromium"
    if not Path(executable).exists():
        pytest.skip("there is no Chromium at /usr/bin/chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = browser.new_context(offline=True, color_scheme="dark")
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith("file:") else faults.append(asked.url))
        page.goto((place / "page.html").as_uri())
        page.wait_for_selector("#interests-0 .main-svg")
        assert page.locator(".figure .main-svg").count() >= 10
        assert page.locator("h2").all_inner_texts()[-1].startswith("nobody")
        browser.close()
    assert faults == []


def test_recommendations_are_explained_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recommend", "model", "dataset", "--users", "u0,nobody", "--k", "2", "--explain", "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["reason"].startswith("Because of “The ")
    assert rows[2]["reason"] == "What speaks for it: popular (100%)."
    assert main([*words, "--language", "zh"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["reason"].startswith("因为之前的《The ")
