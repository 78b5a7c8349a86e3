"""What may be recommended now: items that are hidden or gone, their categories, how new they are. Changes need no training."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from penchant.live.ledger import Ledger
from penchant.types import NEVER, UNKNOWN, Int, Vocabulary


class Shelf:
    """The items of a model's catalogue as the store knows them, kept up with it. Used by one thread."""

    def __init__(self, ledger: Ledger, items: Vocabulary) -> None:
        self._ledger = ledger
        self._items = items
        self._as_of = 0
        self._away = np.zeros(len(items), bool)
        self._since = np.full(len(items), NEVER, np.int64)
        self._categories: dict[str, set[int]] = {}
        self._categories_of: dict[int, frozenset[str]] = {}
        self._codes: dict[str, Int] = {}
        self._hidden: Int = np.zeros(0, np.int64)
        self.refresh()

    def refresh(self) -> None:
        """Read what changed since the last time."""
        changed, self._as_of = self._ledger.items_changed(self._as_of)
        for item in changed:
            code = self._items.code(item.item_id)
            if code == UNKNOWN:
                continue
            self._away[code] = item.hidden or item.deleted
            self._since[code] = NEVER if item.timestamp is None else item.timestamp
            for category in self._categories_of.pop(code, ()):
                self._categories[category].discard(code)
                if not self._categories[category]:
                    del self._categories[category]  # names come and go without end
            if item.categories:
                self._categories_of[code] = frozenset(item.categories)
            for category in item.categories:
                self._categories.setdefault(category, set()).add(code)
        if changed:
            self._codes.clear()
            self._hidden = np.flatnonzero(self._away)

    def excluded(self, categories: Collection[str] = (), newer_than: int | None = None) -> Int:
        """Codes of items not to be recommended: hidden or deleted ones, those in none of the categories (if any are named), and
        those not known to be newer than a moment.
        """
        if not categories and newer_than is None:
            return self._hidden
        wanted = ~self._away
        if categories:
            within = np.zeros(len(self._items), bool)
            for category in categories:
                within[self._of(category)] = True
            wanted &= within
        if newer_than is not None:
            wanted &= self._since > newer_than
        return np.flatnonzero(~wanted)

    def _of(self, category: str) -> Int:
        """The codes of a category's items, kept as long as nothing changes: its items, not a mask of the whole catalogue."""
        if category not in self._categories:
            return np.zeros(0, np.int64)  # whatever is asked for, only what is there is kept
        if category not in self._codes:
            self._codes[category] = np.array(list(self._categories[category]), np.int64)
        return self._codes[category]
