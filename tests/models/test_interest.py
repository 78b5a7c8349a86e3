"""The head for candidates: its law, its parity with torch, what it learns, folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from penchant import artifact
from penchant import sequences as seq
from penchant.binary import auc
from penchant.models import create
from penchant.models.base import Model
from penchant.models.interest import (
    Interest,
    InterestSettings,
    events_before,
    kinds_done,
    network_of,
    shapes,
    standing,
    states_at,
    totals,
    totals_before,
)
from penchant.models.neural.interest_training import (
    Head,
    calibrate,
    lessons,
    misordered,
    predict,
    step_of,
    train_head,
    vectors_at,
)
from penchant.testing import check_recommender
from penchant.types import UNKNOWN, Cases, Content, Impressions, Monitor, PenchantError, Sequences, Vocabulary, text

ITEMS, PEOPLE = 12, 40
SECOND = 1_000_000


def histories(seed: int = 0) -> Sequences:
    """People who go on through the items in order, from 0 to 14 events of two kinds, some at the same moment."""
    chance = np.random.default_rng(seed)
    lengths = chance.integers(0, 15, PEOPLE)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(offsets[-1])
    place = np.arange(total) - np.repeat(offsets[:-1], lengths)
    return Sequences(
        users=Vocabulary(tuple(f"u{n:02}" for n in range(PEOPLE))),
        items=Vocabulary(tuple(f"i{n:02}" for n in range(ITEMS))),
        event_types=("click", "skip"),
        offsets=offsets,
        item=((np.repeat(chance.integers(0, ITEMS, PEOPLE), lengths) + place) % ITEMS).astype(np.int32),
        timestamp=1_600_000_000 * SECOND + (place // 2) * 1800 * SECOND,
        event_type=chance.integers(0, 2, total).astype(np.int16),
        event_id=text([str(n) for n in range(total)]),
        clock="real",
        content_hash="test",
    )


def shown(log: Sequences, rows: int = 300, seed: int = 1) -> Impressions:
    """Impressions of people and strangers, of known items and unknown; liked when the item is the one had last, or in a tab."""
    chance = np.random.default_rng(seed)
    user = np.sort(chance.integers(0, PEOPLE + 2, rows)).astype(np.int32)
    time = 1_600_000_000 * SECOND + chance.integers(1, 17, rows) * 900 * SECOND
    order = np.lexsort((time, user))
    item = chance.integers(-1, ITEMS, rows).astype(np.int32)
    tab = chance.integers(0, 3, rows)
    label = ((item % 2 == 0) ^ (tab == 0)).astype(np.int8)
    return Impressions(
        Vocabulary((*log.users.ids, "new", "newer")),
        log.items,
        user[order],
        item,
        time[order],
        {"click": label, "like": (item == 3).astype(np.int8)},
        {"tab": text([str(t) for t in tab]), "place": text(["home" if n % 3 else "out" for n in range(rows)])},
    )


def content() -> Content:
    """Of every item, whether it is even, and a word of its own kind."""
    return Content(
        Vocabulary(tuple(f"i{n:02}" for n in range(ITEMS))),
        np.arange(0, 2 * ITEMS + 1, 2),
        np.array([[n % 2, 2 + n % 3] for n in range(ITEMS)], np.int32).ravel(),
        np.full(2 * ITEMS, 0.5**0.5, np.float32),
        5,
    )


def network(name: str) -> Model:
    """A trained model that knows all items but one."""
    log = histories()
    some = replace(log, item=np.where(log.item == 5, UNKNOWN, log.item).astype(np.int32))
    return create(name, width=6, epochs=1, batch_events=64).fit(some)


@pytest.fixture(scope="module")
def base() -> Model:
    return network("longshort_network")


def trained(base: Model, **settings: object) -> tuple[Interest, Head, Impressions]:
    log = histories()
    model = Interest(InterestSettings.parse({"width": 8, "hidden": 6, "ring": 4, "epochs": 2, "batch": 64} | settings))
    model.take_base(base, log.items, log.event_types)
    part = shown(log)
    said = train_head(model, log, part, part, [part], content(), Monitor())
    assert len(said) == 2
    return model, Head(model.form, model.settings, content()), part


@pytest.mark.parametrize(
    ("name", "memories"),
    [
        ("longshort_network", {}),
        ("longshort_network", {"short": False}),
        ("longshort_network", {"long": False}),
        ("lstm", {"short": False, "long": False}),
        ("attention_lstm", {}),
        ("transformer", {}),
    ],
)
def test_numpy_says_of_live_states_what_torch_learned_from(name: str, memories: dict[str, bool], base: Model) -> None:
    log = histories()
    base = base if name == base.name else network(name)
    model = Interest(InterestSettings.parse({"width": 8, "hidden": 6, "ring": 4, "epochs": 2, "batch": 64} | memories))
    model.take_base(base, log.items, log.event_types)
    part = shown(log)
    said = train_head(model, log, part, part, [part], content(), Monitor())[1]
    codes = model.codes(part.context)
    live = np.empty_like(said)
    for rows, state in states_at(model, log, part):
        context = {name: values[rows, None] for name, values in codes.items()}
        live[rows] = model.logits(state, part.timestamp[rows], part.item[rows, None], context)[:, 0]
    np.testing.assert_allclose(live, said, atol=1e-5)
    assert ("head/gate.weight" in model.weights()) == (name == "longshort_network" and not memories)


def test_many_candidates_at_once_are_told_as_each_alone(base: Model) -> None:
    model = trained(base)[0]
    state = model.encode(histories())[:3]
    now = np.full(3, 1_600_100_000 * SECOND)
    item = np.random.default_rng(3).integers(-1, ITEMS, (3, 9))
    where = {name: v[None].repeat(3, 0) for name, v in model.codes({"tab": ["1"] * 9, "place": ["out"] * 9}).items()}
    together = model.logits(state, now, item, where)
    for column in range(9):
        some = slice(column, column + 1)
        alone = model.logits(state, now, item[:, some], {name: values[:, some] for name, values in where.items()})
        np.testing.assert_allclose(together[:, some], alone, atol=1e-6)
    assert set(model.probabilities(state, now, item)) == {"click", "like"}


def test_states_obey_the_law_whatever_the_cut(base: Model) -> None:
    log = histories()
    model, _, _ = trained(base)
    whole = model.encode(log)
    batch = seq.pad(seq.recode(log, model.items, model.event_types), np.arange(PEOPLE))
    state = model.initial(PEOPLE)
    for start in range(0, batch.item.shape[1], 3):
        cut = slice(start, start + 3)
        piece = type(batch)(
            batch.item[:, cut],
            batch.timestamp[:, cut],
            batch.event_type[:, cut],
            batch.event_id[:, cut],
            np.clip(batch.lengths - start, 0, 3),
        )
        state = model.advance(state, piece)
    for name, array in whole.arrays.items():
        if name.startswith("ring_"):
            known = whole.arrays["ring_item"] != UNKNOWN
            np.testing.assert_array_equal(array[known], state.arrays[name][known])
        else:
            np.testing.assert_allclose(array, state.arrays[name], atol=1e-5)
    rows = np.arange(PEOPLE)
    last = [log.item[log.offsets[row] : log.offsets[row + 1]][-4:] for row in rows]
    for row, items in enumerate(last):
        assert whole.arrays["ring_item"][row][4 - len(items) :].tolist() == items.tolist()
    assert type(whole).from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


def test_an_impression_sees_what_came_strictly_before_it() -> None:
    log, part = histories(), shown(histories())
    upto = events_before(log, part)
    for row in range(len(part)):
        user = int(part.user[row])
        start, end = (log.offsets[user], log.offsets[user + 1]) if user < PEOPLE else (len(log.item), len(log.item))
        wanted = start + int((log.timestamp[start:end] < part.timestamp[row]).sum())
        assert upto[row] == wanted


def test_what_came_of_showing_an_item_is_known_from_earlier_moments_alone() -> None:
    part, targets = shown(histories()), ("click", "like")
    known = totals_before(part, targets)
    for row in range(len(part)):
        before = (part.item == part.item[row]) & (part.timestamp < part.timestamp[row]) & (part.item[row] != UNKNOWN)
        assert known[row].tolist() == [before.sum(), *(part.labels[target][before].sum() for target in targets)]
    whole = totals(part, targets)
    assert whole[:-1, 0].tolist() == np.bincount(part.item[part.item >= 0], minlength=ITEMS).tolist()
    assert not whole[-1].any()
    usual = np.array([0.5, 0.1])
    np.testing.assert_allclose(standing(np.array([0, 0, 0]), usual), 0, atol=1e-6)
    shown_often = standing(np.array([100, 90, 1]), usual)
    assert shown_often[1] > 0 > shown_often[2]


def test_what_people_did_with_an_item_is_counted_up_to_a_moment() -> None:
    log, until = histories(), 1_600_000_000 * SECOND + 3600 * SECOND
    log = replace(log, item=np.where(log.item == 5, UNKNOWN, log.item).astype(np.int32))
    done, usually = kinds_done(log, until)
    earlier = log.timestamp < until
    assert 0 < earlier.sum() < len(earlier)
    for item in range(ITEMS):
        kinds = [int((earlier & (log.item == item) & (log.event_type == kind)).sum()) for kind in range(2)]
        assert done[item].tolist() == [sum(kinds), *kinds]
    assert not done[UNKNOWN].any()
    assert usually.sum() == pytest.approx(1, abs=0.01)


def test_what_people_did_with_an_item_tells_whether_it_will_be_liked(base: Model) -> None:
    log = histories()
    chance = np.random.default_rng(4)
    loved = chance.random(ITEMS) < 0.5
    kind = np.where(chance.random(len(log.item)) < 0.9, ~loved[log.item], loved[log.item]).astype(np.int16)
    log = replace(log, event_type=kind, timestamp=log.timestamp - 86400 * SECOND)
    part = shown(log, 600)
    part = replace(part, labels={"click": (loved[part.item] & (part.item != UNKNOWN)).astype(np.int8)})
    new = ~np.isin(part.item, np.arange(0, ITEMS, 3))
    model = Interest(width=8, hidden=16, ring=4, epochs=10, patience=10, batch=128, learning_rate=0.02, dropout=0.0)
    model.take_base(base, log.items, log.event_types)
    learned, later = part.take(np.flatnonzero(new)), part.take(np.flatnonzero(~new & (part.item != UNKNOWN)))
    said = train_head(model, log, learned, learned, [later], None, Monitor())[1]
    assert auc(said[:, 0], later.labels["click"]) > 0.9, "of items that were never shown"


def test_a_no_above_a_yes_costs_what_it_stands_above_it() -> None:
    inside = np.array([[True, True, True], [True, True, False], [True, False, False]])
    said = torch.tensor([[2.0], [0.0], [-1.0], [5.0], [7.0], [3.0]])
    wanted = torch.tensor([[0.0], [1.0], [1.0], [1.0], [1.0], [0.0]])  # of the second and third row nothing can be told
    costs = np.log1p(np.exp([2.0, 3.0]))
    assert float(misordered(said, wanted, inside)) == pytest.approx(costs.mean())
    both = misordered(said.repeat(1, 2), torch.cat([wanted, torch.zeros(6, 1)], 1), inside)
    assert float(both) == pytest.approx(costs.mean()), "a target that nobody gave counts for nothing"
    assert float(misordered(said, torch.zeros(6, 1), inside)) == 0


def test_impressions_of_one_list_differ_by_item_and_place_alone(base: Model) -> None:
    log = histories()
    model, _, part = trained(base)
    part = replace(part, item=np.full(len(part), 2, np.int32), context={n: text(["1"] * len(part)) for n in part.context})
    rows = lessons(
        model,
        model.form,
        log,
        part,
        np.zeros((len(part), model.form.standing), np.float32),
        vectors_at(model, log, part, Monitor()),
    )
    head = Head(model.form, model.settings, content()).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3)
        head.hour.zero_()
        step = step_of(rows, np.arange(len(rows)), attended=True)
        said, listed = (logits[:, 0].numpy() for logits in head(step, rows))
    moved = np.abs(said - said[np.searchsorted(step.rows, step.opening)])
    assert moved.max() > 1e-3, "as it goes on, what a person did last moves what is said"
    np.testing.assert_allclose(listed, listed[np.searchsorted(step.rows, step.opening)], atol=1e-5)


def test_counting_later_impressions_moves_what_is_said_of_their_items_alone(base: Model) -> None:
    model, _, part = trained(base, epochs=4)
    state, now = model.encode(histories())[:1], np.array([1_600_100_000 * SECOND])
    item = np.arange(ITEMS)[None]
    before, name = model.logits(state, now, item), model.id
    loved = part.take(np.flatnonzero(part.item == 3))
    model.count(replace(loved, labels={target: np.ones(len(loved), np.int8) for target in part.labels}))
    moved = np.abs(model.logits(state, now, item) - before)[0].max(axis=1) > 1e-6
    assert np.flatnonzero(moved).tolist() == [3]
    assert model.id != name


def test_it_learns_what_content_and_context_tell_and_is_calibrated(base: Model) -> None:
    log = histories()
    model = Interest(width=8, hidden=16, ring=4, epochs=12, patience=12, batch=128, learning_rate=0.03, dropout=0.0)
    model.take_base(base, log.items, log.event_types)
    train, later = shown(log, 1500, seed=2), shown(log, 600, seed=3)
    said = train_head(model, log, train, later, [later], content(), Monitor())[1]
    known = later.item != UNKNOWN
    right = (said[:, 0] > 0) == (later.labels["click"] == 1)
    assert right[known].mean() > 0.95
    assert [epoch["auc"] for epoch in model.history][-1] > 0.9
    assert model.history[-1]["logloss"] < model.history[0]["logloss"]
    again = Interest(model.settings)
    again.take_base(base, log.items, log.event_types)
    train_head(again, log, train, later, [], content(), Monitor())
    assert again.id == model.id


def test_calibration_undoes_what_is_too_sure_and_keeps_the_order() -> None:
    chance = np.random.default_rng(0)
    logits = chance.normal(size=(20_000, 1))
    label = (chance.random((20_000, 1)) < 1 / (1 + np.exp(-logits))).astype(float)
    slope, offset = calibrate(3 * logits + 1, label)
    assert slope[0] == pytest.approx(1 / 3, rel=0.05)
    assert offset[0] == pytest.approx(-1 / 3, abs=0.05)
    assert calibrate(logits, np.ones_like(label))[0][0] == 1, "nothing can be learned from one class"


def test_a_folder_gives_the_same_model_back(base: Model, tmp_path: Path) -> None:
    model = trained(base)[0]
    artifact.save(model, tmp_path / "model", {})
    loaded = artifact.load(tmp_path / "model")
    assert isinstance(loaded, Interest)
    assert (loaded.id, loaded.state_id) == (model.id, model.state_id)
    state = model.encode(histories())
    now = np.full(PEOPLE, 1_600_100_000 * SECOND)
    np.testing.assert_array_equal(loaded.score(loaded.encode(histories()), now), model.score(state, now))
    item = np.tile(np.arange(ITEMS), (PEOPLE, 1))
    np.testing.assert_allclose(model.parts(state, now, item)["interest"], model.score(state, now), atol=1e-6)


class WithAnyHead(Interest):
    """Learns a base from histories and takes a head at random: what states and folders need."""

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        self.take_base(create("longshort_network", width=6, epochs=1).fit(train), train.items, train.event_types)
        form = self.form_for(("click", "like"), {"tab": ("a", "b")})
        chance = np.random.default_rng(0)
        weights = {n: 0.3 * chance.normal(size=shape).astype(np.float32) for n, shape in shapes(form, self.settings).items()}
        weights |= {
            "counted": np.tile(np.array([4, 2, 1], np.float32), (form.items + 1, 1)),
            "usual": np.full(2, 0.4, np.float32),
            "done": np.tile(np.arange(1 + form.kinds, dtype=np.float32), (form.items + 1, 1)),
            "usually": np.full(form.kinds, 0.3, np.float32),
        }
        self.set_head(form, weights, (np.ones(2, np.float32), np.zeros(2, np.float32)))


def test_it_keeps_the_contract_of_every_recommender() -> None:
    check_recommender(lambda: WithAnyHead(width=8, hidden=6, ring=4))


def test_only_a_network_carries_a_head() -> None:
    log = histories()
    with pytest.raises(PenchantError, match=r"a head needs a recurrent model beneath, and popularity isn't one"):
        network_of(create("popularity").fit(log))
    blend = create("blend", members="transitions+gru")
    gru = create("gru", width=4, epochs=1).fit(log)
    blend.members = {"gru": gru}  # type: ignore[attr-defined]
    assert network_of(blend) is gru
    with pytest.raises(PenchantError, match="learns from impressions with labels"):
        Interest().fit(log)


def test_rows_share_a_reading_and_lose_nothing(base: Model) -> None:
    log = histories()
    model, head, part = trained(base)
    vectors = vectors_at(model, log, part, Monitor())
    rows = lessons(model, model.form, log, part, np.zeros((len(part), model.form.standing), np.float32), vectors)
    assert rows.first[0] == 0
    assert (rows.first[1:] == rows.last[:-1]).all()
    assert rows.last[-1] == len(part)
    assert (rows.last - rows.first).max() <= 8
    assert np.isfinite(predict(head, rows)).all()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("setting", ["within", "weight_decay"])
@pytest.mark.parametrize("value", [-1, 1e39])
def test_weights_beyond_what_the_loss_can_hold_are_refused(setting: str, value: float) -> None:
    with pytest.raises(PenchantError, match=rf"setting {setting} must lie between 0 and 1000000$"):
        InterestSettings.parse({setting: value})
