"""Metrics against a naive reading of their definitions, list by list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import metrics

ranks_of_cases = st.lists(
    st.lists(st.one_of(st.integers(1, 15), st.just(math.inf), st.sampled_from([1.5, 2.5, 10.5])), min_size=1, max_size=6),
    min_size=1,
    max_size=6,
)


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


def test_coverage_counts_distinct_items_and_not_the_gaps() -> None:
    assert metrics.coverage(np.array([[0, 1, -1], [1, 2, -1]]), 6) == 0.5
    assert metrics.coverage(np.zeros((0, 3), np.int32), 6) == 0
