"""The LSTM's training on ml-1m and Amazon Beauty: targets per second and peak memory, over three epochs.

    python -m benchmarks.training [--data beauty,ml-1m]

Each runs through the command line in a process of its own: leave-one-out, defaults save for what is named below.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import DATA, report

LOGS = {"beauty": "amazon/Beauty.txt", "ml-1m": "ml-1m/ml-1m.seq.txt"}
SETTINGS = {
    "beauty": ["width=64", "epochs=3", "loss=softmax"],
    "ml-1m": ["width=128", "epochs=3", "loss=softmax", "batch_events=8192"],
}


def penchant(*words: str) -> Any:
    done = subprocess.run([sys.executable, "-m", "penchant", *words, "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=",".join(LOGS))
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().data.split(","):
            dataset, model = str(Path(folder) / name), str(Path(folder) / f"{name}-lstm")
            penchant("prepare", str(DATA / LOGS[name]), "--out", dataset)
            trained = penchant("train", dataset, "--model", "lstm", "--set", *SETTINGS[name], "--out", model)
            del trained["model"]
            measured[name] = trained | {"settings": SETTINGS[name]}
    report("training", measured)


if __name__ == "__main__":
    main()
