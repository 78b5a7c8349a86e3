"""Folders that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from penchant.types import PenchantError

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]


@contextmanager
def writing(out: Path, files: Collection[str]) -> Iterator[Path]:
    """Yield a hidden folder beside ``out`` that takes its place once the block ends well; else it vanishes.

    A folder already at ``out`` is replaced only if it is empty or holds exactly ``files``, those that the block writes:
    nothing else is lost with it. What a killed run left behind is swept. Raises ``PenchantError`` where ``out`` can't be
    written.
    """
    check_replaceable(out, files)
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
            _to_disk(partial)  # else a crash soon after could leave the name without what it stands for
            if out.exists():
                out.rename(old)
            partial.rename(out)
            _sync(out.parent)
        finally:
            _put_away(old, out)
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """Wait until all files in a folder, and their names, are on the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            _sync(Path(place) / name)
        _sync(Path(place))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def scratch(out: Path, kind: str) -> Iterator[Path]:
    """A hidden folder beside ``out`` to work in, of this ``kind``, that vanishes with the block. What killed runs left of
    theirs is swept. ``PenchantError`` where none can be made.
    """
    out = Path(os.path.realpath(out))
    for stale in _stale(out, kind):
        shutil.rmtree(stale, ignore_errors=True)
    work = out.parent / f".{out.name}.{kind}-{os.getpid()}"
    try:
        work.mkdir()
    except OSError as error:
        raise PenchantError(f"{work}: can't be made: {error.strerror}") from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def rename(old: Path, new: Path) -> None:
    """Rename a folder, and wait until its new name is on the disk."""
    old.rename(new)
    _sync(new.parent)


def _stale(out: Path, kind: str) -> Iterator[Path]:
    """What runs that were killed left beside ``out``."""
    for stale in out.parent.glob(f".{glob.escape(out.name)}.{kind}-*"):
        process = stale.name.rpartition("-")[2]
        if process.isdecimal() and not _alive(int(process)):
            yield stale


def _sweep(out: Path) -> None:
    """Remove what killed runs left beside ``out``; put back a folder that one had moved aside."""
    for stale in _stale(out, "partial"):
        shutil.rmtree(stale, ignore_errors=True)
    for stale in _stale(out, "old"):
        _put_away(stale, out)


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


def check_replaceable(out: str | Path, files: Collection[str], *, force: bool = True) -> None:
    """Raise ``PenchantError`` if something is at ``out`` that we didn't write: any but a folder of exactly ``files``.

    Without ``force``, which every command asks for, such a folder isn't replaced either.
    """
    out = Path(out)
    if out.is_dir():
        try:
            found = {entry.name for entry in out.iterdir()}
        except OSError as error:
            raise PenchantError(f"{out}: can't be read: {error.strerror}") from error
        if found and found != set(files):
            odd = sorted(found ^ set(files), key=lambda name: (name not in found, name))[0]
            what = "holds" if odd in found else "has no"
            raise PenchantError(f"{out}: exists and {what} {odd}, so it is not replaced; name another folder or remove it")
        if found and not force:
            raise PenchantError(f"{out}: exists; --force replaces it, or name another folder")
    elif out.exists():
        raise PenchantError(f"{out}: is a file; name a folder")


def check_writable(out: str | Path) -> None:
    """Raise ``PenchantError`` if nothing could be put at ``out``, before hours are spent on it."""
    parent = Path(os.path.realpath(out)).parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise PenchantError(f"{out}: can't be written: {parent} is a file; name another folder")
    try:
        tempfile.TemporaryDirectory(prefix=".penchant-", dir=parent).cleanup()
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error


def write_texts(out: str | Path, texts: Mapping[str, str], *, force: bool = False) -> None:
    """Write a folder of just these files, UTF-8. ``PenchantError`` where something is at ``out``, unless by ``force``: see
    ``check_replaceable``.
    """
    check_replaceable(out, texts, force=force)
    with writing(Path(out), texts) as target:
        for name, words in texts.items():
            (target / name).write_text(words, encoding="utf-8")


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """While the block runs no other process is in such a block of the same folder; it raises ``PenchantError``, saying ``what``
    is going on. The system lets go of it whenever the process ends. Windows has no such lock: there nothing is refused.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PenchantError(f"{folder}: {what} already goes on in another process; wait for its end") from error
        yield
    finally:
        os.close(handle)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != os.getpid()
