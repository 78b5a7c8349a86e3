"""The program ``penchant``: its parser, its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import chain

from penchant import doctor
from penchant.cli import INTERRUPTED, SENTENCE, answering, evaluating, interests, living, preparing, terminal, training
from penchant.cli.arguments import Command, Parser
from penchant.data.files import shortened
from penchant.types import PenchantError

BAD_INPUT = 2
COMMANDS: tuple[Command, ...] = tuple(
    chain.from_iterable(m.COMMANDS for m in (preparing, training, evaluating, answering, interests, living))
)


def run(words: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    as_json = "--json" in words
    # A machine that reads standard error finds the error there, alone.
    terminal.notes.quiet = as_json and not terminal.notes.is_terminal
    try:
        _check_readable(words)
        options = _parser().parse_args(words)
        options.run(options)
        sys.stdout.flush()
    except PenchantError as error:
        terminal.complain(str(error), as_json=as_json)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        terminal.complain(str(interrupt) or SENTENCE, as_json=as_json)
        return INTERRUPTED
    except MemoryError:
        terminal.complain("the memory doesn't suffice for this; make the model or the log smaller", as_json=as_json)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # the system refused something: a full disk, a name too long, no permission
        where = "" if error.filename is None else f"{shortened(str(error.filename))}: "
        terminal.complain(f"{where}{error.strerror or error}", as_json=as_json)
        return BAD_INPUT
    return 0


def _check_readable(words: Sequence[str]) -> None:
    """``PenchantError`` for words that aren't text: no id, column or path that we write down could be such."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise PenchantError(f"{word.encode(errors='backslashreplace').decode()}: is not UTF-8") from error


def _parser() -> argparse.ArgumentParser:
    parser = Parser("penchant", description="From an event log to recommendations.", epilog="example: penchant demo")
    parser.add_argument("--version", action="version", version=f"penchant {doctor.version_of('penchant')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        made = commands.add_parser(
            command.name,
            help=command.words,
            description=command.words,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=command.run)
        made.add_argument("--json", action="store_true", help="one JSON value on standard output, for machines")
        command.arguments(made)
    return parser
