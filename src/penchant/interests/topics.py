"""Topics: kinds of items, found by K-means in the vectors of a model and of the items' words. Serving them needs NumPy only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from penchant import folders
from penchant.interests import words
from penchant.types import UNKNOWN, Array, Float, Int, Kinds, PenchantError, Vocabulary

FORMAT = 2
FILES = ARRAYS, WORDS = "topics.safetensors", "topics.json"
TYPICAL = 8


@dataclass(frozen=True)
class Condition:
    """A feature lies above a threshold, or not (``above`` false: at most). ``binary`` features are there or aren't."""

    feature: str
    above: bool
    threshold: float
    binary: bool = False

    def words(self, language: str = "en") -> str:
        """As people read it."""
        name = words.feature(self.feature, language)
        if self.binary:
            without = {"en": "not ", "zh": "非"}[language]
            return name if self.above else f"{without}{name}"
        return f"{name} {'>' if self.above else '≤'} {self.threshold:.3g}"


@dataclass(frozen=True)
class Rule:
    """Conditions that tell whether something belongs; ``fidelity`` is balanced accuracy on what they weren't learned from: 0.5
    tells nothing, 1 everything; ``None`` where there was too little to hold back.
    """

    conditions: tuple[Condition, ...] = ()
    fidelity: float | None = None

    def words(self, language: str = "en") -> str:
        """As people read it; empty where there is no rule."""
        return {"en": " and ", "zh": "，且"}[language].join(one.words(language) for one in self.conditions)


@dataclass(frozen=True)
class Topic:
    """A kind of items: its number and name, the ``terms`` that tell it from others, how many items are nearest to it, the most
    ``typical`` ones (ids, best first), and the rule that explains it.
    """

    topic: int
    name: str
    terms: tuple[str, ...]
    items: int
    typical: tuple[str, ...]
    rule: Rule = Rule()


@dataclass(frozen=True)
class Segment:
    """A kind of people: what they differ from others in most (feature, and whether more of it), how many of those looked at,
    and the rule that explains it.
    """

    marks: tuple[tuple[str, bool], ...]
    people: int
    rule: Rule = Rule()

    def name(self, language: str = "en") -> str:
        """As people read it: what others do less of, and what more."""
        more, less = {"en": ("more than others: ", "less: "), "zh": ("多于他人：", "少于他人：")}[language]
        told = []
        for word, wanted in ((more, True), (less, False)):
            if marks := [words.feature(mark, language) for mark, high in self.marks if high == wanted]:
                told.append(word + words.listed(marks, language))
        return {"en": "; ", "zh": "；"}[language].join(told)


@dataclass(frozen=True)
class Segments:
    """Kinds of people, found by K-means over ``features`` scaled by ``mean`` and ``spread``: ``centres[S, F]``."""

    features: tuple[str, ...]
    mean: Array
    spread: Array
    centres: Array
    segments: tuple[Segment, ...]

    def of(self, values: Mapping[str, float]) -> Segment | None:
        """The segment of a person with these features; ``None`` where there are no segments."""
        if not self.segments:
            return None
        place = np.array([values.get(name, np.nan) for name in self.features])
        place = np.nan_to_num((place - self.mean) / self.spread)
        return self.segments[int(np.argmin(np.square(self.centres - place).sum(axis=1)))]


NO_SEGMENTS = Segments((), np.zeros(0), np.zeros(0), np.zeros((0, 0)), ())


@dataclass(frozen=True)
class Topics:
    """The topics of a catalogue.

    ``membership[V, T] float32`` is how much each item of ``items`` belongs to each topic (rows sum to 1), ``place[V, 2]
    float32`` where it lies on the map, ``popularity[T]`` the topics' shares in what everybody did. ``criterion`` says how
    their number was chosen, and ``made_of`` in which vectors they were found, in words by language.
    """

    items: Vocabulary
    titles: tuple[str, ...]
    membership: Float
    place: Float
    popularity: Float
    topics: tuple[Topic, ...]
    segments: Segments = NO_SEGMENTS
    criterion: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(words.LANGUAGES, ""))
    made_of: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(words.LANGUAGES, ""))
    model: str = field(default="", compare=False)
    """The id of the model whose vectors they were."""

    def __len__(self) -> int:
        return len(self.topics)

    @property
    def names(self) -> list[str]:
        """The topics' names, in order."""
        return [topic.name for topic in self.topics]

    @cached_property
    def nearest(self) -> Int:
        """The topic each item belongs to most, ``[V]``."""
        return np.asarray(self.membership.argmax(axis=1))

    @property
    def kinds(self) -> Kinds:
        """The topics as kinds of items."""
        item, kind = np.nonzero(self.membership)
        offsets = np.searchsorted(item, np.arange(len(self.items) + 1))
        return Kinds(self.items, offsets, kind, self.membership[item, kind], len(self), f"{len(self)} topics")

    def title(self, item_id: str) -> str:
        """The words an item is known by; its id where it has none."""
        code = self.items.code(item_id)
        return (self.titles[code] if code != UNKNOWN else "") or item_id

    def to_json(self, language: str = "en") -> list[dict[str, Any]]:
        """As plain JSON: what ``GET /api/topics`` answers."""
        return [
            {
                "topic": topic.topic,
                "name": topic.name,
                "terms": list(topic.terms),
                "items": topic.items,
                "typical": [{"item_id": item, "title": self.title(item)} for item in topic.typical],
                "rule": topic.rule.words(language),
                "fidelity": topic.rule.fidelity,
            }
            for topic in self.topics
        ]

    def map_json(self, most: int) -> dict[str, Any]:
        """Items on the map, at most so many, as plain JSON: what ``GET /api/items/map`` answers."""
        shown = sample(self, most)
        ids = [self.items[code] for code in shown.tolist()]
        return {
            "item_id": ids,
            "title": [self.title(item) for item in ids],
            "x": self.place[shown, 0].tolist(),
            "y": self.place[shown, 1].tolist(),
            "topic": self.nearest[shown].tolist(),
            "shown": len(shown),
            "of": len(self.items),
        }


def save(topics: Topics, out: str | Path) -> None:
    """Write topics as a folder, whole or not at all. ``PenchantError`` where it can't be."""
    said = {
        "format": FORMAT,
        "items": topics.items.ids,
        "titles": topics.titles,
        "topics": [asdict(topic) for topic in topics.topics],
        "features": topics.segments.features,
        "segments": [asdict(segment) for segment in topics.segments.segments],
        "criterion": topics.criterion,
        "made_of": topics.made_of,
        "model": topics.model,
    }
    segments = {name: np.asarray(getattr(topics.segments, name), np.float32) for name in ("mean", "spread", "centres")}
    arrays = {name: np.ascontiguousarray(getattr(topics, name)) for name in ("membership", "place", "popularity")} | segments
    with folders.writing(Path(out), FILES) as target:
        try:
            save_file(arrays, target / ARRAYS)
        except SafetensorError as error:
            raise PenchantError(f"{out}: can't be written: {error}") from error
        (target / WORDS).write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load(folder: str | Path) -> Topics:
    """Read what ``save`` wrote. ``PenchantError`` where it isn't there, whole."""
    folder = Path(folder)
    try:
        said = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        arrays = load_file(folder / ARRAYS)
        if not isinstance(said, dict):
            raise ValueError("no JSON object")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PenchantError(f"{folder}: holds no topics; make them with penchant interests MODEL DIR") from error
    except OSError as error:
        raise PenchantError(f"{folder}: can't be read: {error.strerror}") from error
    except (ValueError, SafetensorError) as error:
        raise PenchantError(f"{folder}: is damaged; delete it and make topics again with penchant interests") from error
    if isinstance(said.get("format"), int) and said["format"] > FORMAT:
        raise PenchantError(f"{folder}: has format {said['format']}, this Penchant reads up to {FORMAT}; update Penchant")
    try:
        segments = tuple(
            Segment(tuple((mark, high) for mark, high in one["marks"]), one["people"], _rule(one["rule"]))
            for one in said["segments"]
        )
        topics = Topics(
            items=Vocabulary(tuple(said["items"])),
            titles=tuple(said["titles"]),
            membership=arrays["membership"],
            place=arrays["place"],
            popularity=arrays["popularity"],
            topics=tuple(_topic(one) for one in said["topics"]),
            segments=Segments(tuple(said["features"]), arrays["mean"], arrays["spread"], arrays["centres"], segments),
            criterion=_in_each_language(said["criterion"]),
            made_of=_in_each_language(said["made_of"]),
            model=said["model"],
        )
        if topics.membership.shape != (len(topics.items), len(topics)) or len(topics.titles) != len(topics.items):
            raise ValueError("its parts differ in length")
    except (KeyError, TypeError, ValueError) as error:
        raise PenchantError(f"{folder}: is damaged; delete it and make topics again with penchant interests") from error
    return topics


def _topic(said: Mapping[str, Any]) -> Topic:
    return Topic(**dict(said) | {"terms": tuple(said["terms"]), "typical": tuple(said["typical"]), "rule": _rule(said["rule"])})


def _rule(said: Mapping[str, Any]) -> Rule:
    return Rule(tuple(Condition(**one) for one in said["conditions"]), said["fidelity"])


def beside(model: str | Path) -> Path:
    """Where a model's topics are kept: a folder beside it, so that the next model's can be matched to them."""
    path = Path(model).absolute()
    return path.with_name(f"{path.name}.interests")


def sample(topics: Topics, most: int) -> Int:
    """Items for a map: all, or ``most`` of them spread evenly over the catalogue, always the same, ascending."""
    if len(topics.items) <= most:
        return np.arange(len(topics.items))
    return np.sort(np.random.default_rng(0).permutation(len(topics.items))[:most])


def renamed(topics: Sequence[Topic]) -> tuple[Topic, ...]:
    """The topics with names of their own: who would share one has its number behind it."""
    names = [topic.name for topic in topics]
    return tuple(replace(t, name=f"{t.name} ({t.topic})") if names.count(t.name) > 1 else t for t in topics)


def _in_each_language(said: Mapping[str, str] | str) -> dict[str, str]:
    """Words about topics, by language; format 1 has them in English alone."""
    return dict.fromkeys(words.LANGUAGES, said) if isinstance(said, str) else {name: said[name] for name in words.LANGUAGES}
