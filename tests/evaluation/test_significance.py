"""Intervals and tests against what theory says of them."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.evaluation import significance
from penchant.evaluation.significance import bootstrap, compare, holm, normal_interval, randomisation


def test_bootstrap_intervals_are_as_wide_as_the_standard_error_says() -> None:
    values = np.random.default_rng(0).random((400, 2))
    low, high = bootstrap({"m": values}, np.arange(400), 0)["m"]
    mean, error = values.mean(axis=0), values.std(axis=0) / math.sqrt(400)
    assert (low < mean).all()
    assert (mean < high).all()
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert np.ravel(normal_interval(values, np.arange(400))) == pytest.approx(np.r_[low, high], abs=0.2 * error[0])


def test_people_are_drawn_as_a_whole() -> None:
    chance = np.random.default_rng(0)
    of_people = chance.random((100, 1))
    once = bootstrap({"m": of_people}, np.arange(100), 0)["m"]
    # Ten rows of each person tell no more than one.
    tenfold = bootstrap({"m": np.repeat(of_people, 10, axis=0)}, np.repeat(np.arange(100), 10), 0)["m"]
    for a, b in zip(once, tenfold, strict=True):
        assert a == pytest.approx(b)
    alone = normal_interval(of_people, np.arange(100))
    repeated = normal_interval(np.repeat(of_people, 10, axis=0), np.repeat(np.arange(100), 10))
    assert np.ravel(repeated) == pytest.approx(np.ravel(alone))


def test_an_interval_holds_its_mean_and_of_one_value_is_a_point() -> None:
    low, high = bootstrap({"m": np.full((7, 1), 0.1)}, np.arange(7), 0)["m"]
    assert low <= 0.1 <= high
    assert high - low < 1e-6


def test_all_models_get_the_same_resamples_and_the_seed_decides_them() -> None:
    values = np.random.default_rng(0).random((50, 1))
    both = bootstrap({"a": values, "b": values}, np.arange(50), 0)
    assert both["a"] == both["b"]
    assert bootstrap({"a": values}, np.arange(50), 1)["a"] != both["a"]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_randomisation_is_what_all_signs_would_give(differences: list[int]) -> None:
    reached = abs(sum(differences))
    signs = product((1, -1), repeat=len(differences))
    exact = np.mean([abs(sum(s * d for s, d in zip(some, differences, strict=True))) >= reached for some in signs])
    p = randomisation(np.array(differences, float)[:, None], np.arange(len(differences)), 0)
    assert p[0] == pytest.approx(exact, abs=0.02)


def test_many_flips_are_made_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, (200, 2))
    whole = randomisation(differences, np.arange(200), 0)
    monkeypatch.setattr(significance, "CELLS_AT_ONCE", 1000)
    assert randomisation(differences, np.arange(200), 0) == pytest.approx(whole, abs=0.02)


def test_one_person_many_times_proves_nothing() -> None:
    steady = np.full((30, 1), 0.5)
    assert randomisation(steady, np.arange(30), 0)[0] < 0.001
    assert randomisation(steady, np.zeros(30, np.int64), 0)[0] == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_helps_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(np.array(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert adjusted.min() == pytest.approx(min(1, min(p) * len(p)))


def test_differences_are_judged_person_by_person() -> None:
    easy_or_hard = np.tile([0.0, 1.0], 50)
    values = {"leader": easy_or_hard + 0.1, "steadily_below": easy_or_hard, "at_random": 1.0 - easy_or_hard}
    found = {(pair.first, pair.second): pair for pair in compare(values, np.arange(100), 0)}
    assert len(found) == 3
    below, random = found["leader", "steadily_below"], found["leader", "at_random"]
    assert below.distinct
    assert below.difference == pytest.approx(0.1)
    assert below.adjusted < 0.01
    assert not random.distinct
    assert random.interval[0] < 0 < random.interval[1]
    assert random.adjusted >= random.p > 0.05


def test_with_several_seeds_a_difference_must_hold_for_all_of_them() -> None:
    values = {"a": np.full(50, 0.2), "b": np.full(50, 0.1)}
    (apart,) = compare(values, np.arange(50), 0, {"a": np.array([0.19, 0.21]), "b": np.array([0.1])})
    (mixed,) = compare(values, np.arange(50), 0, {"a": np.array([0.09, 0.31]), "b": np.array([0.08, 0.12])})
    (single,) = compare(values, np.arange(50), 0, {"a": np.array([0.2]), "b": np.array([0.1])})
    assert (apart.distinct, mixed.distinct, single.distinct) == (True, False, True)
    assert compare({"alone": values["a"]}, np.arange(50), 0) == ()
