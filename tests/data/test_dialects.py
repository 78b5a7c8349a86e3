"""Whose column is called what."""

from __future__ import annotations

import re

import pytest

from penchant.data.dialects import DIALECTS, Dialect, guess, resolve
from penchant.types import PenchantError


def mapped(found: str, *, ordered: bool = False, **given: str) -> dict[str, str]:
    return dict(resolve("log.csv", found.split(), given, ordered=ordered).columns)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_each_dialect_is_known_by_its_columns_in_any_order(dialect: Dialect) -> None:
    columns = dialect.columns
    found = sorted(set(columns.values()), key=lambda c: (len(c), c))
    result = resolve("log.csv", found, {}, ordered=False, moments=("4",))
    assert result.dialect == dialect.name
    assert {c: result.columns[c] for c in columns} == dict(columns)


def test_columns_may_differ_in_case() -> None:
    assert mapped("USERID ItemId TimeStamp") == {"user_id": "USERID", "item_id": "ItemId", "timestamp": "TimeStamp"}


def test_exact_spelling_goes_before_another_case() -> None:
    assert resolve("log.csv", ["userId", "movieId", "rating", "timestamp"], {}, ordered=False).dialect == "movielens"


def test_optional_columns_beside_a_known_dialect_are_found_by_name() -> None:
    assert mapped("user_id item_id timestamp rating play_time_ms")["value"] == "rating"
    assert mapped("user_id item_id timestamp rating play_time_ms")["dwell"] == "play_time_ms"
    assert "value" not in mapped("user_id item_id timestamp colour")


def test_given_columns_win_and_the_rest_is_recognised() -> None:
    assert mapped("user_id item_id movie timestamp", item_id="movie") == {
        "user_id": "user_id",
        "item_id": "movie",
        "timestamp": "timestamp",
    }
    assert mapped("who what when", user_id="who", item_id="what", timestamp="when") == {
        "user_id": "who",
        "item_id": "what",
        "timestamp": "when",
    }


def test_an_ordered_log_needs_no_time() -> None:
    assert mapped("user_id item_id", ordered=True) == {"user_id": "user_id", "item_id": "item_id"}
    assert "timestamp" not in mapped("user_id item_id timestamp", ordered=True)


@pytest.mark.parametrize(
    ("found", "missing", "suggestion"),
    [
        (
            "personId contentId eventTime",
            "user_id and item_id and timestamp",
            "user_id=personId,item_id=contentId,timestamp=eventTime",
        ),
        ("user_id movie timestamp", "item_id", "user_id=user_id,item_id=movie,timestamp=timestamp"),
        ("session_id user_id song_id ts playtime", "item_id and timestamp", "user_id=user_id,item_id=song_id,timestamp=ts"),
        ("session_id item_id timestamp", "user_id", "user_id=session_id,item_id=item_id,timestamp=timestamp"),
        ("u i t", "user_id and item_id and timestamp", "user_id=u,item_id=i,timestamp=t"),
        ("customer sku created_at", "user_id and item_id and timestamp", "user_id=customer,item_id=sku,timestamp=created_at"),
        ("1 2 3", "user_id and item_id and timestamp", "user_id=1,item_id=2,timestamp=3"),
        ("user_id item_id", "timestamp", "user_id=user_id,item_id=item_id,timestamp=?"),
        ("clientid sku at", "user_id and item_id and timestamp", "user_id=clientid,item_id=sku,timestamp=at"),
        ("red green blue", "user_id and item_id and timestamp", "user_id=?,item_id=?,timestamp=?"),
    ],
)
def test_an_unknown_dialect_gets_a_filled_in_suggestion(found: str, missing: str, suggestion: str) -> None:
    with pytest.raises(PenchantError) as raised:
        mapped(found)
    sentence = str(raised.value)
    assert sentence.startswith(f"log.csv: no column for {missing} among {found.replace(' ', ', ')}; ")
    assert f"--columns {suggestion}" in sentence
    assert "--ordered" in sentence or "timestamp" not in missing


def test_the_suggestion_works_when_it_is_typed() -> None:
    found = ["personId", "contentId", "eventTime"]
    given = guess(found, ["user_id", "item_id", "timestamp"])
    assert resolve("log.csv", found, given, ordered=False).dialect == "given"


def test_a_wrong_mapping_is_refused() -> None:
    with pytest.raises(PenchantError, match=r"log\.csv: has no column 'nobody' for user_id; it has a, b"):
        mapped("a b", user_id="nobody")
    with pytest.raises(PenchantError, match="--columns: person is not one of user_id, item_id"):
        mapped("a b", person="a")


def test_thousands_of_columns_or_endless_names_still_make_a_sentence() -> None:
    with pytest.raises(PenchantError) as raised:
        resolve("log.csv", ["x" * 100_000, *(f"c{n}" for n in range(10_000))], {}, ordered=False)
    assert len(str(raised.value)) < 1000


def test_a_dialect_that_knows_user_and_item_goes_before_one_that_knows_more_of_the_rest() -> None:
    found = ["user_id", "userID", "itemID", "timestamp", "event_type", "value", "session_id"]
    result = resolve("log.csv", found, {}, ordered=False)
    assert result.dialect == "recommenders"
    assert (result.columns["user_id"], result.columns["item_id"]) == ("userID", "itemID")


def test_times_are_suggested_by_their_values() -> None:
    for found, suggestion in {
        "1 2 3 4 5": "user_id=1,item_id=2,timestamp=5",
        "1 2 3": "user_id=1,item_id=3,timestamp=2",
        "用户 物品 5": "user_id=?,item_id=?,timestamp=5",
    }.items():
        moments = [column for column in ("5", "2") if column in found.split()]
        with pytest.raises(PenchantError, match=f"--columns {re.escape(suggestion)};"):
            resolve("log.csv", found.split(), {}, ordered=False, moments=moments)


def test_four_columns_without_header_are_movielens_only_if_the_fourth_holds_times() -> None:
    with pytest.raises(PenchantError, match="no column for user_id and item_id and timestamp among 1, 2, 3, 4"):
        mapped("1 2 3 4")


def test_columns_of_objects_are_not_suggested() -> None:
    with pytest.raises(PenchantError) as raised:
        resolve("log.jsonl", ["user", "product", "timestamp"], {}, ordered=False, nested=["user"])
    assert "--columns user_id=?,item_id=product,timestamp=timestamp;" in str(raised.value)
    assert "user hold objects or arrays" in str(raised.value)


def test_a_suggestion_with_blanks_is_quoted_for_the_shell() -> None:
    with pytest.raises(PenchantError, match="--columns 'user_id=user id,item_id=item id,timestamp=time stamp'"):
        resolve("log.csv", ["user id", "item id", "time stamp"], {}, ordered=False)


def test_only_what_was_taken_for_a_header_can_be_none() -> None:
    for header in (True, False):
        with pytest.raises(PenchantError) as raised:
            resolve("log.csv", ["a", "b"], {}, ordered=False, header=header)
        assert ("--no-header" in str(raised.value)) == header
