"""Recommenders whose memory is a network: trained in torch (the extra ``train``), alive in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model, expect
from penchant.models.neural.runtime import RUNTIMES, common_shapes
from penchant.models.neural.settings import LongShortNetworkSettings, NeuralSettings, RingSettings
from penchant.models.neural.start import Earlier
from penchant.types import (
    UNKNOWN,
    Arrays,
    Batch,
    Cases,
    Float,
    Int,
    Monitor,
    PenchantError,
    Progress,
    Sequences,
    UserState,
    quiet,
)


class NeuralModel(Model):
    """Next-event prediction by a network; the state it leaves scores every item. Subclasses name the body.

    Loss at every position (Hidasi et al. 2016), by default over the whole catalogue (Klenitskiy and Vasilev 2023), output tied
    to the embedding.
    """

    settings_type = NeuralSettings
    settings: NeuralSettings
    earlier: Earlier | None = None
    """What training goes on from, where it doesn't begin anew."""

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        try:
            from penchant.models.neural.network import BODIES
            from penchant.models.neural.training import train_network
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise PenchantError(
                f"training the model {self.name} needs PyTorch; install it with: pip install 'penchant[train]' "
                "(the README tells how to get the small CPU build)"
            ) from error
        train_network(self, BODIES[self.name], train, valid, monitor)

    def refitted(self, train: Sequences, *, progress: Progress = quiet, checkpoint: Path | None = None) -> Self:
        """See ``Model``: trained for as many epochs as were best, from where this one began. ``PenchantError`` where that isn't
        known any more.
        """
        if self.earlier is not None:
            return self._going_on(self.earlier).fit(train, progress=progress)
        if not self.history:
            raise PenchantError(f"what validation chose for this {self.name} wasn't kept; fit a new one before refitting it")
        best = max(range(len(self.history)), key=lambda epoch: self.history[epoch].get("ndcg@10", epoch))
        return type(self)(replace(self.settings, epochs=best + 1)).fit(train, progress=progress, checkpoint=checkpoint)

    def updated(self, train: Sequences, valid: Cases | None, learned: Sequences, *, progress: Progress = quiet) -> Self:
        """See ``Model``: trained from what this one learned, on what is new and as much that isn't; anew where it knows none of
        the items.
        """
        if (train.items.translation(self.items)[train.item] == UNKNOWN).all():
            return super().updated(train, valid, learned, progress=progress)
        known = np.minimum(seq.known_only(learned).lengths, seq.known_only(train).lengths)
        return self._going_on(Earlier(self.weights(), self.items, self.event_types, known)).fit(train, valid, progress=progress)

    def _going_on(self, earlier: Earlier) -> Self:
        made = type(self)(self.settings)
        made.earlier = earlier
        return made

    def _initial(self, n: int) -> Arrays:
        return self._runtime.start(n)

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return self._runtime.advance(arrays, batch)

    def weights(self) -> Arrays:
        """The network's parameters, by torch's names."""
        return self._runtime.weights

    def _set_weights(self, weights: Arrays) -> None:
        timed = "gap" in weights
        kinds = len(weights["kind"]) if "kind" in weights else 1
        runtime = RUNTIMES[self.name]
        common = common_shapes(len(self.items), kinds, timed=timed, settings=self.settings)
        expect(weights, common | runtime.shapes(self.settings, timed=timed))
        self._runtime = runtime(weights, self.settings)

    def interest(self, arrays: Arrays, now: Int) -> dict[str, Float]:
        """The ``long_term`` and ``short_term`` interest, where the network has them, that states' arrays hold at ``now[n]``."""
        return self._runtime.interest(arrays, now)

    def score(self, state: UserState, now: Int) -> Float:
        """``interest · item + bias``."""
        return self._runtime.score(state.arrays, now)

    def weighed_scores(self, state: UserState, now: Int, weight: float) -> Float:
        """See ``Model``: the weight is taken on by the interest."""
        return self._runtime.score(state.arrays, now, weight)

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """``long_term`` and ``short_term``, where the network has them, and ``bias``."""
        return self._runtime.parts(state.arrays, now, item)


class LSTM(NeuralModel):
    """An LSTM over a person's events (Hochreiter and Schmidhuber 1997)."""

    name = "lstm"


class GRU(NeuralModel):
    """Gated recurrent units over a person's events (Cho et al. 2014; for recommendation: Hidasi et al. 2016)."""

    name = "gru"


class ArticleLSTM(NeuralModel):
    """The article's own cell, which differs from the standard one (see ``cells.article_step``)."""

    name = "article_lstm"


class AttentionLSTM(NeuralModel):
    """An LSTM that looks back at a ring of its last outputs (after NARM: Li et al. 2017)."""

    name = "attention_lstm"
    settings_type = RingSettings


@dataclass(frozen=True)
class TransformerSettings(RingSettings):
    """Two blocks over fifty events, as SASRec has them."""

    layers: int = 2
    max_length: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(self.max_length <= self.ring, "max_length must be at most ring: a transformer sees no further")


class Transformer(NeuralModel):
    """Causal self-attention over the last events (SASRec: Kang and McAuley 2018) with the whole softmax."""

    name = "transformer"
    settings_type = TransformerSettings


class LongShortNetwork(NeuralModel):
    """Short-term LSTM, long-term bank of linear recurrences in real time, and a gate between them: ``longshort``'s network."""

    name = "longshort_network"
    settings_type = LongShortNetworkSettings
