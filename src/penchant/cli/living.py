"""A model at work: serve, update, replay, verify."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape

from penchant import evaluation, replay
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset
from penchant.live import deployment, learning
from penchant.live.interests import MEANINGS
from penchant.types import PenchantError


def _serve(options: argparse.Namespace) -> None:
    try:
        from penchant.server.run import run, share_one_heap
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("penchant"):
            raise
        raise PenchantError(f"serving needs {error.name}; install it with: pip install 'penchant[serve]'") from error
    share_one_heap()
    with terminal.watching() as progress:
        service = deployment.open_service(
            options.model,
            options.store,
            dataset_folder=options.dataset,
            split=options.split,
            memory=options.memory << 20,
            ranker=options.ranker,
            value=options.value,
            progress=progress,
        )

    def announce(address: str) -> None:
        if options.json:
            terminal.print_json({"address": address, "model": service.living.name, "store": options.store})
            sys.stdout.flush()
        else:
            words = f"{service.living.name} at {address}, its API at {address}/docs"
            terminal.notes.print(escape(f"{words}; SIGTERM or Ctrl-C stops it and loses nothing"))

    following = deployment.Following(service, options.model, options.store, options.update_every)
    run(
        service,
        options.host,
        options.port,
        log_level=options.log,
        announce=announce,
        beside=[following],
        model=Path(options.model),
        report=Path(options.report) if options.report else None,
        names=options.allow_host,
    )


def _serve_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train wrote")
    arguments.store_argument(made)
    made.add_argument("--dataset", metavar="DIR", help="load this dataset's events and items, if the store has no events yet")
    made.add_argument(
        "--split",
        choices=list(evaluation.SPLITS),
        help="of the dataset, load only what lies before this split's test part: for replay",
    )
    made.add_argument("--report", metavar="DIR", help="an evaluation to show on the page, as evaluate --out wrote it")
    made.add_argument("--host", default="127.0.0.1", help="address to listen at (default %(default)s: this machine only)")
    made.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name too, for example a proxy's; at this machine only localhost and addresses are answered to, "
        "elsewhere all names, unless this names some",
    )
    made.add_argument("--port", type=int, default=8080, help="0 takes a free one (default %(default)s)")
    made.add_argument("--memory", type=int, default=64, metavar="MB", help="for states in memory (default %(default)s)")
    made.add_argument("--ranker", metavar="MODEL", help="a folder of --model interest, to answer POST /api/rank")
    made.add_argument(
        "--value",
        choices=MEANINGS,
        help="what the values of events say: how much of an item was taken in, 0 to 1, or the seconds somebody stayed; "
        "profiles show it, and a dataset is loaded with its column of that",
    )
    made.add_argument(
        "--update-every",
        type=arguments.seconds,
        metavar="TIME",
        help="learn from the store so often, for example 6h (default: never)",
    )
    made.add_argument("--log", choices=("info", "warning", "error"), default="info", help="info has a line for each request")


def _update(options: argparse.Namespace) -> None:
    if options.roll_back:
        found = learning.roll_back(options.model)
        if options.json:
            terminal.print_json({"model": found})
        else:
            terminal.answers.print(escape(f"{options.model} is {found} again; a server that serves it takes it within seconds"))
        return
    with terminal.watching() as progress:
        result = deployment.update_model(options.model, options.store, k=options.k, seed=options.seed, progress=progress)
    if options.json:
        terminal.print_json(asdict(result))
        return
    terminal.answers.print(
        f"{result.why} ({result.new_events:,} new events, asked about {result.asked:,} of the newest; "
        f"{result.items_before:,} items before, {result.items_after:,} now)"
    )
    if result.promoted:
        terminal.answers.print(escape(f"promoted; to go back: penchant update {options.model} --roll-back"))


def _update_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="the model folder that is served")
    arguments.store_argument(made)
    made.add_argument("--k", type=int, default=10, help="length of the lists compared (default %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap (default %(default)s)")
    made.add_argument("--roll-back", action="store_true", help="instead, put the model before in its place again")


def _replay(options: argparse.Namespace) -> None:
    log = dataset.load(options.dataset)
    with terminal.watching() as progress:
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
        terminal.print_json(result)
        return
    terminal.answers.print(escape(replay.in_words(result)))


def _replay_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--url", default="http://127.0.0.1:8080", help="the server (default %(default)s)")
    made.add_argument(
        "--speed", type=float, default=0.0, metavar="X", help="so many times the log's pace (default: as fast as it goes)"
    )
    made.add_argument("--events", type=int, metavar="N", help="so many events at most")
    made.add_argument("--k", type=int, default=10, help="length of the lists (default %(default)s)")
    arguments.split_argument(made)


def _verify(options: argparse.Namespace) -> None:
    with terminal.watching() as progress:
        found = deployment.verify_store(options.model, options.store, progress=progress)
    if found.faults:
        raise PenchantError(f"{options.store}: the file is damaged: {found.faults[0]}; bring back a backup")
    if found.differing:
        raise PenchantError(
            f"{options.store}: {len(found.differing):,} of {found.users:,} states differ from their histories, "
            f"the first of user {found.differing[0]!r}; this is a defect of Penchant: please report it"
        )
    if options.json:
        terminal.print_json(asdict(found))
    else:
        others = found.stored - found.compared
        terminal.answers.print(
            f"{found.users:,} users, {found.events:,} events, {found.stored:,} states stored: "
            "the file is sound, and every state equals its re-encoded history"
            + (f" ({others:,} stored ones are another model's, or of fewer items, and will be made anew)" if others else "")
        )


def _verify_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="the model folder that is served")
    arguments.store_argument(made)


COMMANDS = (
    Command(
        "serve",
        _serve,
        _serve_arguments,
        "recommend live over HTTP: take events, keep states, survive being killed",
        "penchant serve model --store sqlite:///penchant.db --dataset dataset --port 8080",
    ),
    Command(
        "update",
        _update,
        _update_arguments,
        "learn from what a store has seen; the new model serves if it isn't worse on the newest events",
        "penchant update model --store sqlite:///penchant.db",
    ),
    Command(
        "replay",
        _replay,
        _replay_arguments,
        "send a split's test events to a server one by one, and see what its lists were worth",
        "penchant replay dataset --url http://127.0.0.1:8080 --split temporal",
    ),
    Command(
        "verify",
        _verify,
        _verify_arguments,
        "check a store: the file, and every state against its re-encoded history",
        "penchant verify model --store sqlite:///penchant.db",
    ),
)
