"""Transitions whose settings are chosen on validation."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import numpy as np

from penchant.models.base import Settings
from penchant.models.item_to_item import Transitions, TransitionSettings
from penchant.models.validation import some_cases, validate
from penchant.types import Arrays, Cases, Monitor, PenchantError, Sequences

ASKED = 2048
"""Validation cases by which settings are chosen, at most."""
REACHES = ((10, 0.6), (20, 0.8))
"""How far back a person's events speak, as ``window`` and ``age_decay``: little, or more."""
HALF_LIVES = (180.0, 30.0, 7.0, 1.0)
"""Days after which what followed may count half."""
NUMBERS = tuple(field.name for field in fields(TransitionSettings))


class TunedTransitions(Transitions):
    """``Transitions``, of which validation says how far back they reach, and whether what followed long ago counts less.

    Refitted, they keep what was chosen.
    """

    def __init__(self, settings: Settings | None = None, **overrides: object) -> None:
        super().__init__(settings, **overrides)
        self._made_with = self.settings

    @property
    def made_with(self) -> Settings:
        """See ``Model``."""
        return self._made_with

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if valid is not None:
            self.settings = self._best(train, some_cases(valid, ASKED))
        self.__dict__.pop("age_weights", None)
        super()._fit(train, valid, monitor)

    def _best(self, train: Sequences, valid: Cases) -> TransitionSettings:
        found: dict[TransitionSettings, float] = {}

        def quality(settings: TransitionSettings) -> float:
            if settings not in found:
                found[settings] = validate(Transitions(settings).fit(train), valid)["ndcg@10"]
            return found[settings]

        best = max((replace(self.settings, window=window, age_decay=decay) for window, decay in REACHES), key=quality)
        half_lives = HALF_LIVES if train.clock == "real" else ()
        return max((best, *(replace(best, half_life_days=days) for days in half_lives)), key=quality)

    def state_weights(self) -> Arrays:
        """How many last items a state holds, which validation chose."""
        return {"window": np.array([self.settings.window])}

    def weights(self) -> Arrays:
        """Those of transitions, and the ``settings`` that were chosen, in their order."""
        chosen = asdict(self.settings)
        return dict(super().weights()) | {"settings": np.array([chosen[name] for name in NUMBERS], np.float64)}

    def _set_weights(self, weights: Arrays) -> None:
        own = dict(weights)
        # Models saved before there was a choice have none.
        chosen = own.pop("settings", None)
        if chosen is not None:
            if chosen.shape != (len(NUMBERS),):
                raise PenchantError("the weights don't fit the configuration: settings")
            kinds = {name: type(value) for name, value in asdict(self.settings).items()}
            self.settings = TransitionSettings(
                **{name: kinds[name](value) for name, value in zip(NUMBERS, chosen.tolist(), strict=True)}
            )
            self.__dict__.pop("age_weights", None)
        super()._set_weights(own)
