from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penchant import artifact, evaluation
from penchant import sequences as seq
from penchant.models import create
from penchant.models.blend import Blend
from penchant.models.ensemble import ChosenBlend
from penchant.models.item_to_item import Markov
from penchant.models.popularity import Popularity
from penchant.models.validation import seen_items, select_cases, validate
from penchant.models.weighing import _candidates, learn_weights
from penchant.ranking import masked_scores
from penchant.testing import check_recommender, example_histories, log_of
from penchant.types import Cases, Interactions, PenchantError


def pairs_log() -> Interactions:
    """Everyone's event is followed by its own successor; ``hit`` is popular and follows nothing."""
    chance = np.random.default_rng(3)
    events = []
    for user in range(60):
        start = int(chance.integers(10))
        path = [f"i{(start + step) % 10}" for step in range(5)]
        events += [(f"u{user:02}", item, float(at)) for at, item in enumerate(["hit", *path])]
    return log_of(events)


def test_keeps_the_contract() -> None:
    check_recommender(lambda: ChosenBlend(members="transitions+item_knn"))


def test_the_better_member_leads_and_the_blend_is_no_worse_than_it() -> None:
    cut = evaluation.leave_one_out(pairs_log())
    members = [Popularity().fit(cut.train), Markov().fit(cut.train)]
    weights = learn_weights(members, cut.valid)
    assert weights[1] == 1
    blend = ChosenBlend(members="popularity+markov").fit(cut.train, cut.valid)
    best = max(validate(member, cut.valid)["ndcg@10"] for member in members)
    assert validate(blend, cut.valid)["ndcg@10"] >= best - 1e-6


def test_telling_nothing_apart_is_no_merit() -> None:
    popular = [(f"fan {fan}", item, float(at)) for fan in range(9) for at, item in enumerate(["x", "y", "z", "v", "w"])]
    strange = [(f"u{user}", item, float(at)) for user in range(9) for at, item in enumerate([f"a{user}", f"b{user}", "x", "y"])]
    cut = evaluation.leave_one_out(log_of(popular + strange))
    cases = select_cases(cut.valid, np.flatnonzero([name.startswith("u") for name in cut.valid.histories.users.ids]))
    # Nothing ever followed b: to Markov all items are equal.
    weights = learn_weights([Markov().fit(cut.train), Popularity().fit(cut.train)], cases)
    assert weights.tolist() == [0, 1]


def test_the_candidates_give_the_ranks_of_the_whole_catalogue() -> None:
    cut = evaluation.leave_one_out(pairs_log())
    blend = ChosenBlend(members="transitions+item_knn+popularity").fit(cut.train, cut.valid)
    worse = blend.coefficients.copy()
    chosen = validate(blend, cut.valid)["ndcg@10"]
    for member in range(len(worse)):
        for factor in (0.5, 2.0):
            blend.coefficients = worse.copy()
            blend.coefficients[member] *= factor
            assert validate(blend, cut.valid)["ndcg@10"] <= chosen + 1e-6


def test_ranks_among_the_candidates_are_those_of_the_whole_catalogue() -> None:
    cut = evaluation.leave_one_out(pairs_log())
    members = [create(name).fit(cut.train) for name in ("transitions", "item_knn", "popularity")]
    scores, target, case, _, known = _candidates(members, cut.valid)
    histories = seq.recode(cut.valid.histories, members[0].items)
    whole = [masked_scores(m, m.encode(histories), cut.valid.now, seen_items(histories)) for m in members]
    wanted = cut.valid.histories.items.translation(members[0].items)[cut.valid.target]
    for weights in np.random.default_rng(0).random((20, 3)).astype(np.float32):
        ranks = 1 + np.count_nonzero((scores @ weights)[case] > (target @ weights)[:, None] + 1e-6, axis=1)
        total = sum(weight * one for weight, one in zip(weights, whole, strict=True))
        expected = 1 + np.count_nonzero(total[case] > total[case, wanted][:, None] + 1e-6, axis=1)
        assert ranks[known].tolist() == expected[known].tolist()


def test_parts_are_the_members_parts() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    blend = ChosenBlend(members="transitions+popularity").fit(histories)
    states = blend.encode(histories)
    item = np.zeros((len(states), 1), np.int32)
    parts = blend.parts(states, np.zeros(len(states), np.int64), item)
    assert set(parts) == {"memory", "popularity"}
    assert np.allclose(
        np.sum(list(parts.values()), axis=0)[:, 0], blend.score(states, np.zeros(len(states), np.int64))[:, 0], atol=1e-5
    )


def test_learning_leaves_states_valid_and_unlearning_takes_it_back() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    blend = ChosenBlend(members="transitions+item_knn").fit(histories)
    states, before, now = blend.encode(histories), blend.id, np.zeros(20, np.int64)
    scores = blend.score(states, now)
    more = seq.recode(example_histories(np.random.default_rng(1), 10), blend.items)
    blend.learn(more)
    assert blend.id != before
    assert states.model_id == blend.state_id
    assert not np.allclose(blend.score(states, now), scores)
    blend.unlearn(more)
    assert blend.id == before


def test_refitted_keeps_the_weights_and_knows_more() -> None:
    cut = evaluation.leave_one_out(pairs_log())
    blend = ChosenBlend(members="transitions+popularity").fit(cut.train, cut.valid)
    again = blend.refitted(cut.before_test)
    assert np.array_equal(again.coefficients, blend.coefficients)
    assert again.members["transitions"].weights()["events"].sum() == len(cut.before_test.item)


def test_a_saved_blend_is_refitted_as_it_would_have_been_before(tmp_path: Path) -> None:
    cut = evaluation.leave_one_out(pairs_log())
    parts = {"content": False, "memory": False, "width": 4, "epochs": 3, "loss": "softmax"}
    blend = create("longshort", **parts).fit(cut.train, cut.valid)
    artifact.save(blend, tmp_path / "m")
    loaded = artifact.load(tmp_path / "m")
    assert loaded.histories() == blend.histories() == {"network/": blend.history}
    assert loaded.refitted(cut.before_test).id == blend.refitted(cut.before_test).id


@pytest.mark.parametrize("members", ["", "blend+markov", "markov+markov"])
def test_members_that_make_no_blend_are_refused(members: str) -> None:
    with pytest.raises(PenchantError, match="members must name different models"):
        ChosenBlend(members=members).fit(example_histories(np.random.default_rng(0), 5))


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(PenchantError, match="no model 'markow'; did you mean markov"):
        create("blend", members="markow").fit(example_histories(np.random.default_rng(0), 5))


def test_cases_nobody_can_hit_leave_the_first_member() -> None:
    histories = example_histories(np.random.default_rng(0), 6)
    members = [Popularity().fit(histories), Markov().fit(histories)]
    had = seq.select(histories, np.array([0]))
    first = replace(had, **{name: getattr(had, name)[:1] for name in ("item", "timestamp", "event_type", "event_id")})
    none = Cases(had, np.zeros(1, np.int64), replace(first, offsets=np.array([0, 1])))
    assert learn_weights(members, none).tolist() == [1, 0]


def test_scores_are_the_weighted_sum_of_what_the_members_say_each_from_its_own_state() -> None:
    histories = example_histories(np.random.default_rng(0), 60, longest=150)
    names = ("transitions", "item_knn", "content", "repeats", "ease", "popularity", "markov")
    blend = ChosenBlend(members="+".join(names)).fit(histories)
    some = seq.until(histories, np.where(np.arange(60) % 7, histories.lengths, 0))  # every seventh person is new
    now = np.zeros(len(some), np.int64)
    for weights in (
        blend.coefficients,
        np.array([1, 1, 1, 0, 0, 2, 0], np.float32),
        np.array([0, 0, 0, 0, 0, 2, 0], np.float32),
    ):
        blend.coefficients = weights
        expected = sum(
            weight * member.score(member.encode(some), now)
            for weight, member in zip(weights, blend.members.values(), strict=True)
        )
        np.testing.assert_allclose(blend.score(blend.encode(some), now), expected, rtol=1e-5, atol=1e-5)


def test_one_ring_serves_all_members_and_those_without_a_weight_need_no_state() -> None:
    histories = example_histories(np.random.default_rng(0), 20)
    parts = {"width": 4, "epochs": 1, "loss": "softmax"}
    whole = create("longshort", **parts).fit(histories)
    arrays = whole.encode(histories).arrays
    assert [array.shape for name, array in arrays.items() if "recent" in name] == [(20, 100)]
    quiet = create("longshort", **parts)
    quiet.items, quiet.event_types = whole.items, whole.event_types
    quiet.set_weights(dict(whole.weights()) | {"coefficients": np.array([0, 1, 1, 0, 0, 1, 0, 0], np.float32)})
    assert quiet.state_id != whole.state_id
    assert {name: array.shape for name, array in quiet.encode(histories).arrays.items()} == {"recent": (20, 20)}


def test_live_learning_and_new_items_tell_in_the_scores() -> None:
    histories = example_histories(np.random.default_rng(0), 30)
    blend = ChosenBlend(members="transitions+item_knn+markov").fit(histories)
    blend.coefficients = np.array([0.5, 2, 1], np.float32)
    larger = blend.grown(["new"])
    new = len(blend.items)
    more = seq.recode(example_histories(np.random.default_rng(1), 10), larger.items)
    place = np.arange(len(more.item))
    more = replace(more, item=np.where(place % 5 == 4, np.int32(new), more.item))
    before, after = seq.where(more, place % 2 == 0), seq.where(more, place % 2 == 1)
    larger.learn_next(before, after)
    states, now = larger.encode(more), np.zeros(len(more), np.int64)
    found = larger.score(states, now)
    transitions, knn, markov = larger.members.values()
    told = 0.5 * transitions.score(transitions.encode(more), now) + markov.score(markov.encode(more), now)
    near = 2 * knn.score(knn.encode(seq.known_only(seq.recode(more, knn.items))), now)
    near = np.concatenate([near, near.mean(axis=1, keepdims=True)], axis=1)
    np.testing.assert_allclose(found, told + near, rtol=1e-5, atol=1e-5)
    one_by_one = np.concatenate([larger.score(states[row : row + 1], now[:1]) for row in range(len(more))])
    np.testing.assert_allclose(found, one_by_one, rtol=1e-5, atol=1e-5)
    parts = larger.parts(states, now, np.tile(np.arange(new + 1), (len(more), 1)))
    np.testing.assert_allclose(sum(parts.values()), found, rtol=1e-5, atol=1e-5)


def test_a_blend_goes_on_with_its_network_and_learns_the_rest_anew() -> None:
    cut = evaluation.leave_one_out(pairs_log())
    learned = seq.until(cut.train, np.minimum(cut.train.lengths, 2))
    network = {"width": 4, "epochs": 2, "content": False}
    before = create("longshort", **network).fit(learned)
    after = before.updated(cut.train, cut.valid, learned)
    assert isinstance(before, Blend)
    assert isinstance(after, Blend)
    alone = before.members["network"].updated(cut.train, cut.valid, learned)
    assert after.members["network"].id == alone.id
    anew = create("longshort", **network | {"network": False}).fit(cut.train, cut.valid)
    assert isinstance(anew, Blend)
    assert {name: member.id for name, member in after.members.items() if name != "network"} == {
        name: member.id for name, member in anew.members.items()
    }
    assert after.refitted(cut.before_test).members["network"].id == alone.refitted(cut.before_test).id


@pytest.mark.parametrize("members", ["popularity+transitions", "transitions+popularity"])
def test_what_was_never_learned_is_taken_from_no_member(members: str) -> None:
    blend = create("blend", members=members).fit(seq.histories(pairs_log()))
    before = {name: array.copy() for name, array in blend.weights().items()}
    never = seq.histories(log_of([("u", "i3", float(place)) for place in range(5)]))
    assert isinstance(blend, Blend)
    with pytest.raises(PenchantError, match="never learned"):
        blend.unlearn(never)
    for name, array in blend.weights().items():
        assert np.array_equal(array, before[name]), name
