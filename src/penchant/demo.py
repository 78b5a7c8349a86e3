"""The main job on real data, the whole way: fetch, clean, train, compare, recommend, serve."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from subprocess import DEVNULL, PIPE, Popen, SubprocessError
from subprocess import run as run_program
from tempfile import TemporaryDirectory
from typing import Any

from penchant import artifact, replay, workflow
from penchant.data import catalog, dataset, sources
from penchant.data.quality import describe
from penchant.offline import recommend_users
from penchant.types import Interactions, PenchantError, Progress, quiet

DATASET = "ml-100k"
PEOPLE = 3
PICTURE = "page.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PICTURE_SECONDS = 40
QUICK = {"width": 64, "batch_events": 2048, "learning_rate": 0.003, "epochs": 15}  # a minute or two; more finds a little more


def run(out: str | Path, *, say: Callable[[str], None], progress: Progress = quiet) -> dict[str, Any]:
    """Do everything with MovieLens-100k in the folder ``out``, telling ``say`` of each step; returns the figures."""
    out = Path(out)
    say(f"1. Fetching {DATASET}: {sources.DATASETS[DATASET].words}")
    source = sources.fetch(DATASET, out / DATASET, progress=progress)
    say(f"   from {source['place']}; SHA-256 of its events {source['sha256'][:16]}… is right. {source['licence']}.")

    say("2. Cleaning it: what came in, what left and why")
    log = dataset.read(out / DATASET / sources.EVENTS, items=out / DATASET / sources.ITEMS)
    manifest = dataset.write_dataset(log, out / "dataset", progress=progress)
    for label, words in describe(manifest):
        say(f"   {label:<26}{words}")
    interactions = dataset.load(out / "dataset")

    say("3. Training an LSTM on each person's history up to their last two films")
    split = "leave-one-out"
    trained = workflow.train(interactions, "lstm", out / "lstm", settings=QUICK, split=split, progress=progress)
    say(f"   {trained['epochs']} epochs, {trained['seconds']:.0f} s, {trained['targets_per_second']:,.0f} targets a second")

    say("4. Comparing with traditional methods: each person's last film, ranked among all they haven't rated (95% intervals)")
    result = workflow.compare(
        interactions, ["popularity", "item_knn", "transitions", str(out / "lstm")], split=split, progress=progress
    )
    say("   " + str(result).replace("\n", "\n   "))
    say("   " + result.verdict())

    say("5. Recommending")
    titles = catalog.describe_items(out / "dataset" / dataset.ITEMS)
    model = artifact.load(out / "lstm")
    people = interactions.users.ids[:PEOPLE]
    rows = list(recommend_users(model, interactions, people, k=5))
    for user in people:
        mine = [catalog.title(titles[row["item_id"]]) for row in rows if row["user_id"] == user]
        say(f"   person {user:<4}" + "; ".join(mine))

    say("6. Serving it: a server on a free port is sent each person's last film, and asked for ten films just before")
    live = _serve_and_replay(out, interactions, split, say, progress)
    say("   " + (replay.in_words(live) if live else "left out: serving needs pip install 'penchant[serve]'"))

    say(
        "\nWhere to look next (. .venv/bin/activate puts penchant on the path)\n"
        f"   more people:     penchant recommend {out}/lstm {out}/dataset --users all --k 10\n"
        f"   serving it:      penchant serve {out}/lstm --store sqlite:///{out}/penchant.db --dataset {out}/dataset\n"
        f"   another model:   penchant train {out}/dataset --model lstm --set width=128 --out {out}/wide\n"
        "   your own events: penchant prepare EVENTS.csv --out my-dataset\n"
        "   all commands:    penchant --help"
    )
    if live:
        picture = out / PICTURE
        none = "no picture of the page: there is no Chromium or Chrome on the path to take it"
        say(f"   the page, as it looked: {picture}" if picture.exists() else f"   {none}")
    figures = {"source": source, "manifest": manifest, "train": trained, "evaluate": result.to_json(), "recommend": rows}
    return figures | {"replay": live}


def _serve_and_replay(
    out: Path, log: Interactions, split: str, say: Callable[[str], None], progress: Progress
) -> dict[str, Any] | None:
    """``penchant serve`` over a store of its own, for as long as a replay and a picture of its page take; ``None`` where
    serving isn't installed.
    """
    if find_spec("fastapi") is None:
        return None
    with TemporaryDirectory(dir=out) as folder:
        words = ["serve", str(out / "lstm"), "--store", f"sqlite:///{folder}/store.db", "--dataset", str(out / "dataset")]
        words += ["--split", split, "--port", "0", "--log", "warning", "--json"]
        with Popen([sys.executable, "-m", "penchant", *words], stdout=PIPE) as server:  # noqa: S603 - our own words
            assert server.stdout is not None
            try:
                line = server.stdout.readline()
                if not line:
                    raise PenchantError("the server didn't start; penchant serve says why")
                address = json.loads(line)["address"]
                say(f"   its page, while the demo runs: {address}/")
                replayed = replay.replay(log, address, split=split, progress=progress)
                _take_picture(f"{address}/#/people/{log.users.ids[0]}", out / PICTURE)
                return replayed
            finally:
                server.terminate()


def _take_picture(address: str, picture: Path) -> None:
    """A picture of a page, by whatever Chromium there is; none where there is none, or it fails."""
    picture.unlink(missing_ok=True)
    browser = next(filter(None, map(which, BROWSERS)), None)
    if browser is None:
        return
    words = ["--headless", "--hide-scrollbars", "--window-size=1280,1500", "--virtual-time-budget=8000"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--no-sandbox")  # Chromium has none for root
    with suppress(SubprocessError, OSError):
        order = [browser, *words, f"--screenshot={picture.absolute()}", address]
        run_program(order, stdout=DEVNULL, stderr=DEVNULL, timeout=PICTURE_SECONDS, check=True)  # noqa: S603 - our own words
