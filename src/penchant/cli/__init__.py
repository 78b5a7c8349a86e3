"""Arguments in, function calls, words and JSON out; no logic."""

from penchant.cli.program import main

__all__ = ["main"]
