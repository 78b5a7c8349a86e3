"""Reasons: what speaks for a recommended item, which past events weigh most, and a sentence that says so.

- **Shares of the parts** (long-term, short-term, what follows what, content, …): how far each part of the item's score lies
  above that part's mean over the catalogue; parts below it speak against the item and have no share.
- **The events that weigh most**, of the last ``RECENT`` ones. Where a score is a sum over past items (transitions, neighbours,
  content), an event's weight is its addend, exactly. For everything else, networks above all, it is what the score loses if the
  event is left out, all events in one batch. Blends add up their members' weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.interests import words
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.item_to_item import ItemToItem
from penchant.models.validation import seen_items
from penchant.ranking import recommend
from penchant.types import UNKNOWN, Array, Batch, Float, Int, Progress, Sequences, UserState, quiet

RECENT = 50
REACH = 200
"""Events are left out of the last so many: a network's memory of earlier ones is taken as none."""
NAMED = 3
BACKGROUND = 256
"""Items, spread evenly over the catalogue, whose mean score an item's is compared with."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Because:
    """A past item that speaks for a recommended one; ``weight`` is its share among all that do."""

    item_id: str
    title: str
    weight: float


@dataclass(frozen=True)
class Reason:
    """Why an item is recommended: the shares of the score's parts (they sum to 1, or are empty where nothing speaks for it more
    than for others), and the past items that weigh most.
    """

    item_id: str
    shares: Mapping[str, float]
    because: tuple[Because, ...]

    def words(self, language: str = "en") -> str:
        """In a sentence."""
        words.check_language(language)
        parts = sorted(self.shares.items(), key=lambda part: -part[1])[:2]
        told = [f"{words.label(name, language)} ({words.share(share)})" for name, share in parts if share > 0.005]
        titles = words.listed([words.quoted(one.title, language) for one in self.because], language)
        if language == "zh":
            since = f"因为之前的{titles}" if titles else ""
            mostly = f"主要依据：{words.listed(told, 'zh')}" if told else ""
            return ("；".join(part for part in (since, mostly) if part) or "没有比其他物品更多的依据") + "。"
        since = f"because of {titles}" if titles else ""
        mostly = f"what speaks for it: {words.listed(told)}" if told else ""
        sentence = "; ".join(part for part in (since, mostly) if part) or "nothing speaks for it more than for others"
        return f"{sentence[0].upper()}{sentence[1:]}."

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "shares": dict(self.shares),
            "because": [{"item_id": one.item_id, "title": one.title, "weight": one.weight} for one in self.because],
            "sentence": {language: self.words(language) for language in words.LANGUAGES},
        }


def reasons(
    model: Model,
    history: Sequences,
    item: Int,
    now: int,
    title: Callable[[str], str] = str,
    state: UserState | None = None,
) -> list[Reason]:
    """Why ``item[k]`` (codes of the model's) are recommended to the one person whose history this is, at ``now``.

    ``title`` gives the words an item is known by; ``state`` is the person's after the history, where it is at hand: then the
    history's beginning isn't read again.
    """
    known = seq.known_only(seq.recode(history, model.items, model.event_types))
    shares = _shares(model, model.encode(known) if state is None else state, item, now)
    past, weight = _by_item(known.item[-RECENT:], event_weights(model, known, item, now))
    found = []
    for column, code in enumerate(item.tolist()):
        speaks = np.maximum(weight[:, column], 0)
        order = [row for row in np.argsort(-speaks, kind="stable")[:NAMED].tolist() if speaks[row] > 0]
        because = []
        for row in order:
            name = model.items[int(past[row])]
            because.append(Because(name, title(name), float(speaks[row] / speaks.sum())))
        mine = {name: float(part[column]) for name, part in shares.items() if part[column] > 0}
        found.append(Reason(model.items[code], mine, tuple(because)))
    return found


def _shares(model: Model, state: UserState, item: Int, now: int) -> dict[str, Float]:
    """Each part's share ``[k]`` in how far the score lies above the mean of the catalogue."""
    everything = np.arange(len(model.items))[None]
    parts = model.parts(state, np.array([now]), everything)
    above = {name: np.maximum(part[0, item] - part[0].mean(), 0) for name, part in parts.items()}
    total = np.asarray(sum(above.values(), np.zeros(len(item))))
    return {name: part / np.where(total > 0, total, 1) for name, part in above.items()}


def event_weights(model: Model, known: Sequences, item: Int, now: int) -> Float:
    """How much each of the last ``RECENT`` events of a person (all of known items) speaks for ``item[k]``: ``[e, k]``."""
    if isinstance(model, Blend):
        members = zip(model.members.values(), model.coefficients.tolist(), strict=True)
        weighed = [np.float32(w) * event_weights(member, known, item, now) for member, w in members if w]
        return np.asarray(sum(weighed[1:], weighed[0]))
    if isinstance(model, ItemToItem):
        added = model.addends(known.item, item)
        return np.pad(added, ((max(0, min(RECENT, len(known.item)) - len(added)), 0), (0, 0)))[-RECENT:]
    return _left_out(model, known, item, now)


def _left_out(model: Model, known: Sequences, item: Int, now: int) -> Float:
    """What the score of ``item[k]``, beside the background's, loses without each of the last events: ``[e, k]``."""
    length = len(known.item)
    count = min(RECENT, length)
    if count == 0:
        return np.zeros((0, len(item)), np.float32)
    earlier = seq.until(known, np.array([length - count]), np.array([max(0, length - count - REACH)]))
    states = model.encode(earlier)[np.zeros(count + 1, np.int64)]
    scores = _above_background(model, model.advance(states, _without_each(known, count)), item, now)
    return np.asarray(scores[-1] - scores[:-1])


def _without_each(known: Sequences, count: int) -> Batch:
    """The last ``count`` events without the first of them, without the second, …, and whole."""
    start = len(known.item) - count
    kept = np.array([[place for place in range(count) if place != row] for row in range(count)], np.int64).reshape(count, -1)
    places = start + np.vstack([np.pad(kept, ((0, 0), (0, 1))), np.arange(count)])
    lengths = np.append(np.full(count, max(0, count - 1)), count)
    return Batch(known.item[places], known.timestamp[places], known.event_type[places], known.event_id[places], lengths)


def _above_background(model: Model, states: Any, item: Int, now: int) -> Float:
    """Scores ``[n, k]`` of some items, above the mean of the background's."""
    background = np.unique(np.linspace(0, len(model.items) - 1, BACKGROUND).astype(np.int64))
    asked = np.tile(np.concatenate([item, background]), (len(states), 1))
    scores = np.asarray(sum(model.parts(states, np.full(len(states), now), asked).values()), np.float32)
    return np.asarray(scores[:, : len(item)] - scores[:, len(item) :].mean(axis=1, keepdims=True))


def _by_item(item: Int, weight: Float) -> tuple[Int, Array]:
    """The distinct items of some events, and the sums of their weights."""
    distinct, place = np.unique(item, return_inverse=True)
    total = np.zeros((len(distinct), weight.shape[1]), np.float64)
    np.add.at(total, place, weight)
    return distinct, total


# Are the reasons true?


@dataclass(frozen=True)
class Faithfulness:
    """What items' scores lose without the events that reasons name, and without as many others, in spreads of all scores (means
    over people, and 95% intervals by bootstrap over them); ``greater`` is how often the first is more.
    """

    people: int
    named: float
    others: float
    difference: float
    interval: tuple[float, float]
    greater: float


def faithfulness(
    model: Model,
    histories: Sequences,
    now: Int,
    *,
    people: int = 200,
    k: int = 3,
    seed: int = 0,
    progress: Progress = quiet,
) -> Faithfulness:
    """Whether removing the events that reasons name lowers the scores of the ``k`` best items more than removing others.

    For each of ``people`` drawn (with more than ``NAMED`` distinct items, so that there are others), the histories are encoded
    anew without all events of the named items, and without those of as many others drawn from the last ``RECENT`` events.
    Deletion of this kind is what DeYoung et al. (2020, "ERASER") call comprehensiveness.
    """
    chance = np.random.default_rng(seed)
    known = seq.known_only(seq.recode(histories, model.items, model.event_types))
    lost: list[tuple[float, float]] = []
    for row in chance.permutation(len(known)).tolist():
        if len(lost) == people:
            break
        mine = seq.select(known, np.array([row]))
        found = _losses(model, mine, int(now[row]), k, chance)
        if found is not None:
            lost.append(found)
            progress("removing events", len(lost), people)
    values = np.array(lost).reshape(-1, 2)
    difference = values[:, 0] - values[:, 1]
    drawn = chance.integers(0, max(1, len(values)), (RESAMPLES, len(values)))
    low, high = np.quantile(difference[drawn].mean(axis=1), [0.025, 0.975]) if len(values) else (np.nan, np.nan)
    named, others = values.mean(axis=0).tolist() if len(values) else (np.nan, np.nan)
    greater = float((difference > 0).mean()) if len(values) else np.nan
    return Faithfulness(len(values), named, others, named - others, (float(low), float(high)), greater)


def _losses(model: Model, mine: Sequences, now: int, k: int, chance: np.random.Generator) -> tuple[float, float] | None:
    """What a person's best items lose without the named items and without others, on average; ``None`` with too few events."""
    recent = np.unique(mine.item[-RECENT:])
    state = model.encode(mine)
    best = recommend(model, state, min(k, len(model.items)), now=np.array([now]), exclude=seen_items(mine)).item[0]
    best = best[best != UNKNOWN]
    told = reasons(model, mine, best, now)
    removed: list[Array] = []
    for reason in told:
        named = model.items.codes([one.item_id for one in reason.because])
        rest = np.setdiff1d(recent, named)
        if len(named) == 0 or len(rest) < len(named):
            return None
        removed += [named, chance.choice(rest, len(named), replace=False)]
    if not removed:
        return None
    states = model.encode(_without(mine, removed))
    whole = _above_background(model, state, best, now)[0]
    left = _above_background(model, states, best, now)
    spread = float(model.score(state, np.array([now])).std()) or 1.0
    drop = [(whole[i // 2] - left[i, i // 2]) / spread for i in range(len(removed))]
    return float(np.mean(drop[::2])), float(np.mean(drop[1::2]))


def _without(mine: Sequences, removed: Sequence[Array]) -> Sequences:
    """A person's history as many times as there are sets of items, each without one of them."""
    some = seq.of_users(mine, [mine.users[0]] * len(removed))
    row = np.repeat(np.arange(len(removed)), some.lengths)
    keep = np.ones(len(row), bool)
    for number, items in enumerate(removed):
        keep &= ~((row == number) & np.isin(some.item, items))
    return seq.where(some, keep)
