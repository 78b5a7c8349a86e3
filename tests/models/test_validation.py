"""Asking a model: unknown targets are misses, seen items stay out, ties stand at their expected place."""

import math

import numpy as np
import pytest

from penchant import metrics
from penchant import sequences as seq
from penchant.models import create, validation
from penchant.models.validation import ask, some_cases, validate
from penchant.testing import log_of
from penchant.types import UNKNOWN, Array, Cases, Interactions, PenchantError

# Shares: a 4/8, b 2/8, c 1/8, d 1/8.
TRAIN = log_of([("t", item, n) for n, item in enumerate("aaaabbcd")])


def cases_of(log: Interactions, keep: Array, targets: list[list[str]]) -> Cases:
    """After the events to ``keep``, each person of ``log`` wants some items."""
    histories = seq.histories(log, keep)
    wanted = log_of(
        [(user, item, n) for user, items in zip(log.users.ids, targets, strict=True) for n, item in enumerate(items)]
    )
    answers = seq.recode(seq.histories(wanted), log.items)
    return Cases(histories, np.zeros(len(histories), np.int64), answers)


@pytest.fixture
def cases() -> Cases:
    """ann had a, wants b and a; bob had nothing known, wants the unknown z and c; cid had b, c, wants d."""
    log = log_of([("ann", "a", 1), ("bob", "z", 1), ("cid", "b", 1), ("cid", "c", 2), ("cid", "d", 3)])
    return cases_of(log, log.timestamp < 3_000_000, [["b", "a"], ["z", "c"], ["d"]])


def test_ranks_and_lists_by_hand(cases: Cases) -> None:
    model = create("popularity").fit(seq.histories(TRAIN))
    found = ask(model, cases, 2, exclude_seen=True)
    # ann: b first of b, (c, d); a is seen. bob: z unknown, c ties with d behind a and b, beyond 2. cid: a, d are left.
    assert found.ranks.tolist() == [1, math.inf, math.inf, math.inf, 2]
    assert found.case.tolist() == [0, 0, 1, 1, 2]
    assert [[model.items.ids[i] for i in row] for row in found.recommended] == [["b", "c"], ["a", "b"], ["a", "d"]]
    assert found.per_case(metrics.recall, 2).tolist() == [0.5, 0, 1]
    kept = ask(model, cases, 2, exclude_seen=False)
    assert kept.ranks.tolist() == [2, 1, math.inf, math.inf, math.inf]
    assert ask(model, cases, 4, exclude_seen=False).ranks.tolist() == [2, 1, math.inf, 3.5, 3.5]


def test_answers_do_not_depend_on_how_many_are_asked_at_once(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    model = create("lstm", width=4, epochs=1).fit(seq.histories(TRAIN))
    together = ask(model, cases, 3, exclude_seen=True)
    monkeypatch.setattr(validation, "SCORES_AT_ONCE", 4)
    apart = ask(model, cases, 3, exclude_seen=True)
    assert together.ranks.tolist() == apart.ranks.tolist()
    assert together.recommended.tolist() == apart.recommended.tolist()


def test_validation_is_the_mean_over_cases_with_seen_items_excluded(cases: Cases) -> None:
    model = create("popularity").fit(seq.histories(TRAIN))
    ann = 1 / (1 + 1 / math.log2(3))
    bob = 1 / math.log2(4.5) / (1 + 1 / math.log2(3))
    cid = 1 / math.log2(3)
    assert validate(model, cases) == pytest.approx({"ndcg@10": (ann + bob + cid) / 3, "recall@10": (0.5 + 0.5 + 1) / 3})


def test_a_list_longer_than_the_catalogue_is_refused(cases: Cases) -> None:
    model = create("popularity").fit(seq.histories(TRAIN))
    with pytest.raises(PenchantError, match="k is 5, but must lie between 1 and 4"):
        ask(model, cases, 5, exclude_seen=True)


def test_someone_who_had_everything_gets_an_empty_list() -> None:
    log = log_of([("u", item, n) for n, item in enumerate("abcd")])
    model = create("popularity").fit(seq.histories(TRAIN))
    found = ask(model, cases_of(log, np.ones(4, bool), [["a"]]), 4, exclude_seen=True)
    assert found.recommended.tolist() == [[UNKNOWN] * 4]
    assert found.ranks.tolist() == [math.inf]


def test_a_model_that_scores_all_alike_gains_nothing_by_the_order_of_its_catalogue() -> None:
    train = log_of([("t", f"{n:03}", n) for n in range(100)])
    model = create("popularity").fit(seq.histories(train))
    log = log_of([(f"u{n}", f"{n:03}", 0) for n in range(100)])
    cases = cases_of(log, np.zeros(100, bool), [[f"{n:03}"] for n in range(100)])
    assert ask(model, cases, 51, exclude_seen=True).ranks.tolist() == [50.5] * 100
    assert ask(model, cases, 10, exclude_seen=True).ranks.tolist() == [math.inf] * 100
    assert validate(model, cases)["recall@10"] == 0


def test_few_cases_are_chosen_evenly_with_their_own_answers(cases: Cases) -> None:
    assert some_cases(cases, 3) is cases
    few = some_cases(cases, 2)
    assert few.histories.users.ids == ("ann", "cid")
    assert few.target.tolist() == [cases.target[place] for place in (0, 1, 4)]
