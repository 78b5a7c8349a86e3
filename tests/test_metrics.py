"""Metrics against a naive reading of their definitions, list by list, and against the library ranx."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from penchant import metrics
from penchant.ranking import target_ranks, top_k
from penchant.types import UNKNOWN

ranks_of_a_case = st.builds(
    lambda places, by, beyond: [place + by for place in places] + [math.inf] * beyond,
    st.lists(st.integers(1, 15), max_size=5, unique=True),
    st.sampled_from([0, 0.5]),
    st.integers(0, 2),
)
ranks_of_cases = st.lists(ranks_of_a_case.filter(bool), min_size=1, max_size=6)


def naive(name: str, ranks: list[float], k: int) -> float:
    within = sorted(rank for rank in ranks if rank <= k)
    match name:
        case "recall":
            return len(within) / len(ranks)
        case "hit":
            return float(bool(within))
        case "ndcg":
            ideal = sum(1 / math.log2(1 + place) for place in range(1, min(len(ranks), k) + 1))
            return sum(1 / math.log2(1 + rank) for rank in within) / ideal
        case "mrr":
            return 1 / within[0] if within else 0.0
        case "precision":
            return len(within) / k
        case "map":
            return sum(place / rank for place, rank in enumerate(within, 1)) / len(ranks)
    raise AssertionError(name)


@pytest.mark.parametrize("name", metrics.METRICS)
@given(cases=ranks_of_cases, k=st.integers(1, 12))
def test_a_metric_is_what_its_definition_says_of_each_case(name: str, cases: list[list[float]], k: int) -> None:
    ranks = np.array([rank for case in cases for rank in case], np.float32)
    case = np.repeat(np.arange(len(cases)), [len(c) for c in cases])
    found = metrics.METRICS[name](ranks, case, len(cases), k)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([naive(name, c, k) for c in cases], rel=1e-6)


def test_figures_by_hand() -> None:
    ranks, case = np.array([1, 4, math.inf], np.float32), np.array([0, 0, 1])
    assert metrics.recall(ranks, case, 2, 3).tolist() == [0.5, 0]
    assert metrics.hit(ranks, case, 2, 3).tolist() == [1, 0]
    assert metrics.mrr(ranks, case, 2, 3).tolist() == [1, 0]
    assert metrics.ndcg(ranks, case, 2, 3).tolist() == pytest.approx([1 / (1 + 1 / math.log2(3)), 0])
    assert metrics.ndcg(ranks, case, 2, 1).tolist() == [1, 0]


def test_a_perfect_list_has_the_ndcg_1_for_any_number_of_targets() -> None:
    for targets in (1, 3, 20):
        ranks, case = np.arange(1, targets + 1, dtype=np.float32), np.zeros(targets, np.int64)
        assert metrics.ndcg(ranks, case, 1, 10).tolist() == pytest.approx([1])


@given(cases=ranks_of_cases, k=st.integers(1, 12))
def test_no_metric_of_ranks_leaves_0_to_1(cases: list[list[float]], k: int) -> None:
    ranks = np.array([rank for case in cases for rank in case], np.float32)
    case = np.repeat(np.arange(len(cases)), [len(c) for c in cases])
    for name, metric in metrics.METRICS.items():
        found = metric(ranks, case, len(cases), k)
        assert ((found >= 0) & (found <= 1 + 1e-12)).all(), name


@pytest.fixture(scope="module")
def ranx() -> Any:
    """The library, as plain Python: compiling it takes longer than all these tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("NUMBA_DISABLE_JIT", "1")
        import ranx

        return ranx


def test_ranks_become_what_ranx_makes_of_the_lists(ranx: Any) -> None:
    chance = np.random.default_rng(3)
    people, items = 40, 30
    scores = chance.permuted(np.tile(np.arange(items, dtype=np.float32), (people, 1)), axis=1)
    wanted = [chance.choice(items + 2, size=chance.integers(1, 8), replace=False) for _ in range(people)]
    target = np.concatenate([np.where(w < items, w, UNKNOWN) for w in wanted])
    case = np.repeat(np.arange(people), [len(w) for w in wanted])
    truth = ranx.Qrels({f"u{u:02}": {f"i{i}": 1 for i in w} for u, w in enumerate(wanted)})
    lists = ranx.Run({f"u{u:02}": {f"i{i}": float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)})
    theirs = {"recall": "recall", "hit": "hit_rate", "ndcg": "ndcg", "mrr": "mrr", "precision": "precision", "map": "map"}
    assert theirs.keys() == metrics.METRICS.keys()
    for k in (1, 5, 10):
        found = ranx.evaluate(truth, lists, [f"{name}@{k}" for name in theirs.values()], return_mean=False)
        ranks = target_ranks(scores, case, target, top_k(scores, k)[1])
        for name, metric in metrics.METRICS.items():
            mine = metric(ranks, case, people, k)
            assert mine.tolist() == pytest.approx(found[f"{theirs[name]}@{k}"].tolist(), rel=1e-6), (name, k)


lists_of_people = st.integers(1, 5).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(0, 7), min_size=0, max_size=k, unique=True).map(lambda row: row + [UNKNOWN] * (k - len(row))),
        min_size=1,
        max_size=6,
    )
)


@given(lists=lists_of_people, seed=st.integers(0, 9))
def test_diversity_and_novelty_are_what_they_say_of_each_list(lists: list[list[int]], seed: int) -> None:
    chance = np.random.default_rng(seed)
    dense = chance.random((8, 5)) * (chance.random((8, 5)) < 0.5)
    dense /= np.maximum(np.sqrt((dense**2).sum(axis=1, keepdims=True)), 1e-12)
    share = chance.uniform(0.01, 1, 8)
    diverse = metrics.diversity(np.array(lists), csr_array(dense))
    novel = metrics.novelty(np.array(lists), share)
    for row, items in enumerate(lists):
        known = [item for item in items if item != UNKNOWN]
        pairs = [1 - dense[a] @ dense[b] for a, b in combinations(known, 2)]
        assert diverse[row] == pytest.approx(np.mean(pairs) if pairs else 0, abs=1e-6)
        assert novel[row] == pytest.approx(-np.mean(np.log2(share[known])) if known else 0)


@pytest.mark.parametrize("way", ["_from_sums", "_from_products"])
@pytest.mark.parametrize("at_once", [10, 300, 1 << 21])
def test_many_lists_are_compared_some_at_a_time(monkeypatch: pytest.MonkeyPatch, way: str, at_once: int) -> None:
    chance = np.random.default_rng(0)
    dense = (chance.random((40, 200)) * (chance.random((40, 200)) < 0.3)).astype(np.float32)
    # Few short lists are cheaper to sum, many people's lists of the same items to compare item by item.
    lists = np.array([chance.permutation(40)[:6] for _ in range(3 if way == "_from_sums" else 2000)])
    first, second = np.triu_indices(6, 1)
    products = dense @ dense.T
    expected = [1 - np.mean(products[row[first], row[second]]) for row in lists]
    monkeypatch.setattr(metrics, "CELLS_AT_ONCE", at_once)
    monkeypatch.delattr(metrics, {"_from_sums": "_from_products", "_from_products": "_from_sums"}[way])
    assert metrics.diversity(lists, csr_array(dense)) == pytest.approx(expected, rel=1e-4)


def test_repeats_by_hand() -> None:
    lists = np.array([[0, 1, 2], [3, UNKNOWN, UNKNOWN], [UNKNOWN] * 3])
    offsets, had = np.array([0, 3, 5, 6]), np.array([1, 1, UNKNOWN, 0, 9, UNKNOWN])
    assert metrics.repeat_ratio(lists, offsets, had).tolist() == pytest.approx([1 / 3, 0, 0])


def test_gini_by_hand() -> None:
    assert metrics.gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert metrics.gini(np.array([[0], [0], [0]]), 4) == pytest.approx(3 / 4)
    assert metrics.gini(np.array([[0, 0, 1, UNKNOWN]]), 2) == pytest.approx((1 / 3 + 2 * 2 / 3) * 2 / 2 - 3 / 2)
    assert metrics.gini(np.full((2, 2), UNKNOWN), 4) == 0


def test_every_metric_is_defined_in_words() -> None:
    assert metrics.definition("precision@10") == "Targets within the first k, over k, however short the list."
    for name in (*metrics.METRICS, *metrics.LISTS):
        assert len(metrics.definition(name)) > 30


def test_coverage_counts_distinct_items_and_not_the_gaps() -> None:
    assert metrics.coverage(np.array([[0, 1, -1], [1, 2, -1]]), 6) == 0.5
    assert metrics.coverage(np.zeros((0, 3), np.int32), 6) == 0


MEMBERSHIP = csr_array(np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5], [0, 0]], np.float32))


def miscalibration(recommended: list[list[int]], histories: list[list[int]]) -> list[float]:
    offsets = np.cumsum([0, *map(len, histories)])
    mixture = metrics.mixtures(offsets, np.concatenate(histories).astype(int), MEMBERSHIP)
    return list(metrics.miscalibration(np.array(recommended), mixture, MEMBERSHIP))


def test_miscalibration_is_steck_s_divergence_by_hand() -> None:
    alpha = metrics.ALPHA
    one_sided = sum(0.5 * np.log(0.5 / q) for q in ((1 - alpha) + alpha / 2, alpha / 2))
    # The same kinds; one of two; soft membership counts as its parts; items of no kind, and unknown ones, are passed over.
    found = miscalibration([[0, 2], [0, 1], [3, 3], [0, UNKNOWN]], [[0, 2], [0, 2], [0, 2, 4, UNKNOWN], [1, 4]])
    assert found == pytest.approx([0, one_sided, 0, 0], abs=1e-12)


def test_miscalibration_without_a_list_is_the_most_and_without_a_history_nothing() -> None:
    most = np.log(1 / metrics.ALPHA)
    found = miscalibration([[UNKNOWN, UNKNOWN], [4, 4], [2, 2], [0, 1]], [[0], [0, 2], [0], [4, UNKNOWN]])
    assert found == pytest.approx([most, most, most, 0])
