"""Metrics of the yes/no question, beside scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from penchant import binary
from penchant.types import Array

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(1, 3)), min_size=2, max_size=30)


@given(ROWS)
def test_all_metrics_are_scikit_learns_with_ties_and_weights(rows: list[tuple[int, int, int]]) -> None:
    eighths, label, weight = (np.array(column) for column in zip(*rows, strict=True))
    p = eighths / 8
    found = binary.measure(p, label, weight.astype(float))
    called = p >= 0.5
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(label, called, sample_weight=weight))
    for name, theirs in (("recall", sk.recall_score), ("precision", sk.precision_score), ("f1", sk.f1_score)):
        assert found[name] == pytest.approx(theirs(label, called, sample_weight=weight, zero_division=0))
    clipped = np.clip(p, binary.LEAST, 1 - binary.LEAST)
    assert found["logloss"] == pytest.approx(sk.log_loss(label, clipped, sample_weight=weight, labels=[0, 1]))
    if len(set(label)) == 2:
        assert found["auc"] == pytest.approx(sk.roc_auc_score(label, p, sample_weight=weight))
    else:
        assert math.isnan(found["auc"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40))
def test_auc_within_groups_is_the_auc_of_each_group(rows: list[tuple[int, int, int]]) -> None:
    p, label, group = (np.array(column) for column in zip(*rows, strict=True))
    found, groups = binary.auc_within(p, label, group)
    both = [g for g in np.unique(group) if 0 < label[group == g].mean() < 1]
    assert groups.tolist() == both
    assert found.tolist() == pytest.approx([binary.auc(p[group == g], label[group == g]) for g in both])


def answers(n: int = 400) -> tuple[Array, Array, Array]:
    """Probabilities that are right, what came, and probabilities that know nothing."""
    chance = np.random.default_rng(1)
    p = chance.random(n)
    return p, (chance.random(n) < p).astype(np.int64), chance.random(n)


def test_intervals_hold_the_value_and_differences_tell_good_from_bad() -> None:
    p, label, noise = answers()
    values, intervals, above = binary.compare({"good": p, "noise": noise, "again": p}, label, seed=3)
    for name, measured in values.items():
        assert all(intervals[name][m][0] <= value <= intervals[name][m][1] for m, value in measured.items())
    assert above["noise"]["auc"][1] < 0
    assert above["again"]["auc"] == (0, 0)
    assert binary.compare({"good": p}, label, seed=3)[1]["good"] == intervals["good"]


def test_groups_are_resampled_whole() -> None:
    p, label, _ = answers()
    group = np.arange(len(label)) // 40
    weight = binary.resampled(len(label), group, np.random.default_rng(0))
    assert (weight.reshape(-1, 40) == weight.reshape(-1, 40)[:, :1]).all()
    wide = binary.compare({"good": np.repeat(p, 10)}, np.repeat(label, 10), 0, np.repeat(np.arange(len(p)), 10))[1]["good"][
        "auc"
    ]
    one = binary.compare({"good": p}, label, 0)[1]["good"]["auc"]
    assert wide == pytest.approx(one, abs=0.01)


def test_reliability_tells_calibrated_from_overconfident() -> None:
    p, label, _ = answers(20_000)
    assert binary.calibration_error(p, label) < 0.02
    assert binary.calibration_error(np.clip(2 * p - 0.5, 0, 1), label) > 0.1
    curve = binary.reliability(p, label, bins=4)
    assert [part["rows"] for part in curve] == [5000] * 4
    assert [round(part["said"], 1) for part in curve] == [0.1, 0.4, 0.6, 0.9]


def test_equal_probabilities_are_judged_together_in_whatever_order_they_come() -> None:
    label = np.repeat([0, 1], 500)
    assert binary.reliability(np.full(1000, 0.5), label) == [{"rows": 1000, "said": 0.5, "came": 0.5}]
    assert binary.calibration_error(np.full(1000, 0.5), label) == 0
    p = np.random.default_rng(0).choice([0.1, 0.1, 0.3, 0.9], 1000)
    order = np.random.default_rng(1).permutation(1000)
    assert binary.calibration_error(p, label) == pytest.approx(binary.calibration_error(p[order], label[order]))
