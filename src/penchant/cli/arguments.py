"""What commands are, and the arguments that several of them take."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from penchant import evaluation
from penchant.interests.words import LANGUAGES
from penchant.types import MICROSECONDS, PenchantError


@dataclass(frozen=True)
class Command:
    """What a command is called, does and takes, what it is for, and an example."""

    name: str
    run: Callable[[argparse.Namespace], None]
    arguments: Callable[[argparse.ArgumentParser], None]
    words: str
    example: str


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise PenchantError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what isn't known here, where the command is known, and not only in the program's own parser."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, n=1, cutoff=0.75)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown


def pairs(word: str) -> dict[str, str]:
    """``a=b,c=d`` as a mapping."""
    found = {}
    for pair in word.split(","):
        name, separator, value = pair.partition("=")
        if not (separator and name and value):
            raise argparse.ArgumentTypeError(f"{pair!r} is not name=value")
        found[name.strip()] = value.strip()
    return found


def minutes(word: str) -> int:
    """Minutes as microseconds."""
    try:
        return int(float(word) * 60 * MICROSECONDS)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of minutes") from error


def seconds(word: str) -> float:
    """``90s``, ``30m``, ``6h`` or ``1d`` as seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    try:
        found = float(word[:-1]) * units[word[-1]]
    except (ValueError, KeyError, IndexError) as error:
        raise argparse.ArgumentTypeError(f"{word!r} is no time; write it as 90s, 30m, 6h or 1d") from error
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no time above 0")
    return found


def words(word: str) -> list[str]:
    """``a,b``."""
    return [part for part in word.split(",") if part]


def numbers(word: str) -> list[int]:
    """``1,2,3``."""
    try:
        return [int(part) for part in words(word)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a list of whole numbers like 1,2,3") from error


def _people(word: str) -> list[str] | None:
    """Ids on one CSV line, so that an id with a comma can be quoted; ``None`` for ``all``, which quoted is an id."""
    if word == "all":
        return None
    if not word.strip():
        raise argparse.ArgumentTypeError("names nobody; give ids, or all")
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


def split_argument(made: argparse.ArgumentParser, *more: str) -> None:
    """``--split``, of the splits and ``more``."""
    made.add_argument(
        "--split", choices=[*evaluation.SPLITS, *more], help="default: temporal, or leave-one-out where the log has no times"
    )


def content_argument(made: argparse.ArgumentParser) -> None:
    """``--content``."""
    made.add_argument(
        "--content",
        type=words,
        metavar="COLUMN,COLUMN",
        help="columns of the items that models may read (default: all that hold words, not numbers alone)",
    )


def seen_argument(made: argparse.ArgumentParser) -> None:
    """``--seen``."""
    made.add_argument(
        "--seen", choices=("exclude", "keep"), default="exclude", help="items a person already has (default %(default)s)"
    )


def language_argument(made: argparse.ArgumentParser) -> None:
    """``--language``."""
    made.add_argument("--language", choices=LANGUAGES, default="en", help="of sentences and pictures (default %(default)s)")


def store_argument(made: argparse.ArgumentParser) -> None:
    """``--store``."""
    made.add_argument(
        "--store", default="sqlite:///penchant.db", metavar="URL", help="where events and states are kept (default %(default)s)"
    )


def settings_argument(made: argparse.ArgumentParser, words: str) -> None:
    """``--set``."""
    made.add_argument("--set", nargs="+", type=pairs, action=_Settings, default={}, metavar="KEY=VALUE", help=words)


def force_argument(made: argparse.ArgumentParser) -> None:
    """``--force``."""
    made.add_argument("--force", action="store_true", help="replace what is there; of folders only what such a command wrote")


def columns_argument(made: argparse._ActionsContainer) -> None:
    """``--columns``."""
    made.add_argument("--columns", type=pairs, default={}, metavar="user_id=A,item_id=B", help="the file's names for ours")


def users_argument(made: argparse.ArgumentParser) -> None:
    """``--users``."""
    made.add_argument(
        "--users",
        type=_people,
        metavar="U1,U2|all",
        help="ids, quoted as in CSV, or all (default); somebody called all is '\"all\"'",
    )
