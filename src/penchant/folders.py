"""Folders that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.types import PenchantError


@contextmanager
def writing(out: Path, marker: str) -> Iterator[Path]:
    """Yield a hidden folder beside ``out`` that takes its place once the block ends well; else it vanishes.

    A folder already at ``out`` is replaced only if it is empty or holds ``marker``, the file that shows it is
    of our making. What a killed run left behind is swept. Raises ``PenchantError`` where ``out`` can't be written.
    """
    check_replaceable(out, marker)
    out = Path(os.path.realpath(out))  # a link stays, what it leads to is replaced
    make_parent(out)
    try:
        _sweep(out)
        partial = out.parent / f".{out.name}.partial-{os.getpid()}"
        partial.mkdir()
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error
    try:
        yield partial
        old = out.parent / f".{out.name}.old-{os.getpid()}"
        try:
            if out.exists():
                out.rename(old)
            partial.rename(out)
        finally:
            _put_away(old, out)
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(out: Path) -> None:
    """Remove what killed runs left beside ``out``; put back a folder that one had moved aside."""
    for kind in ("partial", "old"):
        for stale in out.parent.glob(f".{glob.escape(out.name)}.{kind}-*"):
            process = stale.name.rpartition("-")[2]
            if process.isdecimal() and not _alive(int(process)):
                _put_away(stale, out) if kind == "old" else shutil.rmtree(stale, ignore_errors=True)


def _put_away(old: Path, out: Path) -> None:
    """Remove what stood at ``out`` before, or put it back if nothing took its place."""
    if out.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.rename(out)


def make_parent(out: Path) -> None:
    """Make the folder that ``out`` will stand in. Raises ``PenchantError`` where that can't be."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PenchantError(f"{out}: can't be written: {error.filename} is a file; name another folder") from error
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error


def check_replaceable(out: Path, marker: str) -> None:
    """Raise ``PenchantError`` if something is at ``out`` that we didn't write."""
    if out.is_dir():
        if any(out.iterdir()) and not (out / marker).exists():
            raise PenchantError(f"{out}: exists and has no {marker}, so it is not replaced; name another folder")
    elif out.exists():
        raise PenchantError(f"{out}: is a file; name a folder")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != os.getpid()
