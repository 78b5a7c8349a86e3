"""Calibration: 0 for the same mixture, more the more it differs, by hand on a small case."""

import numpy as np

from penchant.evaluation.calibration import ALPHA, miscalibration
from penchant.types import UNKNOWN

MEMBERSHIP = np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5]], np.float32)


def test_it_is_steck_s_divergence_by_hand() -> None:
    found = miscalibration(
        np.array([[0, 1], [0, 2], [2, UNKNOWN]]), np.array([0, 2, 4, 6]), np.array([0, 2, 0, 2, 0, 2]), MEMBERSHIP
    )
    one_sided = [(1 - ALPHA) + ALPHA / 2, ALPHA / 2]
    expected = sum(0.5 * np.log(0.5 / q) for q in one_sided)
    np.testing.assert_allclose(found, [expected, 0, expected], atol=1e-12)


def test_soft_membership_counts_as_its_parts() -> None:
    found = miscalibration(np.array([[3], [3]]), np.array([0, 2, 3]), np.array([0, 2, 0]), MEMBERSHIP)
    assert found[0] == 0
    assert found[1] > 0.5


def test_who_has_nothing_known_has_no_value() -> None:
    found = miscalibration(np.array([[UNKNOWN], [0]]), np.array([0, 1, 2]), np.array([0, UNKNOWN]), MEMBERSHIP)
    assert np.isnan(found).all()
