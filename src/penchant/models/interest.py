"""Will this person like this item? Probabilities for candidates, from the state of a recurrent model. NumPy only.

A state is that of the recurrent model beneath, and a ring of the last events. ``neural/interest_training.py`` trains the same
head in torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model, Settings, expect, known_events
from penchant.models.blend import Blend
from penchant.models.neural import cells
from penchant.models.neural.model import NeuralModel
from penchant.models.registry import SINGLE
from penchant.types import (
    MICROSECONDS,
    UNKNOWN,
    Array,
    Arrays,
    Batch,
    Cases,
    Float,
    Impressions,
    Int,
    Monitor,
    PenchantError,
    Progress,
    Sequences,
    Text,
    UserState,
    Vocabulary,
    quiet,
)

GAP_EDGES = np.array([0, *(round(10 ** (power / 2) * MICROSECONDS) for power in range(17))], np.int64)
"""Ages of events are told apart by half powers of ten, from a second to three years."""
GAPS = len(GAP_EDGES) + 1
HOUR = 3600 * MICROSECONDS
HOURS = 24
USUAL = 5
"""An item's rates lean to everybody's as if it had been shown so many times before."""
PAIRS_AT_ONCE = 1 << 16
"""Pairs of a candidate and an event of the ring, at a time."""


@dataclass(frozen=True)
class InterestSettings(Settings):
    """Of the head; the model beneath keeps its own."""

    width: int = 64
    """Numbers in an item's vector."""
    hidden: int = 64
    """Units between what is known of person and candidate and the targets."""
    ring: int = 50
    """How many last events are attended to."""
    attention: int = 16
    """Numbers by which a candidate and an event are compared."""
    short: bool = True
    """Whether recent events and the short-term interest are looked at."""
    long: bool = True
    """Whether the long-term interest is."""
    within: float = 0.3
    """What it counts, beside the log loss, that of two items shown to one person the one with a yes comes first."""
    dropout: float = 0.3
    learning_rate: float = 0.004
    weight_decay: float = 0.01
    batch: int = 2048
    """About so many impressions a step."""
    epochs: int = 8
    """At most so many passes over the impressions."""
    patience: int = 2
    """Training stops after so many epochs without a better validation."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "attention", "batch", "epochs", "patience"):
            self.check(getattr(self, name) >= 1, f"{name} must be at least 1")
        largest = max(self.width, self.hidden, self.attention)
        self.check(largest <= 8192, "width, hidden and attention must be at most 8192")
        self.check(1 <= self.ring <= 4096, "ring must lie between 1 and 4096")
        self.check(0 <= self.dropout < 1, "dropout must lie in [0, 1)")
        self.check(self.learning_rate > 0, "learning_rate must be above 0")
        for name in ("within", "weight_decay"):
            self.check(0 <= getattr(self, name) <= 1e6, f"{name} must lie between 0 and 1000000")
        self.check(0 <= self.seed < 1 << 32, "seed must lie between 0 and 4294967295")


@dataclass(frozen=True)
class Form:
    """What the sizes of a head depend on: ``vectors`` are the widths of the long- and short-term interest beneath (0 where it
    has none or it isn't looked at), ``places`` the known values of each context column.
    """

    items: int
    kinds: int
    vectors: tuple[int, int]
    targets: tuple[str, ...]
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def standing(self) -> int:
        """How many numbers say what is known of an item; see ``standing``."""
        return 2 + len(self.targets) + self.kinds

    def level(self, settings: InterestSettings) -> int:
        """How many numbers say what a person does with whatever is shown; see ``Interest``."""
        return sum(self.vectors) + self.kinds * (settings.long + settings.short)


def shapes(form: Form, settings: InterestSettings) -> dict[str, tuple[int, ...]]:
    """The head's weights and their shapes. The last row of ``table``, ``counted`` and ``done`` is an unknown item's."""
    d, a, h, (long, short) = settings.width, settings.attention, settings.hidden, form.vectors
    targets = len(form.targets)
    found: dict[str, tuple[int, ...]] = {
        "table": (form.items + 1, d),
        "hour": (HOURS, h),
        "counted": (form.items + 1, 1 + targets),
        "usual": (targets,),
        "done": (form.items + 1, 1 + form.kinds),
        "usually": (form.kinds,),
        "standing.weight": (h, form.standing),
        "up.weight": (h, d),
        "up.bias": (h,),
        "down.weight": (targets, h),
        "down.bias": (targets,),
    }
    found |= {f"place.{name}": (len(values) + 1, h) for name, values in form.places.items()}
    if level := form.level(settings):
        found |= {"level_up.weight": (h, level), "level_up.bias": (h,), "level_down.weight": (targets, h)}
        found |= {f"level_place.{name}": (len(values) + 1, h) for name, values in form.places.items()}
    if settings.short:
        found |= {"event.weight": (a, d), "kind": (form.kinds, a), "age": (GAPS,), "nothing": (1,)}
    if short:
        found["short.weight"] = (a, short)
    if long:
        found["long.weight"] = (a, long)
    if settings.short or long:
        found |= {"query.weight": (a, d), "match.weight": (targets, a)}
    if settings.short and long:
        found |= {"gate.weight": (1, long + short + a), "gate.bias": (1,)}
    return found


def standing(counted: Array, usual: Array) -> Float:
    """What is known of items by what came of them, ``[…, 1 + m] float32``: how often they were there, and by how much the log
    odds of each answer are above the ``usual[m]`` rates. ``counted[…, 1 + m]`` are times, then answers: of showing them, labels
    (``totals``); of people's events, kinds (``kinds_done``).
    """
    shown, had = counted[..., :1].astype(float), counted[..., 1:].astype(float)
    usual = usual.astype(float)
    rate = (had + USUAL * usual) / (shown + USUAL)
    odds = np.log(rate / (1 - rate)) - np.log(usual / (1 - usual))
    return np.concatenate([np.log1p(shown) / 4, odds], axis=-1).astype(np.float32)


class Interest(Model):
    """P(target) of candidates, its log odds a sum of three parts. *Quality*: what is known of the item, what came of showing it
    before, where and when it is shown. *Level*: how much of each kind the person has done, and the state beneath. *Match*:
    attention of the candidate over the last events (after DIN: Zhou et al. 2018) joins the short-term interest, a gate of both
    memories and the candidate weighs it against the long-term one (after SLi-Rec: Yu et al. 2019), times the candidate.

    Made from a trained recurrent model, ``base``, whose weights stay as they are. ``score`` is the logit of the first target.
    """

    name = "interest"
    settings_type = InterestSettings
    settings: InterestSettings

    base: NeuralModel
    form: Form

    # What a person is.

    def take_base(self, base: Model, items: Vocabulary, event_types: tuple[str, ...]) -> None:
        """Stand on a trained model, over this catalogue. ``PenchantError`` where it isn't recurrent."""
        self.base = network_of(base)
        self.items, self.event_types = items, event_types
        self._beneath = items.translation(self.base.items)
        self._kinds_beneath = Vocabulary(self.base.event_types).codes(event_types).astype(np.int16)
        self._forget_ids()

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        raise PenchantError(
            "the model interest learns from impressions with labels: penchant train DIR --model interest --base …"
        )

    def _initial(self, n: int) -> Arrays:
        ring = (n, self.settings.ring)
        return {f"base/{name}": array for name, array in self.base._initial(n).items()} | {
            "ring_item": np.full(ring, UNKNOWN, np.int32),
            "ring_kind": np.zeros(ring, np.int16),
            "ring_time": np.zeros(ring, np.int64),
            "lifetime": np.zeros((n, len(self.event_types)), np.int64),
        }

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        kinds = np.append(self._kinds_beneath, np.int16(UNKNOWN))
        beneath = known_events(replace(batch, item=self._beneath[batch.item], event_type=kinds[batch.event_type]))
        mine = {name.removeprefix("base/"): array for name, array in arrays.items() if name.startswith("base/")}
        after = {f"base/{name}": array for name, array in self.base._advance(mine, beneath).items()}
        # The last of what was there and what came, row by row.
        ring, length = self.settings.ring, batch.item.shape[1]
        places = np.arange(ring) + batch.lengths[:, None]
        for name, came in (("ring_item", batch.item), ("ring_kind", batch.event_type), ("ring_time", batch.timestamp)):
            both = np.concatenate([arrays[name], came], axis=1) if length else arrays[name]
            after[name] = np.take_along_axis(both, places, axis=1).astype(arrays[name].dtype)
        inside = (np.arange(length) < batch.lengths[:, None])[:, :, None]
        came = ((batch.event_type[:, :, None] == np.arange(len(self.event_types))) & inside).sum(axis=1)
        after["lifetime"] = arrays["lifetime"] + came
        return after

    def vectors(self, arrays: Arrays, now: Int) -> tuple[Float, Float]:
        """The long- and short-term interest beneath at ``now[n]``, ``[n, …] float32``; without columns where there is none."""
        mine = {name.removeprefix("base/"): array for name, array in arrays.items() if name.startswith("base/")}
        found = self.base.interest(mine, now)
        nothing = np.zeros((len(now), 0), np.float32)
        return (
            found.get("long_term", nothing) if self.settings.long else nothing,
            found.get("short_term", nothing) if self.settings.short else nothing,
        )

    # What is said of candidates.

    def codes(self, context: Mapping[str, Sequence[str] | Text]) -> dict[str, Int]:
        """Values of the context columns the head was trained with, as it codes them; a new value counts for nothing."""
        return {name: Vocabulary(values).codes([str(v) for v in context[name]]) for name, values in self.form.places.items()}

    def logits(self, state: UserState, now: Int, item: Int, context: Mapping[str, Int] | None = None) -> Float:
        """``[n, k, targets] float32`` of the candidates ``item[n, k]`` (codes, ``UNKNOWN`` allowed) at ``now[n]``.

        ``context[name][n, k]`` are ``codes`` of where each would be shown; without them that counts for nothing.
        """
        weights, settings = self.weights_of_head, self.settings
        hour = weights["hour"][(now // HOUR) % HOURS] + weights["up.bias"]
        long, short = self.vectors(state.arrays, now)
        level = self._level(state.arrays, long, short)
        rings = self._rings(state.arrays, now) if settings.short else None
        out = np.empty((*item.shape, len(self.form.targets)), np.float32)
        step = max(1, PAIRS_AT_ONCE // settings.ring)
        for row in range(len(item)):
            seen = None if rings is None else tuple(part[row] for part in rings)
            for start in range(0, item.shape[1], step):
                some = slice(start, start + step)
                places = {name: codes[row, some] for name, codes in (context or {}).items()}
                said = self._quality(item[row, some], hour[row], places)
                if level is not None:
                    said += self._tower("level_", level[row], places)
                if seen is not None or long.shape[1]:
                    said += self._matched(item[row, some], seen, long[row], short[row]) @ self._t("match")
                out[row, some] = said
        return out

    def _level(self, arrays: Arrays, long: Float, short: Float) -> Float | None:
        """What says how a person takes whatever is shown, on its way to the second layer, ``[n, h]``."""
        if not self.form.level(self.settings):
            return None
        kinds = np.arange(self.form.kinds)
        parts = [long, short]
        if self.settings.long:
            parts.append(np.log1p(arrays["lifetime"]).astype(np.float32))
        if self.settings.short:
            known = arrays["ring_item"] != UNKNOWN
            counts = ((arrays["ring_kind"][:, :, None] == kinds) & known[:, :, None]).sum(axis=1)
            parts.append(np.log1p(counts).astype(np.float32))
        level: Float = np.concatenate(parts, axis=1) @ self._t("level_up") + self.weights_of_head["level_up.bias"]
        return level

    def _quality(self, item: Int, hidden: Float, places: Mapping[str, Int]) -> Float:
        """What is said of candidates ``item[k]`` whoever is asked, ``[k, targets]``; ``hidden[h]`` is the moment's."""
        own = self.weights_of_head["table"][item] @ self._t("up") + self._standing[item]
        said: Float = self._tower("", own + hidden, places) + self.weights_of_head["down.bias"]
        return said

    def _tower(self, name: str, hidden: Float, places: Mapping[str, Int]) -> Float:
        """The second layer over ``hidden[h]`` or ``[k, h]`` and where candidates are shown, ``[k, targets]``."""
        for column, codes in places.items():
            hidden = hidden + self.weights_of_head[f"{name}place.{column}"][codes]
        said: Float = cells.gelu(hidden) @ self._t(f"{name}down")
        return said

    def _rings(self, arrays: Arrays, now: Int) -> tuple[Array, Int, Int, Int]:
        """Of each event of the rings ``[n, ring]``: whether it is there, its item, its kind, and how old it is."""
        age = np.searchsorted(GAP_EDGES, now[:, None] - arrays["ring_time"], side="right")
        return arrays["ring_item"] != UNKNOWN, arrays["ring_item"], arrays["ring_kind"], age

    def _matched(self, item: Int, seen: Any, long: Float, short: Float) -> Float:
        """How the candidates ``item[k]`` go with one person's interest, number by number, ``[k, a]``."""
        weights = self.weights_of_head
        query = weights["table"][item] @ self._t("query")
        if seen is not None:
            interest = self._attended(query, *seen)
            if len(short):
                interest += weights["short.weight"] @ short
            if len(long):
                split, gate = len(long) + len(short), weights["gate.weight"][0]
                about = gate[:split] @ np.concatenate([long, short]) + weights["gate.bias"][0]
                g = cells.sigmoid(query @ gate[split:] + about)[:, None]
                interest = g * (weights["long.weight"] @ long) + (np.float32(1) - g) * interest
        else:
            interest = weights["long.weight"] @ long
        matched: Float = query * interest
        return matched

    def _attended(self, query: Float, known: Array, item: Int, kind: Int, age: Int) -> Float:
        """What candidates see of one person's last events, by their ``query[k, a]``: ``[k, a]``."""
        weights = self.weights_of_head
        if not known.any():
            return np.zeros_like(query)
        kinds = np.vstack([weights["kind"], np.zeros_like(query[:1])])  # one it wasn't trained with counts for nothing
        events = weights["table"][item[known]] @ self._t("event") + kinds[kind[known]]
        scores = query @ events.T / np.float32(np.sqrt(self.settings.attention)) + weights["age"][age[known]]
        most = np.maximum(scores.max(axis=1, keepdims=True), weights["nothing"])
        scores = np.exp(scores - most)
        seen: Float = scores @ events / (scores.sum(axis=1, keepdims=True) + np.exp(weights["nothing"] - most))
        return seen

    def probabilities(
        self, state: UserState, now: Int, item: Int, context: Mapping[str, Int] | None = None
    ) -> dict[str, Float]:
        """P(target) by name, ``[n, k] float32`` each, calibrated on validation; see ``logits``."""
        said = self.logits(state, now, item, context)
        slope, offset = self.calibration
        return {t: cells.sigmoid(said[:, :, i] * slope[i] + offset[i]) for i, t in enumerate(self.form.targets)}

    def score(self, state: UserState, now: Int) -> Float:
        """The calibrated logit of the first target, of every item."""
        everything = np.broadcast_to(np.arange(len(self.items)), (len(state), len(self.items)))
        slope, offset = self.calibration
        scores: Float = self.logits(state, now, everything)[:, :, 0] * slope[0] + offset[0]
        return scores

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """The score as a whole: what a head of several layers makes of its parts isn't a sum."""
        slope, offset = self.calibration
        return {"interest": self.logits(state, now, item)[:, :, 0] * slope[0] + offset[0]}

    # What was learned.

    def set_head(self, form: Form, weights: Arrays, calibration: tuple[Float, Float]) -> None:
        """Take the head's weights and, for each target, the slope and offset that calibrate its logit."""
        expect(weights, shapes(form, self.settings))
        self.form, self.weights_of_head, self.calibration = form, weights, calibration
        self._transposed: dict[str, Array] = {}
        stood = [standing(weights["counted"], weights["usual"]), standing(weights["done"], weights["usually"])]
        self._standing: Float = np.concatenate(stood, axis=1) @ self._t("standing")
        self._forget_ids()

    def count(self, impressions: Impressions) -> None:
        """Take in what came of showing items. Nothing else is learned, and no state changes."""
        counted = self.weights_of_head["counted"] + totals(impressions, self.form.targets)
        self.set_head(self.form, {**self.weights_of_head, "counted": counted}, self.calibration)

    def _t(self, name: str) -> Float:
        """A weight matrix, laid out for products; once."""
        if name not in self._transposed:
            self._transposed[name] = np.ascontiguousarray(self.weights_of_head[f"{name}.weight"].T)
        return self._transposed[name]

    def weights(self) -> Arrays:
        """Those of the model beneath, the head's, and words: what the model beneath is, the targets, the context's values."""
        words = {
            "base": self.base.name,
            "base_settings": asdict(self.base.settings),
            "base_event_types": self.base.event_types,
            "targets": self.form.targets,
            "places": self.form.places,
        }
        codes = np.full(len(self.base.items), UNKNOWN, np.int32)
        mine = self._beneath[:-1]
        codes[mine[mine >= 0]] = np.flatnonzero(mine >= 0)
        return (
            {f"base/{name}": array for name, array in self.base.weights().items()}
            | {f"head/{name}": array for name, array in self.weights_of_head.items()}
            | {
                "base_items": codes,
                "calibration": np.stack(self.calibration),
                "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
            }
        )

    def state_weights(self) -> Arrays:
        """Those of the model beneath."""
        return self.base.weights()

    def _set_weights(self, weights: Arrays) -> None:
        groups: dict[str, dict[str, Array]] = {"base": {}, "head": {}}
        for key, array in weights.items():
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = array
        try:
            words = json.loads(weights["words"].tobytes())
            codes, calibration = weights["base_items"], weights["calibration"]
            kind = SINGLE[words["base"]]
            base = kind(kind.settings_type.parse(words["base_settings"]))
            base.items = Vocabulary(tuple(self.items[int(code)] for code in codes))
            base.event_types = tuple(words["base_event_types"])
            targets = tuple(words["targets"])
            places = {name: tuple(values) for name, values in words["places"].items()}
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise PenchantError(
                "the weights don't fit the configuration: what the model interest stands on is missing"
            ) from error
        base.set_weights(groups["base"])
        self.take_base(base, self.items, self.event_types)
        self.set_head(self.form_for(targets, places), groups["head"], (calibration[0], calibration[1]))

    def form_for(self, targets: tuple[str, ...], places: Mapping[str, tuple[str, ...]]) -> Form:
        """The sizes of a head over this model beneath."""
        empty = self._initial(1)
        long, short = self.vectors(empty, np.zeros(1, np.int64))
        return Form(len(self.items), len(self.event_types), (long.shape[1], short.shape[1]), targets, places)


PEOPLE_AT_ONCE = 2048


def _outcomes(impressions: Impressions, targets: tuple[str, ...]) -> Float:
    """A 1 for being shown, then the labels: ``[N, 1 + targets] float32``."""
    labels = [impressions.labels[target] for target in targets]
    return np.stack([np.ones(len(impressions)), *labels], axis=1).astype(np.float32)


def totals(impressions: Impressions, targets: tuple[str, ...]) -> Float:
    """How often each item was shown, and its labels: ``[items + 1, 1 + targets] float32``, of an unknown item nothing."""
    counted = np.zeros((len(impressions.items) + 1, 1 + len(targets)), np.float32)
    np.add.at(counted, impressions.item, _outcomes(impressions, targets))
    counted[UNKNOWN] = 0
    return counted


def totals_before(impressions: Impressions, targets: tuple[str, ...]) -> Float:
    """The same as was known at each impression, ``[N, 1 + targets]``: of those of its item at earlier moments."""
    item, moment = impressions.item, impressions.timestamp
    order = np.lexsort((moment, item))
    new = np.diff(item[order], prepend=UNKNOWN - 1) != 0
    tie = np.maximum.accumulate(np.where(new | (np.diff(moment[order], prepend=-1) != 0), np.arange(len(order)), 0))
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    sums = np.zeros((len(order) + 1, 1 + len(targets)))
    np.cumsum(_outcomes(impressions, targets)[order], axis=0, out=sums[1:])
    found = np.empty((len(order), 1 + len(targets)), np.float32)
    found[order] = sums[tie] - sums[start]
    found[item == UNKNOWN] = 0
    return found


RAREST = 1e-6


def kinds_done(histories: Sequences, until: int) -> tuple[Float, Float]:
    """How many events before ``until`` (microseconds) each item had, and how many of each kind, ``[items + 1, 1 + kinds]
    float32``, of an unknown item none; and the share of each kind among all, ``[kinds] float32``.
    """
    some, kinds = histories.timestamp < until, len(histories.event_types)
    done = np.zeros((len(histories.items) + 1, kinds), np.float32)
    np.add.at(done, (histories.item[some], histories.event_type[some]), 1)
    done[UNKNOWN] = 0
    of_kind = done.sum(axis=0, dtype=float)
    usually = np.clip((of_kind + 0.5) / (of_kind.sum() + 1), RAREST, 1 - RAREST)  # of one kind all are, but log odds need less
    return np.hstack([done.sum(axis=1, keepdims=True), done]), usually.astype(np.float32)


def events_before(histories: Sequences, impressions: Impressions) -> Int:
    """How many of all events lie before each impression, ``[N] int64``: those of its person, earlier than it, end there.

    Both are coded by the same people; of a person beyond those of ``histories`` there are none.
    """
    owner = np.repeat(np.arange(len(histories)), histories.lengths)
    moments, ranks = np.unique(np.concatenate([histories.timestamp, impressions.timestamp]), return_inverse=True)
    key = owner * len(moments) + ranks[: len(owner)]
    return np.searchsorted(key, impressions.user.astype(np.int64) * len(moments) + ranks[len(owner) :], side="left")


def states_at(
    model: Model, histories: Sequences, impressions: Impressions, *, progress: Progress = quiet
) -> Iterator[tuple[Int, UserState]]:
    """The states of people just before each impression, some rows of ``impressions`` at a time.

    Nothing is encoded twice: a state goes on from the impression before.
    """
    coded = seq.recode(histories, model.items, model.event_types)
    upto = events_before(coded, impressions)
    people, first, count = np.unique(impressions.user, return_index=True, return_counts=True)
    starts = np.append(coded.offsets, coded.offsets[-1])[np.minimum(people, len(coded))]
    done = 0
    for block in range(0, len(people), PEOPLE_AT_ONCE):
        # Those with most impressions first, so that who is still there stands in front.
        some = block + np.argsort(-count[block : block + PEOPLE_AT_ONCE], kind="stable")
        at, state = starts[some], model.initial(len(some))
        for turn in range(int(count[some[0]])):
            left = int((count[some] > turn).sum())
            rows = first[some[:left]] + turn
            state = model.advance(state[slice(0, left)], _stretch(coded, at[:left], upto[rows]))
            at = upto[rows]
            yield rows, state
            done += left
        progress("reading histories", done, len(impressions))


def _stretch(histories: Sequences, starts: Int, ends: Int) -> Batch:
    """Events ``starts[r]`` to ``ends[r]`` as rows."""
    lengths = np.maximum(ends - starts, 0)
    events = seq.ragged_range(starts, lengths)
    some = replace(
        histories,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=histories.item[events],
        timestamp=histories.timestamp[events],
        event_type=histories.event_type[events],
        event_id=histories.event_id[events],
    )
    return seq.pad(some, np.arange(len(lengths)))


def network_of(model: Model) -> NeuralModel:
    """The recurrent network in a model: itself, or a blend's. ``PenchantError`` where there is none."""
    if isinstance(model, NeuralModel):
        return model
    if isinstance(model, Blend):
        networks = [member for member in model.members.values() if isinstance(member, NeuralModel)]
        if networks:
            return networks[0]
    raise PenchantError(f"a head needs a recurrent model beneath, and {model.name} isn't one; train lstm, longshort or another")
