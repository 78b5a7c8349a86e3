"""The contract's check lets good models pass and catches each way of being broken."""

import itertools
from typing import Any

import numpy as np
import pytest

from penchant.models.base import Model, expect
from penchant.testing import check_recommender, example_histories, log_of
from penchant.types import Arrays, Batch, Cases, Float, Int, Monitor, Sequences, UserState

ids = itertools.count()


class Counting(Model):
    """Counts each person's events by item, in a fixed number of numbers, and scores by popularity and a person's last item."""

    name = "counting"

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        self._learned: dict[str, Any] = {"share": np.bincount(train.item, minlength=len(self.items)).astype(np.float32)}

    def _initial(self, n: int) -> Arrays:
        return {"count": np.zeros((n, 1), np.float32), "last": np.full((n, 1), -1, np.int32)}

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        came = np.flatnonzero(batch.lengths > 0)
        last = arrays["last"].copy()
        last[came, 0] = batch.item[came, batch.lengths[came] - 1]
        return {"count": arrays["count"] + batch.lengths[:, None].astype(np.float32), "last": last}

    def weights(self) -> Arrays:
        return self._learned

    def _set_weights(self, weights: Arrays) -> None:
        expect(weights, {"share": (len(self.items),)})
        self._learned = dict(weights)

    def score(self, state: UserState, now: Int) -> Float:
        scores = np.tile(self._learned["share"], (len(state), 1))
        had = np.flatnonzero(state.arrays["last"][:, 0] >= 0)
        scores[had, state.arrays["last"][had, 0]] += np.log1p(state.arrays["count"][had, 0])
        return scores

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        share = self._learned["share"][item]
        own = (item == state.arrays["last"]) * np.log1p(state.arrays["count"])
        return {"popularity": share, "last": own.astype(np.float32)}


class ReadsPadding(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {
            **super()._advance(arrays, batch),
            "count": arrays["count"] + batch.item.sum(axis=1, keepdims=True).astype(np.float32),
        }


class CountsColumns(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {**super()._advance(arrays, batch), "count": arrays["count"] + np.float32(batch.item.shape[1])}


class FromTheEnd(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        weight = np.where(batch.mask, 0.5 ** (batch.lengths[:, None] - np.arange(batch.item.shape[1])), 0)
        return {
            **super()._advance(arrays, batch),
            "count": arrays["count"] + weight.sum(axis=1, keepdims=True).astype(np.float32),
        }


class StartsAnew(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return super()._advance(self._initial(len(batch)), batch)


class SeesNeighbours(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {**super()._advance(arrays, batch), "count": arrays["count"] + np.float32(batch.lengths.sum())}


class Grows(Counting):
    def _initial(self, n: int) -> Arrays:
        return {**super()._initial(n), "events": np.zeros((n, 0), np.int32)}

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {**super()._advance(arrays, batch), "events": np.concatenate([arrays["events"], batch.item], axis=1)}


class GrowsByABatch(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {**super()._advance(arrays, batch), "last": np.repeat(arrays["last"], 2, axis=1)}


class ChangesType(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {**super()._advance(arrays, batch), "count": arrays["count"] + batch.lengths[:, None]}


class ChangesInPlace(Counting):
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        fresh = super()._advance(arrays, batch)
        arrays["count"][:] = fresh["count"]
        return fresh


class PerUser(Counting):
    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        super()._fit(train, valid, monitor)
        self._learned["people"] = np.zeros((int((train.lengths > 0).sum()), 3), np.float32)

    def _set_weights(self, weights: Arrays) -> None:
        self._learned = dict(weights)


class Random(Counting):
    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        super()._fit(train, valid, monitor)
        self._learned["share"] = self._learned["share"] + np.float32(next(ids))


class RandomAnswers(Counting):
    def score(self, state: UserState, now: Int) -> Float:
        return super().score(state, now) + np.float32(next(ids))


class LeaksUsers(Counting):
    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        super()._fit(train, valid, monitor)
        self._learned["share"] = self._learned["share"] + np.float32(len("".join(train.users.ids)))


class UnknownAdvances(Counting):
    def advance(self, state: UserState, batch: Batch) -> UserState:
        after = super().advance(state, batch)
        counted = state.arrays["count"] + batch.lengths[:, None].astype(np.float32)
        return UserState(after.model_id, {**after.arrays, "count": counted}, after.timestamp, after.event_id)


class Forgets(Counting):
    """Something learned isn't among the weights."""

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        super()._fit(train, valid, monitor)
        self._bonus = np.float32(5)

    def score(self, state: UserState, now: Int) -> Float:
        return super().score(state, now) + getattr(self, "_bonus", np.float32(0))

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        return super().parts(state, now, item) | {"bonus": np.full(item.shape, 5, np.float32)}


class PartMissing(Counting):
    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        return {"popularity": super().parts(state, now, item)["popularity"] * np.float32(0.9)}


class NothingForNewcomers(Counting):
    def score(self, state: UserState, now: Int) -> Float:
        scores = super().score(state, now)
        scores[state.arrays["count"][:, 0] == 0] = -np.inf
        return scores


class NoNumberForNewcomers(Counting):
    def score(self, state: UserState, now: Int) -> Float:
        scores = super().score(state, now)
        scores[state.arrays["last"][:, 0] < 0] = np.nan
        return scores


class NoNumberForOthers(Counting):
    def score(self, state: UserState, now: Int) -> Float:
        scores = super().score(state, now)
        scores[state.arrays["count"][:, 0] > 9] = np.nan
        return scores


class DoublePrecision(Counting):
    def score(self, state: UserState, now: Int) -> Any:
        return super().score(state, now).astype(np.float64)


class SharesItsScores(Counting):
    """Hands out an array of its own; the caller's masks stay in it."""

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        super()._fit(train, valid, monitor)
        self._cache: dict[int, Float] = {}

    def _initial(self, n: int) -> Arrays:
        return {}

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return arrays

    def score(self, state: UserState, now: Int) -> Float:
        cache: dict[int, Float] = self.__dict__.setdefault("_cache", {})
        return cache.setdefault(len(state), np.tile(self._learned["share"], (len(state), 1)))

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        return {"popularity": self._learned["share"][item]}


class WeighsNothing(Counting):
    def weighed_scores(self, state: UserState, now: Int, weight: float) -> Float:
        return self.score(state, now)


class TakesAnyState(Counting):
    def advance(self, state: UserState, batch: Batch) -> UserState:
        return super().advance(UserState(self.id, state.arrays, state.timestamp, state.event_id), batch)


BROKEN: dict[type[Model], str] = {
    ReadsPadding: "more padding|being alone|cutting|one by one",
    CountsColumns: "advancing by|more padding|being alone|cutting|one by one",
    FromTheEnd: "cutting histories in two",
    StartsAnew: "cutting histories in two",
    SeesNeighbours: "being alone|cutting|one by one",
    Grows: "a state changes its size with its history",
    GrowsByABatch: "changes its size",
    ChangesType: "a state changes its size with its history",
    ChangesInPlace: "advance changes the state it is given",
    PerUser: "grows with the number of users",
    Random: "gives another model",
    RandomAnswers: "give different scores|scores differently",
    LeaksUsers: "gives another model",
    UnknownAdvances: "leaving unknown items out",
    Forgets: "scores differently",
    PartMissing: "parts of scores don't sum",
    NothingForNewcomers: "someone new gets scores that are no finite numbers",
    NoNumberForNewcomers: "someone new gets scores that are no finite numbers|differ",
    NoNumberForOthers: "someone with a history gets scores that are no finite numbers|differ",
    DoublePrecision: "float64, not float32",
    WeighsNothing: "weighed_scores are other scores",
    SharesItsScores: "scores that a caller wrote into",
    TakesAnyState: "a state of another model is advanced",
}


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_keeps_the_contract_passes(seed: int) -> None:
    check_recommender(Counting, seed=seed)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_caught(kind: type[Model]) -> None:
    with pytest.raises(AssertionError, match=BROKEN[kind]):
        check_recommender(kind)


def test_a_width_that_happens_to_be_the_number_of_users_is_no_parameter_per_user() -> None:
    class ThirtyWide(Counting):
        def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
            super()._fit(train, valid, monitor)
            self._learned["matrix"] = np.zeros((30, 30), np.float32)

        def _set_weights(self, weights: Arrays) -> None:
            self._learned = dict(weights)

    check_recommender(ThirtyWide)


def test_example_histories_hold_a_pattern_and_someone_silent() -> None:
    example = example_histories(np.random.default_rng(0), users=9)
    assert (example.lengths == 0).any()
    steps = np.diff(example.item) % len(example.items)
    assert np.mean(steps == 1) > 0.6
    assert (np.diff(example.timestamp) >= 0).all()


def test_a_log_in_a_line_is_in_the_total_order() -> None:
    log = log_of([("b", "x", 2), ("a", "y", 1), ("b", "w", 2), ("b", "v", 1.5)])
    assert [log.users[int(u)] for u in log.user] == ["a", "b", "b", "b"]
    assert [log.items[int(i)] for i in log.item] == ["y", "v", "x", "w"]
    assert log.timestamp.tolist() == [1_000_000, 1_500_000, 2_000_000, 2_000_000]
    assert len(set(log.event_id.tolist())) == 4
    assert log.content_hash == log_of([("b", "x", 2), ("a", "y", 1), ("b", "w", 2), ("b", "v", 1.5)]).content_hash
    assert log.content_hash != log_of([("a", "y", 1)]).content_hash
