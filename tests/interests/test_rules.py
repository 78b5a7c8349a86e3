"""Rules: what a tree learns of what is true by construction, and how true it says it is."""

import numpy as np

from penchant.interests.rules import explain, item_features

CHANCE = np.random.default_rng(5)


def test_a_rule_that_holds_is_found_with_its_fidelity() -> None:
    features = CHANCE.uniform(0, 100, (400, 3))
    belongs = (features[:, 1] > 60) & (features[:, 2] <= 50)
    rule = explain(features, ["hour", "price", "year"], np.zeros(3, bool), belongs)
    assert {(one.feature, one.above) for one in rule.conditions} == {("price", True), ("year", False)}
    bounds = {one.feature: one.threshold for one in rule.conditions}
    assert abs(bounds["price"] - 60) < 3
    assert abs(bounds["year"] - 50) < 3
    assert rule.fidelity is not None
    assert rule.fidelity > 0.95
    assert rule.words() == f"price > {bounds['price']:.3g} and year ≤ {bounds['year']:.3g}"
    assert rule.words("zh") == f"price > {bounds['price']:.3g}，且year ≤ {bounds['year']:.3g}"


def test_what_can_t_be_told_has_the_fidelity_of_a_coin() -> None:
    rule = explain(CHANCE.normal(size=(2000, 4)), list("abcd"), np.zeros(4, bool), CHANCE.random(2000) < 0.3)
    assert rule.fidelity is not None
    assert abs(rule.fidelity - 0.5) < 0.07


def test_unknown_values_are_no_fault() -> None:
    features = np.where(CHANCE.random((300, 1)) < 0.3, np.nan, CHANCE.uniform(0, 1, (300, 1)))
    belongs = np.nan_to_num(features[:, 0]) > 0.5
    rule = explain(features, ["price"], np.zeros(1, bool), belongs)
    assert rule.conditions[0].feature == "price"
    assert rule.fidelity is not None
    assert rule.fidelity > 0.9


def test_too_little_is_not_explained() -> None:
    few = explain(np.ones((10, 1)), ["a"], np.zeros(1, bool), np.arange(10) < 5)
    one_sided = explain(CHANCE.normal(size=(100, 1)), ["a"], np.zeros(1, bool), np.arange(100) < 2)
    assert few.words() == one_sided.words() == ""
    assert few.fidelity is one_sided.fidelity is None


def test_items_are_told_apart_by_words_and_numbers() -> None:
    ids = [str(number) for number in range(12)]
    said = {i: {"title": f"film {i}", "class:token_seq": "Drama War" if int(i) % 2 else "Comedy", "year": int(i)} for i in ids}
    said.pop("11")
    features, names, binary = item_features(ids, said, np.arange(12))
    assert names[:2] == ["events", "year"]
    assert {"class: comedy", "class: drama", "title: film"} <= set(names)
    comedy = features[:, names.index("class: comedy")]
    assert comedy.tolist() == [1 - number % 2 for number in range(12)]
    assert binary.tolist() == [name not in ("events", "year") for name in names]
    assert np.isnan(features[11, 1])


def test_numbers_that_trees_cannot_hold_are_unknown() -> None:
    ids = [str(number) for number in range(300)]
    said = {i: {"price": float(i)} for i in ids} | {"7": {"price": "inf"}, "8": {"price": "9" * 45}, "9": {"price": "-1e39"}}
    features, names, binary = item_features(ids, said, np.ones(300))
    prices = features[:, names.index("price")]
    assert np.flatnonzero(np.isnan(prices)).tolist() == [7, 8, 9]
    assert explain(features, names, binary, np.arange(300) > 150).conditions[0].feature == "price"
