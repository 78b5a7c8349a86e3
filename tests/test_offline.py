"""Recommendations for the people of a log."""

import numpy as np
import pytest

from penchant.models import create, validation
from penchant.models.base import Model
from penchant.offline import recommend_users
from penchant.sequences import histories
from penchant.testing import log_of
from penchant.types import Float, Int, PenchantError, UserState

LOG = log_of(
    [("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 3), ("cid", "a", 4), ("cid", "b", 5), ("cid", "c", 6), ("cid", "d", 7)]
)


@pytest.fixture
def model() -> Model:
    return create("popularity").fit(histories(LOG))


def lists(rows: list[dict[str, object]]) -> dict[object, list[object]]:
    found: dict[object, list[object]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(found[row["user_id"]])
    return found


def test_everybody_gets_the_best_of_what_they_have_not_had(model: Model) -> None:
    rows = list(recommend_users(model, LOG, k=2))
    assert lists(rows) == {"ann": ["c", "d"], "bob": ["b", "c"]}
    assert [row["score"] for row in rows] == pytest.approx(np.log([1 / 7, 1 / 7, 2 / 7, 1 / 7]))
    assert list(rows[0]) == ["user_id", "item_id", "score", "rank"]


def test_seen_items_are_kept_where_that_is_asked_for(model: Model) -> None:
    assert lists(list(recommend_users(model, LOG, ["cid", "bob"], k=2, seen="keep"))) == {"cid": ["a", "b"], "bob": ["a", "b"]}


def test_strangers_get_what_the_model_says_of_someone_new(model: Model) -> None:
    assert lists(list(recommend_users(model, LOG, ["stranger", "ann"], k=3))) == {
        "stranger": ["a", "b", "c"],
        "ann": ["c", "d"],
    }


def test_those_who_had_all_items_are_counted_since_they_get_no_list(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    monkeypatch.setattr(validation, "SCORES_AT_ONCE", 1)
    told: list[str] = []

    def recommended(users: list[str], seen: str = "exclude") -> set[object]:
        told.clear()
        return set(lists(list(recommend_users(model, LOG, users, k=2, seen=seen, progress=lambda what, *n: told.append(what)))))

    assert recommended(["ann", "cid", "bob", "cid"]) == {"ann", "bob"}
    assert "2 of 4 people get no list: they had all items there are to recommend, and what people had is left out" in told
    for users, seen in ((["ann", "bob"], "exclude"), (["cid"], "keep")):
        assert recommended(users, seen) == set(users)
        assert not any("no list" in what for what in told)


def test_nobody_asked_nothing_said(model: Model) -> None:
    assert list(recommend_users(model, LOG, [], k=2)) == []


def test_parts_are_told_and_sum_to_the_score() -> None:
    lstm = create("lstm", width=4, epochs=1, dropout=0).fit(histories(LOG))
    rows = list(recommend_users(lstm, LOG, k=2, explain=True))
    assert list(rows[0]) == ["user_id", "item_id", "score", "rank", "short_term", "bias"]
    assert [row["short_term"] + row["bias"] for row in rows] == pytest.approx([row["score"] for row in rows], abs=1e-5)


def test_people_are_answered_alike_however_many_at_a_time(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    together = list(recommend_users(model, LOG, k=2))
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(validation, "SCORES_AT_ONCE", 1)
    assert list(recommend_users(model, LOG, k=2, progress=lambda what, done, total: told.append((done, total)))) == together
    assert [step for step in told if step != (0, 0)] == [(1, 3), (2, 3), (3, 3)]


def test_the_moment_asked_about_is_that_of_the_last_event_unless_said(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    asked: list[list[int]] = []
    answer = type(model).score

    def listening(self: Model, state: UserState, now: Int) -> Float:
        asked.append(now.tolist())
        return answer(self, state, now)

    monkeypatch.setattr(type(model), "score", listening)
    list(recommend_users(model, LOG, ["ann", "bob"], k=1))
    list(recommend_users(model, LOG, ["ann"], k=1, now=5))
    assert asked == [[7_000_000, 7_000_000], [5]]


def test_bad_questions_are_refused(model: Model) -> None:
    with pytest.raises(PenchantError, match="k is 5, but must lie between 1 and 4"):
        list(recommend_users(model, LOG, k=5))
    with pytest.raises(PenchantError, match="'exclude' or to 'keep', not 'forget'"):
        list(recommend_users(model, LOG, k=1, seen="forget"))


def test_strangers_and_unknown_items_are_told_of() -> None:
    log = log_of([("a", "x", 1), ("a", "y", 2), ("b", "x", 1), ("b", "y", 3)])
    model = create("popularity").fit(histories(log))
    told: list[str] = []
    more = log_of([("a", "x", 1), ("a", "new", 2)])
    rows = list(recommend_users(model, more, ["a", "nobody"], k=1, progress=lambda what, *n: told.append(what)))
    assert {row["user_id"] for row in rows} == {"a", "nobody"}
    assert "1 of 2 people aren't in the dataset: they get what newcomers get" in told
    assert "50.0% of their events are of items the model doesn't know, and are passed over" in told
    with pytest.raises(PenchantError, match="knows none of the items"):
        list(recommend_users(model, log_of([("a", "p", 1), ("a", "q", 2)]), k=1))
