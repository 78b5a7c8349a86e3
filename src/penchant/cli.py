"""Arguments in, function calls, words and JSON out."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from penchant import candidates, classification, demo, doctor, evaluation, replay, tuning, workflow
from penchant.data import catalog, dataset, sources, times
from penchant.data.clean import STEPS, PrepareConfig
from penchant.data.quality import describe
from penchant.evaluation import progressive, report
from penchant.live import deployment, learning
from penchant.models import MODELS, RANKERS
from penchant.models.neural.classifier import CELLS, ClassifierSettings
from penchant.offline import recommend_users
from penchant.types import MICROSECONDS, PenchantError

INTERRUPTED = 130
BAD_INPUT = 2
PEOPLE_SHOWN = 20
CANDIDATES_SHOWN = 100
WIDE = 200
"""Columns of what isn't shown on a terminal, so that tables in files and pipes aren't folded."""


class _Console(Console):
    """Words as they are: ids aren't emoji. A reader who has seen enough is dealt with in ``main``."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


notes = _Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
answers = _Console(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 on bad input, 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    notes.quiet = as_json and not notes.is_terminal  # a machine that reads standard error finds the error there, alone
    try:
        options = _parser().parse_args(words)
        options.run(options)
        sys.stdout.flush()
    except PenchantError as error:
        _complain(str(error), as_json=as_json)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        _complain(str(interrupt) or "interrupted; nothing half-written is left", as_json=as_json)
        return INTERRUPTED
    except MemoryError:
        _complain("the memory doesn't suffice for this; make the model or the log smaller", as_json=as_json)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _complain(sentence: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": sentence}, ensure_ascii=False), file=sys.stderr)  # noqa: T201
    else:
        notes.print(f"[bold red]penchant:[/] {escape(sentence)}")


def _print_json(value: Any) -> None:
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
def _watching() -> Any:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_interactive) as progress:
        yield _Bars(progress)


# The commands.


def _data(options: argparse.Namespace) -> None:
    if options.name is None:
        known = [
            {"name": d.name, "what": d.words, "licence": d.licence, "places": list(d.places)} for d in sources.DATASETS.values()
        ]
        if options.json:
            _print_json(known)
        else:
            _table(["name", "what", "licence"], [[d.name, d.words, d.licence] for d in sources.DATASETS.values()])
        return
    out = Path(options.out or f"data/{options.name}")
    with _watching() as progress:
        source = sources.fetch(options.name, out, progress=progress)
    if options.json:
        _print_json(source | {"events": str(out / sources.EVENTS), "items": str(out / sources.ITEMS)})
    else:
        answers.print(f"{options.name} from {source['place']} is in {out}; its SHA-256 is right. {source['licence']}.")
        answers.print(f"next: penchant prepare {out / sources.EVENTS} --items {out / sources.ITEMS} --out dataset")


def _prepare(options: argparse.Namespace) -> None:
    log = dataset.read(
        *options.events,
        columns=options.columns,
        ordered=options.ordered,
        encoding=options.encoding,
        time_unit=options.time_unit,
        items=options.items,
        item_columns=options.item_columns,
    )
    defaults = PrepareConfig()
    config = PrepareConfig(
        skip=tuple(options.skip),
        earliest=times.moment(options.earliest) if options.earliest else defaults.earliest,
        latest=times.moment(options.latest) if options.latest else defaults.latest,
        bot_events_per_hour=options.bot_events_per_hour,
        min_user_events=options.min_user_events,
        min_item_events=options.min_item_events,
        session_gap=options.session_gap,
        event_type=options.event_type,
        value=options.value,
    )
    with _watching() as progress:
        manifest = dataset.write_dataset(log, options.out, config, progress=progress)
    if options.json:
        _print_json(manifest)
        return
    _table(["", ""], [list(line) for line in describe(manifest)])
    answers.print(f"dataset: {options.out}; next: penchant evaluate {options.out} --models {','.join(MODELS)}")


def _train(options: argparse.Namespace) -> None:
    if options.model in RANKERS:
        _train_ranker(options)
        return
    if options.impressions or options.base:
        raise PenchantError(f"{options.model} learns from events; --impressions and --base are for {', '.join(RANKERS)}")
    log = dataset.load(options.dataset, options.content)
    with _watching() as progress:
        result = workflow.train(
            log,
            options.model,
            options.out,
            settings=options.set,
            split=options.split,
            resume=options.resume,
            refit=options.refit,
            scalars=options.tensorboard,
            profile=options.profile,
            trials=options.trials,
            progress=progress,
        )
    if options.json:
        _print_json(result)
        return
    valid = ", ".join(f"{name} {value:.4f}" for name, value in result["valid"].items())
    answers.print(
        f"{options.model} is in {result['model']}: {result['epochs']} epochs, {result['seconds']:.1f} s, "
        f"{result['targets_per_second']:,.0f} targets a second, {result['peak_memory_mb']:,.0f} MB; validation {valid}"
    )
    answers.print(f"next: penchant recommend {options.out} {options.dataset} --users all")


def _train_ranker(options: argparse.Namespace) -> None:
    if not (options.impressions and options.base):
        raise PenchantError(f"{options.model} learns from impressions over a trained model: --impressions FILE --base MODEL")
    with _watching() as progress:
        result = candidates.train_interest(
            options.dataset,
            options.base,
            options.impressions,
            options.out,
            labels=options.labels,
            context=options.context,
            columns=options.columns,
            content=options.content,
            settings=options.set,
            progress=progress,
        )
    if options.json:
        _print_json(result)
        return
    answers.print(
        f"{options.model} is in {result['model']}: {result['epochs']} epochs, {result['seconds']:.1f} s, "
        f"{result['impressions_per_second']:,.0f} impressions a second; on the last 15% of the impressions, "
        "calibrated on the 15% before:"
    )
    names = ("auc", "auc_within", "logloss", "calibration_error", "share_of_ones")
    rows = [[t, *("" if v[n] is None else f"{v[n]:.4f}" for n in names)] for t, v in result["test"].items()]
    _table(["target", "auc", "auc within people", "logloss", "calibration error", "share of ones"], rows)
    answers.print(f"next: penchant rank {options.out} {options.dataset} --candidates FILE")


def _rank(options: argparse.Namespace) -> None:
    log = dataset.load(options.dataset)
    now = times.moment(options.now) if options.now else None
    with _watching() as progress:
        model = candidates.load_ranker(options.model)
        rows = candidates.rank_candidates(
            model, log, options.candidates, columns=options.columns, now=now, encoding=options.encoding, progress=progress
        )
        told = list(rows)
        if options.out is not None:
            _write_rows(told, Path(options.out))
    if options.json:
        _print_json(told)
    elif options.out is not None:
        answers.print(f"{len(told):,} ranked candidates are in {options.out}")
    else:
        shown = told[:CANDIDATES_SHOWN]
        _table(list(told[0]), [[f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()] for row in shown])
        if len(told) > CANDIDATES_SHOWN:
            answers.print(f"… and {len(told) - CANDIDATES_SHOWN:,} more candidates; --out FILE.csv or --json gives all")


def _tune(options: argparse.Namespace) -> None:
    folder = Path(options.dataset).resolve()
    study = options.study or folder.with_name(f"{folder.name}-{options.model}.study.db")
    log = dataset.load(options.dataset, options.content)
    with _watching() as progress:
        result = tuning.tune(
            log,
            options.model,
            study=study,
            minutes=options.minutes,
            trials=options.trials,
            settings=options.set,
            split=options.split,
            seed=options.seed,
            progress=progress,
        )
    if options.json:
        _print_json(result)
        return
    valid = ", ".join(f"{name} {value:.4f}" for name, value in result["valid"].items())
    answers.print(f"the best of {result['trials']} trials ({result['pruned']} stopped early) has validation {valid}:")
    answers.print(escape(result["arguments"]))
    answers.print(f"they are kept in {escape(result['study'])}; the same command goes on from there")


def _evaluate(options: argparse.Namespace) -> None:
    if options.out is not None:
        workflow.check_report(options.out, force=options.force)
    log = dataset.load(options.dataset, options.content)
    with _watching() as progress:
        result = workflow.compare(
            log,
            options.models,
            split=options.split,
            folds=options.folds,
            k=options.k,
            seen=options.seen,
            reading=options.reading,
            seed=options.seed,
            seeds=options.seeds,
            controls=options.controls,
            ablate=options.ablate,
            live=_live(options),
            progress=progress,
        )
    if options.out is not None:
        workflow.write_report(result, options.out, force=options.force)
    if options.json:
        _print_json(result.to_json())
        return
    for sentence in result.findings():
        answers.print(escape(sentence))
    answers.print(escape(result.conditions()))
    labels = {name: f"{name} (control)" if name in result.controls else name for name in result.everyone}
    shown = {labels[name]: {metric: values[metric] for metric in result.main} for name, values in result.everyone.items()}
    _values_table(shown, {labels[name]: ends for name, ends in result.intervals.items()})
    if options.out is not None:
        answers.print(f"all metrics, slices, tests and costs: {Path(options.out) / report.PAGE}")


def _live(options: argparse.Namespace) -> evaluation.Live | None:
    if options.progressive:
        return evaluation.Live(round(options.delay * progressive.MINUTE), round(options.refresh * progressive.HOUR))
    if options.delay or options.refresh:
        raise PenchantError("--delay and --refresh tell how life goes on in the test period; add --progressive")
    return None


def _recommend(options: argparse.Namespace) -> None:
    log = dataset.load(options.dataset)
    users: Sequence[str] = log.users.ids if options.users == ["all"] else options.users
    now = times.moment(options.now) if options.now else None
    on_screen = not options.json and options.out is None
    with _watching() as progress:
        model = workflow.load_for(options.model, log, progress)
        rows: Iterable[dict[str, Any]] = recommend_users(
            model,
            log,
            users[:PEOPLE_SHOWN] if on_screen else users,
            k=options.k,
            seen=options.seen,
            now=now,
            explain=options.explain,
            progress=progress,
        )
        if options.json or on_screen:
            rows = list(rows)
        if options.out is not None:
            _write_rows(rows, Path(options.out))
    if options.json:
        _print_json(rows)
    elif options.out is not None:
        answers.print(f"recommendations for {len(users):,} people are in {options.out}")
    else:
        _show_recommendations(list(rows), catalog.describe_items(Path(options.dataset) / dataset.ITEMS))
        if len(users) > PEOPLE_SHOWN:
            answers.print(f"… and {len(users) - PEOPLE_SHOWN:,} more people; --out FILE.csv or --json gives all")


def _show_recommendations(rows: list[dict[str, Any]], titles: dict[str, dict[str, Any]]) -> None:
    parts = [name for name in (rows[0] if rows else {}) if name not in ("user_id", "item_id", "score", "rank")]
    lines = [
        [r["user_id"], str(r["rank"]), r["item_id"], catalog.title(titles.get(r["item_id"], {})), f"{r['score']:.4g}"]
        + [f"{r[name]:.4g}" for name in parts]
        for r in rows
    ]
    _table(["user_id", "rank", "item_id", "title", "score", *parts], lines)


def _write_rows(rows: Iterable[dict[str, Any]], out: Path) -> None:
    """CSV with a header, written aside and renamed."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            rows = iter(rows)
            first = list(islice(rows, 1))
            writer = csv.DictWriter(file, list(first[0]) if first else ["user_id", "item_id", "score", "rank"])
            writer.writeheader()
            writer.writerows(chain(first, rows))
        partial.replace(out)
    except OSError as error:
        raise PenchantError(f"{out}: can't be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _classify(options: argparse.Namespace) -> None:
    settings = options.set | ({"cell": options.cell} if options.cell else {})
    with _watching() as progress:
        result = classification.classify(
            options.table, settings=settings, encoding=options.encoding, out=options.out, progress=progress
        )
    if options.json:
        _print_json(result.to_json())
        return
    facts = result.facts
    filled = sum(facts["missing_filled"].values())
    answers.print(
        escape(
            f"{result.source}: {facts['rows']:,} rows, {facts['share_of_ones']:.1%} with {facts['label']} = 1; "
            f"{facts['steps']} steps of {facts['features']:,} features; {filled:,} missing values "
            f"(numbers become the median of those learned from, words none); split at random, seed {result.settings.seed}: "
            f"{facts['trained_on']:,} to learn from, "
            f"{facts['tested_on']:,} held back"
        )
    )
    _values_table(result.models, result.intervals)
    answers.print(escape(result.verdict()))
    for warning in result.warnings:
        answers.print(escape(f"note: {warning}"))


def _serve(options: argparse.Namespace) -> None:
    try:
        from penchant.server.run import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("penchant"):
            raise
        raise PenchantError(f"serving needs {error.name}; install it with: pip install 'penchant[serve]'") from error
    with _watching() as progress:
        service = deployment.open_service(
            options.model,
            options.store,
            dataset_folder=options.dataset,
            split=options.split,
            memory=options.memory << 20,
            progress=progress,
        )

    def announce(address: str) -> None:
        if options.json:
            _print_json({"address": address, "model": service.living.name, "store": options.store})
            sys.stdout.flush()
        else:
            notes.print(f"{service.living.name} at {address}/docs; SIGTERM or Ctrl-C stops it and loses nothing")

    following = deployment.Following(service, options.model, options.store, options.update_every)
    run(service, options.host, options.port, log_level=options.log, announce=announce, beside=[following])


def _update(options: argparse.Namespace) -> None:
    if options.roll_back:
        found = learning.roll_back(options.model)
        if options.json:
            _print_json({"model": found})
        else:
            answers.print(f"{options.model} is {found} again; a server that serves it takes it within seconds")
        return
    with _watching() as progress:
        result = deployment.update_model(options.model, options.store, k=options.k, seed=options.seed, progress=progress)
    if options.json:
        _print_json(asdict(result))
        return
    answers.print(
        f"{result.why} ({result.new_events:,} new events, asked about {result.asked:,} of the newest; "
        f"{result.items_before:,} items before, {result.items_after:,} now)"
    )
    if result.promoted:
        answers.print(f"promoted; to go back: penchant update {options.model} --roll-back")


def _replay(options: argparse.Namespace) -> None:
    log = dataset.load(options.dataset)
    with _watching() as progress:
        result = replay.replay(
            log,
            options.url,
            split=options.split,
            speed=options.speed,
            most=options.events,
            k=options.k,
            progress=progress,
        )
    if options.json:
        _print_json(result)
        return
    answers.print(escape(replay.in_words(result)))


def _verify(options: argparse.Namespace) -> None:
    with _watching() as progress:
        found = deployment.verify_store(options.model, options.store, progress=progress)
    if found.faults:
        raise PenchantError(f"{options.store}: the file is damaged: {found.faults[0]}; bring back a backup")
    if found.differing:
        raise PenchantError(
            f"{options.store}: {len(found.differing):,} of {found.users:,} states differ from their histories, "
            f"the first of user {found.differing[0]!r}; this is a defect of Penchant: please report it"
        )
    if options.json:
        _print_json(asdict(found))
    else:
        answers.print(
            f"{found.users:,} users, {found.events:,} events, {found.stored:,} states stored: "
            "the file is sound, and every state equals its re-encoded history"
        )


def _doctor(options: argparse.Namespace) -> None:
    findings = doctor.examine()
    if options.json:
        _print_json(findings)
        return
    _table(
        ["", "found", "", "what to do"],
        [[f["what"], f["found"], "ok" if f["works"] else "missing", f["advice"]] for f in findings],
    )


def _demo(options: argparse.Namespace) -> None:
    with _watching() as progress:
        say = (lambda line: notes.print(escape(line))) if options.json else (lambda line: answers.print(escape(line)))
        result = demo.run(options.out, say=say, progress=progress)
    if options.json:
        _print_json(result)


def _values_table(
    models: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, tuple[float, float]]]
) -> None:
    """Models and metrics, intervals below the values."""
    names = list(next(iter(models.values())))
    rows = []
    for model, values in models.items():
        cells = [model]
        for name in names:
            interval = intervals[model].get(name)
            cells.append(f"{values[name]:.4f}" + (f"\n[{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""))
        rows.append(cells)
    _table(["model", *names], rows)


def _table(header: list[str], rows: list[list[str]]) -> None:
    table = Table(*header, box=None, show_header=any(header), pad_edge=False)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    answers.print(table)


# The arguments.


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PenchantError(f"{message}; see {self.prog} --help")


def _pairs(word: str) -> dict[str, str]:
    """``a=b,c=d`` as a mapping."""
    pairs = {}
    for pair in word.split(","):
        name, separator, value = pair.partition("=")
        if not (separator and name and value):
            raise argparse.ArgumentTypeError(f"{pair!r} is not name=value")
        pairs[name.strip()] = value.strip()
    return pairs


def _minutes(word: str) -> int:
    """Minutes as microseconds."""
    try:
        return int(float(word) * 60 * MICROSECONDS)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of minutes") from error


def _seconds(word: str) -> float:
    """``90s``, ``30m``, ``6h`` or ``1d`` as seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    try:
        seconds = float(word[:-1]) * units[word[-1]]
    except (ValueError, KeyError, IndexError) as error:
        raise argparse.ArgumentTypeError(f"{word!r} is no time; write it as 90s, 30m, 6h or 1d") from error
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no time above 0")
    return seconds


def _list(word: str) -> list[str]:
    return [part for part in word.split(",") if part]


def _numbers(word: str) -> list[int]:
    try:
        return [int(part) for part in _list(word)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a list of whole numbers like 1,2,3") from error


def _ids(word: str) -> list[str]:
    """Ids on one CSV line, so that an id with a comma can be quoted."""
    try:
        return next(csv.reader([word], strict=True))
    except csv.Error as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a line of CSV: {error}") from error


class _Settings(argparse.Action):
    """``--set a=1 --set b=2`` or ``--set a=1 b=2`` as one mapping."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        gathered = dict(getattr(namespace, self.dest) or {})
        for pair in values:
            gathered |= pair
        setattr(namespace, self.dest, gathered)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("penchant", description="From an event log to recommendations.", epilog="example: penchant demo")
    parser.add_argument("--version", action="version", version=f"penchant {doctor.version_of('penchant')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for run, add_arguments, words, example in COMMANDS:
        made = commands.add_parser(
            run.__name__.removeprefix("_"),
            help=words,
            description=words,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        made.add_argument("--json", action="store_true", help="one JSON value on standard output, for machines")
        add_arguments(made)
    return parser


def _serve_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train wrote")
    _store_argument(made)
    made.add_argument("--dataset", metavar="DIR", help="load this dataset's events and items, if the store has no events yet")
    made.add_argument(
        "--split",
        choices=list(evaluation.SPLITS),
        help="of the dataset, load only what lies before this split's test part: for replay",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen at (default %(default)s: this machine only)")
    made.add_argument("--port", type=int, default=8080, help="0 takes a free one (default %(default)s)")
    made.add_argument("--memory", type=int, default=256, metavar="MB", help="for states in memory (default %(default)s)")
    made.add_argument(
        "--update-every", type=_seconds, metavar="TIME", help="learn from the store so often, for example 6h (default: never)"
    )
    made.add_argument("--log", choices=("info", "warning", "error"), default="info", help="info has a line for each request")


def _update_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="the model folder that is served")
    _store_argument(made)
    made.add_argument("--k", type=int, default=10, help="length of the lists compared (default %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap (default %(default)s)")
    made.add_argument("--roll-back", action="store_true", help="instead, put the model before in its place again")


def _replay_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--url", default="http://127.0.0.1:8080", help="the server (default %(default)s)")
    made.add_argument(
        "--speed", type=float, default=0.0, metavar="X", help="so many times the log's pace (default: as fast as it goes)"
    )
    made.add_argument("--events", type=int, metavar="N", help="so many events at most")
    made.add_argument("--k", type=int, default=10, help="length of the lists (default %(default)s)")
    _split_argument(made)


def _verify_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="the model folder that is served")
    _store_argument(made)


def _store_argument(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--store", default="sqlite:///penchant.db", metavar="URL", help="where events and states are kept (default %(default)s)"
    )


def _demo_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--out", default="penchant-demo", metavar="DIR", help="folder for all that is made (default %(default)s)")


def _data_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("name", nargs="?", metavar="NAME")
    made.add_argument("--out", metavar="DIR", help="folder to write (default data/NAME)")


def _doctor_arguments(made: argparse.ArgumentParser) -> None:
    """None."""


def _train_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--model", required=True, metavar="NAME", help=", ".join([*MODELS, *RANKERS]))
    made.add_argument("--out", required=True, metavar="MODEL", help="folder to write")
    made.add_argument(
        "--set",
        nargs="+",
        type=_pairs,
        action=_Settings,
        default={},
        metavar="KEY=VALUE",
        help=f"settings; {_settings_words()}",
    )
    made.add_argument("--resume", action="store_true", help="go on after the last finished epoch of an interrupted training")
    made.add_argument(
        "--trials", type=int, default=0, metavar="N", help="in how many trials these settings were chosen (tune says it)"
    )
    made.add_argument(
        "--refit",
        action="store_true",
        help="then learn again from training and validation parts together, with what validation chose",
    )
    made.add_argument("--tensorboard", metavar="DIR", help="write each epoch's figures there for TensorBoard")
    made.add_argument("--profile", metavar="FILE", help="write a trace of the first steps there, for chrome://tracing")
    shown = made.add_argument_group("impressions", "for the model interest: what people were shown, and what they did")
    shown.add_argument("--impressions", metavar="FILE", help="users, items, times, labels of 0 and 1")
    shown.add_argument("--base", metavar="MODEL", help="a trained recurrent model of the same dataset (--split temporal)")
    shown.add_argument(
        "--labels", type=_pairs, metavar="click=A,like=B", help="targets and their columns; the first is the one judged"
    )
    shown.add_argument("--context", type=_list, default=[], metavar="A,B", help="columns known when an item is shown")
    shown.add_argument("--columns", type=_pairs, default={}, metavar="user_id=A,item_id=B", help="the file's names for ours")
    _content_argument(made)
    _split_argument(made)


def _tune_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--model", required=True, metavar="NAME", help=", ".join(m for m in tuning.SPACES if m in MODELS))
    made.add_argument(
        "--study", metavar="FILE", help="where finished trials are kept (default DIR-NAME.study.db, beside the dataset)"
    )
    made.add_argument("--minutes", type=float, default=30.0, metavar="M", help="how long at most (default %(default)g)")
    made.add_argument("--trials", type=int, metavar="N", help="how many trials at most, beyond those in the study")
    made.add_argument("--seed", type=int, default=0, help="of the search (default %(default)s)")
    made.add_argument(
        "--set", nargs="+", type=_pairs, action=_Settings, default={}, metavar="KEY=VALUE", help="settings that are fixed"
    )
    _content_argument(made)
    _split_argument(made)


def _evaluate_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument(
        "--models", required=True, type=_list, metavar="A,B", help="names (trained with defaults) and paths of trained models"
    )
    made.add_argument("--k", type=int, default=10, help="length of the lists (default %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of all resampling (default %(default)s)")
    made.add_argument(
        "--seeds", type=_numbers, default=[], metavar="1,2,3", help="train each model that has a seed once with each of these"
    )
    made.add_argument("--ablate", action="store_true", help="compare longshort with itself without each of its parts")
    made.add_argument(
        "--no-controls", dest="controls", action="store_false", help="leave out simple methods, and shuffled histories"
    )
    made.add_argument("--out", metavar="REPORT", help="folder for a page, index.html, and the same as JSON, CSV and Markdown")
    made.add_argument("--force", action="store_true", help="replace a report that is there")
    made.add_argument(
        "--reading",
        choices=workflow.READINGS,
        help="what models know of the events between training and test: nothing; what memories learn without "
        "gradients; all of it, having learned again (default train-only; with --progressive online)",
    )
    made.add_argument(
        "--progressive", action="store_true", help="ask about every event after the cut in order of time, and take it in"
    )
    made.add_argument(
        "--delay",
        type=float,
        default=0,
        metavar="MINUTES",
        help="so long after an event models know it (default %(default)s)",
    )
    made.add_argument(
        "--refresh", type=float, default=0, metavar="HOURS", help="train models anew every so often (default: never)"
    )
    _content_argument(made)
    _seen_argument(made)
    _split_argument(made, evaluation.ROLLING)
    made.add_argument(
        "--folds", type=int, default=evaluation.FOLDS, metavar="N", help="test parts of a rolling split (default %(default)s)"
    )


def _recommend_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train wrote")
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument(
        "--users", type=_ids, default=["all"], metavar="U1,U2|all", help="ids (quoted as in CSV), or all (default)"
    )
    made.add_argument("--k", type=int, default=10, help="items for each (default %(default)s)")
    made.add_argument("--now", metavar="TIME", help="the moment asked about, ISO 8601 (default: that of the last event)")
    made.add_argument("--explain", action="store_true", help="show the parts of each score")
    made.add_argument("--out", metavar="FILE.csv", help="write user_id, item_id, score, rank instead of printing")
    _seen_argument(made)


def _classify_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("table", metavar="FILE", help="CSV, TSV, Parquet or JSON lines; its last column is the label, 0 or 1")
    made.add_argument("--cell", choices=CELLS, help="lstm (default), or the article's own equations")
    made.add_argument(
        "--set",
        nargs="+",
        type=_pairs,
        action=_Settings,
        default={},
        metavar="KEY=VALUE",
        help="settings: " + ", ".join(f"{k}={v}" for k, v in asdict(ClassifierSettings()).items()),
    )
    made.add_argument("--out", metavar="DIR", help="folder for the trained classifier")
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")


def _rank_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train --model interest wrote")
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote: the people's histories")
    made.add_argument(
        "--candidates",
        required=True,
        metavar="FILE",
        help="users and items, with the context the model was trained with, and times if there are some",
    )
    made.add_argument("--columns", type=_pairs, default={}, metavar="user_id=A,item_id=B", help="the file's names for ours")
    made.add_argument("--now", metavar="TIME", help="the moment asked about, ISO 8601 (default: that of the last event)")
    made.add_argument("--out", metavar="FILE.csv", help="write user_id, item_id, probabilities, rank instead of printing")
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")


def _prepare_arguments(made: argparse.ArgumentParser) -> None:
    defaults = PrepareConfig()
    made.add_argument(
        "events", nargs="+", metavar="EVENTS", help="CSV, TSV, Parquet, JSON lines or sequence files, gzipped or not"
    )
    made.add_argument("--out", required=True, metavar="DIR", help="dataset folder to write")
    made.add_argument("--items", metavar="FILE", help="what is known of the items: titles, genres, …")
    made.add_argument(
        "--columns", type=_pairs, default={}, metavar="user_id=A,item_id=B", help="the log's names for Penchant's columns"
    )
    made.add_argument("--item-columns", type=_pairs, default={}, metavar="item_id=A", help="the same for the item file")
    made.add_argument("--ordered", action="store_true", help="the log has no times; its rows are in order")
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")
    made.add_argument("--time-unit", choices=times.UNITS, help="what the times are, where their values mislead")
    made.add_argument(
        "--session-gap",
        type=_minutes,
        default=defaults.session_gap,
        metavar="MINUTES",
        help="a longer pause begins a session (default 30)",
    )
    cleaning = made.add_argument_group("cleaning", "steps: " + "; ".join(f"{name}: {words}" for name, words in STEPS.items()))
    cleaning.add_argument("--skip", type=_list, default=[], metavar="STEP,STEP", help="leave steps out")
    cleaning.add_argument("--earliest", metavar="DATE", help="earlier times are impossible (default 1971-01-01)")
    cleaning.add_argument("--latest", metavar="DATE", help="times from here on are impossible (default 2100-01-01)")
    cleaning.add_argument(
        "--bot-events-per-hour",
        type=int,
        default=defaults.bot_events_per_hour,
        metavar="N",
        help="users with more within a clock hour leave (default %(default)s)",
    )
    cleaning.add_argument(
        "--min-user-events", type=int, default=1, metavar="N", help="users with fewer leave (default %(default)s)"
    )
    cleaning.add_argument(
        "--min-item-events", type=int, default=1, metavar="N", help="items with fewer leave (default %(default)s)"
    )
    cleaning.add_argument(
        "--event-type",
        default=defaults.event_type,
        metavar="WORD",
        help="stands in for a missing event type (default %(default)s)",
    )
    cleaning.add_argument(
        "--value", type=float, default=defaults.value, metavar="X", help="stands in for a missing value (default %(default)g)"
    )


def _settings_words() -> str:
    """Each model's settings with their defaults."""
    defaults = ((name, asdict(model.settings_type())) for name, model in MODELS.items())
    return "; ".join(f"{name}: {', '.join(f'{k}={v}' for k, v in values.items())}" for name, values in defaults if values)


def _split_argument(made: argparse.ArgumentParser, *more: str) -> None:
    made.add_argument(
        "--split", choices=[*evaluation.SPLITS, *more], help="default: temporal, or leave-one-out where the log has no times"
    )


def _content_argument(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--content",
        type=_list,
        metavar="COLUMN,COLUMN",
        help="columns of the items that models may read (default: all that hold words, not numbers alone)",
    )


def _seen_argument(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--seen", choices=("exclude", "keep"), default="exclude", help="items a person already has (default %(default)s)"
    )


COMMANDS: tuple[tuple[Callable[[argparse.Namespace], None], Callable[[argparse.ArgumentParser], None], str, str], ...] = (
    (_demo, _demo_arguments, "the main job on MovieLens-100k, the whole way", "penchant demo --out penchant-demo"),
    (
        _data,
        _data_arguments,
        "fetch a public dataset and check it; without a name, list them",
        "penchant data ml-100k --out data/ml-100k",
    ),
    (
        _prepare,
        _prepare_arguments,
        "clean an event log, report on its quality, write a dataset folder",
        "penchant prepare ratings.csv --columns user_id=person,item_id=film,timestamp=at --out dataset",
    ),
    (
        _train,
        _train_arguments,
        "train a model on the training part of a split",
        "penchant train dataset --model lstm --set width=128 --out model",
    ),
    (
        _tune,
        _tune_arguments,
        "search a model's settings by their validation ndcg@10; the same command again goes on with the search",
        "penchant tune dataset --model lstm --minutes 20 --set epochs=20",
    ),
    (
        _evaluate,
        _evaluate_arguments,
        "compare models on one split, over the full catalogue",
        "penchant evaluate dataset --models popularity,lstm,path/to/model --split leave-one-out",
    ),
    (
        _recommend,
        _recommend_arguments,
        "the best items for people, from their histories",
        "penchant recommend model dataset --users 1,2 --k 10",
    ),
    (
        _rank,
        _rank_arguments,
        "will these people like these items: candidates by their probabilities",
        "penchant rank model dataset --candidates candidates.csv",
    ),
    (
        _classify,
        _classify_arguments,
        "the article's program: tell a table's 0/1 label, by an LSTM over its steps and by simple methods",
        "penchant classify user_interest_data.csv --cell article_lstm",
    ),
    (
        _serve,
        _serve_arguments,
        "recommend live over HTTP: take events, keep states, survive being killed",
        "penchant serve model --store sqlite:///penchant.db --dataset dataset --port 8080",
    ),
    (
        _update,
        _update_arguments,
        "learn from what a store has seen; the new model serves if it isn't worse on the newest events",
        "penchant update model --store sqlite:///penchant.db",
    ),
    (
        _replay,
        _replay_arguments,
        "send a split's test events to a server one by one, and see what its lists were worth",
        "penchant replay dataset --url http://127.0.0.1:8080 --split temporal",
    ),
    (
        _verify,
        _verify_arguments,
        "check a store: the file, and every state against its re-encoded history",
        "penchant verify model --store sqlite:///penchant.db",
    ),
    (_doctor, _doctor_arguments, "what is installed, what works, what to do", "penchant doctor"),
)
"""What each command does, the arguments it takes, what it is for, and an example."""
