"""Folders that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penchant.folders import check_replaceable, check_writable, make_parent, write_texts, writing
from penchant.types import PenchantError


def put(out: Path, words: str = "new") -> None:
    with writing(out, ["mark"]) as target:
        (target / "mark").write_text(words)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def dead_process() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with writing(tmp_path / "out", ["mark"]) as target:
        (target / "mark").write_text("x")
        assert not (tmp_path / "out").exists()
        assert target.parent == tmp_path
    assert names(tmp_path) == {"out"}
    assert names(tmp_path / "out") == {"mark"}


@pytest.mark.parametrize("blow", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_nothing(blow: type[BaseException], tmp_path: Path) -> None:
    put(tmp_path / "old", "old")
    for out in (tmp_path / "out", tmp_path / "old"):
        with pytest.raises(blow), writing(out, ["mark"]) as target:  # noqa: PT012
            (target / "mark").write_text("half")
            raise blow
    assert names(tmp_path) == {"old"}
    assert (tmp_path / "old" / "mark").read_text() == "old"


def test_a_folder_of_ours_is_replaced_whole(tmp_path: Path) -> None:
    put(tmp_path / "out")
    put(tmp_path / "out", "newer")
    assert names(tmp_path / "out") == {"mark"}
    assert (tmp_path / "out" / "mark").read_text() == "newer"
    assert names(tmp_path) == {"out"}


def test_a_folder_of_others_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    check_replaceable(tmp_path / "out", ["mark"])  # empty: may be filled
    put(tmp_path / "out")
    (tmp_path / "out" / "mark").rename(tmp_path / "out" / "precious")
    with pytest.raises(PenchantError, match="out: exists and holds precious, so it is not replaced; name another folder"):
        put(tmp_path / "out")
    assert names(tmp_path / "out") == {"precious"}
    (tmp_path / "out" / "mark").write_text("the same name in somebody else's folder")
    with pytest.raises(PenchantError, match="out: exists and holds precious, so it is not replaced"):
        put(tmp_path / "out")
    assert names(tmp_path / "out") == {"precious", "mark"}
    (tmp_path / "out" / "precious").unlink()
    with pytest.raises(PenchantError, match="out: exists and has no other, so it is not replaced"):
        check_replaceable(tmp_path / "out", ["mark", "other"])


def test_where_force_is_asked_for_nothing_is_replaced_without_it(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "out", ["mark"], force=False)
    put(tmp_path / "out")
    with pytest.raises(PenchantError, match="out: exists; --force replaces it, or name another folder"):
        check_replaceable(tmp_path / "out", ["mark"], force=False)
    check_replaceable(tmp_path / "out", ["mark"], force=True)
    with pytest.raises(PenchantError, match="out: exists and holds mark, so it is not replaced"):  # and --force isn't offered
        check_replaceable(tmp_path / "out", ["page"], force=False)


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(PenchantError, match="file: is a file; name a folder"):
        put(tmp_path / "file")
    for below in ("file/out", "file/deep/out"):
        with pytest.raises(PenchantError, match=r"can't be written: .*file.* is a file; name another folder"):
            put(tmp_path / below)
        with pytest.raises(PenchantError, match="can't be written"):
            make_parent(tmp_path / below)
    assert (tmp_path / "file").read_text() == "precious"


def test_where_nothing_can_be_written_is_said() -> None:
    with pytest.raises(PenchantError, match="/proc/nowhere/out: can't be written: No such file or directory"):
        put(Path("/proc/nowhere/out"))


def test_missing_parents_are_made(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "out")
    assert (tmp_path / "a" / "b" / "out" / "mark").exists()


def test_a_relative_path_is_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("out"))
    assert (tmp_path / "out" / "mark").exists()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    put(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "deep" / "later")
    put(tmp_path / "link")
    put(tmp_path / "dangling")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "mark").read_text() == "new"
    assert (tmp_path / "deep" / "later" / "mark").exists()
    assert names(tmp_path) == {"real", "link", "dangling", "deep"}


@pytest.mark.parametrize("name", ["out", "out [1]*?", "[a-z]"])
def test_what_killed_runs_left_is_swept(name: str, tmp_path: Path) -> None:
    left = tmp_path / f".{name}.partial-{dead_process()}"
    left.mkdir()
    (left / "half").write_text("")
    others = {f".{name}.partial-{os.getppid()}", f".{name}.partial-notes", f".{name}.partial-{10**30}x", ".other.partial-1"}
    for other in others:
        (tmp_path / other).mkdir()
    put(tmp_path / name)
    assert names(tmp_path) == {name, *others}


def test_a_folder_a_killed_run_had_moved_aside_comes_back(tmp_path: Path) -> None:
    put(tmp_path / "out", "old")
    aside = tmp_path / f".out.old-{dead_process()}"
    (tmp_path / "out").rename(aside)
    with pytest.raises(ValueError, match="stop"), writing(tmp_path / "out", ["mark"]):
        raise ValueError("stop")
    assert (tmp_path / "out" / "mark").read_text() == "old"
    (tmp_path / "out").rename(aside)
    put(tmp_path / "out")
    assert (tmp_path / "out" / "mark").read_text() == "new"
    assert names(tmp_path) == {"out"}


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    really = os.fsync

    def noted(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "out").exists()))
        really(handle)

    monkeypatch.setattr(os, "fsync", noted)
    put(tmp_path / "out")
    assert synced == [("mark", False), (f".out.partial-{os.getpid()}", False), (tmp_path.name, True)]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(PenchantError, match="out: can't be written: No space left on device"),
        writing(tmp_path / "out", ["mark"]),
    ):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == set()


def test_where_the_new_folder_cant_take_its_place_the_old_one_stays(tmp_path: Path) -> None:
    put(tmp_path / "out", "old")
    with pytest.raises(PenchantError, match="can't be written"), writing(tmp_path / "out", ["mark"]) as target:
        target.rmdir()
    assert (tmp_path / "out" / "mark").read_text() == "old"
    assert names(tmp_path) == {"out"}


def test_texts_are_written_as_a_folder_and_replaced_by_force_alone(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_texts(out, {"a.md": "é", "b.csv": ""})
    assert {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()} == {"a.md": "é", "b.csv": ""}
    with pytest.raises(PenchantError, match="--force"):
        write_texts(out, {"a.md": "new", "b.csv": ""})
    assert (out / "a.md").read_text(encoding="utf-8") == "é"
    write_texts(out, {"a.md": "new", "b.csv": ""}, force=True)
    assert (out / "a.md").read_text(encoding="utf-8") == "new"


def test_whether_anything_can_be_written_is_told_before(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(PenchantError, match=r"file/out: can.t be written: .*file is a file; name another folder"):
        check_writable(tmp_path / "file" / "out")
    with pytest.raises(PenchantError, match="/proc/out: can't be written"):
        check_writable("/proc/out")
