"""What may be recommended: hidden, deleted, categories, age."""

from __future__ import annotations

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
