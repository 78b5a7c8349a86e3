"""Will this person like this item? The head against simple methods on real impressions: the table in docs/rank.md.

    python -m benchmarks.rank [--work DIR]

KuaiRand-Pure, learned from the first 70% of two weeks of impressions, chosen on the next 15%, reported on the last 15%.
Histories before the two weeks have order only; their events are put a minute apart, the last at the moment the log gives.
What is measured already (benchmarks/results/rank.json) isn't measured again; delete a line there to have it anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from benchmarks.by_hand import SOURCE, simple_methods
from benchmarks.machine import RESULTS, facts
from penchant import artifact, binary, workflow
from penchant import sequences as seq
from penchant.candidates import split
from penchant.data import dataset
from penchant.data.clean import PrepareConfig
from penchant.data.impressions import read_impressions
from penchant.evaluation import splits
from penchant.models import create
from penchant.models.base import Model
from penchant.models.interest import HOUR, Interest, InterestSettings
from penchant.models.longshort import LongShort, LongShortSettings
from penchant.models.neural.interest_training import train_head, vectors_at
from penchant.models.validation import seen_items
from penchant.ranking import masked_scores, top_k
from penchant.types import Array, Float, Impressions, Interactions, Monitor, Sequences, UserState

FILE, PAGE = RESULTS / "rank.json", Path(__file__).parent.parent / "docs" / "rank.md"
CONTENT = ["author", "tag", "music", "upload", "kind", "length"]
CONTEXT = ["tab", "age"]
TARGETS = ("click", "long_view", "like")
BASE = {"width": 64, "batch_events": 1024, "epochs": 4, "patience": 2}
ABLATIONS: dict[str, dict[str, Any]] = {
    "interest, both memories": {},
    "interest, no history": {"short": False, "long": False},
    "interest, short only": {"long": False},
    "interest, long only": {"short": False},
}
METRICS = {
    "auc": "AUC",
    "auc_within_still": "within people, asked once",
    "auc_within": "within people, as it goes on",
    "logloss": "log loss",
    "calibration_error": "calibration error",
    "ndcg@5": "NDCG@5",
}
SIMPLE = ("popularity by hour", "logistic regression", "gradient boosting, no history", "gradient boosting")
ROWS = ("interest, no history", "interest, long only", "interest, short only", "interest, both memories")
WHOLE = "interest, both memories"
SEEDS = (1, 2, 3)
RESAMPLES = 300
TOP = 5
CANDIDATES, SHOWN, ASKED = 100, 10, 4000
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, np.inf)


# The data.


def prepare(work: Path) -> tuple[Interactions, Impressions]:
    """The event log (histories, then every impression with what came of it) and the impressions."""
    shown = pl.concat([pl.read_parquet(SOURCE / f"{part}.parquet") for part in ("val", "test")])
    if not (work / "ds").exists():
        before = pl.read_parquet(SOURCE / "user_sequences.parquet")
        before = before.filter(pl.col("last_time_ms") <= 1_650_815_522_000)  # those of the two weeks are impressions
        length = pl.col("watch_seq").list.len()
        before = before.with_columns(pl.int_ranges(length).alias("at"), length.alias("length")).explode("watch_seq", "at")
        kind = (
            pl.when(pl.col("like_seq").list.contains(pl.col("watch_seq")))
            .then(pl.lit("watched_liked"))
            .when(pl.col("long_watch_seq").list.contains(pl.col("watch_seq")))
            .then(pl.lit("watched_long"))
            .otherwise(pl.lit("watched"))
        )
        moment = pl.col("last_time_ms") - (pl.col("length").cast(pl.Int64) - 1 - pl.col("at")) * 60_000
        histories = before.select("user_id", item_id="watch_seq", timestamp=moment, event_type=kind)
        watched = pl.when(pl.col("long_view") == 1).then(pl.lit("long_viewed")).otherwise(pl.lit("clicked"))
        came = pl.when(pl.col("is_click") == 0).then(pl.lit("skipped")).otherwise(watched)
        events = shown.select("user_id", item_id="video_id", timestamp="time_ms", event_type=came)
        pl.concat([histories, events]).write_parquet(work / "events.parquet")
        steps = (pl.col("video_duration").fill_null(0) / 1000).log1p().mul(2).round().cast(pl.Int32)
        items = pl.read_parquet(SOURCE / "item_features.parquet").select(
            item_id="video_id",
            author="author_id",
            tag="tag",
            music="music_id",
            upload="upload_type",
            kind="video_type",
            length=pl.format("d{}", steps),
        )
        items.write_parquet(work / "items.parquet")
        # A video is often shown twice within a second; nobody here is a bot, since histories' times are made up.
        config = PrepareConfig(skip=("bots", "duplicates"))
        dataset.write_dataset(dataset.read(work / "events.parquet", items=work / "items.parquet"), work / "ds", config)
        shown.with_columns(age=pl.col("freshness_days").clip(-1, 20).cast(pl.Int32)).write_parquet(work / "shown.parquet")
    log = dataset.load(work / "ds", CONTENT)
    if not (work / "base").exists():
        workflow.train(log, "longshort_network", work / "base", settings=BASE, split="temporal", progress=say)
    return log, read_impressions(work / "shown.parquet", log, context=CONTEXT)


def say(what: str, _: int, total: int) -> None:
    if not total:
        print(what, flush=True)


# What they are worth.


def ndcg(p: Array, label: Array, group: Array) -> tuple[Array, Array]:
    """NDCG@5 of each group with both labels, and the first row of each."""
    order = np.lexsort((-p, group))
    y, g = label[order].astype(float), group[order]
    start = np.flatnonzero(np.concatenate([[True], g[1:] != g[:-1]]))
    owner = np.cumsum(np.concatenate([[True], g[1:] != g[:-1]])) - 1
    rank = np.arange(len(g)) - start[owner]
    gain = np.bincount(owner, np.where(rank < TOP, y / np.log2(2 + rank), 0))
    ones, size = np.bincount(owner, y), np.bincount(owner)
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, TOP + 2)))])[np.minimum(ones, TOP).astype(int)]
    both = (ones > 0) & (ones < size)
    return gain[both] / best[both], order[start][both]


def judge(said: list[Array], still: list[Array], test: Impressions, target: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The figures with 95% intervals, people resampled whole, each the mean over seeds; and the AUC of each person.

    ``still`` is what is said by what was known of people when the test began: of all they were shown after, as one list.
    """
    label, people = test.labels[target], np.unique(test.user, return_inverse=True)[1]
    pause = np.diff(test.timestamp, prepend=test.timestamp[:1])
    request = np.cumsum((np.diff(test.user, prepend=-1) != 0) | (pause > HOUR))
    who, first = binary.auc_within(said[0], label, people)[1], ndcg(said[0], label, request)[1]
    within = np.mean([binary.auc_within(p, label, people)[0] for p in said], axis=0)
    standing = np.mean([binary.auc_within(p, label, people)[0] for p in still], axis=0)
    gains = np.mean([ndcg(p, label, request)[0] for p in said], axis=0)
    orders = [np.argsort(p, kind="stable") for p in said]

    def measured(rows: Array, weight: Array) -> dict[str, float]:
        return {
            "auc": float(np.mean([binary.auc(p[o], label[o], rows[o]) for p, o in zip(said, orders, strict=True)])),
            "auc_within": float(np.average(within, weights=weight[who])),
            "auc_within_still": float(np.average(standing, weights=weight[who])),
            "logloss": float(np.mean([binary.logloss(p, label, rows) for p in said])),
            "ndcg@5": float(np.average(gains, weights=weight[people[first]])),
        }

    count, chance = int(people.max()) + 1, np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        weight = np.bincount(chance.integers(count, size=count), minlength=count).astype(float)
        drawn.append(measured(weight[people], weight))
    values = measured(np.ones(len(label)), np.ones(count))
    intervals = {name: np.percentile([one[name] for one in drawn], [2.5, 97.5]).tolist() for name in values}
    values["calibration_error"] = float(np.mean([binary.calibration_error(p, label) for p in said]))
    found = {"values": values, "intervals": intervals, "people": len(within), "requests": len(gains)}
    return found, {"auc_within": within, "auc_within_still": standing}


@dataclass(frozen=True)
class Reading:
    """What the model beneath makes of people, read once for all heads: just before each impression of each part, and of the
    test's people when the test begins, a state for each impression.
    """

    vectors: list[tuple[Array, Array]]
    standing: UserState


def read_people(log: Interactions, parts: tuple[Impressions, ...], base: Path) -> Reading:
    """Read everybody's events."""
    model = Interest()
    model.take_base(artifact.load(base), log.items, log.event_types)
    test = parts[2]
    before = seq.histories(log, log.timestamp < test.timestamp.min())
    people, place = np.unique(test.user, return_inverse=True)
    states = model.encode(seq.of_users(before, [test.users[int(user)] for user in people]))
    return Reading([vectors_at(model, seq.histories(log), part, Monitor(say)) for part in parts], states[place])


def learn_head(
    log: Interactions, parts: tuple[Impressions, ...], base: Path, reading: Reading, settings: Mapping[str, Any]
) -> tuple[Interest, Array, Array]:
    """A head, and its logits on the test part: as it goes on, and by what was known of people when it begins."""
    model = Interest(InterestSettings.parse(settings))
    model.take_base(artifact.load(base), log.items, log.event_types)
    long, short = (slice(None) if looked_at else slice(0) for looked_at in (model.settings.long, model.settings.short))
    read = [(vectors[0][:, long], vectors[1][:, short]) for vectors in reading.vectors]
    said = train_head(model, seq.histories(log), parts[0], parts[1], [parts[2]], log.content, Monitor(say), read)
    test = parts[2]
    codes = {name: values[:, None] for name, values in model.codes(test.context).items()}
    still = model.logits(reading.standing, test.timestamp, test.item[:, None], codes)[:, 0]
    return model, said[1], still


def _probabilities(model: Interest, logits: Array) -> dict[str, Array]:
    slope, offset = model.calibration
    p = 1 / (1 + np.exp(-(logits.astype(float) * slope + offset)))
    return {target: p[:, place] for place, target in enumerate(model.form.targets)}


def speed(model: Interest, log: Interactions) -> dict[str, float]:
    """Milliseconds to rank 500 candidates for one person, one thread if the environment says so."""
    states = model.encode(seq.select(seq.histories(log), np.flatnonzero(np.diff(seq.histories(log).offsets) > 50)[:200]))
    chance, now = np.random.default_rng(0), np.array([log.timestamp.max()])
    codes = {name: np.zeros((1, 500), np.int64) for name in model.form.places}
    took = []
    for row in range(200):
        item = chance.integers(0, len(log.items), (1, 500))
        started = time.perf_counter()
        model.probabilities(states[slice(row, row + 1)], now, item, codes)
        took.append(1000 * (time.perf_counter() - started))
    return {"p50_ms": float(np.percentile(took, 50)), "p99_ms": float(np.percentile(took, 99))}


def longshort_around(log: Interactions, base: Path) -> Model:
    """``longshort``, its network the one beneath, the rest learned from what that learned from."""
    network, where = artifact.load(base), splits.temporal(log)
    around = LongShort(LongShortSettings(**asdict(network.settings)))
    around.members = {"network": network}
    return around.varied(where.train, where.valid, progress=say)


def with_drawn(part: Impressions, vectors: tuple[Float, Float], log: Interactions, until: int) -> tuple[Impressions, Any]:
    """A part with two items more beside each click, which nobody clicked: those of events before ``until``, at random.

    Without context, which nobody knows before a list is shown.
    """
    clicked = np.flatnonzero(part.labels["click"])
    rows = np.concatenate([np.arange(len(part)), np.repeat(clicked, 2)])
    order = np.argsort(rows, kind="stable")
    rows, drawn = rows[order], order >= len(part)
    item = np.random.default_rng(0).choice(log.item[log.timestamp < until], len(rows))
    some = part.take(rows)
    labels = {target: np.where(drawn, 0, label).astype(np.int8) for target, label in some.labels.items()}
    return replace(some, item=np.where(drawn, item, some.item), labels=labels, context={}), tuple(v[rows] for v in vectors)


def second_stages(log: Interactions, parts: tuple[Impressions, ...], base: Path, reading: Reading) -> dict[str, Interest]:
    """A head that learned from impressions alone, and one that learned from items drawn beside them too."""
    until = int(parts[1].timestamp.min())
    learned = zip(parts[:2], reading.vectors[:2], strict=True)
    bare = [(replace(part, context={}), vectors) for part, vectors in learned]
    drawn = [with_drawn(part, vectors, log, until) for part, vectors in bare]
    heads = {}
    for name, ((train, of_train), (valid, of_valid)) in {"impressions": bare, "drawn": drawn}.items():
        model = Interest()
        model.take_base(artifact.load(base), log.items, log.event_types)
        train_head(model, seq.histories(log), train, valid, [], log.content, Monitor(say), [of_train, of_valid])
        heads[name] = model
    return heads


def two_stages(log: Interactions, parts: tuple[Impressions, ...], base: Path) -> dict[str, Any]:
    """Hit rates at 10 of what people click after the test's begin: a first stage alone, and its 100 best ranked by a head.

    The second stage adds its log odds, times a weight chosen on the validation part, to the first stage's score.
    """
    heads, longshort = second_stages(log, parts, base, read_people(log, parts, base)), longshort_around(log, base)
    chosen: dict[tuple[str, str], float] = {}
    found: dict[str, Any] = {}
    for part in parts[1:]:
        now = int(part.timestamp.min())
        clicked = part.take(np.flatnonzero(part.labels["click"] == 1))
        before = seq.histories(log, log.timestamp < now)
        asked = np.array([u for u in np.unique(clicked.user) if u < len(before) and before.lengths[u]])[:ASKED]
        some, moment = seq.select(before, asked), np.full(len(asked), now)
        wanted = np.zeros((len(log.users) + 1, len(log.items)), bool)
        wanted[np.minimum(clicked.user, len(log.users)), clicked.item] = True
        wanted = wanted[asked]
        firsts = {"longshort": longshort, "transitions": create("transitions").fit(before)}
        for stage, first in firsts.items():
            item, one = _best(first, log, some, moment)
            for learned, head in heads.items():
                two = head.parts(head.encode(some), moment, item)["interest"]
                hits = {w: _hits(two if w == np.inf else one + w * two, item, wanted) for w in WEIGHTS}
                if part is parts[1]:
                    chosen[stage, learned] = max(WEIGHTS, key=lambda w: float(hits[w].mean()))
                    continue
                mixed = hits[chosen[stage, learned]]
                apart = np.percentile(_means(mixed - hits[0.0]), [2.5, 97.5])
                one_stage = found.setdefault(stage, {"people": len(asked), "one_stage": float(hits[0.0].mean())})
                one_stage["among_candidates"] = float(np.take_along_axis(wanted, item, axis=1).any(axis=1).mean())
                one_stage[learned] = {
                    "weight": str(chosen[stage, learned]),
                    "alone": float(hits[np.inf].mean()),
                    "mixed": float(mixed.mean()),
                    "difference": apart.tolist(),
                }
    return found


def _best(first: Model, log: Interactions, some: Sequences, moment: Array) -> tuple[Array, Array]:
    """The best candidates of a first stage, those seen left out, as the log codes them, and their scores."""
    own = seq.recode(some, first.items)
    item, one = [], []
    for rows in np.array_split(np.arange(len(some)), 8):
        people = seq.select(own, rows)
        scores = masked_scores(first, first.encode(people), moment[rows], seen_items(people))
        top, best = top_k(scores, CANDIDATES)
        item.append(first.items.translation(log.items)[top])
        one.append(best)
    return np.concatenate(item), np.concatenate(one)


def _hits(scores: Array, item: Array, wanted: Array) -> Array:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
    hit: Array = np.take_along_axis(wanted, np.take_along_axis(item, best, axis=1), axis=1).any(axis=1).astype(float)
    return hit


def _means(values: Array) -> Array:
    chance = np.random.default_rng(0)
    return np.array([values[chance.integers(len(values), size=len(values))].mean() for _ in range(1000)])


def measure_head(
    name: str, log: Interactions, parts: tuple[Impressions, ...], work: Path, reading: Reading, measured: dict[str, Any]
) -> None:
    """A head over several seeds; of the whole one its calibration and speed too."""
    live: list[dict[str, Array]] = []
    still: list[dict[str, Array]] = []
    for seed in SEEDS:
        model, logits, standing = learn_head(log, parts, work / "base", reading, {**ABLATIONS[name], "seed": seed})
        live.append(_probabilities(model, logits))
        still.append(_probabilities(model, standing))
        if name == WHOLE and seed == SEEDS[0]:
            measured["reliability"] = binary.reliability(live[0]["click"], parts[2].labels["click"])
            measured["speed"] = speed(model, log)
    found = {t: _judged(name, [p[t] for p in live], [p[t] for p in still], parts[2], t, work) for t in TARGETS}
    measured[name] = {**found, "epochs": model.history}
    _write(measured)


def measure_simple(log: Interactions, shown: Impressions, parts: tuple[Impressions, ...], work: Path, measured: Any) -> None:
    """The simple methods that aren't measured yet, target by target."""
    if all(target in measured.get(name, {}) for name in SIMPLE for target in TARGETS):
        return
    part = np.searchsorted([p.timestamp.min() for p in parts[1:]], shown.timestamp, side="right")
    for name, method in simple_methods(log, shown, part).items():
        for target in TARGETS:
            if target not in measured.setdefault(name, {}):
                live, still = method(target)
                measured[name][target] = _judged(name, [live], [still], parts[2], target, work)
                _write(measured)


def _judged(name: str, live: list[Array], still: list[Array], test: Impressions, target: str, work: Path) -> dict[str, Any]:
    """``judge``; the AUC of each person stays in the work folder, to be compared person by person."""
    found, people = judge(live, still, test, target)
    save_file(people, work / f"{name}, {target}.safetensors")
    return found


def differences(work: Path, target: str) -> dict[str, dict[str, list[float]]]:
    """By how much both memories are above each other method within the same people: mean, and a 95% interval."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(work.glob(f"*, {target}.safetensors")):
        name = path.stem.removesuffix(f", {target}")
        if name != WHOLE:
            ours, theirs = load_file(work / f"{WHOLE}, {target}.safetensors"), load_file(path)
            apart = {metric: mine - theirs[metric] for metric, mine in ours.items()}
            found[name] = {m: [float(d.mean()), *np.percentile(_means(d), [2.5, 97.5]).tolist()] for m, d in apart.items()}
    return found


# All of it.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", help="folder for the dataset and the model beneath, kept for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(options.work or temporary)
        work.mkdir(parents=True, exist_ok=True)
        log, shown = prepare(work)
        parts = split(shown)
        measured = _read()
        measured["impressions"] = {n: len(p) for n, p in zip(("train", "valid", "test"), parts, strict=True)}
        if left := [name for name in ABLATIONS if name not in measured]:
            reading = read_people(log, parts, work / "base")
            for name in left:
                measure_head(name, log, parts, work, reading, measured)
        measure_simple(log, shown, parts, work, measured)
        measured["differences"] = {target: differences(work, target) for target in TARGETS}
        _write(measured)
        if "two stages" not in measured:
            measured["two stages"] = two_stages(log, parts, work / "base")
            _write(measured)
    write_page(_read())


def _read() -> dict[str, Any]:
    return json.loads(FILE.read_text())["measured"] if FILE.exists() else {}


def _write(measured: dict[str, Any]) -> None:
    FILE.write_text(json.dumps({"machine": facts(), "measured": measured}, indent=1) + "\n")


def _line(name: str, found: Mapping[str, Any]) -> str:
    cells = []
    for metric in METRICS:
        low, high = found["intervals"].get(metric, (None, None))
        cells.append(f"{found['values'][metric]:.4f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]"))
    return f"| {name} | {' | '.join(cells)} |"


def write_page(measured: dict[str, Any]) -> None:
    """docs/rank.md."""
    lines = [*_introduction(measured["impressions"]), *_tables(measured), *_apart(measured), *_curve(measured)]
    lines += _stages(measured) if "two stages" in measured else []
    rate = measured["speed"]
    fast = np.mean([epoch["impressions_per_cpu_second"] for epoch in measured[WHOLE]["epochs"]])
    lines += [
        "## Speed",
        "",
        f"500 candidates for one person, NumPy, one thread: {rate['p50_ms']:.2f} ms at the median, {rate['p99_ms']:.2f} ms at",
        f"the 99th percentile. Training at width 64: {fast:,.0f} impressions per CPU-second, the reading of histories by the",
        "model beneath aside.",
        "",
    ]
    PAGE.write_text("\n".join(lines))


def _introduction(count: Mapping[str, int]) -> list[str]:
    return [
        "# Will this person like this item?",
        "",
        "Made by `python -m benchmarks.rank` from `benchmarks/results/rank.json`. KuaiRand-Pure: two weeks of impressions",
        f"of short videos, by time: the first {count['train']:,} are learned from, the next {count['valid']:,} choose the",
        f"epoch and calibrate, the last {count['test']:,} are reported on. All methods know only what was known when a video",
        "was shown; the item statistics of the data set are totals over the whole period, which the leak check refuses.",
        "Gradient boosting and logistic regression read hand-made numbers (counts of clicks and long views of the item,",
        "author, tag, person, person and tab, tag or author up to that moment; of the histories before, how much of an item,",
        "author or tag was watched long or liked, and what the person and everybody had watched; duration, age) and five",
        "kinds (tab, hour, tag, upload type, video type). Boosting's leaves and trees have the least log loss on validation.",
        "Their numbers go on counting during the test, as they would live; the heads read each person up to each moment, but",
        f"what they know of items ends with validation. Heads: the mean over {len(SEEDS)} seeds.",
        "",
        "AUC within people: the mean over people who did both. *As it goes on*: each impression is judged by what was known",
        "at its moment. This punishes whoever reads that a person has just clicked: of somebody with one click among the",
        "test's impressions, all that follow it aren't clicks, so a probability that rises after a click errs wherever it",
        "can be judged: compare gradient boosting with and without numbers of the person. *Asked once*:",
        "all of a person's impressions of the test as one list, by what was known when the test began. It is what a list is",
        "made from, and the figure to compare by. NDCG@5: over a person's impressions less than an hour apart, where some",
        "were 1 and some 0. 95% intervals, people resampled whole.",
        "",
    ]


def _tables(measured: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    order = (*SIMPLE, *ROWS)
    for target in TARGETS:
        there = [name for name in order if target in measured.get(name, {})]
        one = measured[there[-1]][target]
        lines += [f"## {target}", "", f"{one['people']:,} people with both, {one['requests']:,} groups with both.", ""]
        lines += [f"| | {' | '.join(METRICS.values())} |", "|---" * (1 + len(METRICS)) + "|"]
        lines += [*(_line(name, measured[name][target]) for name in there), ""]
    return lines


def _apart(measured: Mapping[str, Any]) -> list[str]:
    """By how much both memories are above the rest."""
    lines = [
        "## Both memories less each other method",
        "",
        "AUC within people, asked once, person by person: the mean difference and its 95% interval.",
        "",
        f"| | {' | '.join(TARGETS)} |",
        "|---" * (1 + len(TARGETS)) + "|",
    ]
    for name in measured["differences"]["click"]:
        found = [measured["differences"][target][name]["auc_within_still"] for target in TARGETS]
        lines.append(f"| {name} | {' | '.join(f'{mean:+.4f} [{low:+.4f}, {high:+.4f}]' for mean, low, high in found)} |")
    return [*lines, "", *_reach(measured), ""]


def _reach(measured: Mapping[str, Any]) -> list[str]:
    """What so many people can show of clicks."""
    whole, metric = measured[WHOLE]["click"], "auc_within_still"
    low, high = whole["intervals"][metric]
    apart, *ends = measured["differences"]["click"]["gradient boosting"][metric]
    needed = whole["people"] * ((high - low) / apart) ** 2
    half = (ends[1] - ends[0]) / 2
    return [
        f"{whole['people']:,} people with both answers make an interval of ±{(high - low) / 2:.4f}, so the intervals of two",
        f"methods part where they are {high - low:.3f} apart. Person by person a difference is known to ±{half:.4f}. For",
        f"intervals that don't touch at the difference from boosting found here, {apart:+.4f}, it takes {needed:,.0f} people.",
    ]


def _curve(measured: Mapping[str, Any]) -> list[str]:
    return [
        "## Reliability of P(click), on the test part",
        "",
        "| said | came | impressions |",
        "|---|---|---|",
        *(f"| {b['said']:.3f} | {b['came']:.3f} | {b['rows']:,} |" for b in measured["reliability"]),
        "",
    ]


def _stages(measured: Mapping[str, Any]) -> list[str]:
    stages = measured["two stages"]
    lines = [
        "## Two stages",
        "",
        f"What {next(iter(stages.values()))['people']:,} people click after the test begins, asked at its begin, among all",
        "videos they hadn't had: hit@10. `longshort` is around the network beneath and has learned what that learned from;",
        "`transitions` has learned from all before the test. The hundred best are ranked by a head: by its log odds alone, or",
        "by the first stage's score and the log odds, whose weight was chosen on validation. One head has learned from",
        "impressions, one from two items more beside each click, drawn by how often they had been watched. One seed.",
        "",
        "| first stage | alone | a hit among its hundred | head | by the head alone | by both | weight | by both, less alone |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for stage, found in stages.items():
        for learned in ("impressions", "drawn"):
            one, (low, high) = found[learned], found[learned]["difference"]
            lines.append(
                f"| `{stage}` | {found['one_stage']:.4f} | {found['among_candidates']:.4f} | {learned} | {one['alone']:.4f} "
                f"| {one['mixed']:.4f} | {one['weight']} | [{low:+.4f}, {high:+.4f}] |"
            )
    return [*lines, ""]


if __name__ == "__main__":
    main()
