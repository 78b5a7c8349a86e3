"""One example from the log to the figures on its page.

    python -m examples books --data FOLDER --out DIR [--sample 300]

FOLDER holds the public logs (examples/README.md says which); DIR gets the dataset, the models, the report and found.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from examples import habits
from examples.habits import Prepared
from penchant import evaluation, workflow
from penchant import sequences as seq
from penchant.data import dataset
from penchant.data.clean import PrepareConfig
from penchant.evaluation import Evaluation, Live
from penchant.evaluation.progressive import HOUR, MINUTE
from penchant.models import create
from penchant.types import Int, Interactions, PenchantError

HERE = Path(__file__).parent
EXAMPLES = ("social", "books", "music", "video", "shop")
METRICS = ("recall", "ndcg", "coverage", "repeat_ratio")


@dataclass(frozen=True)
class Example:
    """A config file: where the log is and how it is read, prepared, split, learned from and judged."""

    log: dict[str, Any]
    habits: list[str]
    compare: dict[str, Any]
    models: dict[str, dict[str, Any]]
    """By the name in the table the settings, and ``model``, the kind, where that isn't the name."""
    simple: str
    """The model that gains are measured against."""
    prepare: dict[str, Any]
    live: dict[str, float]
    """``delay`` in minutes and ``refresh`` in hours, where each event is asked about in order of time."""

    @classmethod
    def read(cls, path: Path) -> Example:
        """Read a config. ``PenchantError`` where a table is missing or unknown."""
        table = {"prepare": {}, "live": {}} | tomllib.loads(path.read_text(encoding="utf-8"))
        if wrong := table.keys() ^ {field.name for field in fields(cls)}:
            raise PenchantError(f"{path}: {min(wrong)} is missing, or isn't known")
        return cls(**table)


def run(name: str, data: Path, out: Path, sample: int = 0, *, brief: bool = False) -> dict[str, Any]:
    """Prepare the log, measure its habits, train and compare the models; write ``found.md`` and the report into ``out``.

    ``brief`` trains networks for one epoch.
    """
    example = Example.read(HERE / name / "config.toml")
    if brief:
        example = replace(example, models={n: s | ({"epochs": 1} if "epochs" in s else {}) for n, s in example.models.items()})
    out.mkdir(parents=True, exist_ok=True)
    log = prepare(example, data, out, sample)
    everything = log
    if example.prepare.get("without"):
        whole = replace(example, prepare=example.prepare | {"without": ()})
        everything = prepare(whole, data, out, 0, "everything")
        if sample:
            same = everything.events.users.codes([log.events.users[user] for user in np.unique(log.events.user).tolist()])
            everything = of_people(everything, same)
    found = {habit: habits.HABITS[habit](everything) for habit in example.habits}
    result = compare(example, log.events, out)
    words = page(example, found, result)
    if everything is not log:
        words += "\n".join(["", *counted_as_liking(example, log.events, everything.events), ""])
    (out / "found.md").write_text(words, encoding="utf-8")
    workflow.write_report(result, out / "report", force=True)
    return {"habits": {habit: table.rows for habit, table in found.items()}, **result.to_json()}


def prepare(example: Example, data: Path, out: Path, sample: int, folder: str = "dataset") -> Prepared:
    """The dataset, made by ``write_dataset``; of a sample, the events of so many people spread evenly over all."""
    options = dict(example.log)
    events = [data / path for path in options.pop("events")]
    if "items" in options:
        options["items"] = data / options["items"]
    if "attributes" in options:
        options["items"] = with_attributes(options["items"], data / options.pop("attributes"), out / "items.csv")
    words = options.pop("content", None)
    settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in example.prepare.items()}
    dataset.write_dataset(dataset.read(*events, **options), out / folder, PrepareConfig(**settings), progress=say)
    log = dataset.load(out / folder, words)
    prepared = Prepared(log, out / folder, np.ones(len(log), bool))
    if not sample:
        return prepared
    return of_people(prepared, np.unique(np.linspace(0, len(log.users) - 1, sample).astype(np.int64)))


def of_people(whole: Prepared, people: Int) -> Prepared:
    """The events of some people of a dataset, by their codes."""
    kept = np.isin(whole.events.user, people)
    return Prepared(whole.events.where(kept), whole.folder, kept)


def with_attributes(items: Path, attributes: Path, out: Path) -> Path:
    """The item file (tab-separated) with a column more: of each item the codes that a JSON object gives it, as words."""
    codes = json.loads(attributes.read_text(encoding="utf-8"))
    with items.open(encoding="utf-8", newline="") as file, out.open("w", encoding="utf-8", newline="") as joined:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        writer = csv.DictWriter(joined, [*(reader.fieldnames or ()), "attributes"])
        writer.writeheader()
        for row in reader:
            writer.writerow(row | {"attributes": " ".join(f"a{code}" for code in codes.get(row["item_id"], ()))})
    return out


def compare(example: Example, log: Interactions, out: Path) -> Evaluation:
    """Train each model with its settings, and compare all of them, by the names of the config."""
    paths = {}
    for name, settings in example.models.items():
        kind, given = settings.get("model", name), {key: value for key, value in settings.items() if key != "model"}
        paths[str(out / "models" / name)] = name
        workflow.train(log, kind, out / "models" / name, settings=given, split=example.compare.get("split"), progress=say)
    live = None
    if example.live:
        live = Live(round(example.live.get("delay", 0) * MINUTE), round(example.live.get("refresh", 0) * HOUR))
    return renamed(workflow.compare(log, list(paths), controls=False, live=live, progress=say, **example.compare), paths)


def counted_as_liking(example: Example, log: Interactions, everything: Interactions) -> list[str]:
    """What the models that learn in one go are worth if all that was shown counts as liking, asked for the same events."""
    cut = evaluation.split(log, example.compare.get("split"))
    assert cut.cuts is not None
    shown = seq.histories(everything, everything.timestamp < cut.cuts[0])
    models = {}
    for name in ("popularity", "transitions"):
        models[f"{name}, likings"] = create(name).fit(cut.train)
        models[f"{name}, all that was shown"] = create(name).fit(shown)
    result = evaluation.evaluate(models, cut, k=example.compare.get("k", 10), seen=example.compare["seen"], own_items=True)
    counts = f"({len(shown.item):,} events instead of {len(cut.train.item):,})"
    return [
        f"**Learned from likings alone, or from all that was shown {counts}**",
        "",
        result.to_markdown([f"{metric}@{result.k}" for metric in METRICS[:2]]),
    ]


def renamed(result: Evaluation, names: dict[str, str]) -> Evaluation:
    """The evaluation with its models called otherwise."""
    return replace(
        result,
        models={names[name]: values for name, values in result.models.items()},
        intervals={names[name]: values for name, values in result.intervals.items()},
        comparisons=tuple(replace(pair, first=names[pair.first], second=names[pair.second]) for pair in result.comparisons),
        simple=tuple(names[name] for name in result.simple),
        slices=tuple(
            replace(
                part,
                models={names[name]: values for name, values in part.models.items()},
                intervals={names[name]: values for name, values in part.intervals.items()},
            )
            for part in result.slices
        ),
        costs={names[name]: cost for name, cost in result.costs.items()},
    )


def page(example: Example, found: dict[str, habits.Table], result: Evaluation) -> str:
    """What was found, as Markdown: the habits, the models with intervals, the gain over the simple method."""
    lines = []
    for table in found.values():
        lines += [f"**{table.words}**", "", *markdown(table.head, table.rows), ""]
    lines += [result.conditions(), "", result.to_markdown([f"{metric}@{result.k}" for metric in METRICS]), ""]
    lines += [f"Gain in ndcg@{result.k} over {example.simple}, with 95% interval:", ""]
    lines += markdown(("model", "gain", "", "p (Holm)"), gains(example.simple, result))
    lines += ["", *(f"- {sentence}" for sentence in result.findings())]
    return "\n".join(lines) + "\n"


def gains(simple: str, result: Evaluation) -> list[list[str]]:
    """Of each other model the difference to the simple one."""
    rows = []
    for pair in result.comparisons:
        if simple in (pair.first, pair.second):
            sign, other = (1, pair.first) if pair.second == simple else (-1, pair.second)
            low, high = sorted(sign * end for end in pair.interval)
            rows.append([other, f"{sign * pair.difference:+.4f}", f"[{low:+.4f}, {high:+.4f}]", f"{pair.adjusted:.4f}"])
    return rows


def markdown(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """A table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def say(what: str, _: int, total: int) -> None:
    """Remarks to standard error; no progress bars."""
    if not total:
        sys.stderr.write(f"{what}\n")


def main() -> int:
    """Run one example; print what was found."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("name", choices=EXAMPLES)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the logs are")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for all that is made")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many people instead of all")
    options = parser.parse_args()
    try:
        found = run(options.name, options.data, options.out, options.sample)
    except PenchantError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    (options.out / "found.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write((options.out / "found.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
