"""Training the article's classifier: RMSprop on binary cross-entropy, a fixed number of epochs. Needs torch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from penchant.models.neural.classifier import ClassifierSettings
from penchant.models.neural.network import article_layer
from penchant.types import Array, Float, Int, PenchantError, Progress


class Classifier(nn.Module):
    """Layers of the cell, then one unit on the last step. Starts as Keras does: Glorot, orthogonal, a forget bias of 1."""

    def __init__(self, settings: ClassifierSettings, features: int) -> None:
        super().__init__()
        units = settings.units
        self.settings = settings
        with torch.random.fork_rng(devices=[]):  # start values depend on the seed alone, and move no global generator
            torch.manual_seed(settings.seed)
            self.input = nn.ModuleList(nn.Linear(units if n else features, 4 * units) for n in range(settings.layers))
            self.recurrent = nn.ModuleList(nn.Linear(units, 4 * units, bias=False) for _ in range(settings.layers))
            self.output = nn.Linear(units, 1)
            for into in (*self.input, self.output):
                nn.init.xavier_uniform_(into.weight)
                nn.init.zeros_(into.bias)
            for into, recurrent in zip(self.input, self.recurrent, strict=True):
                assert isinstance(recurrent.weight, Tensor)
                nn.init.orthogonal_(recurrent.weight)
                if settings.cell == "lstm":
                    assert isinstance(into.bias, Tensor)
                    nn.init.ones_(into.bias.detach()[units : 2 * units])

    def forward(self, x: Tensor) -> Tensor:
        """The logit of each row of ``x[n, steps, features]``."""
        start = x.new_zeros(len(x), self.settings.units)
        for into, recurrent in zip(self.input, self.recurrent, strict=True):
            if self.settings.cell == "lstm":
                x = lstm_layer(into(x), recurrent, start)
            else:
                x = article_layer(into(x), recurrent, start, start)[0]
        logit: Tensor = self.output(x[:, -1]).squeeze(1)
        return logit


def lstm_layer(from_x: Tensor, recurrent: nn.Module, start: Tensor) -> Tensor:
    """Outputs ``[n, L, units]`` of an LSTM, from the inputs' part of the gates ``from_x[n, L, 4 · units]``."""
    h = c = start
    outputs = []
    for gates in from_x.unbind(1):
        i, f, g, o = (gates + recurrent(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def train_classifier(x: Float, label: Int, settings: ClassifierSettings, progress: Progress) -> dict[str, Array]:
    """The weights after ``settings.epochs`` passes over the rows ``x[n, steps, features]`` with ``label[n]``."""
    network = Classifier(settings, x.shape[2])
    optimiser = torch.optim.RMSprop(network.parameters(), settings.learning_rate, alpha=0.9, eps=1e-7)  # Keras's
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(label.astype(np.float32))
    chance = np.random.default_rng(settings.seed)
    for epoch in range(settings.epochs):
        total = 0.0
        order = torch.from_numpy(chance.permutation(len(x)))
        for rows in torch.split(order, settings.batch):
            loss = functional.binary_cross_entropy_with_logits(network(inputs[rows]), wanted[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        if not math.isfinite(total):
            raise PenchantError(f"the loss is no number in epoch {epoch + 1}; lower learning_rate ({settings.learning_rate})")
        progress("training the LSTM", epoch + 1, settings.epochs)
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
