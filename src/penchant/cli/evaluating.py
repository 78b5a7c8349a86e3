"""What models are worth: evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from penchant import evaluation, ranking, workflow
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset
from penchant.evaluation import progressive, report
from penchant.types import PenchantError


def _evaluate(options: argparse.Namespace) -> None:
    if options.out is not None:
        workflow.check_report(options.out, force=options.force)
    workflow.check_names(options.models)
    log = dataset.load(options.dataset, options.content)
    with terminal.watching() as progress:
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
            kinds=dataset.kinds(options.dataset),
            progress=progress,
        )
    if options.out is not None:
        workflow.write_report(result, options.out, force=options.force)
    if options.json:
        terminal.print_json(result.to_json())
        return
    for sentence in result.findings():
        terminal.answers.print(escape(sentence))
    terminal.answers.print(escape(result.conditions()))
    labels = {name: f"{name} (control)" if name in result.controls else name for name in result.everyone}
    shown = {labels[name]: {metric: values[metric] for metric in result.main} for name, values in result.everyone.items()}
    terminal.values_table(shown, {labels[name]: ends for name, ends in result.intervals.items()})
    if options.out is not None:
        terminal.answers.print(f"all metrics, slices, tests and costs: {Path(options.out) / report.PAGE}")


def _live(options: argparse.Namespace) -> evaluation.Live | None:
    if options.progressive:
        return evaluation.Live(round(options.delay * progressive.MINUTE), round(options.refresh * progressive.HOUR))
    if options.delay or options.refresh:
        raise PenchantError("--delay and --refresh tell how life goes on in the test period; add --progressive")
    return None


def _evaluate_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument(
        "--models",
        required=True,
        type=arguments.words,
        metavar="A,B",
        help="names (trained with defaults) and paths of trained models",
    )
    made.add_argument(
        "--k", type=int, help=f"length of the lists (default {ranking.LISTED}, or all items of a small catalogue)"
    )
    made.add_argument("--seed", type=int, default=0, help="of all resampling (default %(default)s)")
    made.add_argument(
        "--seeds",
        type=arguments.numbers,
        default=[],
        metavar="1,2,3",
        help="train each model that has a seed once with each of these",
    )
    made.add_argument("--ablate", action="store_true", help="compare longshort with itself without each of its parts")
    made.add_argument(
        "--no-controls", dest="controls", action="store_false", help="leave out simple methods, and shuffled histories"
    )
    made.add_argument("--out", metavar="REPORT", help="folder for a page, index.html, and the same as JSON, CSV and Markdown")
    arguments.force_argument(made)
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
    arguments.content_argument(made)
    arguments.seen_argument(made)
    arguments.split_argument(made, evaluation.ROLLING)
    made.add_argument(
        "--folds", type=int, default=evaluation.FOLDS, metavar="N", help="test parts of a rolling split (default %(default)s)"
    )


COMMANDS = (
    Command(
        "evaluate",
        _evaluate,
        _evaluate_arguments,
        "compare models on one split, over the full catalogue",
        "penchant evaluate dataset --models popularity,lstm,path/to/model --split leave-one-out",
    ),
)
