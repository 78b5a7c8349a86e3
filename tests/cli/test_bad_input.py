"""The command line on hostile files: what can be read is read right, the rest ends in one sentence and leaves nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from penchant.cli import main

Write = Callable[[str, str | bytes], Path]
Refused = Callable[..., str]
T = 1_700_000_000
HEADER = "user_id,item_id,timestamp\n"
PAIRS = [("007", "x,y"), ("😀", 'say "hi"')]
COMMAND = [sys.executable, "-m", "penchant"]


def parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run ``prepare``, which must refuse; returns the sentence, the same for people and for machines."""

    def run(*arguments: str | Path, out: str | Path | None = None) -> str:
        before = sorted(tmp_path.rglob("*"))
        words = ["prepare", *map(str, arguments), "--out", str(out or tmp_path / "out")]
        assert main([*words, "--json"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        answer = json.loads(said.err)
        assert answer.keys() == {"error"}
        assert main(words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        sentence: str = answer["error"]
        assert said.err.endswith(f"penchant: {sentence}\n")
        assert "\n" not in sentence
        assert len(sentence) < 1200
        assert "Traceback" not in said.err
        assert sorted(tmp_path.rglob("*")) == before
        return sentence

    return run


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "log: is empty; name a file that holds rows"),
        (HEADER, "log: has a header but no events"),
        (HEADER.strip(), "log: has a header but no events"),
        (HEADER + "\n\n", "log: has a header but no events"),
        ("user_id,film,timestamp\na,x,1\n", "log: no column for item_id among user_id, film, timestamp; say which is which"),
        ("user_id,item_id\na,x\n", "log: no column for timestamp among user_id, item_id; say which is which"),
        (bytes(range(256)) * 9, "log: is a binary file (a zero byte at byte 0)"),
        (HEADER + f"a,x,{T}\nb,y\n", "log line 3, field timestamp: is missing (2 fields where the header has 3)"),
        (HEADER + f"a,x,{T}\n" * 9 + f"a,x,{T},9\n", "log line 11: has 4 fields where the header has 3"),
        (HEADER + f'a,x,{T}\n"b,y,{T}\nc,z,{T}\n', "log lines 3 to 4: a quote that opens isn't closed"),
        (HEADER + f'a,12" disc,{T}\n', "log line 2, field item_id: has a quote inside a field that isn't quoted"),
        (HEADER.encode() + f"é,x,{T}\n".encode() + f"é,x,{T}\n".encode("latin-1"), "log line 3, field user_id: byte 0xE9"),
        (HEADER + f"a,x,{T}\nb,y,{T}000\nc,z,{T}\n", "log line 3, field timestamp: is in milliseconds where most"),
        (HEADER + f"a,x,{T}\nb,y,2024-01-01\nc,z,{T}\n", "log line 3, field timestamp: is in dates where most"),
        (HEADER + "a,x,yesterday\n", "log line 2, field timestamp: 'yesterday' is no time"),
        (HEADER + "a,x,-1\nb,x,0\nc,x,253402300799\n", "log: no event is left after cleaning (3 impossible_times of 3)"),
        (HEADER + "x" * 10_000_000 + f",x,{T}\n", "log line 2, field user_id: is longer than 1,024 characters; shorten the id"),
        ("x" * 10_000_000 + ",item_id,timestamp\n1,2,3\n", "log: no column for user_id among xxx"),
        ("user_id,item_id,item_id,timestamp\na,x,y,1\n", "log line 1: two columns are called 'item_id'; rename one"),
        (f"1::2::5::{T}\n1::2::5\n", "log line 2, field 4: is missing (3 fields where the first line has 4)"),
        (f"1::2::5::{T}\n1::2::5::{T}::6\n", "log line 2: has 5 fields where the first line has 4"),
        ('{"user_id": 1}\n{"user_id": \n', "log: no column for item_id"),
        ('{"user_id": 1, "item_id": 2, "timestamp": 3}\n{"user_id": \n', "log line 2: is not JSON"),
        ("[1, 2]\n", "log: is one JSON array; write one object a line instead (JSON lines)"),
        ("Once upon a time, there was\na log. It had lines!\n" * 9, "log: no column for"),
        ("Once upon a time there was\na log. It had lines!\n" * 9, "log: reads like prose, not like an event log"),
        (HEADER + f"a,x,{T}\n" + HEADER + f"b,y,{T}\n", "log line 3: is the header again; remove the line"),
        ((HEADER + f"a,x,{T}\n").encode("utf-16-le"), "log: looks like UTF-16; read it with --encoding utf-16-le"),
        ((HEADER + f"a,x,{T}\n").encode("utf-16-be"), "log: looks like UTF-16"),
        ("user_id\na\nb\n", "log: no column for item_id and timestamp among user_id"),
        (HEADER.replace(",", ";") + f"a,x,{T}\n", "log line 2, field item_id: is missing"),
        (gzip.compress(HEADER.encode() * 9999)[:-40], "log: the gzip data is damaged or cut short"),
        (gzip.compress(b""), "log: is empty"),
        (b"PK\x03\x04" + b"x" * 99, "log: the zip data is damaged or cut short"),
        (HEADER.encode("utf-16"), "log: has a header but no events"),
        (parquet(user_id=["a"], item_id=["x"], timestamp=[T])[:-9], "log: is damaged or cut short"),
        (parquet(user_id=[["a"]], item_id=["x"], timestamp=[T]), "log, field user_id: holds List(String)"),
        (parquet(user_id=["a"], item_id=["x"], timestamp=[True]), "log, field timestamp: holds Boolean"),
        (parquet(user_id=["a"], item_id=["x"], timestamp=["soon"]), "log row 1, field timestamp: 'soon' is no time"),
        (parquet(user_id=[], item_id=[], timestamp=[]), "log: has no events"),
    ],
)  # fmt: skip
def test_what_cant_be_read_is_named(content: str | bytes, words: str, write: Write, refused: Refused) -> None:
    path = write("log", content)
    assert refused(path).startswith(str(path.parent / words))


def test_an_unknown_dialect_is_answered_with_the_mapping(write: Write, refused: Refused, tmp_path: Path) -> None:
    path = write("log.csv", f"eventTime,personId,contentId\n{T},a,x\n")
    sentence = refused(path)
    assert "--columns user_id=personId,item_id=contentId,timestamp=eventTime" in sentence
    mapping = sentence.partition("--columns ")[2].split(";")[0]
    assert main(["prepare", str(path), "--columns", mapping, "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "user_id=nobody"], "log: has no column 'nobody' for user_id; it has user_id, item_id, timestamp"),
        (["--columns", "person=user_id"], "--columns: person is not one of user_id"),
        (["--columns", "user_id"], "'user_id' is not name=value; see penchant prepare --help"),
        (["--encoding", "klingon"], "klingon is not an encoding"),
        (["--skip", "polish"], "'polish' is not a cleaning step; the steps are missing"),
        (["--earliest", "soon"], "'soon' is no time; write it as 2024-05-31"),
        (["--earliest", "2024-01-01", "--latest", "2023-01-01"], "the earliest possible time must lie before the latest"),
        (["--session-gap", "nan"], "'nan' is not a number of minutes"),
        (["--session-gap=-1"], "can't be negative"),
        (["--min-user-events", "0"], "bounds on the number of events must be at least 1"),
        (["--value", "inf"], "for a missing value a number"),
        (["--time-unit", "weeks"], "'weeks' is not a unit of time; the units are s, ms"),
        (["--items", "nowhere"], "nowhere: no such file"),
        (["--polish"], "unrecognized arguments: --polish"),
    ],
)
def test_wrong_options_are_named(options: list[str], words: str, write: Write, refused: Refused) -> None:
    assert words in refused(write("log", HEADER + f"a,x,{T}\n"), *options)


def test_files_that_arent_there_and_folders_are_named(refused: Refused, tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such file"
    assert refused(tmp_path) == f"{tmp_path}: is a folder; name the files in it"


def test_where_nothing_can_be_written_is_named(write: Write, refused: Refused, tmp_path: Path) -> None:
    log = write("log", HEADER + f"a,x,{T}\n")
    assert refused(log, out=log) == f"{log}: is a file; name a folder"
    assert refused(log, out=log / "out").endswith(f"can't be written: {log} is a file; name another folder")
    assert refused(log, out="/proc/nowhere/out") == "/proc/nowhere/out: can't be written: No such file or directory"
    assert "exists and holds log, so it is not replaced" in refused(log, out=tmp_path)


def test_a_dataset_is_replaced_by_force_alone(
    write: Write, refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = write("log", HEADER + f"a,x,{T}\n"), tmp_path / "dataset"
    assert main(["prepare", str(log), "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    was = (out / "manifest.json").read_bytes()
    log = write("other", HEADER + f"b,y,{T}\n")
    assert refused(log, out=out) == f"{out}: exists; --force replaces it, or name another folder"
    assert (out / "manifest.json").read_bytes() == was
    assert main(["prepare", str(log), "--out", str(out), "--json", "--force"]) == 0
    assert (out / "manifest.json").read_bytes() != was


def test_without_a_header_the_first_line_is_kept(write: Write, refused: Refused, tmp_path: Path) -> None:
    log = write("log", "ann,book,red\nbob,film,blue\n")
    assert "if the first line is no header but an event, add --no-header" in refused(log)
    words = ["--no-header", "--columns", "user_id=1,item_id=2", "--ordered"]
    assert prepared(tmp_path, log, *words) == [("ann", "book"), ("bob", "film")]


def test_ids_may_hold_anything_but_nothing(write: Write, tmp_path: Path) -> None:
    rows = [("a b", "x\ny"), ("😀", "z z")]
    quoted = "".join(f'"{user}","{item}",{T}\n' for user, item in rows)
    assert prepared(tmp_path, write("log", HEADER + quoted + f",z,{T}\n")) == rows


def test_a_long_note_is_no_hindrance(write: Write, tmp_path: Path) -> None:
    log = write("log", HEADER.strip() + f",note\na,x,{T},{'n' * 10**6}\n")
    assert prepared(tmp_path, log) == [("a", "x")]


# What can be read.


def prepared(tmp_path: Path, *arguments: str | Path) -> list[tuple[object, ...]]:
    assert main(["prepare", *map(str, arguments), "--out", str(tmp_path / "out"), "--json"]) == 0
    return pl.read_parquet(tmp_path / "out" / "interactions.parquet").select("user_id", "item_id").rows()


@pytest.mark.parametrize(
    "content",
    [
        HEADER.replace("\n", "\r\n") + f'"007","x,y",{T}\r\n😀,"say ""hi""",{T + 1}\r\n',
        HEADER.replace("\n", "\r") + f'"007","x,y",{T}\r😀,"say ""hi""",{T + 1}\r',
        "\ufeff" + HEADER + f'007,"x,y",{T}\n😀,"say ""hi""",{T + 1}',
        (HEADER + f'007,"x,y",{T}\n😀,"say ""hi""",{T + 1}').encode("utf-16"),
        gzip.compress((HEADER + f'007,"x,y",{T}\n\n😀,"say ""hi""",{T + 1}\n').encode()),
        "\ufeff" + "\n\n".join(json.dumps({"user_id": u, "item_id": i, "timestamp": T}) for u, i in PAIRS),
    ],
    ids=["crlf", "cr", "bom", "utf-16", "gzip", "json"],
)
def test_however_it_is_written_it_is_read_right(content: str | bytes, write: Write, tmp_path: Path) -> None:
    assert prepared(tmp_path, write("log", content)) == PAIRS


@pytest.mark.parametrize(
    "name", ["a b.csv", "[a-z].csv", "*.csv", "?.csv", "{a,b}.csv", "a%20b.csv", "day=1.csv", "-x.csv", "'\".csv", "é😀.csv"]
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_may_have_any_name(name: str, kind: str, write: Write, tmp_path: Path) -> None:
    content: dict[str, str | bytes] = {
        "csv": HEADER + f"a,x,{T}\n",
        "jsonl": json.dumps({"user_id": "a", "item_id": "x", "timestamp": T}),
        "parquet": parquet(user_id=["a"], item_id=["x"], timestamp=[T]),
    }
    write("z.csv", HEADER + f"other,x,{T}\n")  # a name must not be taken for a pattern that finds this
    assert prepared(tmp_path, write(name, content[kind])) == [("a", "x")]


def test_a_dataset_may_have_any_name(write: Write, tmp_path: Path) -> None:
    log = write("log", HEADER + f"a,x,{T}\n")
    for name in ("a b", "[a]*?", "day=1", "new/deep/out"):
        for force in ([], ["--force"]):
            assert main(["prepare", str(log), "--out", str(tmp_path / name), "--json", *force]) == 0
        assert {p.name for p in (tmp_path / name).iterdir()} == {"interactions.parquet", "items.parquet", "manifest.json"}


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "prepare", "/dev/stdin", "--out", str(tmp_path / "out")],
        input=HEADER.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"/dev/stdin: is a pipe or a device" in done.stderr


def test_links_are_followed(write: Write, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write("log", HEADER + f"a,x,{T}\n"))
    assert prepared(tmp_path, tmp_path / "link") == [("a", "x")]


def test_with_json_the_manifest_is_all_there_is(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(write("log", HEADER + f"a,x,{T}\n")), "--out", str(tmp_path / "out"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert said.err == ""


def test_for_people_the_report_is_printed(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write("log", HEADER + f"a,x,{T}\na,x,{T}\na,y,\n")
    assert main(["prepare", str(log), "--out", str(tmp_path / "out")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["rows", "in", "3"] in lines
    assert ["rows", "out", "1"] in lines
    assert ["left:", "missing", "1"] in lines
    assert ["left:", "duplicates", "1"] in lines


# Real processes.


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that takes some seconds to prepare."""
    path = tmp_path_factory.mktemp("long") / "log.csv"
    n = pl.int_range(2_000_000, eager=True)
    frame = pl.DataFrame({"user_id": (n * 7919) % 100_003, "item_id": (n * 104_729) % 50_021, "timestamp": T + n})
    frame.write_csv(path)
    path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    return path


def started(log: Path, out: Path) -> subprocess.Popen[str]:
    """A preparation in the middle of its work."""
    process = subprocess.Popen(
        [*COMMAND, "prepare", str(log), "--out", str(out), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(out.parent.glob(f".{out.name}.partial-{process.pid}/work/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(long_log: Path, tmp_path: Path) -> None:
    process = started(long_log, tmp_path / "out")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert json.loads(err) == {"error": "interrupted; nothing half-written is left"}
    assert list(tmp_path.iterdir()) == []


INTERRUPTED_IMPORT = """
import sys
from penchant.cli import main

class Interrupt:
    @staticmethod
    def find_spec(name, *_):
        if name == "numpy":
            raise KeyboardInterrupt

assert "numpy" not in sys.modules
sys.meta_path.insert(0, Interrupt)
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_while_the_program_is_being_loaded_ends_it_with_a_sentence() -> None:
    for words, said in (
        (["doctor"], "penchant: interrupted; nothing half-written is left\n"),
        (["doctor", "--json"], '{"error": "interrupted; nothing half-written is left"}\n'),
    ):
        done = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


THREADS = """
import os, sys
from penchant.cli import main
main(sys.argv[1:])
print(os.environ.get("OPENBLAS_NUM_THREADS"), os.environ["OPENBLAS_THREAD_TIMEOUT"])
"""


def test_a_server_answers_with_one_thread_of_matrix_products_unless_told(tmp_path: Path) -> None:
    free = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))}
    for words, environment, found in (
        (["serve", str(tmp_path)], {}, "1 4"),
        (["serve", str(tmp_path)], {"OPENBLAS_NUM_THREADS": "3"}, "3 4"),
        (["serve", str(tmp_path)], {"OMP_NUM_THREADS": "3", "OPENBLAS_THREAD_TIMEOUT": "9"}, "None 9"),
        (["recommend", str(tmp_path), str(tmp_path), "--users", "1"], {}, "None 4"),
    ):
        command = [sys.executable, "-c", THREADS, *words]
        done = subprocess.run(command, env=free | environment, capture_output=True, text=True, check=False)
        assert done.stdout == found + "\n", done.stderr


def test_after_a_kill_the_next_run_sweeps_up(long_log: Path, write: Write, tmp_path: Path) -> None:
    process = started(long_log, tmp_path / "out")
    process.kill()
    process.communicate(timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == [f".out.partial-{process.pid}"]
    log = write("log", HEADER + f"a,x,{T}\n")
    assert main(["prepare", str(log), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"log", "out"}


@pytest.mark.parametrize("kilobytes", [0, 4, 3000])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_full_disk_ends_it_with_a_sentence_and_leaves_nothing(
    kilobytes: int, zipped: bool, long_log: Path, tmp_path: Path
) -> None:
    """No file may grow beyond a few kilobytes, which the system refuses as it does on a full disk."""

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024,) * 2)

    log = long_log.with_suffix(".csv.gz") if zipped else long_log
    out = tmp_path / "out"
    done = subprocess.run(
        [*COMMAND, "prepare", str(log), "--out", str(out), "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=fill,
        timeout=100,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert json.loads(done.stderr) == {"error": f"{out}: can't be written: File too large"}
    assert list(tmp_path.iterdir()) == []


def test_exit_codes_of_a_real_process(write: Write, tmp_path: Path) -> None:
    good, bad = write("good", HEADER + f"a,x,{T}\n"), write("bad", HEADER)
    for log, code in ((good, 0), (bad, 2)):
        done = subprocess.run([*COMMAND, "prepare", str(log), "--out", str(tmp_path / "out")], capture_output=True, check=False)
        assert done.returncode == code
