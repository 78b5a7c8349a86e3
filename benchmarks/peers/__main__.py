"""Penchant and its peers, one after another, each in its own environment.

    python -m benchmarks.peers [penchant] [recbole] [rectools] [implicit]

Environments are made in ``.venv-peers/`` from the pinned requirements beside this file. Figures go to
``results/peers.json``; peers that aren't named keep theirs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from benchmarks.machine import DATA, RESULTS, ROOT, report

PEERS = ("penchant", "recbole", "rectools", "implicit")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def interpreter(peer: str) -> str:
    """The Python of the peer's environment, made or completed first; Penchant's is the one that runs this."""
    if peer == "penchant":
        return sys.executable
    home = ROOT / ".venv-peers" / peer
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    requirements = Path(__file__).parent / f"{peer}.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
    return str(python)


def measure(peer: str) -> dict[str, Any]:
    """The figures of a peer's models, each measured in a process of its own that sees an empty folder and one thread."""
    python = interpreter(peer)
    script = f"benchmarks.peers.{peer}_run"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | dict.fromkeys(THREADS, "1")
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PENCHANT_SHARED_DATA": str(DATA.resolve())}
    environment |= {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}  # RecBole loads what torch by now refuses
    figures = {}
    for model in importlib.import_module(script).MODELS:
        print(f"{peer} {model}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            command = [python, "-m", script, model]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
        figures[model] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(PEERS)}; all of them if none is named")
    names = parser.parse_args().names or PEERS
    if unknown := set(names) - set(PEERS):
        parser.error(f"no peer called {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    kept = RESULTS / "peers.json"
    measured = json.loads(kept.read_text())["peers"] if kept.exists() else {}
    try:
        for peer in names:
            measured[peer] = measure(peer)
    finally:  # a peer that fails doesn't cost the others' figures
        report("peers", {"peers": measured})


if __name__ == "__main__":
    main()
