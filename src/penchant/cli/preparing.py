"""From nothing to a dataset: demo, data, prepare, doctor."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from penchant import demo, doctor, folders
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset, sources, times
from penchant.data.clean import STEPS, PrepareConfig
from penchant.data.quality import describe
from penchant.types import PenchantError

FIRST = ("popularity", "item_knn", "transitions")
"""What to compare first: seconds, and what any network has to beat."""


def _demo(options: argparse.Namespace) -> None:
    with terminal.watching() as progress:
        say = (
            (lambda line: terminal.notes.print(escape(line)))
            if options.json
            else (lambda line: terminal.answers.print(escape(line)))
        )
        result = demo.run(options.out, say=say, progress=progress)
    if options.json:
        terminal.print_json(result)


def _demo_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--out", default="penchant-demo", metavar="DIR", help="folder for all that is made (default %(default)s)")


def _data(options: argparse.Namespace) -> None:
    if options.name is None:
        known = [
            {"name": d.name, "what": d.words, "licence": d.licence, "places": list(d.places)} for d in sources.DATASETS.values()
        ]
        if options.json:
            terminal.print_json(known)
        else:
            terminal.table(["name", "what", "licence"], [[d.name, d.words, d.licence] for d in sources.DATASETS.values()])
        return
    out = Path(options.out or f"data/{options.name}")
    folders.check_replaceable(out, sources.FILES, force=options.force)
    with terminal.watching() as progress:
        source = sources.fetch(options.name, out, progress=progress)
    if options.json:
        terminal.print_json(source | {"events": str(out / sources.EVENTS), "items": str(out / sources.ITEMS)})
    else:
        terminal.answers.print(
            escape(f"{options.name} from {source['place']} is in {out}; its SHA-256 is right. {source['licence']}.")
        )
        terminal.answers.print(
            escape(f"next: penchant prepare {out / sources.EVENTS} --items {out / sources.ITEMS} --out dataset")
        )


def _data_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("name", nargs="?", metavar="NAME")
    made.add_argument("--out", metavar="DIR", help="folder to write (default data/NAME)")
    arguments.force_argument(made)


def _prepare(options: argparse.Namespace) -> None:
    folders.check_replaceable(options.out, dataset.FILES, force=options.force)
    if options.item_columns and options.items is None:
        raise PenchantError("--item-columns names the columns of the file that --items names; add --items FILE")
    log = dataset.read(
        *options.events,
        columns=options.columns,
        ordered=options.ordered,
        encoding=options.encoding,
        time_unit=options.time_unit,
        items=options.items,
        item_columns=options.item_columns,
        header=options.header,
        kinds=options.kinds,
        missing=options.missing,
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
        without=tuple(options.without),
    )
    with terminal.watching() as progress:
        manifest = dataset.write_dataset(log, options.out, config, progress=progress)
    if options.json:
        terminal.print_json(manifest)
        return
    terminal.table(["", ""], [list(line) for line in describe(manifest)])
    terminal.answers.print(escape(f"dataset: {options.out}; next: penchant evaluate {options.out} --models {','.join(FIRST)}"))


def _prepare_arguments(made: argparse.ArgumentParser) -> None:
    defaults = PrepareConfig()
    made.add_argument(
        "events", nargs="+", metavar="EVENTS", help="CSV, TSV, Parquet, JSON lines or sequence files, packed (gzip, …) or not"
    )
    made.add_argument("--out", required=True, metavar="DIR", help="dataset folder to write")
    arguments.force_argument(made)
    made.add_argument("--items", metavar="FILE", help="what is known of the items: titles, genres, …")
    arguments.columns_argument(made)
    made.add_argument(
        "--item-columns", type=arguments.pairs, default={}, metavar="item_id=A", help="the same for the item file"
    )
    made.add_argument(
        "--kinds",
        type=arguments.pairs,
        default={},
        metavar="hate=A,like=B",
        help="columns of 0 and 1 that mark kinds of events; of several the first",
    )
    made.add_argument(
        "--missing", type=arguments.words, default=[], metavar="WORD,WORD", help="words that stand for a missing user or item"
    )
    made.add_argument("--ordered", action="store_true", help="the log has no times; its rows are in order")
    made.add_argument(
        "--no-header", dest="header", action="store_false", help="the first line is an event; columns are called 1, 2, …"
    )
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")
    made.add_argument(
        "--time-unit",
        metavar="UNIT",
        help=f"what the times are, where their values mislead: {', '.join(times.UNITS)}, or a notation like "
        "'%%d.%%m.%%Y %%H:%%M'",
    )
    made.add_argument(
        "--session-gap",
        type=arguments.minutes,
        default=defaults.session_gap,
        metavar="MINUTES",
        help="a longer pause begins a session (default 30)",
    )
    _cleaning_arguments(made, defaults)


def _cleaning_arguments(made: argparse.ArgumentParser, defaults: PrepareConfig) -> None:
    cleaning = made.add_argument_group("cleaning", "steps: " + "; ".join(f"{name}: {words}" for name, words in STEPS.items()))
    cleaning.add_argument("--skip", type=arguments.words, default=[], metavar="STEP,STEP", help="leave steps out")
    cleaning.add_argument(
        "--without",
        type=arguments.words,
        default=[],
        metavar="KIND,KIND",
        help="kinds of events that say no liking: they leave",
    )
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


def _doctor(options: argparse.Namespace) -> None:
    findings = doctor.examine()
    if options.json:
        terminal.print_json(findings)
        return
    terminal.table(
        ["", "found", "", "what to do"],
        [[f["what"], f["found"], "ok" if f["works"] else "missing", f["advice"]] for f in findings],
    )


def _doctor_arguments(made: argparse.ArgumentParser) -> None:
    """None."""


COMMANDS = (
    Command(
        "demo", _demo, _demo_arguments, "the main job on MovieLens-100k, the whole way", "penchant demo --out penchant-demo"
    ),
    Command(
        "data",
        _data,
        _data_arguments,
        "fetch a public dataset and check it; without a name, list them",
        "penchant data ml-100k --out data/ml-100k",
    ),
    Command(
        "prepare",
        _prepare,
        _prepare_arguments,
        "clean an event log, report on its quality, write a dataset folder",
        "penchant prepare ratings.csv --columns user_id=person,item_id=film,timestamp=at --out dataset",
    ),
    Command("doctor", _doctor, _doctor_arguments, "what is installed, what works, what to do", "penchant doctor"),
)
