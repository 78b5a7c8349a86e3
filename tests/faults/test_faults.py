"""Fault scripts with a small number of times; LOG.md has what came of large ones, and of those that take minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [("kill", "--times", "1"), ("stop", "--times", "0"), ("requests", "--examples", "2", "--seconds", "5")],
    ids=lambda words: words[0],
)
def test_fault(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", f"tests.faults.{words[0]}", *words[1:]]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr + run.stdout
    assert json.loads(run.stdout)
