"""The page over a large store, in headless Chromium: when each view is painted, when its data stand there, and memory.

    python -m benchmarks.page [--model MODEL --dataset DIR] [--person ID] [--item ID]

Without a model, a log is drawn (seed 0) of 100,000 people, 50,000 items and two million events: items have a kind, a title of
words of the kind, and few are had by many; people keep to a kind or two. It is prepared, transitions are trained, and
``penchant serve`` loads it into a store. Every view is opened in ``ROUNDS`` fresh browsers once topics are there. Milliseconds
from asking for the page: ``first_paint``; ``answers``, when the last answer but those of charts has come, which wait until they
are in view; ``data``, when it was seen that nothing loads any more, with what asking the browser takes.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.machine import report
from penchant import workflow
from penchant.data import dataset

PEOPLE, ITEMS, EVENTS, KINDS = 100_000, 50_000, 2_000_000, 40
ROUNDS = 5
HALF_MINUTES = 60
"""How long to wait for topics."""
WORDS = (
    "amber birch cedar delta ember fjord grove heron islet jetty karst lemon maple north ocean pearl quartz river stone tulip"
)
VIEWS = {
    "overview": ("#/overview", ".tile .value"),
    "people": ("#/people/{person}", ".list .add, .newcomer"),
    "items": ("#/items/{item}", ".near .list a"),
    "models": ("#/models", ".facts dd"),
    "privacy": ("#/privacy", "table, .empty"),
}
LOADED = """() => ![...document.querySelectorAll('main .note')].some(
  (one) => one.textContent === 'Loading…' && !one.closest('.chart'))"""


def draw(folder: Path) -> tuple[Path, Path]:
    """A log of the size, and its items, as CSV."""
    chance = np.random.default_rng(0)
    kind = chance.integers(0, KINDS, ITEMS)
    by_kind = [np.flatnonzero(kind == number) for number in range(KINDS)]
    likes = chance.integers(0, KINDS, (PEOPLE, 2))
    user = np.sort((PEOPLE * chance.random(EVENTS) ** 1.5).astype(np.int64))
    chosen = likes[user, (chance.random(EVENTS) < 0.3).astype(np.int64)]
    chosen = np.where(chance.random(EVENTS) < 0.1, chance.integers(0, KINDS, EVENTS), chosen)
    rank = chance.random(EVENTS) ** 3
    item = np.array([by_kind[k][int(r * len(by_kind[k]))] for k, r in zip(chosen.tolist(), rank.tolist(), strict=True)])
    when = 1_700_000_000 + np.sort(chance.integers(0, 200 * 86_400, EVENTS))[chance.permutation(EVENTS)]
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "item_id", "timestamp"))
        writer.writerows(zip(user.tolist(), item.tolist(), when.tolist(), strict=True))
    with (folder / "items.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("item_id", "title", "genres"))
        for number, mine in enumerate(kind.tolist()):
            title = f"{WORDS[mine % 20]} {WORDS[(mine // 20 + mine * 7 + 3) % 20]} {WORDS[int(chance.integers(20))]} {number}"
            writer.writerow((number, title, f"kind {WORDS[mine % 20]}{mine // 20}"))
    return folder / "events.csv", folder / "items.csv"


def prepare(folder: Path) -> tuple[Path, Path]:
    """A model and a dataset of the drawn log."""
    events, items = draw(folder)
    dataset.write_dataset(dataset.read(events, items=items), folder / "dataset")
    workflow.train(dataset.load(folder / "dataset"), "transitions", folder / "model", settings={}, split="temporal")
    return folder / "model", folder / "dataset"


@contextmanager
def serving(model: Path, data: Path, store: Path) -> Iterator[tuple[str, int, float]]:
    """A server's address, its process, and how many seconds it took until it listened."""
    started = time.perf_counter()
    words = ["serve", str(model), "--store", f"sqlite:///{store}", "--dataset", str(data), "--port", "0"]
    command = [sys.executable, "-m", "penchant", *words, "--json", "--log", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            sys.exit("the server didn't start")
        yield json.loads(line)["address"], server.pid, time.perf_counter() - started
        server.terminate()


def megabytes(pid: int, what: str) -> float:
    """A process's memory (Linux): ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def topics_there(address: str) -> float:
    """Seconds until the topics are there."""
    started = time.perf_counter()
    for _ in range(30 * HALF_MINUTES):
        answer = httpx.get(f"{address}/api/topics", timeout=60)
        if answer.status_code == 200:
            return time.perf_counter() - started
        if answer.status_code != 503:
            sys.exit(answer.text)
        time.sleep(1)
    sys.exit("the topics aren't there after half an hour")


def look(browser: Browser, address: str, where: str, shown: str) -> dict[str, Any]:
    """One view in a fresh browser: milliseconds to the first paint and to the data, the longest answer, what isn't paged."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{address}/{where}")
    page.locator(shown).first.wait_for(timeout=60_000)
    page.wait_for_function(LOADED, timeout=60_000)
    data = page.evaluate("performance.now()")
    answers = page.evaluate(
        """Math.max(...performance.getEntriesByType('resource')
          .filter((one) => one.name.includes('/api/') && !one.name.includes('/figures/')).map((one) => one.responseEnd))"""
    )
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for(timeout=60_000)
    found: dict[str, Any] = page.evaluate(
        """() => ({
          paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
          rows: Math.max(0, ...[...document.querySelectorAll('main ul, main ol, main tbody')]
            .filter((one) => !one.closest('.numbers')).map((one) => one.childElementCount)),
          bytes: Math.max(...performance.getEntriesByType('resource').filter((one) => one.name.includes('/api/'))
            .map((one) => one.decodedBodySize)),
          slowest: performance.getEntriesByType('resource').filter((one) => one.name.includes('/api/'))
            .map((one) => [new URL(one.name).pathname, Math.round(one.duration), one.decodedBodySize]),
          points: document.querySelectorAll('main .scatterlayer .point').length,
          notes: [...document.querySelectorAll('main .note')].map((one) => one.textContent).filter(Boolean),
        })"""
    )
    context.close()
    return found | {"data": data, "answers": answers}


def measure(model: Path, data: Path, store: Path, person: str, item: str) -> dict[str, Any]:
    """All views over one store."""
    found: dict[str, Any] = {}
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with serving(model, data, store) as (address, pid, seconds), sync_playwright() as playwright:
        found |= {"seconds_to_listen": round(seconds, 1), "memory_mb_begin": round(megabytes(pid, "VmRSS"))}
        found["seconds_to_topics"] = round(topics_there(address), 1)
        found["counts"] = httpx.get(f"{address}/api/overview", timeout=60).json()["counts"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, (where, shown) in VIEWS.items():
            looks = [look(browser, address, where.format(person=person, item=item), shown) for _ in range(ROUNDS)]
            last = looks[-1]
            found[name] = {
                "first_paint_ms": sorted(round(one["paint"]) for one in looks),
                "answers_ms": sorted(round(one["answers"]) for one in looks),
                "data_ms": sorted(round(one["data"]) for one in looks),
                "longest_list": last["rows"],
                "largest_answer_kb": round(last["bytes"] / 1024),
                "points": last["points"],
                "requests_ms": sorted(last["slowest"], key=lambda one: -one[1])[:6],
                "notes": last["notes"],
            }
            print(name, found[name], file=sys.stderr, flush=True)
        found |= {"memory_mb_end": round(megabytes(pid, "VmRSS")), "memory_mb_peak": round(megabytes(pid, "VmHWM"))}
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--person", default="17")
    parser.add_argument("--item", default="17")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make what is made here, and use what is here already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.keep or Path(work)
        folder.mkdir(exist_ok=True)
        model, data = options.model, options.dataset
        if model is None or data is None:
            made = folder / "model", folder / "dataset"
            model, data = made if made[0].exists() else prepare(folder)
        measured = measure(model, data, folder / "store.db", options.person, options.item)
        report("page" if options.model is None else f"page-{data.name}", measured)


if __name__ == "__main__":
    main()
