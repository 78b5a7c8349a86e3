"""The contract every recommender keeps, as one check anybody can run on a model of their own.

>>> from penchant.models.popularity import Popularity
>>> check_recommender(Popularity)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from penchant import artifact
from penchant import sequences as seq
from penchant.models.base import Model
from penchant.models.validation import seen_items
from penchant.ranking import recommend
from penchant.types import (
    MICROSECONDS,
    UNKNOWN,
    Array,
    Arrays,
    Batch,
    Cases,
    Clock,
    Content,
    Int,
    Interactions,
    Learning,
    PenchantError,
    Sequences,
    UserState,
    Vocabulary,
    text,
)

TOLERANCE = 1e-5
"""How far states and scores may differ, relative to their size: float32."""


def check_recommender(make: Callable[[], Model], *, seed: int = 0) -> None:
    """Raise ``AssertionError``, saying what is broken, unless the model that ``make()`` gives keeps the law and the contract.

    - **the law**: any cut of a history, chunks of one event, padding and batch neighbours leave the same state;
      nothing advances nothing; the state that is advanced stays as it was;
    - **fixed size**: a state has the same size after any number of events, and what is learned doesn't grow with more
      users of the same histories;
    - **determinism**: two models made alike and fitted on the same histories have the same id and scores, and user ids
      don't matter;
    - **unknown items** are passed over alike whatever the path;
    - **round trips**: a state through bytes, a model through its folder;
    - **cold start**: someone new gets a full list;
    - **learning without gradients**, of models that offer it: ``unlearn`` undoes ``learn``, learning event by event ends
      where learning at once does, with the same scores on the way, and states stay valid;
    - **scores** are finite, the caller's to write into, the sum of their parts, and weighed by ``weighed_scores``; a state
      of another model is refused.
    """
    chance = np.random.default_rng(seed)
    train = example_histories(chance, users=30)
    valid = _cases(train)
    model = make().fit(train, valid)
    histories = seq.recode(example_histories(chance, users=12), model.items)
    _check_size(make, model, train, valid)
    _check_law(model, histories, chance)
    _check_determinism(make, model, train, valid, histories)
    _check_unknown_items(model, histories)
    _check_round_trips(model, histories)
    _check_answers(model, histories)
    if isinstance(model, Learning):
        _check_learning(model, histories)


def log_of(events: Iterable[tuple[str, str, float]], *, clock: Clock = "real") -> Interactions:
    """A small log, as if cleaned, from ``(user_id, item_id, seconds)``; ties in time keep the order given.

    >>> log = log_of([("bob", "tea", 20), ("ann", "tea", 30), ("ann", "cup", 10)])
    >>> [(log.users[u], log.items[i]) for u, i in zip(log.user, log.item)]
    [('ann', 'cup'), ('ann', 'tea'), ('bob', 'tea')]
    """
    rows = sorted(events, key=lambda event: (event[0], event[2]))
    users = Vocabulary(tuple(sorted({user for user, _, _ in rows})))
    items = Vocabulary(tuple(sorted({item for _, item, _ in rows})))
    numbers = range(len(rows))
    return Interactions(
        users=users,
        items=items,
        event_types=("event",),
        user=users.codes([user for user, _, _ in rows]),
        item=items.codes([item for _, item, _ in rows]),
        timestamp=np.array([round(seconds * MICROSECONDS) for _, _, seconds in rows], np.int64),
        event_type=np.zeros(len(rows), np.int16),
        value=np.ones(len(rows), np.float32),
        session=np.zeros(len(rows), np.int32),
        event_id=text([f"{number:012}" for number in numbers]),
        clock=clock,
        content_hash=hashlib.sha256(repr(rows).encode()).hexdigest(),
    )


def example_histories(chance: np.random.Generator, users: int, items: int = 40, longest: int = 25) -> Sequences:
    """Random histories with a pattern in them (each item tends to be followed by the next), real times, and an empty one."""
    lengths = chance.integers(2, longest, users)
    lengths[users // 2] = 0
    total = int(lengths.sum())
    item = (np.cumsum(chance.choice([1, 1, 1, 7], total)) + chance.integers(items)) % items
    return Sequences(
        users=Vocabulary(tuple(f"user {number}" for number in range(users))),
        items=Vocabulary(tuple(f"item {number}" for number in range(items))),
        event_types=("event",),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=item.astype(np.int32),
        timestamp=np.cumsum(chance.integers(0, 5000, total)) * MICROSECONDS + 1_600_000_000 * MICROSECONDS,
        event_type=np.zeros(total, np.int16),
        event_id=text([f"e{number}" for number in range(total)]),
        clock="real",
        content_hash="example",
        content=_example_content(items),
    )


def _example_content(items: int) -> Content:
    """Items are alike whose numbers have the same last digit; nothing is known of the last item."""
    return Content(
        items=Vocabulary(tuple(f"item {number}" for number in range(items))),
        offsets=np.minimum(np.arange(items + 1), items - 1),
        feature=(np.arange(items - 1) % 10).astype(np.int32),
        weight=np.ones(items - 1, np.float32),
        size=10,
    )


def _cases(train: Sequences) -> Cases:
    """Ask everyone with a history for the first item of the catalogue that they haven't had."""
    rows = np.flatnonzero(train.lengths > 0)
    some = seq.select(train, rows)
    target = [np.setdiff1d(np.arange(len(train.items)), seq.pad(some, np.array([row])).item)[0] for row in range(len(rows))]
    last = some.offsets[1:] - 1
    targets = replace(
        some,
        offsets=np.arange(len(rows) + 1),
        item=np.array(target, np.int32),
        timestamp=some.timestamp[last],
        event_type=some.event_type[last],
        event_id=text([f"{event} and then" for event in some.event_id[last]]),
    )
    return Cases(some, some.timestamp[last], targets)


def _state(model: Model, batch: Batch, state: UserState | None = None) -> UserState:
    return model.advance(model.initial(len(batch)) if state is None else state, batch)


def _same(first: UserState, second: UserState, what: str) -> None:
    assert first.arrays.keys() == second.arrays.keys(), f"{what}: the arrays of the state change"
    for name, array in first.arrays.items():
        other = second.arrays[name]
        assert array.shape == other.shape, f"{what}: array {name} changes from {array.shape} to {other.shape}"
        assert array.dtype == other.dtype, f"{what}: array {name} changes from {array.dtype} to {other.dtype}"
        close = np.allclose(array, other, rtol=TOLERANCE, atol=TOLERANCE)
        assert close, f"{what}: array {name} differs by {np.abs(array - other).max():.2g}"
    assert (first.timestamp == second.timestamp).all(), f"{what}: the cursor's time differs"
    assert (first.event_id == second.event_id).all(), f"{what}: the cursor's event differs"


def _columns(batch: Batch, start: Int, stop: Int) -> Batch:
    """Of each row ``r`` the events ``start[r]`` to ``stop[r]``."""
    lengths = np.minimum(stop, batch.lengths) - np.minimum(start, batch.lengths)
    width = int(lengths.max(initial=0))
    places = np.minimum(start[:, None] + np.arange(width), batch.item.shape[1] - 1)

    def cut(values: Array) -> Array:
        return np.take_along_axis(values, places, axis=1)

    return Batch(cut(batch.item), cut(batch.timestamp), cut(batch.event_type), cut(batch.event_id), lengths)


def _check_law(model: Model, histories: Sequences, chance: np.random.Generator) -> None:
    everyone = np.arange(len(histories))
    batch = seq.pad(histories, everyone)
    whole = _state(model, batch)
    before = whole.to_bytes()
    model.advance(whole, batch)
    assert whole.to_bytes() == before, "advance changes the state it is given"
    start = np.zeros(len(batch), np.int64)
    for _ in range(5):
        cut = chance.integers(0, batch.lengths + 1)
        halves = _state(model, _columns(batch, cut, batch.lengths), _state(model, _columns(batch, start, cut)))
        _same(whole, halves, "cutting histories in two")
    single = model.initial(len(batch))
    for step in range(batch.item.shape[1]):
        single = model.advance(single, _columns(batch, start + step, start + step + 1))
    _same(whole, single, "taking events one by one")
    _same(whole, model.advance(whole, _columns(batch, start, start)), "advancing by nothing")
    wide = {
        name: np.pad(getattr(batch, name), ((0, 0), (0, 9)), constant_values=1) for name in ("item", "timestamp", "event_type")
    }
    filled = np.concatenate([batch.event_id, np.full((len(batch), 9), "padding", batch.event_id.dtype)], axis=1)
    _same(whole, _state(model, replace(batch, event_id=filled, **wide)), "more padding")
    alone = [_state(model, seq.pad(histories, everyone[row : row + 1])) for row in everyone]
    _same(whole, UserState.concatenate(alone), "being alone in a batch")
    _same(whole, model.encode(histories), "encode")


def _check_size(make: Callable[[], Model], model: Model, train: Sequences, valid: Cases) -> None:
    batch = seq.pad(train, np.array([int(np.argmax(train.lengths))]))
    empty = _shapes(model.initial(1).arrays)
    for events in (1, batch.item.shape[1]):
        after = _shapes(_state(model, _columns(batch, np.array([0]), np.array([events]))).arrays)
        assert after == empty, f"a state changes its size with its history: {empty} before any event, {after} after {events}"
    crowd = seq.select(train, np.tile(np.arange(len(train)), 4))
    crowd = replace(crowd, users=Vocabulary(tuple(f"user {number}" for number in range(len(crowd)))))
    few, many = (sum(array.size for array in m.weights().values()) for m in (model, make().fit(crowd, valid)))
    more = len(crowd) - len(train)
    # A sparse matrix may gain or lose an entry by rounding.
    assert many - few < more / 2, f"what is learned grows with the number of users: {more} more add {many - few} numbers"


def _shapes(arrays: Arrays) -> dict[str, str]:
    return {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}


def _check_determinism(make: Callable[[], Model], model: Model, train: Sequences, valid: Cases, histories: Sequences) -> None:
    renamed = replace(train, users=Vocabulary(tuple(f"other {number}" for number in range(len(train)))))
    again = make().fit(renamed, valid)
    assert again.id == model.id, "fitting again on the same histories of renamed users gives another model"
    now = np.zeros(len(histories), np.int64)
    assert np.array_equal(model.score(model.encode(histories), now), again.score(again.encode(histories), now)), (
        "two models of one id give different scores"
    )


def _check_unknown_items(model: Model, histories: Sequences) -> None:
    strange = histories.item.copy()
    strange[::3] = UNKNOWN
    holes = replace(histories, item=strange)
    with_holes, plain = model.encode(holes), model.encode(seq.known_only(holes))
    cursors = replace(with_holes, timestamp=plain.timestamp, event_id=plain.event_id)
    _same(plain, cursors, "leaving unknown items out")
    one_by_one = model.initial(len(holes))
    batch = seq.pad(holes, np.arange(len(holes)))
    for step in range(batch.item.shape[1]):
        place = np.full(len(holes), step)
        one_by_one = model.advance(one_by_one, _columns(batch, place, place + 1))
    _same(with_holes, one_by_one, "unknown items, one by one")


def _check_round_trips(model: Model, histories: Sequences) -> None:
    states = model.encode(histories)
    for row in range(len(states)):
        one = states[np.array([row])]
        back = UserState.from_bytes(one.to_bytes())
        assert back.to_bytes() == one.to_bytes(), "a state changes on its way through bytes"
        _same(one, back, "a state through bytes")
    with TemporaryDirectory() as folder:
        artifact.save(model, Path(folder) / "model")
        loaded = artifact.load(Path(folder) / "model", {model.name: type(model)})
    assert loaded.id == model.id, "a model has another id once loaded"
    now = np.zeros(len(states), np.int64)
    assert np.array_equal(loaded.score(states, now), model.score(states, now)), "a loaded model scores differently"


def _check_answers(model: Model, histories: Sequences) -> None:
    newcomer = model.initial(1)
    now = np.array([int(histories.timestamp.max())])
    scores = model.score(newcomer, now)
    assert scores.shape == (1, len(model.items)), f"scores have the shape {scores.shape}, not [n, V]"
    assert scores.dtype == np.float32, f"scores are {scores.dtype}, not float32"
    assert np.isfinite(scores).all(), "someone new gets scores that are no finite numbers"
    assert (recommend(model, newcomer, len(model.items), now=now).item >= 0).all(), "someone new gets no full list"
    states, moments = model.encode(histories), np.repeat(now, len(histories))
    before = model.score(states, moments).copy()
    assert np.isfinite(before).all(), "someone with a history gets scores that are no finite numbers"
    ranking = recommend(model, states, 5, now=moments, exclude=seen_items(histories), explain=True)
    assert np.array_equal(model.score(states, moments), before), "scores that a caller wrote into come back"
    weighed = model.weighed_scores(states, moments, 0.5)
    assert np.allclose(weighed, 0.5 * before, rtol=1e-4, atol=TOLERANCE), "weighed_scores are other scores"
    total = np.sum(list(ranking.parts.values()), axis=0)
    assert np.allclose(total, ranking.score, rtol=1e-4, atol=TOLERANCE), "the parts of scores don't sum to them"
    owner = np.repeat(np.arange(len(histories)), histories.lengths)
    seen = set(zip(owner.tolist(), histories.item.tolist(), strict=True))
    shown = zip(np.repeat(np.arange(len(histories)), 5).tolist(), ranking.item.ravel().tolist(), strict=True)
    assert not seen & set(shown), "an excluded item is recommended"
    foreign = replace(newcomer, model_id="another model")
    uses: dict[str, Callable[[], object]] = {
        "advanced": lambda: model.advance(foreign, seq.pad(histories, np.array([0]))),
        "recommended from": lambda: recommend(model, foreign, 1, now=now),
    }
    for use, call in uses.items():
        try:
            call()
        except PenchantError:
            continue
        raise AssertionError(f"a state of another model is {use}")


def _events(histories: Sequences, start: int, stop: int) -> Sequences:
    """Of each history the events ``start`` to ``stop``."""
    place = np.arange(len(histories.item)) - np.repeat(histories.offsets[:-1], histories.lengths)
    return seq.where(histories, (place >= start) & (place < stop))


def _check_learning(model: Model, histories: Sequences) -> None:
    assert isinstance(model, Learning)
    states, now = model.encode(histories), np.zeros(len(histories), np.int64)
    before, scores, name = model.id, model.score(states, now), model.state_id
    model.learn(histories)
    learned, more = model.id, model.score(states, now)
    assert model.state_id == name, "learning makes states invalid"
    model.unlearn(histories)
    assert model.id == before, "unlearning isn't the inverse of learning"
    assert np.array_equal(model.score(states, now), scores), "what was unlearned still tells on the scores"
    for step in range(int(histories.lengths.max())):
        model.learn_next(_events(histories, step - model.reach, step), _events(histories, step, step + 1))
    stepwise = np.concatenate([model.score(states[row : row + 1], now[:1]) for row in range(len(states))])
    assert np.allclose(stepwise, more, rtol=TOLERANCE, atol=TOLERANCE), "learning event by event gives other scores"
    assert model.id == learned, "learning event by event isn't learning at once"
    model.unlearn(histories)
