"""What may be recommended: hidden, deleted, categories, age."""

from __future__ import annotations

import tracemalloc

from penchant.live.ledger import Ledger
from penchant.live.records import Item
from penchant.live.shelf import Shelf
from penchant.types import Vocabulary

ITEMS = Vocabulary(("a", "b", "c", "d"))


def test_items_leave_and_come_back_without_training(ledger: Ledger) -> None:
    shelf = Shelf(ledger, ITEMS)

    def away() -> str:
        shelf.refresh()
        return "".join(ITEMS[code] for code in shelf.excluded().tolist())

    assert away() == ""
    ledger.put_items([Item("a", hidden=True), Item("unknown to the model", hidden=True), Item("c")]).result()
    ledger.delete_item("d").result()
    assert away() == "ad"
    ledger.patch_item("a", {"hidden": False}).result()
    assert away() == "d"
    ledger.put_items([Item("d")]).result()
    assert away() == ""


def test_categories_and_freshness(ledger: Ledger) -> None:
    shelf = Shelf(ledger, ITEMS)
    ledger.put_items(
        [
            Item("a", categories=("x", "y"), timestamp=10),
            Item("b", categories=("y",)),
            Item("c", hidden=True, categories=("y",)),
        ]
    ).result()
    shelf.refresh()

    def left(*categories: str, newer_than: int | None = None) -> str:
        return "".join(item for code, item in enumerate(ITEMS.ids) if code not in shelf.excluded(categories, newer_than))

    assert left("x") == "a"
    assert left("y") == left("x", "y") == "ab"
    assert left("nothing") == ""
    assert left(newer_than=9) == "a"
    assert left(newer_than=10) == ""
    ledger.patch_item("a", {"categories": ("z",)}).result()
    shelf.refresh()
    assert left("y") == "b"
    assert left("z") == "a"


def test_a_category_goes_with_its_last_item(ledger: Ledger) -> None:
    shelf = Shelf(ledger, ITEMS)

    def named(step: int) -> None:
        ledger.patch_item("a", {"categories": (*(f"{step} {n}" for n in range(1000)), "0 0", "0 0")}).result()
        shelf.refresh()

    named(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for step in range(20):
        named(step)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 2e6  # of 20,000 names in all
    assert shelf.excluded(["19 5"]).tolist() == [1, 2, 3]
    assert shelf.excluded(["18 5"]).tolist() == [0, 1, 2, 3]


def test_small_categories_of_a_large_catalogue_stay_small(ledger: Ledger) -> None:
    names = [f"category {n}" for n in range(500)]
    ledger.put_items([Item("7", categories=tuple(names))]).result()
    shelf = Shelf(ledger, Vocabulary(tuple(map(str, range(20_000)))))
    tracemalloc.start()
    assert len(shelf.excluded(names)) == 19_999
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 2e6  # a mask of the catalogue for each would be 10 MB
