"""Words, tables and progress for people; JSON and CSV for machines."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from penchant.types import PenchantError

WIDE = 200
"""Columns of what isn't shown on a terminal, so that tables in files and pipes aren't folded."""


class _Console(Console):
    """Words as they are: ids aren't emoji. A reader who has seen enough is dealt with in ``program.run``."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


notes = _Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
answers = _Console(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)


def complain(sentence: str, *, as_json: bool) -> None:
    """Why there is no answer, on standard error."""
    if as_json:
        print(json.dumps({"error": sentence}, ensure_ascii=False), file=sys.stderr)  # noqa: T201
    else:
        notes.print(f"[bold red]penchant:[/] {escape(sentence)}")


def print_json(value: Any) -> None:
    """One value on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


class _Bars:
    """Progress for people: a bar for what is measured, a line for a remark; on standard error."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if total == 0:
            self._progress.console.print(f"[dim]{escape(what)}[/]")
            return
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done)
        if done >= total:
            self._progress.remove_task(self._tasks.pop(what))


@contextmanager
def watching() -> Any:
    """Progress on standard error while the block runs, if somebody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_interactive) as progress:
        yield _Bars(progress)


def values_table(models: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Models and metrics, intervals below the values."""
    names = list(next(iter(models.values())))
    rows = []
    for model, values in models.items():
        cells = [model]
        for name in names:
            interval = intervals[model].get(name)
            cells.append(f"{values[name]:.4f}" + (f"\n[{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""))
        rows.append(cells)
    table(["model", *names], rows)


def table(header: list[str], rows: list[list[str]]) -> None:
    """Rows of words in columns."""
    drawn = Table(*map(escape, header), box=None, show_header=any(header), pad_edge=False)
    for row in rows:
        drawn.add_row(*(escape(cell) for cell in row))
    answers.print(drawn)


def write_text(words: str, out: Path) -> None:
    """A text, written aside and renamed."""
    with _replacing(out) as partial:
        partial.write_text(words, encoding="utf-8")


def check_replaceable(out: Path, *, force: bool) -> None:
    """Raise ``PenchantError`` where a folder is at ``out``, or a file that isn't to be replaced."""
    if out.is_dir():
        raise PenchantError(f"{out}: is a folder; name a file")
    if out.is_file() and not force:
        raise PenchantError(f"{out}: exists; --force replaces it, or name another file")


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A file beside ``out`` that takes its place once the block ends well; a pipe or a device is written to, and a link stays.
    ``PenchantError`` where it can't be written.
    """
    there = Path(os.path.realpath(out))
    stays = out.exists() and not out.is_file()
    partial = out if stays else there.with_name(f".{there.name}.partial-{os.getpid()}")
    try:
        yield partial
        if not stays:
            partial.replace(there)
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error
    finally:
        if not stays:
            partial.unlink(missing_ok=True)


def write_rows(rows: Iterable[dict[str, Any]], out: Path) -> None:
    """CSV with a header, written aside and renamed."""
    with _replacing(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        rows = iter(rows)
        first = list(islice(rows, 1))
        writer = csv.DictWriter(file, list(first[0]) if first else ["user_id", "item_id", "score", "rank"])
        writer.writeheader()
        writer.writerows(chain(first, rows))
