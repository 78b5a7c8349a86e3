"""An evaluation as one page that opens without a network: tables, and intervals and curves as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from penchant import metrics
from penchant.evaluation.evaluate import SHUFFLED
from penchant.evaluation.pieces import (
    Piece,
    broken,
    chart,
    colours,
    differences,
    document,
    figure,
    interval,
    panel,
    picture,
    section,
    table,
    tag,
)
from penchant.evaluation.result import Evaluation, Slice
from penchant.evaluation.slices import TIME

PICTURED = ("ndcg", "recall", "mrr")
METHODS = (
    "Intervals are 95%: of the models by bootstrap over people (1,000 resamples, percentiles), of slices by the normal "
    "approximation. Differences are tested by randomisation, person by person (10,000 flips of signs), all pairs of a table "
    "corrected by Holm's method; where there are several seeds, a difference counts only if the ranges over seeds don't "
    "overlap either. Shuffled histories are those that are asked about: no model is trained on shuffled ones."
)


def page(result: Evaluation) -> str:
    """The page as HTML, whole."""
    return document(
        f"Penchant: {result.split}, {', '.join(result.models)}",
        tag("h1", "What the models are worth"),
        tag("p", result.conditions(), class_="conditions"),
        _findings(result),
        _models(result),
        *_differences(result),
        *_over_time(result),
        *_slices(result),
        *_seeds(result),
        *_curves(result),
        *_costs(result),
        _definitions(result),
    )


# The sections.


def _findings(result: Evaluation) -> Element:
    return tag("ul", *(tag("li", sentence) for sentence in result.findings()), class_="findings")


def _models(result: Evaluation) -> Element:
    panels = [_panel(result, f"{metric}@{result.k}") for metric in PICTURED]
    names = list(next(iter(result.models.values())))
    of_targets = [name for name in names if name.partition("@")[0] in metrics.METRICS]
    of_lists = [name for name in names if name not in of_targets]
    return section(
        "Models",
        tag("div", *panels, class_="panels"),
        _values(result, of_targets, "Who was right"),
        tag("h3", "What the lists are like, whoever was right"),
        _values(result, of_lists, "What the lists are like"),
        tag("p", METHODS, class_="note"),
    )


def _values(result: Evaluation, names: Sequence[str], label: str) -> Element:
    """Some metrics of all models, with intervals."""
    rows = []
    for model, values in result.everyone.items():
        cells: list[Piece] = []
        for name in names:
            ends = result.intervals[model].get(name)
            cells.append(tag("span", figure(values[name]), *([tag("small", interval(ends))] if ends else [])))
        rows.append([broken(_label(result, model)), *cells])
    return table(["model", *names], rows, label)


def _panel(result: Evaluation, metric: str) -> Element:
    """One metric of all models."""
    colour = colours(result.everyone)
    return panel(
        metric,
        (
            (_label(result, name), values[metric], result.intervals[name][metric], colour[name])
            for name, values in result.everyone.items()
        ),
    )


def _differences(result: Evaluation) -> Iterable[Element]:
    mine = [pair for pair in result.comparisons if result.leader in (pair.first, pair.second)]
    others = [pair for pair in result.comparisons if pair not in mine]
    if mine:
        rest = tag("details", tag("summary", f"All other pairs ({len(others)})"), differences(others, "All other pairs"))
        yield section(
            f"Differences in ndcg@{result.k}", differences(mine, "Differences to the leader"), *([rest] if others else [])
        )
    if result.ablations:
        yield section("What is each part worth? The same model, trained without it", differences(result.ablations, "Parts"))
    if result.shuffled:
        yield section(
            "Does order matter? The same histories, shuffled", differences(result.shuffled, "Shuffled histories", SHUFFLED)
        )


def _slices(result: Evaluation) -> Iterable[Element]:
    metric = f"ndcg@{result.k}"
    tables = []
    for family, some in groupby(result.slices, key=lambda part: part.family):
        if family == TIME:
            continue
        group = list(some)
        top = max(part.intervals[name][metric][1] for part in group for name in result.everyone) or 1.0
        rows = [[part.name, f"{part.people:,}", *_cells(result, part, metric, top)] for part in group]
        found = table(["", "people", *result.everyone], rows, f"By {family}")
        columns = f"--models:{len(result.everyone)}"
        tables.append(tag("div", tag("h3", f"By {family}"), found, class_="slice", style=columns))
    if tables:
        yield section(f"Where: {metric} by slices", *tables)


def _cells(result: Evaluation, part: Slice, metric: str, top: float) -> list[Piece]:
    best = max(part.models[name][metric] for name in result.everyone)
    colour = colours(result.everyone)
    cells: list[Piece] = []
    for name in result.everyone:
        value = part.models[name][metric]
        said = tag("b" if value == best > 0 else "span", figure(value))
        cells.append(tag("span", said, picture(value, part.intervals[name][metric], (0, top), colour[name])))
    return cells


def _over_time(result: Evaluation) -> Iterable[Element]:
    moments = [part for part in result.slices if part.family == TIME]
    if moments:
        metric = f"recall@{result.k}"
        lines = {name: [(float(n), part.models[name][metric]) for n, part in enumerate(moments)] for name in result.everyone}
        ends = (moments[0].name, moments[-1].name)
        yield section("Over time: hit rate of each next event", chart(lines, colours(result.everyone), metric, ends))


def _seeds(result: Evaluation) -> Iterable[Element]:
    if result.seeds:
        names = [f"{metric}@{result.k}" for metric in PICTURED]
        rows: list[list[Piece]] = [
            [broken(model), *(", ".join(figure(value) for value in values[name]) for name in names)]
            for model, values in result.seeds.items()
        ]
        yield section("Seed by seed", table(["model", *names], rows, "Seed by seed"))


def _curves(result: Evaluation) -> Iterable[Element]:
    charts = []
    for measure in ("ndcg@10", "loss"):
        lines = {
            name: [(float(epoch + 1), step[measure]) for epoch, step in enumerate(cost.curve) if measure in step]
            for name, cost in result.costs.items()
        }
        lines = {name: line for name, line in lines.items() if len(line) > 1}
        if lines:
            last = max(x for line in lines.values() for x, _ in line)
            title = "validation ndcg@10" if measure == "ndcg@10" else "training loss"
            charts.append(chart(lines, colours(result.everyone), title, ("epoch 1", f"epoch {last:.0f}")))
    if charts:
        yield section("Learning curves", tag("div", *charts, class_="panels"))


def _costs(result: Evaluation) -> Iterable[Element]:
    if not result.costs:
        return
    rows: list[list[Piece]] = [
        [
            broken(name),
            "unknown" if cost.train_seconds is None else f"{cost.train_seconds:,.1f} s",
            "unknown" if cost.peak_memory_mb is None else f"{cost.peak_memory_mb:,.0f} MB",
            f"{cost.trials:,}",
            f"{cost.parameters:,}",
            f"{cost.model_mb:,.1f} MB",
            f"{cost.state_bytes:,} bytes",
            f"{cost.next_event_ms['p50']:.2f} ms",
            f"{cost.next_event_ms['p99']:.2f} ms",
            tag("span", ", ".join(f"{key}={value}" for key, value in cost.settings.items()) or "defaults", class_="long"),
        ]
        for name, cost in result.costs.items()
    ]
    header = [
        "model",
        "training",
        "memory",
        "trials",
        "parameters",
        "size",
        "state of a person",
        "next event",
        "99th percentile",
        "settings",
    ]
    yield section(
        "Cost",
        table(header, rows, "Cost"),
        tag(
            "p",
            "Memory: the most the training's process had held when it ended; of models trained here, what was done before it "
            "counts too. Next event: taking one in and ranking the catalogue, for one person, on this machine.",
            class_="note",
        ),
    )


def _definitions(result: Evaluation) -> Element:
    pairs = [piece for name, words in result.definitions().items() for piece in (tag("dt", name), tag("dd", words))]
    return section("Definitions", tag("dl", *pairs), tag("p", " ".join(result.notes()), class_="note"))


def _label(result: Evaluation, name: str) -> str:
    return f"{name} (control)" if name in result.controls else name
