"""Events in order of time: what is known when, and the same answers as from whole histories."""

from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.evaluation import leave_one_out, measure_live, rolling_origin, summarise, temporal, within
from penchant.evaluation.progressive import HOUR, Live, asked, moments, replay, stream
from penchant.models import create
from penchant.models.base import Model
from penchant.models.validation import seen_items
from penchant.ranking import masked_scores, target_ranks, top_k
from penchant.testing import log_of
from penchant.types import MICROSECONDS, UNKNOWN, Interactions, Learning, PenchantError, Split, Vocabulary


@pytest.fixture(scope="module")
def log() -> Interactions:
    """Fourteen people over some twenty hours, ties among them; item z and person late come after the cut."""
    chance = np.random.default_rng(1)
    rows = [
        (f"u{u:02}", f"i{(u + n * (1 + u % 3)) % 9}", float(chance.integers(0, 72_000))) for u in range(14) for n in range(14)
    ]
    rows += [("late", item, 71_000 + 1000 * n) for n, item in enumerate(["i1", "z", "i2", "z"])]
    rows += [("u00", "i1", 70_000), ("u00", "i5", 70_000), ("u00", "i5", 70_000)]
    return log_of(rows)


@pytest.fixture(scope="module")
def cut(log: Interactions) -> Split:
    return temporal(log)


def known_by(log: Interactions, row: int, delay: int) -> list[int]:
    """The places in the log of the person's events that are known when event ``row`` is asked about."""
    mine = np.flatnonzero(log.user[:row] == log.user[row])
    return [int(place) for place in mine if delay == 0 or log.timestamp[place] < log.timestamp[row] - delay]


@pytest.mark.parametrize("delay", [0, HOUR])
def test_the_stream_is_every_event_after_the_cut_and_what_is_known_by_then(log: Interactions, cut: Split, delay: int) -> None:
    assert cut.cuts is not None
    events = stream(log, cut, Live(delay=delay))
    whole = events.histories
    assert sorted(whole.event_id[events.event]) == sorted(log.event_id[log.timestamp >= cut.cuts[1]])
    assert (np.diff(events.now) >= 0).all()
    rows = {event: row for row, event in enumerate(log.event_id.tolist())}
    for event, person, known in zip(events.event, events.person, events.known, strict=True):
        begin = whole.offsets[person]
        mine = [rows[e] for e in whole.event_id[begin : begin + known].tolist()]
        assert mine == known_by(log, rows[whole.event_id[event]], delay)


def naive(
    model: Model, log: Interactions, cut: Split, delay: int, k: int, *, exclude: bool
) -> tuple[list[float], list[list[int]]]:
    """Each event after the cut in order of time, answered from the whole history that is known."""
    assert cut.cuts is not None
    after = np.flatnonzero(log.timestamp >= cut.cuts[1])
    ranks, lists = [], []
    for row in after[np.argsort(log.timestamp[after], kind="stable")]:
        keep = np.zeros(len(log), bool)
        keep[known_by(log, int(row), delay)] = True
        mine = seq.recode(seq.select(seq.histories(log, keep), np.array([log.user[row]])), model.items)
        scores = masked_scores(model, model.encode(mine), log.timestamp[row : row + 1], seen_items(mine) if exclude else None)
        target = log.items.translation(model.items)[log.item[row : row + 1]]
        best, score = top_k(scores, k)
        ranks.append(float(target_ranks(scores, np.zeros(1, np.int64), target, score)[0]))
        lists.append(model.items.translation(log.items)[best][0].tolist())
    return ranks, lists


@pytest.mark.parametrize("delay", [0, 2 * HOUR])
@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("name", ["lstm", "transitions", "popularity"])
def test_answers_are_those_from_whole_histories(log: Interactions, cut: Split, name: str, exclude: bool, delay: int) -> None:
    settings = {"width": 6, "epochs": 1} if name == "lstm" else {}
    model = create(name, **settings).fit(cut.train)
    events = stream(log, cut, Live(delay=delay))
    found = replay(model, events, log, Live(delay=delay), 4, exclude_seen=exclude)
    ranks, lists = naive(model, log, cut, delay, 4, exclude=exclude)
    assert found.ranks.tolist() == ranks
    assert found.recommended.tolist() == lists
    assert (found.recommended != UNKNOWN).any()
    assert found.repeats.any() != exclude


def test_memories_learn_what_becomes_known_step_by_step(log: Interactions, cut: Split) -> None:
    for live in (Live(step=HOUR // 4), Live(delay=HOUR, step=HOUR // 4)):
        model = create("transitions").fit(cut.train)
        events = stream(log, cut, live)
        found = replay(model, events, log, live, 4, exclude_seen=False, learned=cut.train)
        begin = events.start + (events.now[-1] - events.start) // live.step * live.step
        expected = create("transitions").fit(cut.train)
        assert isinstance(expected, Learning)
        expected.unlearn(cut.train)
        expected.learn(seq.histories(log, log.timestamp < begin - live.delay))
        assert isinstance(expected, Model)
        assert model.id == expected.id
        still = replay(create("transitions").fit(cut.train), events, log, live, 4, exclude_seen=False)
        assert still.ranks.tolist() != found.ranks.tolist()


def test_a_model_trained_anew_knows_new_items(log: Interactions, cut: Split) -> None:
    live = Live(refresh=HOUR // 4, step=HOUR // 8)
    events = stream(log, cut, live)
    told: list[str] = []
    model = create("recent_popularity", half_life_days=0.01).fit(cut.train)
    found = replay(model, events, log, live, 4, exclude_seen=False, progress=lambda what, *_: told.append(what))
    before = replay(model, events, log, Live(), 4, exclude_seen=False)
    assert any(what.startswith("training recent_popularity again at 1970-01-01T19") for what in told)
    new = events.histories.item[events.event] == log.items.code("z")
    assert np.isinf(before.ranks[new]).all()
    assert np.isfinite(found.ranks[new]).any()


def test_kinds_of_questions_and_moments(log: Interactions, cut: Split) -> None:
    events = stream(log, cut, Live())
    questions = asked(events, cut.train)
    late = questions.person == log.users.code("late")
    assert questions.length[late].tolist() == [0, 1, 2, 3]
    assert not questions.trained[late].any()
    assert questions.trained[~late].all()
    assert questions.last[late][1:].tolist() == [(71_000 + 1000 * n) * MICROSECONDS for n in range(3)]
    stretches = moments(events)
    assert sum(part.of.sum() for part in stretches) == len(events.event)
    assert stretches[0].name.startswith("1970-01-01 ")


@pytest.mark.parametrize("apart", [60 * MICROSECONDS, MICROSECONDS, 1])
def test_stretches_of_a_short_time_have_names_of_their_own(log: Interactions, cut: Split, apart: int) -> None:
    events = stream(log, cut, Live())
    times = events.histories.timestamp.copy()
    times[events.event] = events.start + apart * np.arange(len(events.event)) // 2
    soon = replace(events, histories=replace(events.histories, timestamp=times))
    names = [part.name for part in moments(soon)]
    assert len(names) > 1
    assert len(set(names)) == len(names)
    assert sum(part.of.sum() for part in moments(soon)) == len(events.event)


def test_a_whole_progressive_evaluation(log: Interactions, cut: Split) -> None:
    models = {name: create(name).fit(cut.train) for name in ("markov", "popularity")}
    for model in models.values():
        assert isinstance(model, Learning)
        model.unlearn(cut.train)
        model.learn(cut.before_test)
    measured = measure_live(models, log, cut, Live(), k=3, seen="keep")
    found = summarise([measured], list(models), split="temporal, progressive", k=3, seen="keep")
    ranks, _ = naive(create("popularity").fit(cut.train), log, cut, 0, 3, exclude=False)
    assert found.models["popularity"]["hit@3"] == pytest.approx(np.mean(np.array(ranks) <= 3))
    assert found.facts["targets"] == len(ranks)
    assert found.facts["targets_never_trained"] == pytest.approx(2 / len(ranks))
    assert {"history", "person", "time"} <= {part.family for part in found.slices}
    assert sum(part.targets for part in found.slices if part.family == "time") == len(ranks)


def test_what_cannot_be_replayed_is_refused(log: Interactions) -> None:
    with pytest.raises(PenchantError, match="progressive evaluation goes in order of time, and the leave-one-out split isn't"):
        stream(log, leave_one_out(log), Live())
    with pytest.raises(PenchantError, match="must not be negative"):
        Live(delay=-1)
    with pytest.raises(PenchantError, match=r"every so many whole hours, and 1\.5 aren't"):
        Live(refresh=HOUR * 3 // 2)
    assert str(Live(delay=30 * 60 * MICROSECONDS, refresh=6 * HOUR)) == (
        "progressive, feedback 30 minutes late, trained anew every 6 hours"
    )


def test_a_fold_asks_about_its_own_test_part(log: Interactions) -> None:
    cuts = rolling_origin(log, 2)
    first, last = (set(part.histories.event_id[part.event]) for part in (stream(log, cut, Live()) for cut in cuts))
    assert not first & last
    assert first | last == set(log.event_id[~within(log, cuts[0].before_test)])
    found = replay(create("markov").fit(cuts[0].train), stream(log, cuts[0], Live()), log, Live(), 3, exclude_seen=False)
    assert len(found.ranks) == len(first)


def test_coverage_is_of_the_items_there_were_to_choose_from(log: Interactions, cut: Split) -> None:
    more = replace(log, items=Vocabulary((*log.items.ids, *(f"never {n}" for n in range(90)))))
    split = temporal(more)
    model = create("popularity").fit(split.train)
    measured = measure_live({"popularity": model}, more, split, Live(), k=len(model.items), seen="keep", reading="train-only")
    found = summarise([measured], ["popularity"], split="temporal", k=len(model.items), seen="keep")
    assert found.models["popularity"][f"coverage@{len(model.items)}"] == 1
    assert found.models["popularity"][f"gini@{len(model.items)}"] == pytest.approx(0)
    events = stream(more, split, Live())
    assert replay(model, events, more, Live(refresh=HOUR), 3, exclude_seen=False).catalogue == len(model.items) + 1  # z came


def test_what_models_know_counts_as_trained_on(log: Interactions, cut: Split) -> None:
    model = create("popularity").fit(cut.before_test)
    measured = measure_live({"p": model}, log, cut, Live(), k=3, reading="refit")
    before = np.isin(log.item, cut.before_test.item)
    later = ~within(log, cut.before_test)
    assert measured.facts["targets_never_trained"] == pytest.approx((later & ~before).sum() / later.sum())
    with pytest.raises(PenchantError, match="p was trained on other events than the split's training part"):
        measure_live({"p": model}, log, cut, Live(), k=3)
