"""The LSTM recommender: next-event prediction over the whole catalogue."""

from __future__ import annotations

import os
from pathlib import Path

from penchant.models.base import Model, expect
from penchant.models.recurrent.runtime import Runtime, shapes
from penchant.models.recurrent.settings import LSTMSettings
from penchant.types import Arrays, Batch, Cases, Float, Int, PenchantError, Progress, Sequences, UserState


class LSTM(Model):
    """An LSTM over a person's events; the state it leaves scores every item.

    Full softmax at every position (Hidasi et al. 2016 with the loss of Klenitskiy and Vasilev 2023), output tied to
    the embedding. Training needs the extra ``train`` (torch); everything else runs in NumPy.
    """

    name = "lstm"
    settings_type = LSTMSettings
    settings: LSTMSettings

    def _fit(self, train: Sequences, valid: Cases | None, progress: Progress, checkpoint: Path | None) -> None:
        # Threads that spin while they wait make two trainings on one machine ten times slower; sleeping costs a tenth.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            from penchant.models.recurrent.training import train_network
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise PenchantError(
                "training the model lstm needs PyTorch; install it with: pip install 'penchant[train]' "
                "(the README tells how to get the small CPU build)"
            ) from error
        train_network(self, train, valid, progress, checkpoint)

    def _initial(self, n: int) -> Arrays:
        return self._runtime.initial(n)

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return self._runtime.advance(arrays, batch)

    def weights(self) -> Arrays:
        """The network's parameters, by torch's names."""
        return self._runtime.weights

    def _set_weights(self, weights: Arrays) -> None:
        expect(weights, shapes(len(self.items), self.settings))
        self._runtime = Runtime(weights, self.settings)

    def score(self, state: UserState, now: Int) -> Float:
        """``interest · item + bias``; time doesn't enter."""
        return self._runtime.score(state.arrays)

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """Two parts: ``short_term`` and ``bias``."""
        return self._runtime.parts(state.arrays, item)
