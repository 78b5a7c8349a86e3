"""What models say of people: recommend, rank, classify."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from penchant import candidates, classification, folders, ranking, workflow
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import catalog, dataset, times
from penchant.interests.people import explained
from penchant.models.neural.classifier import CELLS, ClassifierSettings
from penchant.offline import recommend_users

PEOPLE_SHOWN = 20
CANDIDATES_SHOWN = 100


def _check_file(options: argparse.Namespace) -> None:
    if options.out is not None:
        terminal.check_replaceable(Path(options.out), force=options.force)


def _recommend(options: argparse.Namespace) -> None:
    _check_file(options)
    log = dataset.load(options.dataset)
    users: Sequence[str] = log.users.ids if options.users is None else options.users
    now = times.moment(options.now) if options.now else None
    on_screen = not options.json and options.out is None
    with terminal.watching() as progress:
        model = workflow.load_for(options.model, log, progress)
        k = ranking.length(options.k, len(model.items), progress)
        rows: Iterable[dict[str, Any]] = recommend_users(
            model,
            log,
            users[:PEOPLE_SHOWN] if on_screen else users,
            k=k,
            seen=options.seen,
            now=now,
            explain=options.explain,
            progress=progress,
        )
        described = catalog.describe_items(Path(options.dataset) / dataset.ITEMS)
        titles = {item: catalog.title(known) for item, known in described.items()}
        if options.explain:
            rows = explained(model, log, rows, titles, now=now, language=options.language)
        if options.json or on_screen:
            rows = list(rows)
        if options.out is not None:
            people: set[str] = set()
            terminal.write_rows(_noted(rows, people), Path(options.out))
    if options.json:
        terminal.print_json(rows)
    elif options.out is not None:
        terminal.answers.print(escape(f"recommendations for {len(people):,} people are in {options.out}"))
    else:
        _show_recommendations(list(rows), titles)
        if len(users) > PEOPLE_SHOWN:
            terminal.answers.print(f"… and {len(users) - PEOPLE_SHOWN:,} more people; --out FILE.csv or --json gives all")


def _noted(rows: Iterable[dict[str, Any]], people: set[str]) -> Iterator[dict[str, Any]]:
    """The rows as they pass, while ``people`` gathers whom they are for."""
    for row in rows:
        people.add(row["user_id"])
        yield row


def _show_recommendations(rows: list[dict[str, Any]], titles: dict[str, str]) -> None:
    """A line for each, with titles where there are some."""
    named = any(titles.get(row["item_id"]) for row in rows)
    rest = [name for name in (rows[0] if rows else {"score": 0}) if name not in ("user_id", "rank", "item_id")]
    lines = [
        [row["user_id"], str(row["rank"]), row["item_id"], *([titles.get(row["item_id"], "")] if named else [])]
        + [f"{row[name]:.4g}" if isinstance(row[name], float) else row[name] for name in rest]
        for row in rows
    ]
    terminal.table(["user_id", "rank", "item_id", *(["title"] if named else []), *rest], lines)


def _recommend_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train wrote")
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    arguments.users_argument(made)
    made.add_argument("--k", type=int, help=f"items for each (default {ranking.LISTED}, or all that the model knows)")
    made.add_argument("--now", metavar="TIME", help="the moment asked about, ISO 8601 (default: that of the last event)")
    made.add_argument("--explain", action="store_true", help="show the parts of each score, and the reason")
    arguments.language_argument(made)
    made.add_argument("--out", metavar="FILE.csv", help="write user_id, item_id, score, rank instead of printing")
    arguments.force_argument(made)
    arguments.seen_argument(made)


def _rank(options: argparse.Namespace) -> None:
    _check_file(options)
    model = candidates.load_ranker(options.model)
    log = dataset.load(options.dataset)
    now = times.moment(options.now) if options.now else None
    with terminal.watching() as progress:
        rows = candidates.rank_candidates(
            model, log, options.candidates, columns=options.columns, now=now, encoding=options.encoding, progress=progress
        )
        told = list(rows)
        if options.out is not None:
            terminal.write_rows(told, Path(options.out))
    if options.json:
        terminal.print_json(told)
    elif options.out is not None:
        terminal.answers.print(escape(f"{len(told):,} ranked candidates are in {options.out}"))
    else:
        shown = told[:CANDIDATES_SHOWN]
        terminal.table(list(told[0]), [[f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()] for row in shown])
        if len(told) > CANDIDATES_SHOWN:
            terminal.answers.print(
                f"… and {len(told) - CANDIDATES_SHOWN:,} more candidates; --out FILE.csv or --json gives all"
            )


def _rank_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train --model interest wrote")
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote: the people's histories")
    made.add_argument(
        "--candidates",
        required=True,
        metavar="FILE",
        help="users and items, with the context the model was trained with, and times if there are some",
    )
    arguments.columns_argument(made)
    made.add_argument("--now", metavar="TIME", help="the moment asked about, ISO 8601 (default: that of the last event)")
    made.add_argument("--out", metavar="FILE.csv", help="write user_id, item_id, probabilities, rank instead of printing")
    arguments.force_argument(made)
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")


def _classify(options: argparse.Namespace) -> None:
    if options.out is not None:
        folders.check_replaceable(options.out, classification.FILES, force=options.force)
    settings = options.set | ({"cell": options.cell} if options.cell else {})
    with terminal.watching() as progress:
        result = classification.classify(
            options.table, settings=settings, encoding=options.encoding, out=options.out, progress=progress
        )
    if options.json:
        terminal.print_json(result.to_json())
        return
    facts = result.facts
    filled = sum(facts["missing_filled"].values())
    terminal.answers.print(
        escape(
            f"{result.source}: {facts['rows']:,} rows, {facts['share_of_ones']:.1%} with {facts['label']} = 1; "
            f"{facts['steps']} steps of {facts['features']:,} features; {filled:,} missing values "
            f"(numbers become the median of those learned from, words none); split at random, seed {result.settings.seed}: "
            f"{facts['trained_on']:,} to learn from, "
            f"{facts['tested_on']:,} held back"
        )
    )
    terminal.values_table(result.models, result.intervals)
    terminal.answers.print(escape(result.verdict()))
    for warning in result.warnings:
        terminal.answers.print(escape(f"note: {warning}"))


def _classify_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("table", metavar="FILE", help="CSV, TSV, Parquet or JSON lines; its last column is the label, 0 or 1")
    made.add_argument("--cell", choices=CELLS, help="lstm (default), or the article's own equations")
    arguments.settings_argument(made, "settings: " + ", ".join(f"{k}={v}" for k, v in asdict(ClassifierSettings()).items()))
    made.add_argument("--out", metavar="DIR", help="folder for the trained classifier")
    arguments.force_argument(made)
    made.add_argument("--encoding", default="utf-8", metavar="NAME", help="of text files (default %(default)s)")


COMMANDS = (
    Command(
        "recommend",
        _recommend,
        _recommend_arguments,
        "the best items for people, from their histories",
        "penchant recommend model dataset --users 1,2 --k 10",
    ),
    Command(
        "rank",
        _rank,
        _rank_arguments,
        "will these people like these items: candidates by their probabilities",
        "penchant rank model dataset --candidates candidates.csv",
    ),
    Command(
        "classify",
        _classify,
        _classify_arguments,
        "the article's program: tell a table's 0/1 label, by an LSTM over its steps and by simple methods",
        "penchant classify user_interest_data.csv --cell article_lstm",
    ),
)
