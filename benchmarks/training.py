"""The LSTM's training on ml-1m and Amazon Beauty: targets per second and peak memory, over three epochs.

    python -m benchmarks.training [--data beauty,ml-1m] [--seeds 1,2,3]

All on one thread. How long a GRU takes to a validation ndcg@10 of 0.0614 on Beauty. Then epochs, each of which
runs through the command line in a process of its own: leave-one-out, defaults save for what is named below. Beside it
stand the products an epoch can't do without (scores and gates, and the gradients of both sides), alone, in float32 and in
bfloat16, which is slow on a processor that has no instructions for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import DATA, report
from penchant.data.dataset import load, read, write_dataset
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.models.neural import losses
from penchant.models.validation import validate

LOGS = {"beauty": "amazon/Beauty.txt", "ml-1m": "ml-1m/ml-1m.seq.txt"}
SETTINGS = {
    "beauty": ["width=64", "epochs=3", "loss=softmax"],
    "ml-1m": ["width=128", "epochs=3", "loss=softmax", "batch_events=8192"],
}


QUICK: dict[str, Any] = {"width": 100, "loss": "sampled", "batch_events": 512, "epochs": 6, "patience": 6}
"""A GRU's settings that reach a quality soon."""
REACHED = 0.0614
"""Validation ndcg@10 on Beauty that a single network is timed to."""
PRODUCTS = 60
"""Chunks of products that are timed; an epoch's time follows from its number of chunks."""


def products(targets: int, width: int, columns: int, dtype: torch.dtype) -> float:
    """Seconds an epoch's products with a table of so many columns take, and with its gradients, in chunks as the loss makes
    them over a catalogue.
    """
    rows = max(1, losses.SCORES_AT_ONCE // columns)
    vectors, table, scores = (torch.randn(*shape).to(dtype) for shape in ((rows, width), (columns, width), (rows, columns)))
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(vectors, table.T)
        torch.mm(scores, table)
        torch.mm(scores.T, vectors)
    return (time.perf_counter() - started) / PRODUCTS * targets / rows


def bare(targets: int, width: int, items: int, dtype: torch.dtype) -> dict[str, float]:
    """Seconds of an epoch's products: with the catalogue, and with the four gates of the LSTM's inputs and states."""
    return {"catalogue": products(targets, width, items, dtype), "cell": 2 * products(targets, width, 4 * width, dtype)}


def seconds_to_quality(dataset: Path, seed: int) -> dict[str, Any]:
    """CPU-seconds, factors and validation included, until validation reaches ``REACHED``; the best epoch's figures."""
    cut = leave_one_out(load(dataset))
    started = time.process_time()
    reached: list[dict[str, float]] = []

    def observe(epoch: int, measured: Mapping[str, float]) -> None:
        if measured["ndcg@10"] >= REACHED and not reached:
            reached.append({"cpu_seconds": time.process_time() - started, "epoch": epoch, "valid": measured["ndcg@10"]})

    model = create("gru", seed=seed, **QUICK).fit(cut.train, cut.valid, observe=observe)
    return (reached[0] if reached else {}) | {"best": validate(model, cut.valid), "test": validate(model, cut.test)}


def penchant(*words: str) -> Any:
    command = [sys.executable, "-m", "penchant", *words, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=",".join(LOGS))
    parser.add_argument("--seeds", default="1,2,3")
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        beauty = Path(folder) / "to-quality"
        write_dataset(read(DATA / LOGS["beauty"]), beauty)
        seeds = {seed: seconds_to_quality(beauty, int(seed)) for seed in options.seeds.split(",")}
        measured["beauty, GRU to validation ndcg@10 of 0.0614"] = {"settings": QUICK, "seeds": seeds}
        for name in options.data.split(","):
            dataset, model = str(Path(folder) / name), str(Path(folder) / f"{name}-lstm")
            penchant("prepare", str(DATA / LOGS[name]), "--out", dataset, "--force")
            trained = penchant("train", dataset, "--model", "lstm", "--set", *SETTINGS[name], "--out", model, "--force")
            del trained["model"]
            settings = dict(word.split("=") for word in SETTINGS[name])
            log = load(Path(dataset))
            train = leave_one_out(log).train
            targets = int(np.maximum(train.lengths - 1, 0).sum())
            width, items = int(settings["width"]), len(np.unique(train.item))
            epoch = targets / trained["targets_per_second"]
            alone = {str(t).removeprefix("torch."): bare(targets, width, items, t) for t in (torch.float32, torch.bfloat16)}
            measured[name] = trained | {
                "settings": SETTINGS[name],
                "epoch_seconds": epoch,
                "bare_products_seconds": alone,
                "epoch_to_catalogue_products": {kind: epoch / seconds["catalogue"] for kind, seconds in alone.items()},
                "epoch_to_all_products": {kind: epoch / sum(seconds.values()) for kind, seconds in alone.items()},
            }
    report("training", measured)


if __name__ == "__main__":
    main()
