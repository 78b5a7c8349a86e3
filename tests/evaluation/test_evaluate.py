"""Evaluation: every model, one split, one rule."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penchant import prepare, read
from penchant.evaluation import evaluate, leave_one_out
from penchant.evaluation.evaluate import _close
from penchant.models import create
from penchant.models.base import Model
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
    assert found.models["popularity"] == {"recall@1": 0.5, "hit@1": 0.5, "ndcg@1": 0.5, "mrr@1": 0.5, "coverage@1": 0.5}
    kept = evaluate({"popularity": popularity}, split, k=2, seen="keep").models["popularity"]
    # u: a and b tie at 1.5.
    assert kept["ndcg@2"] == pytest.approx(1 / math.log2(2.5) / 2)
    assert kept["mrr@2"] == pytest.approx(1 / 1.5 / 2)
    assert kept["coverage@2"] == 1


def test_facts_say_which_targets_no_model_could_hit() -> None:
    again = [("w", "a", 1), ("w", "b", 2), ("w", "a", 3), ("x", "c", 1), ("x", "a", 2), ("x", "c", 3)]
    cut = leave_one_out(log_of([*TRAIN, *ASKED, *again]))
    facts = evaluate({"p": create("popularity").fit(cut.train)}, cut, k=1).facts
    assert facts == {
        "test_users": 4,
        "newcomers_not_asked": 0,
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


def test_differences_are_resampled_person_by_person() -> None:
    easy_or_hard = np.tile([0.0, 1.0], 50)
    values = {"leader": easy_or_hard + 0.1, "steadily_below": easy_or_hard, "at_random": 1.0 - easy_or_hard}
    assert _close(values, "leader", np.random.default_rng(0)) == ("at_random",)
