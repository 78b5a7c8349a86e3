"""``penchant prepare`` on MovieLens-1M repeated to 100 million events, beside a bare Polars read, sort and write.

    python -m benchmarks.prepare [--copies 100]

Users are renumbered in each copy; the log has order only, so its events are put a minute apart.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from benchmarks.machine import DATA, report, run

BARE = "import polars as pl; pl.scan_parquet({source!r}).sort('user_id', 'timestamp').sink_parquet({out!r})"


def write_log(path: Path, copies: int) -> None:
    """The log ``user_id, item_id`` (text), ``timestamp`` (seconds), as Parquet."""
    words = [line.split() for line in (DATA / "ml-1m" / "ml-1m.seq.txt").read_text().splitlines()]
    users = pl.Series([int(user) for user, *items in words for _ in items])
    log = pl.DataFrame({"user": users, "item_id": [item for _, *items in words for item in items]})
    log = log.with_columns(timestamp=1_600_000_000 + 60 * pl.int_range(pl.len()).over("user"))

    def source(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        for copy in range(copies):
            yield log.select((pl.col("user") + copy * 10_000).cast(pl.String).alias("user_id"), "item_id", "timestamp")

    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    register_io_source(source, schema=schema).sink_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=100)
    copies = parser.parse_args().copies
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "log.parquet", Path(folder) / "out"
        write_log(source, copies)
        rows = pl.scan_parquet(source).select(pl.len()).collect().item()
        measured: dict[str, list[dict[str, float]]] = {"bare": [], "prepare": []}
        for _ in range(2):
            os.sync()  # what was written before must not be flushed on this run's account
            bare = BARE.format(source=str(source), out=str(out))
            measured["bare"].append(run([sys.executable, "-c", bare]))
            out.unlink()
            os.sync()
            measured["prepare"].append(run([sys.executable, "-m", "penchant", "prepare", str(source), "--out", str(out)]))
            shutil.rmtree(out)
        ratios = [p["seconds"] / b["seconds"] for p, b in zip(measured["prepare"], measured["bare"], strict=True)]
        report("prepare", {"rows": rows, "source_mb": round(source.stat().st_size / 1e6), **measured, "time_ratio": ratios})


if __name__ == "__main__":
    main()
