"""What people like, as topics and profiles: interests."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from penchant import workflow
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset
from penchant.interests import page, words
from penchant.interests.people import profiles_of, topics_of
from penchant.interests.profiles import Profile
from penchant.interests.topics import Topics
from penchant.live import deployment
from penchant.types import PenchantError

PEOPLE_SHOWN = 20


def _interests(options: argparse.Namespace) -> None:
    if (options.dataset is None) == (options.store is None):
        raise PenchantError("interests are found in a dataset or in a store; name DIR or --store")
    if options.store is not None:
        if options.users is not None or options.html is not None:
            raise PenchantError("--users and --html are for a dataset; a server shows the people of its store")
        with terminal.watching() as progress:
            topics = deployment.find_topics(
                options.model, options.store, count=options.topics, seed=options.seed, progress=progress
            )
        _tell(options, topics, [])
        return
    if options.html is not None:
        terminal.check_replaceable(Path(options.html), force=options.force)
    log = dataset.load(options.dataset)
    users = log.users.ids if options.users is None else tuple(options.users)
    with terminal.watching() as progress:
        model = workflow.load_for(options.model, log, progress)
        topics = topics_of(
            model, log, options.model, options.dataset, count=options.topics, seed=options.seed, progress=progress
        )
        asked = users if options.json else users[:PEOPLE_SHOWN]
        more = dataset.measures(options.dataset)
        people = list(profiles_of(model, log, topics, asked, more=more, progress=progress))
    if options.html is not None:
        terminal.write_text(page.page(topics, people[:PEOPLE_SHOWN], options.language), Path(options.html))
    _tell(options, topics, people)
    if options.json:
        return
    if len(users) > PEOPLE_SHOWN:
        terminal.answers.print(f"… and {len(users) - PEOPLE_SHOWN:,} more people; --users names them, --json gives all")
    if options.html is not None:
        terminal.answers.print(escape(f"the page is {options.html}"))


def _tell(options: argparse.Namespace, topics: Topics, people: list[Profile]) -> None:
    if not options.json:
        _show(topics, people, options.language)
        return
    terminal.print_json(
        {
            "topics": topics.to_json(options.language),
            "criterion": topics.criterion[options.language],
            "made_of": topics.made_of[options.language],
            "segments": [
                {"name": s.name(options.language), "people": s.people, "rule": s.rule.words(options.language)}
                | {"fidelity": s.rule.fidelity}
                for s in topics.segments.segments
            ],
            "people": [person.to_json(options.language) for person in people],
        }
    )


def _show(topics: Topics, people: list[Profile], language: str) -> None:
    found_in = words.label("found_in", language).format(topics.made_of[language])
    terminal.answers.print(escape(f"{topics.criterion[language]}{found_in}"))
    terminal.table(
        ["topic", "name", "items", "typical", "rule", "fidelity"],
        [
            [
                str(t.topic),
                t.name,
                f"{t.items:,}",
                words.listed([words.quoted(topics.title(item), language) for item in t.typical[:2]], language),
                t.rule.words(language),
                _figure(t.rule.fidelity),
            ]
            for t in topics.topics
        ],
    )
    if topics.segments.segments:
        terminal.table(
            ["people", "what sets them apart", "rule", "fidelity"],
            [
                [f"{s.people:,}", s.name(language), s.rule.words(language), _figure(s.rule.fidelity)]
                for s in topics.segments.segments
            ],
        )
    for person in people:
        terminal.answers.print(
            escape(f"{person.user_id} ({words.label('events', language)}: {person.events:,}): {person.words(language)}")
        )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _interests_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("model", metavar="MODEL", help="a model folder that train wrote; its topics are kept beside it")
    made.add_argument("dataset", nargs="?", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--store", metavar="URL", help="instead, topics of what a server's store has seen")
    arguments.users_argument(made)
    made.add_argument("--topics", type=int, metavar="N", help="how many topics (default: as before, or the best silhouette)")
    made.add_argument("--seed", type=int, default=0, help="of what is drawn to find topics (default %(default)s)")
    made.add_argument("--html", metavar="FILE", help=f"write a page that opens offline, with up to {PEOPLE_SHOWN} people")
    arguments.force_argument(made)
    arguments.language_argument(made)


COMMANDS = (
    Command(
        "interests",
        _interests,
        _interests_arguments,
        "topics, and what people have always liked and want right now",
        "penchant interests model dataset --users 1,2 --html interests.html",
    ),
)
