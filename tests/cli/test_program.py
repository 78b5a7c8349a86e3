"""The command line: words in, one JSON value or a table out, errors in one sentence."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import penchant
from penchant import artifact
from penchant.cli import main, terminal
from penchant.data import dataset

COMMANDS = (
    "demo",
    "data",
    "prepare",
    "train",
    "tune",
    "evaluate",
    "recommend",
    "rank",
    "classify",
    "interests",
    "serve",
    "update",
    "replay",
    "verify",
    "doctor",
)
USERS = [*(f"u{number:02}" for number in range(24)), "comma, the", 'quote "q"', "007", ":heart:", "[bold]", "ünïcode ☕"]
MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from penchant.cli import main
sys.exit(main())
"""
"""The command line as a process, with Ctrl-C as at a keyboard whoever started the tests."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an event log, its dataset and two models trained on it; the tests run in it."""
    folder = tmp_path_factory.mktemp("place")
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        for row, user in enumerate(USERS):
            writer.writerows([user, f":item: {(row * 5 + n) % 19:02}", 1_600_000_000 + 3600 * n + row] for n in range(8))
    before = Path.cwd()
    os.chdir(folder)
    assert main(["prepare", "events.csv", "--out", "dataset"]) == 0
    assert main(["train", "dataset", "--model", "popularity", "--out", "popular", "--split", "leave-one-out"]) == 0
    words = ["--set", "width=6", "epochs=2", "--set", "batch_events=64", "--split", "leave-one-out"]
    assert main(["train", "dataset", "--model", "lstm", "--out", "lstm", *words]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; gives its exit code, what it said on standard output, and on standard error."""
    capsys.readouterr()

    def ran(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return ran


def value_of(answer: tuple[int, str, str]) -> Any:
    """The one JSON value of a command that went well, which is all it said on standard output."""
    code, out, err = answer
    assert code == 0, err
    assert out.count("\n") == 1
    return json.loads(out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_an_example(command: str, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code == 0
    words = capsys.readouterr().out
    assert f"example:\n  penchant {command}" in words
    assert "--json" in words


def test_help_and_version_of_the_whole(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    words = capsys.readouterr().out
    assert all(command in words for command in COMMANDS)
    with pytest.raises(SystemExit) as ended:
        run("--version")
    assert ended.value.code == 0
    name, number = capsys.readouterr().out.split()
    assert name == "penchant"
    assert number[0].isdigit()


def test_prepare_marks_kinds_and_leaves_some_out(run: Any, place: Path) -> None:
    (place / "marked.csv").write_text("user_id,item_id,timestamp,is_hate\nann,tea,1600000000,1\nann,cup,1600000001,0\n")
    words = ("--kinds", "hate=is_hate", "--without", "hate", "--json")
    manifest = value_of(run("prepare", "marked.csv", "--out", "unmarked", *words))
    assert (manifest["dropped"]["unwanted"], manifest["quality"]["event_types"]) == (1, {"event": 1})


def test_prepare_as_json_is_the_manifest(run: Any) -> None:
    manifest = value_of(run("prepare", "events.csv", "--out", "again", "--json"))
    assert manifest == json.loads(Path("again/manifest.json").read_text())
    assert manifest["rows_in"] == 8 * len(USERS)


def test_train_as_json(run: Any) -> None:
    measured = value_of(run("train", "dataset", "--model", "popularity", "--out", "again-popular", "--json"))
    assert measured.keys() == {"model", "epochs", "seconds", "targets_per_second", "peak_memory_mb", "valid"}
    assert set(measured["valid"]) == {"ndcg@10", "recall@10"}


def test_a_model_is_replaced_by_force_alone(run: Any) -> None:
    words = ["train", "dataset", "--model", "popularity", "--out", "forced"]
    assert run(*words)[0] == 0
    code, _, err = run(*words)
    assert code == 2
    assert "forced: exists; --force replaces it, or name another folder" in err
    assert run(*words, "--force")[0] == 0
    for more in ([], ["--force"]):
        code, _, err = run("evaluate", "dataset", "--models", "popularity", "--out", "dataset", *more)
        assert code == 2
        assert "dataset: exists and holds interactions.parquet, so it is not replaced" in err


def test_somebody_called_all_can_be_asked_for_alone(run: Any) -> None:
    rows = value_of(run("recommend", "popular", "dataset", "--users", '"all"', "--k", "2", "--json"))
    assert [row["user_id"] for row in rows] == ["all", "all"]


def test_of_a_small_catalogue_all_is_recommended_unless_more_is_asked_for(run: Any) -> None:
    rows = [f"u{user},i{item},{1_600_000_000 + item}" for user in range(4) for item in range(4)]
    Path("few.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    assert run("prepare", "few.csv", "--out", "few")[0] == 0
    assert run("train", "few", "--model", "popularity", "--split", "leave-one-out", "--out", "few-popular")[0] == 0
    words = ["recommend", "few-popular", "few", "--users", "new"]
    code, out, _ = run(*words)
    assert code == 0
    assert "title" not in out
    assert 1 < len(value_of(run(*words, "--json"))) < 10
    code, _, err = run(*words, "--k", "10")
    assert code == 2
    assert "k is 10, but must lie between 1 and" in err


def test_models_are_looked_at_before_data_is_read(run: Any) -> None:
    assert "popularty" in run("evaluate", "nowhere", "--models", "popularity,popularty")[2]
    assert "doesn't rank candidates" in run("rank", "popular", "nowhere", "--candidates", "nothing")[2]


def test_threads_are_told_to_sleep_by_the_program_alone(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    cut = penchant.leave_one_out(dataset.load("dataset"))
    penchant.create("lstm", width=4, epochs=1).fit(cut.train, cut.valid)
    assert "OMP_WAIT_POLICY" not in os.environ
    assert run("doctor")[0] == 0
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_train_obeys_its_settings(place: Path) -> None:
    settings = json.loads(Path("lstm/config.json").read_text())["settings"]
    assert (settings["width"], settings["epochs"], settings["batch_events"]) == (6, 2, 64)


def test_train_tells_people_what_came_of_it(run: Any) -> None:
    code, out, _ = run("train", "dataset", "--model", "popularity", "--out", "told")
    assert code == 0
    assert out.startswith("popularity is in told: fitted in ")
    assert "epoch" not in out
    assert "validation ndcg@10 0." in out
    assert "next: penchant recommend told dataset --users all" in out


@pytest.mark.parametrize("out", ["m[v1]", "[red]q", "q[/v1]x"])
def test_folders_are_named_as_they_are_whatever_brackets_they_have(run: Any, out: str) -> None:
    code, said, _ = run("train", "dataset", "--model", "popularity", "--out", out)
    assert code == 0
    assert said.startswith(f"popularity is in {out}: fitted in ")
    assert f"next: penchant recommend {out} dataset" in said


def test_columns_are_called_as_they_are_whatever_brackets_they_have(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(["click[v1]", "like[/v1]"], [["[1]", "[b]"]])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["click[v1]", "like[/v1]"], ["[1]", "[b]"]]


def test_tune_keeps_its_study_beside_the_dataset_and_goes_on_with_it(run: Any) -> None:
    words = ["tune", "dataset", "--model", "transitions", "--split", "leave-one-out", "--trials", "2", "--set", "window=3"]
    found = value_of(run(*words, "--json"))
    assert found.keys() == {"model", "best", "valid", "trials", "pruned", "study", "arguments"}
    assert found["study"] == str(Path("dataset-transitions.study.db").resolve())
    code, out, _ = run(*words)
    assert code == 0
    first, arguments, last = out.splitlines()
    assert first.startswith("the best of 4 trials (0 stopped early) has validation ndcg@10 ")
    assert arguments.startswith("--set ")
    assert "window=3" in arguments.split()
    assert last == f"they are kept in {found['study']}; the same command goes on from there"
    trained = value_of(run("train", *words[1:6], "--out", "tuned", *arguments.split(), "--json"))
    assert f"validation ndcg@10 {trained['valid']['ndcg@10']:.4f}, " in first


def test_tune_refuses_in_one_sentence(run: Any) -> None:
    code, out, err = run("tune", "dataset", "--model", "popularity", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"].startswith("the model popularity has no search space; those that can be tuned are ")
    assert not Path("dataset-popularity.study.db").exists()


def test_evaluate_as_json_and_as_a_report(run: Any) -> None:
    words = ["evaluate", "dataset", "--models", "popularity,lstm/", "--split", "leave-one-out", "--k", "5", "--out", "report"]
    value = value_of(run(*words, "--json"))
    assert {"split", "k", "seen", "models", "intervals"} <= value.keys()
    assert (value["split"], value["k"], value["seen"]) == ("leave-one-out", 5, "exclude")
    assert list(value["models"]) == ["popularity", "lstm/"]
    names = {f"{n}@5" for n in ("recall", "hit", "ndcg", "mrr", "precision", "map", "novelty", "diversity", "repeat_ratio")}
    for model in value["models"]:
        assert value["models"][model].keys() == names | {"coverage@5", "gini@5"}
        assert value["intervals"][model].keys() == names
        assert all(low <= value["models"][model][m] <= high for m, (low, high) in value["intervals"][model].items())
    assert json.loads(Path("report/report.json").read_text()) == value
    assert "| popularity |" in Path("report/report.md").read_text()
    assert list(value["controls"]) == ["markov", "recent_popularity"]
    code, out, err = run(*words, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"] == "report: exists; --force replaces it, or name another folder"
    code, out, _ = run(*words, "--force")
    assert code == 0
    assert "all metrics, slices, tests and costs: report/index.html" in out


def test_evaluate_over_folds_and_seeds(run: Any) -> None:
    words = ["--split", "rolling", "--folds", "2", "--seeds", "1,2", "--k", "3", "--no-controls", "--json"]
    value = value_of(run("evaluate", "dataset", "--models", "popularity", *words))
    assert (value["split"], value["controls"], value["seeds"]) == ("rolling, 2 folds", {}, {})
    assert [part["name"] for part in value["slices"] if part["family"] == "split"] == ["rolling 1 of 2", "rolling 2 of 2"]


def test_evaluate_as_life_goes(run: Any) -> None:
    words = ["--progressive", "--delay", "30", "--refresh", "2", "--k", "3", "--seen", "keep"]
    value = value_of(run("evaluate", "dataset", "--models", "transitions", *words, "--json"))
    assert value["split"] == "temporal, progressive, feedback 30 minutes late, trained anew every 2 hours"
    assert value["reading"] == "online"
    assert value["facts"]["targets"] >= len(USERS) * 8 // 10
    assert "time" in {part["family"] for part in value["slices"]}


def test_evaluate_for_people(run: Any) -> None:
    code, out, _ = run("evaluate", "dataset", "--models", "popularity", "--split", "leave-one-out", "--seen", "keep")
    assert code == 0
    assert (
        f"leave-one-out split, train-only, full catalogue, seen items: keep; {len(USERS)} people, {len(USERS)} targets" in out
    )
    assert "recall@10" in out


def test_recommend_as_json_for_everybody(run: Any) -> None:
    rows = value_of(run("recommend", "lstm", "dataset", "--k", "3", "--json"))
    assert len(rows) == 3 * len(USERS)
    assert {row["user_id"] for row in rows} == set(USERS)
    assert all(row.keys() == {"user_id", "item_id", "score", "rank"} for row in rows)
    assert [row["rank"] for row in rows[:4]] == [1, 2, 3, 1]


def test_users_are_named_as_in_csv_and_strangers_get_a_list_too(run: Any) -> None:
    rows = value_of(
        run("recommend", "popular", "dataset", "--users", '007,"comma, the","quote ""q""",nobody', "--k", "2", "--json")
    )
    assert [row["user_id"] for row in rows] == [u for u in ("007", "comma, the", 'quote "q"', "nobody") for _ in range(2)]
    best = value_of(run("recommend", "popular", "dataset", "--users", "nobody else", "--k", "2", "--seen", "keep", "--json"))
    assert [row["item_id"] for row in rows[-2:]] == [row["item_id"] for row in best]


def test_seen_items_are_left_out_unless_kept(run: Any) -> None:
    had = {f":item: {n:02}" for n in range(8)}
    left = value_of(run("recommend", "lstm", "dataset", "--users", "u00", "--k", "11", "--json"))
    assert not had & {row["item_id"] for row in left}
    kept = value_of(run("recommend", "lstm", "dataset", "--users", "u00", "--k", "19", "--seen", "keep", "--json"))
    assert len(kept) == 19
    assert had <= {row["item_id"] for row in kept}


def test_someone_who_has_nearly_everything_gets_a_short_list(run: Any) -> None:
    assert len(value_of(run("recommend", "lstm", "dataset", "--users", "u00", "--k", "19", "--json"))) == 11


def test_explained_parts_sum_to_the_score(run: Any) -> None:
    rows = value_of(run("recommend", "lstm", "dataset", "--users", "u01,nobody", "--k", "4", "--explain", "--json"))
    assert rows[0].keys() == {"user_id", "item_id", "score", "rank", "short_term", "bias", "reason"}
    for row in rows:
        assert row["short_term"] + row["bias"] == pytest.approx(row["score"], abs=1e-5)
    code, out, _ = run("recommend", "lstm", "dataset", "--users", "u01", "--explain")
    assert code == 0
    assert "short_term" in out.splitlines()[0]


def test_ids_are_shown_to_people_as_they_are(run: Any) -> None:
    code, out, _ = run("recommend", "popular", "dataset", "--users", ":heart:,[bold],ünïcode ☕", "--k", "1")
    assert code == 0
    assert [line.split("  ")[0].strip() for line in out.splitlines()[1:]] == [":heart:", "[bold]", "ünïcode ☕"]
    assert ":item: " in out


def test_people_are_shown_twenty_others_and_told_of_the_rest(run: Any) -> None:
    code, out, _ = run("recommend", "popular", "dataset", "--k", "2")
    assert code == 0
    assert len(out.splitlines()) == 1 + 2 * 20 + 1
    assert f"… and {len(USERS) - 20} more people" in out


def test_recommendations_into_a_csv_file(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "list.csv"
    code, said, _ = run("recommend", "popular", "dataset", "--users", '"comma, the",007', "--k", "2", "--out", str(out))
    assert code == 0
    assert str(out) in said
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["user_id"] for row in rows] == ["comma, the"] * 2 + ["007"] * 2
    assert list(rows[0]) == ["user_id", "item_id", "score", "rank"]
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_people_who_had_everything_are_counted_beside_the_list(run: Any, tmp_path: Path) -> None:
    log, dataset, model = (str(tmp_path / name) for name in ("log.csv", "dataset", "model"))
    had = {"a": "wxyz", "b": "zyxw", "c": "wxy"}
    events = [f"{user},{item},{1_600_000_000 + n}" for user, items in had.items() for n, item in enumerate(items)]
    Path(log).write_text("\n".join(("user_id,item_id,timestamp", *events)))
    assert run("prepare", log, "--out", dataset)[0] == 0
    assert run("train", dataset, "--model", "popularity", "--out", model, "--split", "leave-one-out")[0] == 0
    out = tmp_path / "list.csv"
    code, said, err = run("recommend", model, dataset, "--k", "1", "--out", str(out))
    assert code == 0
    assert err.startswith("2 of 3 people get no list: they had all items there are to recommend")
    assert said == f"recommendations for 1 people are in {out}\n"
    assert out.read_text().count("\n") == 2


def test_a_file_is_replaced_by_force_alone_a_link_stays_and_a_pipe_is_written_to(run: Any, tmp_path: Path) -> None:
    out, link, pipe = (tmp_path / name for name in ("list.csv", "link.csv", "pipe"))
    words = ("recommend", "popular", "dataset", "--users", "007", "--k", "1", "--out")
    out.write_text("mine")
    link.symlink_to(out)
    for name in (out, link):
        assert run(*words, str(name))[0] == 2
        assert out.read_text() == "mine"
    assert run(*words, str(link), "--force")[0] == 0
    assert link.is_symlink()
    assert out.read_text().startswith("user_id,")
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text)
        assert run(*words, str(pipe))[0] == 0
        assert read.result(timeout=10) == out.read_text()
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "list.csv", "pipe"]


def test_a_list_for_nobody_is_refused_and_writes_nothing(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "list.csv"
    code, said, err = run("recommend", "popular", "dataset", "--users", "", "--out", str(out), "--json")
    assert (code, said) == (2, "")
    assert "names nobody" in err
    assert not out.exists()


def test_a_csv_file_that_cannot_be_written_ends_in_a_sentence(run: Any, tmp_path: Path) -> None:
    code, out, err = run("recommend", "popular", "dataset", "--out", str(tmp_path / "no" / "list.csv"))
    assert (code, out) == (2, "")
    assert "can't be written: No such file or directory" in err


def test_the_doctor_and_the_datasets_as_json(run: Any) -> None:
    findings = value_of(run("doctor", "--json"))
    assert {"what", "found", "works", "advice"} == set(findings[0])
    known = value_of(run("data", "--json"))
    assert "ml-100k" in [row["name"] for row in known]
    assert "ml-100k" in run("data")[1]
    assert "python" in run("doctor")[1]


WRONG = {
    "train dataset --model popularty --out x": "there is no model 'popularty'; did you mean popularity?",
    "train dataset --model LSTM --out x": "there is no model 'LSTM'; did you mean lstm?",
    "train dataset --model popularity --out x --trials -1": "there can't have been -1 trials",
    "train dataset --model popularity --out " + "x" * 300: "File name too long",
    "train dataset --model lstm --out x --set widht=3": "there is no setting 'widht'; did you mean width?",
    "train dataset --model lstm --out x --set width=wide": "setting width: 'wide' is not a whole number",
    "train dataset --model lstm --out x --set width": "'width' is not name=value",
    "train dataset --model lstm --out x --set seed=-1": "setting seed must lie between",
    "train dataset --model als --out x --set alpha=1e300": "setting alpha must be above 0 and at most 1000000",
    "train dataset --model lstm --out x --set name=me": "there is no setting 'name'",
    "train dataset --model lstm --out x --resume": "there is nothing to resume",
    "train dataset --model lstm --out x --split random": "invalid choice: 'random'",
    "train dataset --model lstm": "the following arguments are required: --out",
    "train events.csv --model lstm --out x": "is not a dataset",
    "train nowhere --model lstm --out x": "is not a dataset",
    "train dataset --model popularity --out events.csv": "is a file; name a folder",
    "train dataset --model popularity --out .": "is not replaced",
    "evaluate dataset --models popularty": "did you mean popularity?",
    "evaluate dataset --models popular --split temporal": "may know the answers",
    "evaluate dataset --models popularity --k 100": "k is 100, but must lie between 1 and 19",
    "evaluate dataset --models popularity --k ten": "invalid int value: 'ten'",
    "evaluate dataset --models ,": "no model was named",
    "evaluate dataset --models popularity --seeds 1,two": "'1,two' is not a list of whole numbers like 1,2,3",
    "evaluate dataset --models lstm --seeds 1,2,1": "seed 1 is named twice",
    "tune dataset --model transitions --seed -1": "the seed must lie between 0 and",
    "prepare events.csv --out x --columns user_id=item_id": "no column for item_id",
    "prepare events.csv --out x --item-columns item_id=film": "add --items FILE",
    "prepare events.csv --out x --time-unit %d.%m.%Y": "unreadable_times of 240); see --time-unit",
    "recommend popular dataset --out events.csv": "events.csv: exists; --force replaces it",
    "recommend popular dataset --out dataset": "dataset: is a folder; name a file",
    "interests popular dataset --html events.csv": "events.csv: exists; --force replaces it",
    "evaluate dataset --models popularity --ablate": "it isn't among the models",
    "evaluate dataset --models popularity --delay 5": "add --progressive",
    "evaluate dataset --models popularity --progressive --delay nan": "--delay is nan, but must lie between 0 and a century",
    "evaluate dataset --models popularity --progressive --refresh inf": "--refresh is inf, but must lie between",
    "evaluate dataset --models popularity --progressive --refresh 0.5": "every so many whole hours",
    "evaluate dataset --models popularity --progressive --seed=-1": "seed is -1",
    "evaluate dataset --models popularity --folds 2": "add --split rolling",
    "evaluate dataset --models popularity --out dataset/manifest.json/report": "can't be written",
    "evaluate dataset --models m\udcff": "m\\udcff: is not UTF-8",
    "evaluate dataset --models popularity --progressive --split leave-one-out": "the leave-one-out split isn't made by time",
    "evaluate dataset --models popularity --split rolling --folds 9": "name 1 to 8",
    "recommend nowhere dataset": "is not a model",
    "recommend dataset dataset": "is not a model",
    "recommend popular popular": "is not a dataset",
    "recommend popular dataset --k 0": "k is 0, but must lie between 1 and 19",
    "recommend popular dataset --k 20": "k is 20, but must lie between 1 and 19",
    "recommend popular dataset --now someday": "someday",
    'recommend popular dataset --users "open': "is not a line of CSV",
    "data ml-100": "there is no dataset 'ml-100'; known are ml-100k",
    "trian dataset": "invalid choice: 'trian'",
    "recommend popular dataset --colour red": "unrecognized arguments: --colour red; see penchant recommend --help",
    "recommend popular dataset --usres a": "unrecognized arguments: --usres a; did you mean --users?; see penchant recommend",
    "": "COMMAND",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(words: str, run: Any, place: Path) -> None:
    before = sorted(p.name for p in place.iterdir())
    code, out, err = run(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith("penchant: ")
    assert WRONG[words] in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(p.name for p in place.iterdir()) == before


def test_errors_for_machines_are_json_on_standard_error(run: Any) -> None:
    code, out, err = run("evaluate", "dataset", "--models", "popularty", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"].startswith("there is no model 'popularty'")


def process(*words: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_ctrl_c_in_train_leaves_a_checkpoint_to_go_on_from_and_no_model(run: Any, tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "model", tmp_path / "model.checkpoint"
    words = [
        "train",
        "dataset",
        "--model",
        "lstm",
        "--out",
        str(out),
        "--split",
        "leave-one-out",
        "--set",
        "width=6",
        "batch_events=1",
    ]
    endless = ["epochs=100000", "patience=100000"]
    with process(*words, *endless) as training:
        for _ in range(1200):
            if (checkpoint / "fit").exists() or training.poll() is not None:
                break
            time.sleep(0.05)
        training.send_signal(signal.SIGINT)
        _, err = training.communicate(timeout=60)
    assert training.returncode == 130, err
    assert "--resume goes on from there" in " ".join(err.split())
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    code, _, err = run(*words, "epochs=1", "--resume", "--json")
    assert code == 0, err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert len(artifact.load(out).history) >= 1


@pytest.mark.parametrize("words", [["--json"], []])
def test_a_reader_that_has_seen_enough_is_no_error(place: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", MAIN, "recommend", "popular", "dataset", "--k", "5", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_package_is_the_command_line() -> None:
    command = [sys.executable, "-m", "penchant", "evaluate", "nowhere", "--models", "popularity", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a dataset" in json.loads(done.stderr)["error"]


def test_recommend_works_where_there_is_no_torch(place: Path) -> None:
    blocked = "import sys; sys.modules['torch'] = None; " + MAIN
    command = [sys.executable, "-c", blocked, "recommend", "lstm", "dataset", "--users", "u00", "--k", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_train_without_torch_says_what_to_install(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("penchant.models.neural.training", "penchant.models.neural.network"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = run("train", "dataset", "--model", "lstm", "--out", "never")
    assert code == 2
    assert "pip install 'penchant[train]'" in err
    assert not Path("never").exists()
