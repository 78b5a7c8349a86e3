"""The recurrent network as torch trains it. ``runtime.py`` computes the same in NumPy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from penchant.models.recurrent.settings import LSTMSettings


class Network(nn.Module):
    """Embedding → layer norm → LSTM layers → residual and layer norm, ``[n, L]`` item codes to ``[n, L, width]`` interests.

    The output layer is tied: an item's score is its embedding times the interest, plus a bias of its own (Press and
    Wolf 2017). Dropout is drawn from the generator given, never from the global one.
    """

    def __init__(self, items: int, settings: LSTMSettings, generator: torch.Generator) -> None:
        super().__init__()
        width = settings.width
        self.dropout = settings.dropout
        self.embedding = nn.Parameter(torch.randn(items, width, generator=generator) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(items))
        self.norm_in = nn.LayerNorm(width)
        self.norm_out = nn.LayerNorm(width)
        with torch.random.fork_rng(devices=[]):  # torch's own start values, replaced below, would move its global generator
            self.lstm = nn.LSTM(width, width, settings.layers, batch_first=True)
        for parameter in self.lstm.parameters():
            with torch.no_grad():
                parameter.uniform_(-(width**-0.5), width**-0.5, generator=generator)

    def forward(
        self, item: Tensor, state: tuple[Tensor, Tensor] | None = None, generator: torch.Generator | None = None
    ) -> Any:
        """Interests after each event, ``[n, L, width]``, and the state ``(h, c)``, each ``[layers, n, width]``.

        With a ``generator``, dropout is applied.
        """
        x = self.norm_in(nn.functional.embedding(item, self.embedding))
        x = self._drop(x, generator)
        h, state = self.lstm(x, state)
        return self._drop(self.norm_out(h + x), generator), state

    def _drop(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None or self.dropout == 0:
            return x
        keep = 1 - self.dropout
        return x * torch.empty_like(x).bernoulli_(keep, generator=generator).div_(keep)


def tied_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk: int) -> Tensor:
    """Mean cross-entropy of ``softmax(x Wᵀ + b)`` against ``target``, in chunks: the logits are never whole in memory.

    ``x[N, width]``, ``weight[V, width]``, ``bias[V]``, ``target[N]``; ``chunk`` rows of logits at a time.
    """
    loss: Tensor = _TiedCrossEntropy.apply(x, weight, bias, target, chunk)  # type: ignore[no-untyped-call]
    return loss


class _TiedCrossEntropy(torch.autograd.Function):
    """The gradients are computed with the loss, while a chunk's probabilities are at hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk: int) -> Tensor:
        """The loss, a scalar."""
        grad_x, grad_weight, grad_bias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        loss = torch.zeros((), dtype=x.dtype)
        for start in range(0, len(x), chunk):
            part, wanted = x[start : start + chunk], target[start : start + chunk, None]
            logits = torch.addmm(bias, part, weight.T)
            normaliser = logits.logsumexp(1, keepdim=True)
            loss += (normaliser - logits.gather(1, wanted)).sum()
            p = logits.sub_(normaliser).exp_()
            p.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=p.dtype))
            torch.mm(p, weight, out=grad_x[start : start + chunk])
            grad_weight.addmm_(p.T, part)
            grad_bias += p.sum(0)
        ctx.save_for_backward(grad_x / len(x), grad_weight / len(x), grad_bias / len(x))
        return loss / len(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Gradients of the loss by ``x``, ``weight`` and ``bias``."""
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        return grad * grad_x, grad * grad_weight, grad * grad_bias, None, None
