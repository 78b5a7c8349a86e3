"""How the field spells an event: whose column is called what.

A dialect is one line of ``DIALECTS``. A log in no known dialect needs ``--columns``; the error suggests it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penchant.data.files import listed, shortened
from penchant.types import PenchantError


@dataclass(frozen=True)
class Dialect:
    """A name, and for each of Penchant's columns the dialect's own."""

    name: str
    columns: Mapping[str, str]


HEADLESS = "movielens without header"
DIALECTS = (
    Dialect("penchant", {c: c for c in ("user_id", "item_id", "timestamp", "event_type", "value", "session_id", "event_id")}),
    Dialect("rectools", {"user_id": "user_id", "item_id": "item_id", "timestamp": "datetime", "value": "weight"}),
    Dialect("recommenders", {"user_id": "userID", "item_id": "itemID", "value": "rating", "timestamp": "timestamp"}),
    Dialect(
        "personalize",
        {
            "user_id": "USER_ID",
            "item_id": "ITEM_ID",
            "timestamp": "TIMESTAMP",
            "event_type": "EVENT_TYPE",
            "value": "EVENT_VALUE",
            "session_id": "SESSION_ID",
            "event_id": "EVENT_ID",
        },
    ),
    Dialect(
        "gorse",
        {"event_type": "FeedbackType", "user_id": "UserId", "item_id": "ItemId", "value": "Value", "timestamp": "Timestamp"},
    ),
    Dialect(
        "gorse table",
        {
            "event_type": "feedback_type",
            "user_id": "user_id",
            "item_id": "item_id",
            "value": "value",
            "timestamp": "time_stamp",
        },
    ),
    Dialect("gru4rec", {"user_id": "SessionId", "session_id": "SessionId", "item_id": "ItemId", "timestamp": "Time"}),
    Dialect(
        "recbole",
        {
            "user_id": "user_id:token",
            "item_id": "item_id:token",
            "value": "rating:float",
            "timestamp": "timestamp:float",
            "session_id": "session_id:token",
        },
    ),
    Dialect("amazon", {"user_id": "reviewerID", "item_id": "asin", "value": "overall", "timestamp": "unixReviewTime"}),
    Dialect("amazon 2023", {"user_id": "user_id", "item_id": "parent_asin", "value": "rating", "timestamp": "timestamp"}),
    Dialect("retailrocket", {"user_id": "visitorid", "item_id": "itemid", "timestamp": "timestamp", "event_type": "event"}),
    Dialect("otto", {"user_id": "session", "session_id": "session", "item_id": "aid", "timestamp": "ts", "event_type": "type"}),
    Dialect("yelp", {"user_id": "user_id", "item_id": "business_id", "timestamp": "date", "value": "stars"}),
    Dialect("kuairand", {"user_id": "user_id", "item_id": "video_id", "timestamp": "time_ms"}),
    Dialect("movielens", {"user_id": "userId", "item_id": "movieId", "value": "rating", "timestamp": "timestamp"}),
    Dialect(HEADLESS, {"user_id": "1", "item_id": "2", "value": "3", "timestamp": "4"}),
)
SEQUENCES = "sequence file"
REQUIRED = ("user_id", "item_id", "timestamp")
OPTIONAL = ("event_type", "value", "session_id", "event_id", "dwell")

# Words that name a column outside the dialects: used to guess, never to map without asking, save for the
# optional columns of a log whose dialect is known.
HINTS: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        *("user", "uid", "u", "person", "customer", "member", "visitor", "account", "reader", "client"),
        *("viewer", "listener", "buyer", "profile", "subscriber", "reviewer", "author", "session", "order", "basket"),
    ),
    "item_id": (
        *("item", "iid", "i", "product", "content", "movie", "song", "track", "video", "book", "article", "asin"),
        *("sku", "url", "isbn", "business", "news", "post", "listing", "object", "aid", "artist", "venue", "place", "game"),
    ),
    "timestamp": ("timestamp", "ts", "time", "t", "datetime", "date", "unix", "when", "created", "at", "epoch"),
    "event_type": ("event_type", "type", "action", "behavior", "behaviour", "feedbacktype", "feedback_type", "event"),
    "value": ("value", "rating", "weight", "score", "stars", "event_value"),
    "session_id": ("session_id", "sessionid", "session"),
    "event_id": ("event_id", "eventid"),
    "dwell": ("dwell", "dwell_time", "dwell_ms", "playtime", "play_time", "play_time_ms", "watch_time", "watch_time_ms"),
}


@dataclass(frozen=True)
class Mapped:
    """Which of a log's columns is which: ``columns`` maps Penchant's names to the log's, by ``dialect``."""

    dialect: str
    columns: Mapping[str, str]


def resolve(
    source: str,
    found: Sequence[str],
    given: Mapping[str, str],
    *,
    ordered: bool,
    header: bool = False,
    moments: Sequence[str] = (),
    nested: Sequence[str] = (),
) -> Mapped:
    """Map a log's columns ``found`` to Penchant's, by the user's ``given`` mapping or a known dialect.

    With ``ordered``, rows are in order and no time column is needed; ``header`` says that a line of text was taken for the
    columns' names; ``moments`` are the columns whose values look like times, the likeliest first. Raises
    ``PenchantError`` naming ``source``, the columns found, and a suggested ``--columns`` where the mapping isn't known.
    """
    required = [c for c in REQUIRED if not (ordered and c == "timestamp")]
    _check_given(source, found, given)
    name, columns = _recognise(found, given, moments)
    if given:
        name = f"{name}, partly given" if set(columns) - set(given) else "given"
    if ordered and "timestamp" not in given:
        columns.pop("timestamp", None)
    missing = [c for c in required if c not in columns]
    if missing:
        hints = ["if it has no times and its rows are in order, add --ordered"] if "timestamp" in missing else []
        hints += ["if the first line is no header but an event, add --no-header"] if header else []
        hints += [f"{listed(nested)} hold objects or arrays: make what is in them fields of their own"] if nested else []
        suggestion = _suggestion([c for c in found if c not in nested], columns, missing, required, moments)
        raise PenchantError(
            f"{source}: no column for {' and '.join(missing)} among {listed(found)}; "
            + "; ".join([f"say which is which, for example --columns {suggestion}", *hints])
        )
    taken = set(columns.values())
    for canonical in OPTIONAL:
        if canonical not in columns:
            alias = next((c for c in found if _plain(c) in HINTS[canonical] and c not in taken), None)
            if alias is not None:
                columns[canonical] = alias
                taken.add(alias)
    return Mapped(name, {c: columns[c] for c in (*REQUIRED, *OPTIONAL) if c in columns})


def _check_given(source: str, found: Sequence[str], given: Mapping[str, str]) -> None:
    for canonical, column in given.items():
        if canonical not in (*REQUIRED, *OPTIONAL):
            raise PenchantError(f"--columns: {canonical} is not one of {', '.join((*REQUIRED, *OPTIONAL))}")
        if column not in found:
            raise PenchantError(f"{source}: has no column {column!r} for {canonical}; it has {listed(found)}")


def _recognise(found: Sequence[str], given: Mapping[str, str], moments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The dialect that explains most columns beside the given ones; spelt exactly counts before differing in case.

    Returns its name and all columns known so. A dialect that explains both user and item goes before one that doesn't;
    one without header is told by its fourth column, which holds times.
    """
    best: tuple[str, dict[str, str]] = ("", dict(given))

    def explained(columns: Mapping[str, str]) -> tuple[int, int]:
        return len({"user_id", "item_id"} & columns.keys()), len(columns)

    for fold in (str, str.lower):
        spelt = {fold(column): column for column in reversed(found) if column not in given.values()}
        for dialect in DIALECTS:
            if dialect.name == HEADLESS and (list(found) != ["1", "2", "3", "4"] or "4" not in moments):
                continue
            columns = {c: spelt[fold(s)] for c, s in dialect.columns.items() if fold(s) in spelt} | dict(given)
            if explained(columns) > explained(best[1]):
                best = (dialect.name, columns)
        if {"user_id", "item_id"} <= best[1].keys():
            break
    return best


def _plain(column: str) -> str:
    return column.split(":")[0].lower()


def words(column: str) -> list[str]:
    """``personId`` → ``person, id``; ``song_id`` → ``song, id``; ``visitorid`` → ``visitor, id``."""
    parts = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*|\d+", column.split(":")[0].replace("_", " "))
    return [word for part in parts for word in re.fullmatch(r"(\w+?)(id)?", part, re.IGNORECASE).groups() if word]  # type: ignore[union-attr]


def guess(found: Sequence[str], wanted: Sequence[str], moments: Sequence[str] = ()) -> dict[str, str]:
    """The likeliest column for each wanted one, judged by names, and times by their values where ``moments`` tells them;
    those without a likely one are left out.

    Columns without names (1, 2, …) are taken in the usual order.
    """
    chosen: dict[str, str] = {}
    if list(found) == [str(number) for number in range(1, len(found) + 1)]:
        if "timestamp" in wanted and moments:
            chosen["timestamp"] = moments[0]
        free = [c for c in found if c not in chosen.values()]
        return dict(zip([c for c in wanted if c not in chosen], free, strict=False)) | chosen
    for canonical in wanted:
        hints = HINTS[canonical]

        def likeness(column: str, hints: tuple[str, ...] = hints) -> int:
            ranks = [hints.index(word.lower()) for word in [column, *words(column)] if word.lower() in hints]
            return min(ranks, default=len(hints))

        candidates = [c for c in found if c not in chosen.values()]
        best = min(candidates, key=likeness, default=None)
        if best is not None and likeness(best) < len(hints):
            chosen[canonical] = best
        elif canonical == "timestamp" and moments:
            chosen[canonical] = moments[0]
    return chosen


def _suggestion(
    found: Sequence[str], known: Mapping[str, str], missing: Sequence[str], required: Sequence[str], moments: Sequence[str]
) -> str:
    """What to say to ``--columns``; ``?`` where no column is likely."""
    free = [c for c in found if c not in known.values()]
    mapping = dict(known) | guess(free, missing, [c for c in moments if c in free])
    if "session_id" in known:  # where nobody is named, a session is as good as a person
        mapping.setdefault("user_id", known["session_id"])
    pairs = ",".join(f"{c}={shortened(mapping.get(c, '?'))}" for c in required)
    return shlex.quote(pairs) if " " in pairs else pairs
