"""What the models are worth: docs/results.md and its pictures, every figure over several seeds; and the README's tables.

    python -m benchmarks.quality [--data beauty,sports] [--models lstm,longshort] [--seeds 1,2,3] [--since DAY] [--missing]

Full catalogue, seen items excluded, everything chosen on validation, reported on test. One fit after the other, the cheapest
first. What is measured already (benchmarks/results/quality.json) isn't measured again, unless it is older than ``--since``;
each figure is kept at once, and a fit that was killed goes on from its last epoch (``--work``). ``--missing`` only names what
would be measured. Models without chance in them are measured once, as seed 1.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import tables
from benchmarks.machine import DATA, facts
from penchant import evaluation, workflow
from penchant.data import dataset
from penchant.models import MODELS, create
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.validation import validate
from penchant.models.weighing import learn_weights
from penchant.types import Interactions, Learning, Split

AMAZON = {"loss": "sampled", "learning_rate": 0.001, "average": 0.0, "epochs": 10, "patience": 2}
TIMED = AMAZON | {"width": 64, "batch_events": 1024, "epochs": 15}
SETTINGS: dict[str, dict[str, Any]] = {
    "beauty": AMAZON,
    "sports": AMAZON,
    "ml-1m": {
        "width": 128,
        "short": False,
        "long_layers": 2,
        "ring": 50,
        "heads": 2,
        "batch_events": 4096,
        "loss": "softmax",
        "learning_rate": 0.002,
        "schedule": "cosine",
        "dropout": 0.15,
        "length_power": 0.5,
        "epochs": 12,
        "patience": 12,
    },
    "ml-100k": {},
    "30music": TIMED,
    "unilibrary": {},
    "twitter": TIMED | {"only_new": "yes"},
    "kuairand": TIMED,
}
"""Of ``longshort``, and of the networks alone as far as they have such settings: the defaults, save for what is named."""
OTHERS = ("popularity", "recent_popularity", "markov", "transitions", "item_knn", "ease", "als", "content")
NETWORKS = ("lstm", "gru", "attention_lstm", "transformer", "article_lstm")
NETWORK, IDS_ONLY = "the network of longshort alone", ", ids only"
THREE, THREE_ON = "longshort of three networks", ("beauty", "ml-1m")
"""Networks of other seeds beside each other, on logs where it is worth three times the training."""
ELSEWHERE = ("repeats", "blend")
"""What people had is excluded here, and a blend is what one puts in it: the examples measure both."""
WITHOUT_TIMES = ("beauty", "sports", "ml-1m")
WITHOUT_WORDS = ("30music", "twitter")
EVENTS = {
    "kuairand": 80_000,
    "ml-100k": 98_000,
    "unilibrary": 70_000,
    "twitter": 108_000,
    "beauty": 154_000,
    "sports": 225_000,
    "30music": 275_000,
    "ml-1m": 988_000,
}
"""Trained on, about: what a fit costs goes by it."""
WORK = Path(tempfile.gettempdir()) / "penchant-quality"
"""Where trainings that were killed are gone on from."""
README_LOG, README_MODELS = "ml-100k", ("popularity", "item_knn", "markov", "lstm", "transitions", "longshort")
"""What the README's first table compares, all by their defaults."""
Reading = tuple[str, str]
"""A model and what it knows of the events between training and test."""
Found = tuple[str, str, dict[str, float]]
"""These, and the figures."""


def load(name: str, work: Path) -> Interactions:
    """The event log and what is known of its items, prepared."""
    events, options = _source(name, work)
    dataset.write_dataset(dataset.read(DATA / events, **options), work / name)
    return dataset.load(work / name)


def _source(name: str, work: Path) -> tuple[str | Path, dict[str, Any]]:
    """Where a log is, and how it is read."""
    match name:
        case "beauty":
            titles = [line.split("\t", 2) for line in (DATA / "amazon/Beauty_titles.tsv").read_text().splitlines()[1:]]
            described = {item: [title] for item, _, title in titles}
            return "amazon/Beauty.txt", {"items": _attributes("Beauty", work, described)}
        case "sports":
            return "amazon/Sports_and_Outdoors.txt", {"items": _attributes("Sports_and_Outdoors", work, {})}
        case "ml-1m":
            return "ml-1m/ml-1m.seq.txt", {"items": DATA / "ml-1m/movies.dat", "encoding": "latin-1"}
        case "ml-100k":
            return "ml-100k/ml-100k.inter", {"items": DATA / "ml-100k/ml-100k.item"}
        case "30music":
            columns = {"user_id": "user_id", "item_id": "song_id", "timestamp": "ts", "session_id": "session_id"}
            return "30music-sample10/sessions_sample_10.parquet", {"columns": columns}
        case "unilibrary":
            columns, described_by = {"user_id": "u", "item_id": "i", "timestamp": "t"}, DATA / "unilibrary/items.csv"
            return "unilibrary/interactions_train.csv", {
                "columns": columns,
                "items": described_by,
                "item_columns": {"item_id": "i"},
            }
        case "kuairand":
            return _clicks(work), {"items": _videos(work)}
        case _:
            return "twitter-cascades/interactions.tsv", {}


def _clicks(work: Path) -> Path:
    """The videos that people clicked in two weeks; those viewed for long are events of another kind."""
    shown = pl.concat([pl.read_parquet(DATA / f"kuairand-pure/{part}.parquet") for part in ("val", "test")])
    kind = pl.when(pl.col("long_view") == 1).then(pl.lit("long_viewed")).otherwise(pl.lit("clicked"))
    clicks = shown.filter(pl.col("is_click") == 1)
    clicks.select("user_id", item_id="video_id", timestamp="time_ms", event_type=kind).write_parquet(work / "clicks.parquet")
    return work / "clicks.parquet"


def _videos(work: Path) -> Path:
    """What is known of a video before anybody saw it; the file's other columns are statistics of the whole period."""
    names = {"author": "author_id", "tag": "tag", "music": "music_id"}
    words = {name: pl.format(name + "{}", column) for name, column in names.items()}
    pl.read_parquet(DATA / "kuairand-pure/item_features.parquet").select(item_id="video_id", **words).write_parquet(
        work / "videos.parquet"
    )
    return work / "videos.parquet"


def _attributes(name: str, work: Path, described: dict[str, list[str]]) -> Path:
    """A table of what the attribute file says of each item, and what was known before."""
    path = work / f"{name}.csv"
    attributes = json.loads((DATA / f"amazon/{name}_item2attributes.json").read_text())
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "attributes", *(["title"] if described else [])])
        for item, codes in attributes.items():
            writer.writerow([item, " ".join(f"a{code}" for code in codes), *described.get(item, [])])
    return path


def wanted(name: str, seed: int) -> list[tuple[str, str]]:
    """The models and readings to be measured on a log with a seed."""
    found: list[tuple[str, str]] = []
    if seed == 1:
        for other in OTHERS:
            if (other == "recent_popularity" and name in WITHOUT_TIMES) or (other == "content" and name in WITHOUT_WORDS):
                continue
            found += [(other, reading) for reading in tables.READINGS[: 2 if isinstance(create(other), Learning) else 1]]
    found += [(network, "train-only") for network in NETWORKS] + [(NETWORK, "train-only"), (NETWORK, "refit")]
    for model in ("longshort", *([THREE] if name in THREE_ON else [])):
        whole = (model,) if name in WITHOUT_WORDS else (model + IDS_ONLY, model)
        found += [(row, reading) for row in whole for reading in tables.READINGS[: 2 if model == THREE else 3]]
    return found


def missing(name: str, seed: int, since: str = "") -> list[tuple[str, str]]:
    """Of those, what isn't measured yet, or was before the day ``since``."""
    found = tables.measured()

    def known(model: str, reading: str) -> bool:
        figures = found.get(f"{name}|{model}|{reading}", {}).get(str(seed))
        return figures is not None and figures["on"] >= since

    return [row for row in wanted(name, seed) if not known(*row)]


def fits(logs: Collection[str], seeds: Collection[int], models: Collection[str], since: str = "") -> list[tuple[str, str, int]]:
    """What has to be fitted, as log, model and seed, the cheapest first; of ``models``, where some are named."""
    left = {(name, _fitted(row), seed) for name in logs for seed in seeds for row, _ in missing(name, seed, since)}
    return sorted(
        (fit for fit in left if not models or fit[1] in models), key=lambda fit: (_cost(fit[0], fit[1]), fit[2], fit[1])
    )


def _fitted(row: str) -> str:
    """The model that has to be fitted for a row."""
    return "longshort" if row == NETWORK else row.removesuffix(IDS_ONLY)


def _cost(name: str, model: str) -> float:
    """Passes over a log's events, about: ``longshort`` is trained for all epochs, and for the best so many again."""
    passes = float(SETTINGS[name].get("epochs", 30)) if model in (*NETWORKS, "longshort", THREE) else 1
    return EVENTS[name] * passes * {"longshort": 2, "transformer": 2, THREE: 3}.get(model, 1)


def measure(name: str, model: str, seed: int, cut: Split, left: Collection[Reading], work: Path) -> Iterator[Found]:
    """The test figures of one fit, of each reading that is ``left`` to be measured."""

    def say(what: str, _: int, total: int) -> None:
        if not total:
            print(f"{name} {seed}: {what}", flush=True)

    if model in ("longshort", THREE):
        settings = SETTINGS[name] | {"networks": 3 if model == THREE else 1}
        whole = create("longshort", seed=seed, **settings).fit(cut.train, cut.valid, progress=say, checkpoint=work / "fit")
        yield from _flagship(model, whole, cut, left, work)
    elif model in NETWORKS:
        known = {field.name for field in fields(MODELS[model].settings_type)}
        settings = {key: value for key, value in SETTINGS[name].items() if key in known}
        fitted = create(model, seed=seed, **settings).fit(cut.train, cut.valid, checkpoint=work / "fit")
        yield from _readings(model, fitted, cut, left)
    else:
        yield from _readings(model, create(model).fit(cut.train, cut.valid), cut, left)


def _flagship(name: str, model: Model, cut: Split, left: Collection[Reading], work: Path) -> Iterator[Found]:
    """``longshort``, its network alone, and the same without content; what is learned again comes last."""
    assert isinstance(model, Blend)
    ids_only = name + IDS_ONLY
    yield from _readings(NETWORK, model.members["network"], cut, left)
    yield from _readings(name, model, cut, left)
    if any((ids_only, reading) in left for reading in tables.READINGS):
        yield from _readings(ids_only, _without(model, "content", model, cut), cut, left)
    if any((row, "refit") in left for row in (NETWORK, ids_only, name)):
        again = model.refitted(cut.before_test, checkpoint=work / "refit")
        yield from _asked(NETWORK, "refit", again.members["network"], cut, left)
        yield from _asked(name, "refit", again, cut, left)
        if (ids_only, "refit") in left:
            yield from _asked(ids_only, "refit", _without(again, "content", model, cut), cut, left)


def _readings(name: str, model: Model, cut: Split, left: Collection[Reading]) -> Iterator[Found]:
    yield from _asked(name, "train-only", model, cut, left)
    if isinstance(model, Learning) and (name, "online") in left:
        model.unlearn(cut.train)
        model.learn(cut.before_test)
        yield from _asked(name, "online", model, cut, left)
        model.unlearn(cut.before_test)
        model.learn(cut.train)


def _asked(name: str, reading: str, model: Model, cut: Split, left: Collection[Reading]) -> Iterator[Found]:
    if (name, reading) in left:
        yield name, reading, validate(model, cut.test)


def _without(blend: Blend, part: str, chosen: Blend, cut: Split) -> Blend:
    """The blend without a part, the weights of the others learned anew on validation by the models ``chosen`` there."""
    left = type(blend)(blend.settings)
    left.items, left.event_types = blend.items, blend.event_types
    left.members = {name: member for name, member in blend.members.items() if name != part}
    left.coefficients = learn_weights([member for name, member in chosen.members.items() if name != part], cut.valid)
    return left


def compare_for_readme(work: Path) -> None:
    """The README's first table: ``penchant evaluate`` with defaults, kept in ``tables.FIRST``, and made once."""
    if tables.FIRST.exists():
        return
    print(f"{README_LOG}: the README's first table", flush=True)
    result = workflow.compare(load(README_LOG, work), README_MODELS, split=tables.SPLITS[README_LOG], controls=False)
    told = {name: result.to_json()[name] for name in ("split", "k", "models", "intervals", "verdict", "facts")}
    tables.FIRST.write_text(json.dumps({"machine": facts(), **told}, indent=1) + "\n")


def measure_all(todo: Sequence[tuple[str, str, int]], work: Path, since: str = "") -> list[str]:
    """Measure one fit after the other and keep what comes; what failed is named, and the others go on."""
    cuts: dict[str, Split] = {}
    failed = []
    for name, model, seed in todo:
        left = [row for row in missing(name, seed, since) if _fitted(row[0]) == model]
        own = work / f"{name}-{model}-{seed}"
        own.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        try:
            if name not in cuts:
                with tempfile.TemporaryDirectory() as prepared:
                    cuts[name] = evaluation.split(load(name, Path(prepared)), tables.SPLITS[name])
            for row, reading, figures in measure(name, model, seed, cuts[name], left, own):
                tables.keep(f"{name}|{row}|{reading}", seed, figures)
                print(name, seed, row, reading, figures, f"after {time.process_time() - begun:.0f} CPU-s", flush=True)
        except Exception:  # hours of other fits are not to be lost by it
            traceback.print_exc()
            failed.append(f"{name}, seed {seed}: {model}")
            continue
        shutil.rmtree(own)
        tables.write()
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(tables.SPLITS), help="logs")
    parser.add_argument("--models", default="", help="only these")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--since", default="", metavar="DAY", help="measure again what is older, as 2026-11-27")
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER", help=f"for trainings under way ({WORK})")
    parser.add_argument("--missing", action="store_true", help="only name what would be measured, and in which order")
    options = parser.parse_args()
    models = {model for model in options.models.split(",") if model}
    todo = fits(options.data.split(","), [int(seed) for seed in options.seeds.split(",")], models, options.since)
    if options.missing:
        for name, model, seed in todo:
            for row, reading in missing(name, seed, options.since):
                if _fitted(row) == model:
                    print(f"{name}, seed {seed}: {row}, {reading}")
        return
    with tempfile.TemporaryDirectory() as work:
        compare_for_readme(Path(work))
    failed = measure_all(todo, options.work, options.since)
    tables.write()
    if failed:
        sys.exit("not measured: " + "; ".join(failed))


if __name__ == "__main__":
    main()
