"""Rows looked up, weighed and summed, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from penchant.models import rows
from penchant.models.rows import Rows, add_rows, lookups, stacked
from penchant.types import UNKNOWN, Float, Int

SIZE = 23


def dense(chance: np.random.Generator) -> Float:
    """A matrix with empty rows and full ones."""
    return np.where(chance.random((SIZE, SIZE)) < chance.random((SIZE, 1)), chance.random((SIZE, SIZE)), 0).astype(np.float32)


def rings(chance: np.random.Generator, people: int, window: int) -> Int:
    """Last items, the newest last; some people have fewer than a window, some none."""
    recent = chance.integers(0, SIZE, (people, window)).astype(np.int32)
    recent[np.arange(window) < window - chance.integers(0, window + 1, (people, 1))] = UNKNOWN
    return recent


def expected(matrix: Float, recent: Int, weight: Float) -> Float:
    whole = np.vstack([matrix, np.zeros((1, SIZE), np.float32)])  # UNKNOWN is the last row
    return np.asarray(np.einsum("nw,nwv->nv", np.broadcast_to(weight, recent.shape), whole[recent]), np.float32)


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("people", [0, 1, 2, rows.PEOPLE_AT_ONCE + 1])
@pytest.mark.parametrize("together", [False, True])
def test_sums_are_those_of_dense_matrices(few: int, people: int, together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FEW", few)
    chance = np.random.default_rng(people)
    matrices = [dense(chance) for _ in range(3)]
    made = [Rows.of(csr_array(matrix)) for matrix in matrices]
    made = stacked(made) if together else made
    for number in (2, 5):
        matrices[1][number] = chance.random(SIZE)
        made[1].exchange(number, np.arange(SIZE), matrices[1][number])
    recent = rings(chance, people, 9)
    weights = [chance.random(window, np.float32) for window in (1, 4, 9)]
    total = np.ones((people, SIZE), np.float32)
    add_rows(total, recent, lookups(list(zip(made, weights, strict=True))))
    found = sum(expected(matrix, recent[:, -len(weight) :], weight) for matrix, weight in zip(matrices, weights, strict=True))
    np.testing.assert_allclose(total, 1 + found, rtol=1e-5)


def test_rows_laid_together_are_the_rows_they_were() -> None:
    chance = np.random.default_rng(0)
    matrices = [dense(chance) for _ in range(3)]
    apart = [Rows.of(csr_array(matrix)) for matrix in matrices]
    for number, each in enumerate(apart):
        each.exchange(number, np.array([7]), np.array([0.5], np.float32))
    for together in (stacked(apart), stacked(stacked(apart)[1:])):
        assert len({id(each.whole) for each in together}) == 1
        for matrix, one, other in zip(matrices[-len(together) :], apart[-len(together) :], together, strict=True):
            np.testing.assert_array_equal(other.matrix().toarray(), matrix)
            for number in range(SIZE):
                for mine, theirs in zip(one.row(number), other.row(number), strict=True):
                    np.testing.assert_array_equal(mine, theirs)
