"""Models from datasets: train, tune."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape

from penchant import artifact, candidates, folders, tuning, workflow
from penchant.cli import arguments, terminal
from penchant.cli.arguments import Command
from penchant.data import dataset
from penchant.models import MODELS, RANKERS
from penchant.types import PenchantError


def _train(options: argparse.Namespace) -> None:
    folders.check_replaceable(options.out, artifact.FILES, force=options.force)
    if options.model in RANKERS:
        _train_ranker(options)
        return
    if options.impressions or options.base:
        raise PenchantError(f"{options.model} learns from events; --impressions and --base are for {', '.join(RANKERS)}")
    log = dataset.load(options.dataset, options.content)
    with terminal.watching() as progress:
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
            folder=options.dataset,
            progress=progress,
        )
    if options.json:
        terminal.print_json(result)
        return
    valid = ", ".join(f"{name} {value:.4f}" for name, value in result["valid"].items())
    learned = f"fitted in {result['seconds']:.1f} s"
    if result["epochs"]:
        learned = (
            f"{result['epochs']} epochs in {result['seconds']:.1f} s, {result['targets_per_second']:,.0f} targets a second"
        )
    memory = f"{result['peak_memory_mb']:,.0f} MB"
    terminal.answers.print(escape(f"{options.model} is in {result['model']}: {learned}, {memory}; validation {valid}"))
    terminal.answers.print(escape(f"next: penchant recommend {options.out} {options.dataset} --users all"))


def _train_ranker(options: argparse.Namespace) -> None:
    if not (options.impressions and options.base):
        raise PenchantError(f"{options.model} learns from impressions over a trained model: --impressions FILE --base MODEL")
    with terminal.watching() as progress:
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
        terminal.print_json(result)
        return
    terminal.answers.print(
        escape(
            f"{options.model} is in {result['model']}: {result['epochs']} epochs, {result['seconds']:.1f} s, "
            f"{result['impressions_per_second']:,.0f} impressions a second; on the last 15% of the impressions, "
            "calibrated on the 15% before:"
        )
    )
    names = ("auc", "auc_within", "accuracy", "f1", "logloss", "calibration_error", "share_of_ones")
    rows = [[t, *("" if v[n] is None else f"{v[n]:.4f}" for n in names)] for t, v in result["test"].items()]
    terminal.table(["target", *(name.replace("auc_within", "auc within people").replace("_", " ") for name in names)], rows)
    judged = f"--models {options.out} --impressions {options.impressions}"
    terminal.answers.print(escape(f"next: penchant evaluate {options.dataset} {judged} --out REPORT"))


def _train_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--model", required=True, metavar="NAME", help=", ".join([*MODELS, *RANKERS]))
    made.add_argument("--out", required=True, metavar="MODEL", help="folder to write")
    arguments.force_argument(made)
    arguments.settings_argument(made, f"settings; {_settings_words()}")
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
        "--labels",
        type=arguments.pairs,
        metavar="click=A,like=B",
        help="targets and their columns; the first is the one judged",
    )
    shown.add_argument("--context", type=arguments.words, default=[], metavar="A,B", help="columns known when an item is shown")
    arguments.columns_argument(shown)
    arguments.content_argument(made)
    arguments.split_argument(made)


def _settings_words() -> str:
    """Each model's settings with their defaults."""
    defaults = ((name, asdict(model.settings_type())) for name, model in MODELS.items())
    return "; ".join(f"{name}: {', '.join(f'{k}={v}' for k, v in values.items())}" for name, values in defaults if values)


def _tune(options: argparse.Namespace) -> None:
    folder = Path(options.dataset).resolve()
    study = options.study or folder.with_name(f"{folder.name}-{options.model}.study.db")
    log = dataset.load(options.dataset, options.content)
    with terminal.watching() as progress:
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
        terminal.print_json(result)
        return
    valid = ", ".join(f"{name} {value:.4f}" for name, value in result["valid"].items())
    terminal.answers.print(f"the best of {result['trials']} trials ({result['pruned']} stopped early) has validation {valid}:")
    terminal.answers.print(escape(result["arguments"]))
    terminal.answers.print(f"they are kept in {escape(result['study'])}; the same command goes on from there")


def _tune_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("dataset", metavar="DIR", help="a dataset folder that prepare wrote")
    made.add_argument("--model", required=True, metavar="NAME", help=", ".join(m for m in tuning.SPACES if m in MODELS))
    made.add_argument(
        "--study", metavar="FILE", help="where finished trials are kept (default DIR-NAME.study.db, beside the dataset)"
    )
    made.add_argument("--minutes", type=float, default=30.0, metavar="M", help="how long at most (default %(default)g)")
    made.add_argument("--trials", type=int, metavar="N", help="how many trials at most, beyond those in the study")
    made.add_argument("--seed", type=int, default=0, help="of the search (default %(default)s)")
    arguments.settings_argument(made, "settings that are fixed")
    arguments.content_argument(made)
    arguments.split_argument(made)


COMMANDS = (
    Command(
        "train",
        _train,
        _train_arguments,
        "train a model on the training part of a split",
        "penchant train dataset --model lstm --set width=128 --out model",
    ),
    Command(
        "tune",
        _tune,
        _tune_arguments,
        "search a model's settings by their validation ndcg@10; the same command again goes on with the search",
        "penchant tune dataset --model lstm --minutes 20 --set epochs=20",
    ),
)
