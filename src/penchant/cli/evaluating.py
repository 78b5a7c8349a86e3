"""What models are worth: evaluate."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.markup import escape

from penchant import candidates, evaluation, ranking, workflow
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset
from penchant.evaluation import progressive, report
from penchant.types import DAY, PenchantError

OF_LISTS: Mapping[str, object] = {
    "k": None,
    "seeds": [],
    "ablate": False,
    "controls": True,
    "reading": None,
    "progressive": False,
    "delay": 0,
    "refresh": 0,
    "split": None,
    "folds": None,
    "content": None,
    "seen": "exclude",
}
"""Options that tell how lists are judged, and what they are where nobody says: beside ``--impressions`` they say nothing."""
CENTURY = 36_525 * DAY


def _evaluate(options: argparse.Namespace) -> None:
    if options.impressions is not None:
        _judge(options)
        return
    if options.labels or options.columns:
        raise PenchantError("--labels and --columns are for --impressions FILE")
    if options.out is not None:
        workflow.check_report(options.out, force=options.force)
    if options.folds is not None and options.split != evaluation.ROLLING:
        raise PenchantError("--folds says how often a rolling split is made; add --split rolling, or leave it out")
    workflow.check_names(options.models)
    log = dataset.load(options.dataset, options.content)
    with terminal.watching() as progress:
        result = workflow.compare(
            log,
            options.models,
            split=options.split,
            folds=evaluation.FOLDS if options.folds is None else options.folds,
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
        terminal.answers.print(escape(f"all metrics, slices, tests and costs: {Path(options.out) / report.PAGE}"))


def _judge(options: argparse.Namespace) -> None:
    """Models of ``interest``, by impressions."""
    if said := [name for name, usual in OF_LISTS.items() if getattr(options, name) != usual]:
        option = "--no-controls" if said[0] == "controls" else f"--{said[0]}"
        raise PenchantError(f"{option} tells how lists are judged; with --impressions probabilities are, so leave it out")
    if options.out is not None:
        candidates.check_report(options.out, force=options.force)
    with terminal.watching() as progress:
        result = candidates.evaluate_rankers(
            options.dataset,
            options.models,
            options.impressions,
            labels=options.labels,
            columns=options.columns,
            seed=options.seed,
            progress=progress,
        )
    if options.out is not None:
        candidates.write_report(result, options.out, force=options.force)
    if options.json:
        terminal.print_json(result.to_json())
        return
    for sentence in result.findings():
        terminal.answers.print(escape(sentence))
    terminal.answers.print(escape(result.conditions()))
    for name, answer in result.answers.items():
        terminal.answers.print(escape(f"{name}, {answer.share_of_ones:.1%} yes"))
        labels = {model: f"{model} (control)" if model in answer.controls else model for model in answer.everyone}
        terminal.values_table(
            {labels[model]: values for model, values in answer.everyone.items()},
            {labels[model]: ends for model, ends in answer.intervals.items()},
        )
    if options.out is not None:
        terminal.answers.print(escape(f"differences, reliability and definitions: {Path(options.out) / report.PAGE}"))


def _live(options: argparse.Namespace) -> evaluation.Live | None:
    for name, value, unit in (("delay", options.delay, progressive.MINUTE), ("refresh", options.refresh, progressive.HOUR)):
        if not 0 <= value * unit <= CENTURY:
            raise PenchantError(f"--{name} is {value:g}, but must lie between 0 and a century")
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
    shown = made.add_argument_group("impressions", "to judge models of interest: what people were shown, and what they did")
    shown.add_argument("--impressions", metavar="FILE", help="the file they learned from; its last 15%% are asked about")
    shown.add_argument(
        "--labels", type=arguments.pairs, default={}, metavar="click=A,like=B", help="what the models tell, and its columns"
    )
    arguments.columns_argument(shown)
    made.add_argument("--folds", type=int, metavar="N", help=f"test parts of a rolling split (default {evaluation.FOLDS})")


COMMANDS = (
    Command(
        "evaluate",
        _evaluate,
        _evaluate_arguments,
        "compare models on one split, over the full catalogue",
        "penchant evaluate dataset --models popularity,lstm,path/to/model --split leave-one-out",
    ),
)
