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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.machine import DATA, RESULTS, facts
from penchant import artifact, binary, workflow
from penchant import sequences as seq
from penchant.candidates import split
from penchant.data import dataset
from penchant.data.clean import PrepareConfig
from penchant.data.impressions import read_impressions
from penchant.models import create
from penchant.models.interest import Interest, InterestSettings
from penchant.models.neural.interest_training import train_head
from penchant.types import Array, Impressions, Interactions, Monitor, Vocabulary

FILE, PAGE = RESULTS / "rank.json", Path(__file__).parent.parent / "docs" / "rank.md"
SOURCE = DATA / "kuairand-pure"
CONTENT = ["author", "tag", "music", "upload", "kind", "length"]
CONTEXT = ["tab", "age"]
TARGETS = ("click", "long_view", "like")
BASE = {"width": 64, "batch_events": 1024, "epochs": 4, "patience": 2}
ABLATIONS: dict[str, dict[str, Any]] = {
    "interest, both memories": {},
    "interest, short only": {"long": False},
    "interest, long only": {"short": False},
    "interest, no history": {"short": False, "long": False},
}
METRICS = {
    "auc": "AUC",
    "auc_within": "AUC within people",
    "auc_within_still": "still",
    "logloss": "log loss",
    "calibration_error": "calibration error",
    "ndcg@5": "NDCG@5",
}
RESAMPLES = 300
HOUR = 3600 * 1_000_000
TOP = 5
CANDIDATES, SHOWN = 100, 10


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


# What is known by hand.


def counts_before(key: Array, label: Array, moment: Array, asked: Array) -> Array:
    """Of each row, ``[N, 2]``: the labels and rows of its key at moments earlier than ``asked[N]``."""
    moments, rank = np.unique(np.concatenate([moment, asked]), return_inverse=True)
    kinds = np.unique(key, return_inverse=True)[1].astype(np.int64) * len(moments)
    had, wanted = kinds + rank[: len(key)], kinds + rank[len(key) :]
    order = np.argsort(had, kind="stable")
    start, end = np.searchsorted(had[order], kinds), np.searchsorted(had[order], wanted)
    total = np.concatenate([[0.0], np.cumsum(label[order].astype(float))])
    return np.stack([total[end] - total[start], end - start], axis=1)


def by_hand(log: Interactions, shown: Impressions, until: int) -> tuple[Array, Array]:
    """Numbers ``[N, …]`` and kinds ``[N, …]`` that were known when each item was shown, and at ``until``."""
    items = pl.read_parquet(SOURCE / "item_features.parquet").sort("video_id")
    place = Vocabulary(tuple(str(v) for v in items["video_id"].to_list())).codes(log.items.ids)
    code = {
        c: np.unique(items[c].cast(pl.String).fill_null("").to_numpy().astype(str), return_inverse=True)[1][place]
        for c in ("tag", "author_id", "music_id", "upload_type", "video_type")
    }
    item, user, moment = shown.item, shown.user.astype(np.int64), shown.timestamp
    tab = np.array([int(v) for v in shown.context["tab"]])
    hour = (moment // HOUR) % 24
    keys = {
        "item": item, "user": user, "user, tab": user * 100 + tab, "user, tag": user * 1000 + code["tag"][item],
        "user, author": user * 10_000 + code["author_id"][item], "author": code["author_id"][item], "tag": code["tag"][item],
    }  # fmt: skip
    numbers = []
    for key in keys.values():
        for target in ("click", "long_view"):
            had, seen = counts_before(key, shown.labels[target], moment, np.minimum(moment, until)).T
            numbers += [had, seen, (had + 1) / (seen + 3)]
    # Of the histories before: how much the person and everybody watched of the same item, tag, author.
    past = np.array([kind.startswith("watched") for kind in log.event_types])[log.event_type]
    long = np.array([kind in ("watched_long", "watched_liked") for kind in log.event_types])[log.event_type]
    for some in (past, past & long):
        numbers.append(np.bincount(log.item[some], minlength=len(log.items))[item])
        for values in (np.zeros(len(log.items), np.int64), np.arange(len(log.items)), code["tag"], code["author_id"]):
            width = int(values.max()) + 1
            had = np.sort(log.user[some].astype(np.int64) * width + values[log.item[some]])
            asked = user * width + values[item]
            numbers.append(np.searchsorted(had, asked, side="right") - np.searchsorted(had, asked, side="left"))
    duration = items["video_duration"].fill_null(0).to_numpy()[place][item]
    age = np.array([int(v) for v in shown.context["age"]])
    kinds = [tab, hour, code["tag"][item], code["upload_type"][item], code["video_type"][item]]
    return np.stack([*numbers, duration, age], axis=1).astype(float), np.stack(kinds, axis=1)


def simple_methods(log: Interactions, shown: Impressions, part: Array) -> dict[str, Callable[[str], tuple[Array, Array]]]:
    """What each says of the test rows, by target, and what it says by what was known when the test began."""
    numbers, kinds = by_hand(log, shown, int(shown.timestamp.max()))
    still = by_hand(log, shown, int(shown.timestamp[part == 2].min()))[0]
    learned, held = part == 0, part == 2

    def popularity(target: str) -> tuple[Array, Array]:
        label, hour = shown.labels[target][learned], (shown.timestamp // (6 * HOUR)) % 4
        rate = np.bincount(shown.item[learned], label, len(log.items)) + 5 * label.mean()
        rate /= np.bincount(shown.item[learned], minlength=len(log.items)) + 5
        key = shown.item.astype(np.int64) * 4 + hour
        had = np.bincount(key[learned], label, 4 * len(log.items))
        seen = np.bincount(key[learned], minlength=4 * len(log.items))
        said = np.asarray((had[key] + 5 * rate[shown.item])[held] / (seen[key] + 5)[held])
        return said, said

    def logistic(target: str) -> tuple[Array, Array]:
        encode = OneHotEncoder(handle_unknown="ignore", min_frequency=20, sparse_output=False).fit(kinds[learned])
        scale = StandardScaler().fit(_logarithm(numbers[learned]))
        x, then = (np.hstack([scale.transform(_logarithm(n)), encode.transform(kinds)]) for n in (numbers, still))
        model = LogisticRegression(max_iter=300).fit(x[learned], shown.labels[target][learned])
        return model.predict_proba(x[held])[:, 1], model.predict_proba(then[held])[:, 1]

    def boosting(target: str) -> tuple[Array, Array]:
        x, then = (np.hstack([n, kinds]) for n in (numbers, still))
        model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.05, min_samples_leaf=50, random_state=0)
        model.fit(x[learned], shown.labels[target][learned])
        return model.predict_proba(x[held])[:, 1], model.predict_proba(then[held])[:, 1]

    return {"popularity by hour": popularity, "logistic regression": logistic, "gradient boosting": boosting}


def _logarithm(numbers: Array) -> Array:
    return np.asarray(np.sign(numbers) * np.log1p(np.abs(numbers)))


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


def judge(p: Array, still: Array, test: Impressions, target: str) -> dict[str, Any]:
    """The figures with 95% intervals, people resampled whole; ``still`` is what is said by what the test's begin knew."""
    label, people = test.labels[target], np.unique(test.user, return_inverse=True)[1]
    pause = np.diff(test.timestamp, prepend=test.timestamp[:1])
    request = np.cumsum((np.diff(test.user, prepend=-1) != 0) | (pause > HOUR))
    within, who = binary.auc_within(p, label, people)
    standing = binary.auc_within(still, label, people)[0]
    gains, first = ndcg(p, label, request)
    order = np.argsort(p, kind="stable")
    drawn: dict[str, list[float]] = {name: [] for name in ("auc", "auc_within", "auc_within_still", "logloss", "ndcg@5")}
    chance = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        weight = np.bincount(chance.integers(people.max() + 1, size=people.max() + 1), minlength=people.max() + 1).astype(float)
        rows = weight[people]
        drawn["auc"].append(binary.auc(p[order], label[order], rows[order]))
        drawn["auc_within"].append(float(np.average(within, weights=weight[who])))
        drawn["auc_within_still"].append(float(np.average(standing, weights=weight[who])))
        drawn["logloss"].append(binary.logloss(p, label, rows))
        drawn["ndcg@5"].append(float(np.average(gains, weights=weight[people[first]])))
    values = {
        "auc": binary.auc(p, label),
        "auc_within": float(within.mean()),
        "auc_within_still": float(standing.mean()),
        "logloss": binary.logloss(p, label),
        "ndcg@5": float(gains.mean()),
        "calibration_error": binary.calibration_error(p, label),
    }
    intervals = {name: np.percentile(values_, [2.5, 97.5]).tolist() for name, values_ in drawn.items()}
    return {"values": values, "intervals": intervals, "people": len(within), "requests": len(gains)}


def learn_head(
    log: Interactions, parts: tuple[Impressions, ...], base: Path, settings: Mapping[str, Any]
) -> tuple[Interest, Array]:
    """A head and its logits on the test part."""
    model = Interest(InterestSettings.parse(settings))
    model.take_base(artifact.load(base), log.items, log.event_types)
    said = train_head(model, seq.histories(log), parts[0], parts[1], [parts[2]], log.content, Monitor(say))
    return model, said[1]


def standing_still(model: Interest, log: Interactions, test: Impressions) -> Array:
    """Logits on the test part ``[N, targets]`` if nothing were read of people after the test's begin."""
    before = seq.histories(log, log.timestamp < test.timestamp.min())
    people, place = np.unique(test.user, return_inverse=True)
    states = model.encode(seq.of_users(before, [test.users[int(user)] for user in people]))
    codes = {name: values[:, None] for name, values in model.codes(test.context).items()}
    return model.logits(states[place], test.timestamp, test.item[:, None], codes)[:, 0]


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


def two_stages(model: Interest, log: Interactions, parts: tuple[Impressions, ...]) -> dict[str, Any]:
    """Hit rates at 10 of what people click after the test's begin: transitions alone, and their 100 best ranked by the head.

    The second stage adds its log odds, times a weight chosen on the validation part, to the first stage's score.
    """
    weights = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, np.inf)
    found: dict[str, Any] = {}
    for name, part in (("valid", parts[1]), ("test", parts[2])):
        now = int(part.timestamp.min())
        clicked = part.take(np.flatnonzero(part.labels["click"] == 1))
        before = seq.histories(log, log.timestamp < now)
        asked = np.array([u for u in np.unique(clicked.user) if u < len(before) and before.lengths[u]])[:4000]
        first = create("transitions").fit(before)
        some = seq.select(before, asked)
        moment = np.full(len(asked), now)
        scores = first.score(first.encode(some), moment)
        top = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES]
        item = first.items.translation(log.items)[top]
        one = np.take_along_axis(scores, top, axis=1)
        slope, offset = model.calibration
        two = model.logits(model.encode(some), moment, item)[:, :, 0] * slope[0] + offset[0]
        wanted = np.zeros((len(log.users) + 1, len(log.items)), bool)
        wanted[np.minimum(clicked.user, len(log.users)), clicked.item] = True
        hits = {}
        for weight in weights:
            mixed = two if weight == np.inf else one + weight * two
            best = np.argsort(-mixed, axis=1, kind="stable")[:, :SHOWN]
            hits[str(weight)] = wanted[asked[:, None], np.take_along_axis(item, best, axis=1)].any(axis=1)
        if name == "valid":
            chosen = max(hits, key=lambda w: hits[w].mean())
        else:
            low, high = (np.percentile(_means(hits[chosen].astype(float) - hits["0.0"]), q) for q in (2.5, 97.5))
            found = {
                "people": len(asked),
                "weight": chosen,
                "one_stage_hit@10": float(hits["0.0"].mean()),
                "two_stages_hit@10": float(hits[chosen].mean()),
                "head_alone_hit@10": float(hits["inf"].mean()),
                "difference": [float(low), float(high)],
            }
    return found


def _means(values: Array) -> Array:
    chance = np.random.default_rng(0)
    return np.array([values[chance.integers(len(values), size=len(values))].mean() for _ in range(1000)])


def measure_head(name: str, log: Interactions, parts: tuple[Impressions, ...], base: Path, measured: dict[str, Any]) -> None:
    """A head, unless it is measured already; of the whole one its calibration, speed and use as a second stage too."""
    if name in measured:
        return
    model, logits = learn_head(log, parts, base, ABLATIONS[name])
    live, still = (_probabilities(model, said) for said in (logits, standing_still(model, log, parts[2])))
    measured[name] = {t: judge(live[t], still[t], parts[2], t) for t in TARGETS} | {"epochs": model.history}
    if not ABLATIONS[name] and "two stages" not in measured:
        measured["reliability"] = binary.reliability(live["click"], parts[2].labels["click"])
        measured["speed"] = speed(model, log)
        measured["two stages"] = two_stages(model, log, parts)
    _write(measured)


def measure_simple(log: Interactions, shown: Impressions, part: Array, test: Impressions, measured: dict[str, Any]) -> None:
    """The simple methods that aren't measured yet, target by target."""
    if all(target in measured.get("gradient boosting", {}) for target in TARGETS):
        return
    methods = simple_methods(log, shown, part)
    for target in TARGETS:
        for name, method in methods.items():
            if target not in measured.setdefault(name, {}):
                measured[name][target] = judge(*method(target), test, target)
                _write(measured)


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
        part = np.searchsorted([p.timestamp.min() for p in parts[1:]], shown.timestamp, side="right")
        measured = _read()
        measured["impressions"] = {n: len(p) for n, p in zip(("train", "valid", "test"), parts, strict=True)}
        first, *others = ABLATIONS
        measure_head(first, log, parts, work / "base", measured)
        measure_simple(log, shown, part, parts[2], measured)
        for name in others:
            measure_head(name, log, parts, work / "base", measured)
    write_page(_read())


def _read() -> dict[str, Any]:
    return json.loads(FILE.read_text())["measured"] if FILE.exists() else {}


def _write(measured: dict[str, Any]) -> None:
    FILE.write_text(json.dumps({"machine": facts(), "measured": measured}, indent=1) + "\n")
    print(*[(n, v["click"]["values"]) for n, v in measured.items() if "click" in v], sep="\n", flush=True)


def _line(name: str, found: dict[str, Any], metrics: list[str]) -> str:
    cells = []
    for metric in metrics:
        low, high = found["intervals"].get(metric, (None, None))
        cells.append(f"{found['values'][metric]:.4f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]"))
    return f"| {name} | {' | '.join(cells)} |"


def write_page(measured: dict[str, Any]) -> None:
    """docs/rank.md."""
    count = measured["impressions"]
    lines = [
        "# Will this person like this item?",
        "",
        "Made by `python -m benchmarks.rank` from `benchmarks/results/rank.json`. KuaiRand-Pure: two weeks of impressions",
        f"of short videos, by time: the first {count['train']:,} are learned from, the next {count['valid']:,} choose the",
        f"epoch and calibrate, the last {count['test']:,} are reported on. All methods know only what was known when a video",
        "was shown; the item statistics of the data set are totals over the whole period, which the leak check refuses.",
        "Gradient boosting and logistic regression read hand-made numbers (counts of clicks and long views of the item,",
        "author, tag, person, person and tab, tag or author up to that moment, what the person and everybody had watched",
        "before, duration, age) and five kinds (tab, hour, tag, upload type, video type); their numbers go on counting",
        "during the test, as they would live, while the heads' weights stay. One seed.",
        "",
        "AUC within people: the mean over people who did both. NDCG@5: over a person's impressions less than an hour apart,",
        "where some were 1 and some 0. 95% intervals, people resampled whole.",
        "",
    ]
    names = ["popularity by hour", "logistic regression", "gradient boosting", *reversed(ABLATIONS)]
    shown = [m for m in METRICS if all(m in v["click"]["values"] for v in measured.values() if "click" in v)]
    if "auc_within_still" in shown:
        lines += ["*Still*: AUC within people if what is known of them had stood still when the test began.", ""]
    for target in TARGETS:
        there = [name for name in names if target in measured.get(name, {})]
        one = measured[there[-1]][target]
        lines += [f"## {target}", "", f"{one['people']:,} people with both, {one['requests']:,} groups with both.", ""]
        lines += [f"| | {' | '.join(METRICS[m] for m in shown)} |", "|---" * (1 + len(shown)) + "|"]
        lines += [_line(name, measured[name][target], shown) for name in there]
        lines.append("")
    two, rate = measured["two stages"], measured["speed"]
    fast = np.mean([epoch["impressions_per_cpu_second"] for epoch in measured["interest, both memories"]["epochs"]])
    low, high = two["difference"]
    lines += [
        "## Reliability of P(click), on the test part",
        "",
        "| said | came | impressions |",
        "|---|---|---|",
        *(f"| {b['said']:.3f} | {b['came']:.3f} | {b['rows']:,} |" for b in measured["reliability"]),
        "",
        "## Two stages",
        "",
        f"What {two['people']:,} people click after the test begins, asked at its begin, among all videos.",
        "",
        "| | hit@10 |",
        "|---|---|",
        f"| `transitions` alone | {two['one_stage_hit@10']:.4f} |",
        f"| its hundred best, ranked by the head alone | {two['head_alone_hit@10']:.4f} |",
        f"| its hundred best, by its score + {two['weight']} × the head's log odds | {two['two_stages_hit@10']:.4f} |",
        "",
        f"The weight was chosen on validation; the last line less the first: [{low:.4f}, {high:.4f}].",
        "",
        "## Speed",
        "",
        f"500 candidates for one person, NumPy, one thread: {rate['p50_ms']:.2f} ms at the median, {rate['p99_ms']:.2f} ms at",
        f"the 99th percentile. Training at width 64: {fast:,.0f} impressions per CPU-second, the reading of histories by the",
        "model beneath aside.",
        "",
    ]
    PAGE.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
