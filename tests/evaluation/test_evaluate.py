"""Evaluation: every model, one split, one rule."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penchant import load_model, prepare, read, save_model
from penchant.evaluation import evaluate, leave_one_out, rolling_origin
from penchant.evaluation.evaluate import in_another_order, measure, summarise
from penchant.models import create
from penchant.models.base import Model
from penchant.sequences import histories
from penchant.testing import log_of
from penchant.types import PenchantError, Split

# Trained on: a a a b b c, one each from six people; asked: who had a and d; and who had b.
TRAIN = [("t1", "a", 1), ("t2", "a", 1), ("t3", "b", 1), ("t4", "b", 1)]
ASKED = [("u", "a", 1), ("u", "c", 2), ("u", "b", 3), ("v", "b", 1), ("v", "a", 2), ("v", "z", 3)]


@pytest.fixture
def split() -> Split:
    """u had a, c: b is next. v had b, a: z, which nobody was trained on, is next. Shares: a 3/6, b 3/6."""
    return leave_one_out(log_of(TRAIN + ASKED))


@pytest.fixture
def popularity(split: Split) -> Model:
    return create("popularity").fit(split.train)


def test_figures_by_hand(split: Split, popularity: Model) -> None:
    found = evaluate({"popularity": popularity}, split, k=1)
    # u: b is the only one left, rank 1. v: z is unknown, a miss; a and b are seen.
    figures = found.models["popularity"]
    for metric in ("recall", "hit", "ndcg", "mrr", "precision", "map", "coverage"):
        assert figures[f"{metric}@1"] == 0.5, metric
    # u is recommended b, v nothing: b was had by three of the six, one bit. One of two items is never shown.
    assert (figures["novelty@1"], figures["diversity@1"], figures["repeat_ratio@1"], figures["gini@1"]) == (0.5, 0, 0, 0.5)
    kept = evaluate({"popularity": popularity}, split, k=2, seen="keep").models["popularity"]
    # u: a and b tie at 1.5.
    assert kept["ndcg@2"] == pytest.approx(1 / math.log2(2.5) / 2)
    assert kept["mrr@2"] == pytest.approx(1 / 1.5 / 2)
    assert kept["coverage@2"] == 1
    assert kept["gini@2"] == 0
    # Both lists are a, b: u had a, v had b and a.
    assert kept["repeat_ratio@2"] == 0.75


def test_facts_say_which_targets_no_model_could_hit() -> None:
    again = [("w", "a", 1), ("w", "b", 2), ("w", "a", 3), ("x", "c", 1), ("x", "a", 2), ("x", "c", 3)]
    cut = leave_one_out(log_of([*TRAIN, *ASKED, *again]))
    facts = evaluate({"p": create("popularity").fit(cut.train)}, cut, k=1).facts
    assert facts == {
        "test_users": 4,
        "newcomers_not_asked": 0,
        "too_few_events_not_asked": 4,
        "targets": 4,
        "targets_never_trained": 1 / 4,
        "targets_already_seen": 2 / 4,
    }


def test_intervals_hold_the_mean_and_follow_the_seed(split: Split) -> None:
    chance = np.random.default_rng(0)
    cut = leave_one_out(log_of([(f"u{n:03}", str(chance.integers(30)), t) for n in range(200) for t in range(4)]))
    models = {"popularity": create("popularity").fit(cut.train)}
    first, again, other = (evaluate(models, cut, k=10, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.intervals != other.intervals
    assert first.models == other.models
    for metric, (low, high) in first.intervals["popularity"].items():
        if metric == "repeat_ratio@10":  # seen items are excluded
            assert low == high == 0
            continue
        mean = first.models["popularity"][metric]
        assert low < mean < high
        # The normal approximation for a mean of 200 values with this spread.
        if metric == "recall@10":
            assert high - low == pytest.approx(2 * 1.96 * math.sqrt(mean * (1 - mean) / len(cut.test)), rel=0.15)
    assert "coverage@10" not in first.intervals["popularity"]


def test_models_are_compared_with_the_same_resamples(split: Split, popularity: Model) -> None:
    found = evaluate({"one": popularity, "two": popularity}, split, k=1)
    assert found.intervals["one"] == found.intervals["two"]


def test_as_json_and_as_a_table(split: Split, popularity: Model) -> None:
    found = evaluate({"popularity": popularity}, split, k=1)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["split"] == "leave-one-out"
    assert (plain["k"], plain["seen"]) == (1, "exclude")
    assert plain["models"]["popularity"]["recall@1"] == 0.5
    assert plain["intervals"]["popularity"]["recall@1"] == [0.0, 1.0]
    lines = str(found).splitlines()
    assert lines[0] == "| model | recall@1 | hit@1 | ndcg@1 | mrr@1 | coverage@1 |"
    assert lines[2] == "| popularity |" + " 0.5000 [0.0000, 1.0000] |" * 4 + " 0.5000 |"
    assert found.to_markdown().splitlines()[0].endswith("| diversity@1 | repeat_ratio@1 | coverage@1 | gini@1 |")


def test_bad_questions_are_refused(split: Split, popularity: Model) -> None:
    with pytest.raises(PenchantError, match="k is 3, but must lie between 1 and 2"):
        evaluate({"popularity": popularity}, split, k=3)
    with pytest.raises(PenchantError, match="'exclude' or to 'keep', not 'drop'"):
        evaluate({"popularity": popularity}, split, seen="drop")
    with pytest.raises(PenchantError, match="seed is -1, but must not be negative"):
        evaluate({"popularity": popularity}, split, seed=-1)
    with pytest.raises(PenchantError, match="no model was named"):
        evaluate({}, split)


def test_a_model_with_another_order_of_items_is_judged_alike(split: Split) -> None:
    turned = replace(split.train, items=type(split.train.items)(tuple(reversed(split.train.items.ids))))
    turned = replace(turned, item=(len(turned.items) - 1 - split.train.item).astype(np.int32))
    models = {"one": create("popularity").fit(split.train), "two": create("popularity").fit(turned)}
    assert models["one"].items.ids != models["two"].items.ids
    found = evaluate(models, split, k=1, seen="keep")
    for metric in ("recall@1", "ndcg@1", "mrr@1"):
        assert found.models["one"][metric] == found.models["two"][metric]


@pytest.mark.data
def test_popularity_on_movielens_has_its_known_figures(shared_data: Path) -> None:
    cut = leave_one_out(prepare(read(shared_data / "ml-100k" / "ml-100k.inter")))
    assert len(cut.test) == 943
    found = evaluate({"popularity": create("popularity").fit(cut.train)}, cut, k=10).models["popularity"]
    assert found["recall@10"] == pytest.approx(0.085, abs=0.003)
    assert found["ndcg@10"] == pytest.approx(0.044, abs=0.003)


def test_the_verdict_names_the_leader_and_who_is_too_close_to_tell(split: Split) -> None:
    result = evaluate(
        {"first": create("popularity").fit(split.train), "same": create("popularity").fit(split.train)}, split, k=1
    )
    assert result.close == ("same",)
    assert result.verdict().startswith("first leads by ndcg@1 (")
    assert result.verdict().endswith("; too close to tell from it: same")


@pytest.fixture(scope="module")
def chain() -> Split:
    """Everyone goes round a circle of twelve items: order tells all, popularity nothing."""
    return leave_one_out(log_of([(f"u{u:02}", f"i{(u + n) % 12:02}", n) for u in range(60) for n in range(7)]))


@pytest.fixture(scope="module")
def lstm(chain: Split) -> Model:
    return create("lstm", width=6, epochs=1).fit(chain.train)


def test_controls_stand_beside_the_models_and_in_the_verdict(chain: Split, lstm: Model) -> None:
    controls = {name: create(name).fit(chain.train) for name in ("markov", "popularity")}
    found = evaluate({"lstm": lstm}, chain, k=3, controls=controls)
    assert list(found.models) == ["lstm"]
    assert list(found.controls) == ["markov", "popularity"]
    assert found.simple == ("markov", "popularity")
    assert found.leader == "markov"
    assert found.controls["markov"]["recall@3"] == 1
    assert found.findings()[0].startswith("a simple method wins: markov (1.0000) is ahead of lstm (")
    assert found.verdict().startswith(found.findings()[0] + "; markov leads by ndcg@3 (1.0000)")
    assert "| markov (control) |" in str(found)
    value = found.to_json()
    assert list(value["models"]) == ["lstm"]
    assert value["verdict"][0] == found.findings()[0]
    assert set(value["intervals"]) == {"lstm", "markov", "popularity"}
    assert set(value["definitions"]) == set(value["models"]["lstm"])
    json.dumps(value, allow_nan=False)


def test_a_simple_method_that_is_as_good_is_said_first() -> None:
    chance = np.random.default_rng(0)
    noise = leave_one_out(log_of([(f"u{u:02}", f"i{chance.integers(12)}", n) for u in range(60) for n in range(5)]))
    lstm, popularity = create("lstm", width=6, epochs=1).fit(noise.train), create("popularity").fit(noise.train)
    found = evaluate({"lstm": lstm, "popularity": popularity}, noise, k=3)
    assert not found.comparisons[0].distinct
    method, best = (f"{name} ({found.models[name]['ndcg@3']:.4f})" for name in ("popularity", "lstm"))
    assert found.findings()[0] == f"a simple method may be as good: {method} is too close to tell from {best}"
    assert not any("simple" in sentence for sentence in evaluate({"lstm": lstm, "twin": lstm}, noise, k=3).findings())


def test_shuffled_histories_tell_whether_order_matters(chain: Split) -> None:
    models = {name: create(name).fit(chain.train) for name in ("markov", "popularity")}
    found = evaluate(models, chain, k=3, shuffle=True)
    markov, popularity = found.shuffled
    assert markov.first == "markov"
    assert markov.difference > 0.5
    assert markov.distinct
    assert popularity.difference == 0
    assert not popularity.distinct
    assert found.findings()[1] == (
        f"the order of events matters to markov (−{markov.difference:.4f}); "
        "no loss beyond the noise by shuffled histories: popularity"
    )
    turned = in_another_order(chain.test.histories, 0)
    assert turned.item.tolist() != chain.test.histories.item.tolist()
    for a, b in zip(chain.test.histories.offsets[:-1], chain.test.histories.offsets[1:], strict=True):
        assert sorted(turned.item[a:b]) == sorted(chain.test.histories.item[a:b])
    assert turned.timestamp is chain.test.histories.timestamp


def test_several_seeds_are_averaged_and_kept(chain: Split) -> None:
    same = [create("lstm", width=6, epochs=1, seed=seed).fit(chain.train) for seed in (1, 2)]
    each = [evaluate({"lstm": model}, chain, k=3) for model in same]
    found = evaluate({"lstm": same}, chain, k=3)
    for metric, value in found.models["lstm"].items():
        alone = [one.models["lstm"][metric] for one in each]
        assert value == pytest.approx(np.mean(alone))
        assert found.seeds["lstm"][metric] == pytest.approx(alone)
    assert each[0].seeds == {}


def test_slices_are_means_over_their_own_targets(chain: Split) -> None:
    model = create("markov").fit(chain.train)
    found = evaluate({"markov": model}, chain, k=3)
    by_length = {part.name: part for part in found.slices if part.family == "item"}
    assert sum(part.targets for part in by_length.values()) == 60
    weighed = sum(part.people * part.models["markov"]["recall@3"] for part in by_length.values()) / 60
    assert weighed == pytest.approx(found.models["markov"]["recall@3"])
    for part in found.slices:
        low, high = part.intervals["markov"]["ndcg@3"]
        assert low <= part.models["markov"]["ndcg@3"] <= high


def test_models_that_choose_from_other_items_do_not_stand_in_one_table(split: Split, popularity: Model) -> None:
    more = create("popularity").fit(split.test.targets)
    with pytest.raises(
        PenchantError, match="more and one can't stand in one table: more knows 1 items that one doesn't, and not 1"
    ):
        evaluate({"one": popularity, "more": more}, split, k=1)
    apart = evaluate({"one": popularity, "more": more}, split, k=1, own_items=True)
    # Each knows the target of one of the two people, and misses the other's.
    assert [apart.models[name]["recall@1"] for name in ("one", "more")] == [0.5, 0.5]


def test_a_split_that_leaks_is_refused(split: Split, popularity: Model) -> None:
    whole = replace(split, test=replace(split.test, histories=split.test.targets))
    with pytest.raises(PenchantError, match="leaks"):
        evaluate({"popularity": popularity}, whole, k=1)


def test_several_splits_make_one_evaluation_and_a_slice_each() -> None:
    log = log_of([(f"u{u}", f"i{(u * 3 + n * n) % 9}", 50 * n + u) for u in range(12) for n in range(20)])
    cuts = rolling_origin(log, 2)
    each = [measure({"markov": create("markov").fit(cut.train)}, cut, k=3) for cut in cuts]
    found = summarise(each, ["markov"], split="rolling", k=3, seen="exclude")
    alone = [summarise([one], ["markov"], split=one.split, k=3, seen="exclude") for one in each]
    people = [len(cut.test) for cut in cuts]
    for metric, value in found.models["markov"].items():
        assert value == pytest.approx(np.average([one.models["markov"][metric] for one in alone], weights=people))
    assert found.facts["test_users"] == len({user for cut in cuts for user in cut.test.histories.users.ids})
    by_split = {part.name: part for part in found.slices if part.family == "split"}
    assert [part.people for part in by_split.values()] == people
    assert by_split["rolling 2 of 2"].models["markov"]["ndcg@3"] == pytest.approx(alone[1].models["markov"]["ndcg@3"])


def test_where_nobody_hits_anything_nobody_leads() -> None:
    cut = leave_one_out(log_of([(f"u{u}", item, n) for u in range(5) for n, item in enumerate(("a", "b", "c", f"new{u}"))]))
    found = evaluate({"popularity": create("popularity").fit(cut.train)}, cut, k=1)
    assert found.findings() == ("no model has a target among its first 1 for anybody",)


def test_the_report_says_that_validation_excludes_seen_items_where_they_are_kept(split: Split, popularity: Model) -> None:
    stopped = "Training stopped, and weights of parts were chosen, by validation with seen items excluded."
    assert evaluate({"popularity": popularity}, split, k=1, seen="keep").notes()[0] == stopped
    assert stopped not in evaluate({"popularity": popularity}, split, k=1).notes()


def test_a_slice_counts_the_folds_too_where_everybody_is_in_it() -> None:
    """Newcomers are only in the last fold: those of before count among whoever was trained on."""
    log = log_of(
        [(f"u{u:02}", f"i{(u * 3 + n * n) % 9}", 50 * n + u) for u in range(12) for n in range(20)]
        + [(f"late{u}", f"i{(u + n) % 9}", 50 * (16.9 + n) + u) for u in range(3) for n in range(4)]
    )
    cuts = rolling_origin(log, 2)
    found = summarise(
        [measure({"markov": create("markov").fit(cut.train)}, cut, k=3, seen="keep") for cut in cuts],
        ["markov"],
        split="rolling",
        k=3,
        seen="keep",
    )
    by_person = {part.name: part.targets for part in found.slices if part.family == "person"}
    assert set(by_person) == {"in training", "new since training"}
    for family in {part.family for part in found.slices}:
        assert sum(part.targets for part in found.slices if part.family == family) == found.facts["targets"], family


def test_a_family_of_one_slice_tells_nothing(split: Split, popularity: Model) -> None:
    assert "kind of event" not in {part.family for part in evaluate({"popularity": popularity}, split, k=1).slices}


def test_of_one_person_nothing_is_sure() -> None:
    cut = leave_one_out(log_of([("u", item, n) for n, item in enumerate("abab")]))
    found = evaluate({"markov": create("markov").fit(cut.train)}, cut, k=2, seen="keep")
    assert found.intervals["markov"]["ndcg@2"] == (0, 1)
    assert "novelty@2" not in found.intervals["markov"]
    assert "[0.0000, 1.0000]" in found.to_markdown()


def test_what_was_never_trained_on_goes_by_what_models_have_learned(split: Split) -> None:
    again = create("popularity").fit(split.before_test)
    one = evaluate({"popularity": create("popularity").fit(split.train)}, split, k=1)
    other = evaluate({"popularity": again}, split, k=1, reading="refit")
    # v's z is in no part, u's c only in the validation part.
    assert (one.facts["targets_never_trained"], other.facts["targets_never_trained"]) == (0.5, 0.5)
    new = leave_one_out(
        log_of([*TRAIN, ("u", "a", 1), ("u", "c", 2), ("u", "d", 3), ("w", "a", 1), ("w", "d", 2), ("w", "c", 3)])
    )
    facts = [
        evaluate({"p": create("popularity").fit(part)}, new, k=1, reading=reading).facts["targets_never_trained"]
        for part, reading in ((new.train, "train-only"), (new.before_test, "refit"))
    ]
    assert facts == [1, 0]


def test_a_model_that_learned_something_else_is_refused(split: Split, popularity: Model, tmp_path: Path) -> None:
    log = log_of(TRAIN + ASKED)
    knows = "all was trained on other events than the split's training part: it may know the answers"
    everything = create("popularity").fit(histories(log))
    with pytest.raises(PenchantError, match=knows):
        evaluate({"all": everything}, split, k=1)
    save_model(everything, tmp_path / "m")
    with pytest.raises(PenchantError, match=knows):
        evaluate({"all": load_model(tmp_path / "m")}, split, k=1)
    with pytest.raises(PenchantError, match="fit it to before_test of this split, or name another reading"):
        evaluate({"popularity": popularity}, split, k=1, reading="refit")
    assert evaluate({"all": everything}, split, k=1, own_items=True).models


def test_what_names_no_model_or_two_is_refused(split: Split, popularity: Model) -> None:
    with pytest.raises(PenchantError, match="lstm has learned nothing yet; fit it first"):
        evaluate({"lstm": create("lstm")}, split, k=1)
    with pytest.raises(PenchantError, match="popularity stands for no model"):
        evaluate({"popularity": []}, split, k=1)
    with pytest.raises(PenchantError, match="popularity names a model and a control"):
        evaluate({"popularity": popularity}, split, k=1, controls={"popularity": popularity})
