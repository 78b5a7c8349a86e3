"""Losses of next-event prediction, fused with the product that makes the scores: gradients come with the value.

Every loss takes the interests ``x[N, d]`` at the targets and returns the mean over them, in which each counts as much as its
``worth[N]`` says, whose mean is 1 (without, all alike). Scores are made a few rows at a
time, so that they are never whole in memory, and worked on in place, so that they stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SCORES_AT_ONCE = 1 << 22
"""Scores computed at a time over a whole catalogue (8 MB in bfloat16)."""
SAMPLED_AT_ONCE = 1 << 19
"""Scores computed at a time against sampled items (2 MB): many passes go over them."""

Pairs = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""``pairs(positive[n, 1], negative[n, K])`` leaves the gradients of each row's loss in ``positive`` and ``negative``, those of
the latter still to be multiplied by a scale for each row, and returns the losses and the scales, ``[n, 1]`` both. A negative
that is the target itself has a score of ``LOWEST``."""
LeftOut = Callable[[slice], tuple[Tensor, Tensor]]
"""``left_out(some)``: the pairs ``(row, item)`` that don't compete in some rows, counted from the first of them."""
LOWEST = -1e30
"""A score that counts for nothing, and whose square is still a number."""


def softmax_loss(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    *,
    worth: Tensor | None = None,
    smoothing: float = 0.0,
    left_out: LeftOut | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Mean cross-entropy of ``softmax(x Wᵀ + b)`` against ``target[N]``, over a whole catalogue ``weight[V, d]``, ``bias[V]``.

    Items ``left_out`` of a row don't compete there, save its target. ``smoothing`` spreads that share of a target over all
    items, and doesn't go with it. The products and the probabilities are made in ``dtype``; a target less likely than its
    smallest number costs as if it were that likely, 87 in bfloat16 and float32.
    """
    share = _shares(x, worth)
    loss: Tensor = _Softmax.apply(x, weight, bias, target, share, smoothing, left_out, dtype)  # type: ignore[no-untyped-call]
    return loss


def _shares(x: Tensor, worth: Tensor | None) -> Tensor:
    """What each target is of the mean, ``[N, 1]``."""
    return (x.new_ones(len(x)) if worth is None else worth)[:, None] / len(x)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        share: Tensor,
        smoothing: float,
        left_out: LeftOut | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """The loss, a scalar."""
        count, items = len(x), len(weight)
        table, plain = _with_bias(weight, bias, dtype), weight.to(dtype)
        whole = functional.pad(x, (0, 2), value=1.0)
        asked, told = whole.to(dtype), (whole * share).to(dtype)
        grad_x, grad_table = torch.empty_like(x), x.new_zeros(table.shape)
        loss = torch.zeros((), dtype=x.dtype)
        parts = -(-count * items // SCORES_AT_ONCE)
        rows = -(-count // parts)
        for start in range(0, count, rows):
            some = slice(start, start + rows)
            p, wanted = torch.mm(asked[some], table.T), target[some, None]
            if left_out is not None:
                row, item = left_out(some)
                own = p.gather(1, wanted)
                p.view(-1).index_fill_(0, torch.add(item, row, alpha=items), -torch.inf)
                p.scatter_(1, wanted, own)
            torch.softmax(p, 1, out=p)
            likely = p.gather(1, wanted).clamp_(min=torch.finfo(dtype).tiny)
            loss -= (likely.to(x.dtype).log() * share[some]).sum()
            grad_x[some] = torch.mm(p, plain)
            grad_table += torch.mm(p.T, told[some])
        # What p lacks to be the gradient (the target, the smoothing) is made up where it costs less.
        grad_x.sub_(weight[target], alpha=1 - smoothing)
        whole *= share
        grad_table.index_add_(0, target, whole, alpha=smoothing - 1)
        if smoothing:
            mean_weight, mean_bias = weight.mean(0), bias.mean()
            above = (x * (weight[target] - mean_weight)).sum(1, keepdim=True) + (bias[target, None] - mean_bias)
            loss += smoothing * (above * share).sum()
            grad_x.sub_(mean_weight, alpha=smoothing)
            grad_table.sub_(whole.sum(0), alpha=smoothing / items)
        grad_x *= share
        ctx.save_for_backward(grad_x, grad_table)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Gradients of the loss by ``x``, ``weight`` and ``bias``."""
        grad_x, grad_table = ctx.saved_tensors
        return grad * grad_x, grad * grad_table[:, :-2], grad * grad_table[:, -1], None, None, None, None, None


def _with_bias(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """The weights with two more columns, which add up to the bias: in ``dtype``, one would lose half of its digits."""
    level = bias.to(dtype)
    return torch.cat([weight.to(dtype), level[:, None], (bias - level).to(dtype)[:, None]], 1)


def sampled_loss(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    negative: Tensor,
    handicap: Tensor | float,
    pairs: Pairs,
    *,
    worth: Tensor | None = None,
    left_out: LeftOut | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Mean loss of ``pairs`` of the scores ``x wᵀ + b`` of each target and of the negatives that all targets share.

    ``target[N]`` and ``negative[K]`` are rows of ``weight[R, d]`` and ``bias[R]``; negatives lose a ``handicap[K]``. A
    negative that is the target itself doesn't count, nor one that is ``left_out`` of the row. The products with the negatives
    are made in ``dtype``.
    """
    loss: Tensor = _Sampled.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, target, negative, _shares(x, worth), handicap, pairs, left_out, dtype
    )
    return loss


def _scores(x: Tensor, table: Tensor, level: Tensor) -> Tensor:
    """``x tableᵀ + level`` in the precision of ``level``, the product in that of ``x`` and ``table``."""
    if x.dtype == level.dtype:
        return torch.addmm(level, x, table.T)
    return torch.mm(x, table.T).to(level.dtype).add_(level)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """``total += a b``, the product in the precision of ``a`` and ``b``."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += torch.mm(a, b)


def _hits(target: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs ``(row, column)`` with ``target[row] == negative[column]``: few, so they aren't looked for one by one."""
    ordered, columns = negative.sort()
    first = torch.searchsorted(ordered, target)
    counts = torch.searchsorted(ordered, target, right=True) - first
    row = torch.arange(len(target)).repeat_interleave(counts)
    within = torch.arange(len(row)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    return row, columns[first.repeat_interleave(counts) + within]


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        negative: Tensor,
        share: Tensor,
        handicap: Tensor | float,
        pairs: Pairs,
        left_out: LeftOut | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """The loss, a scalar."""
        against, against_bias, wanted = weight[negative], bias[negative], weight[target]
        positive = (x * wanted).sum(1, keepdim=True).add_(bias[target, None])
        grad_x, grad_against, grad_against_bias = torch.empty_like(x), torch.zeros_like(against), torch.zeros_like(against_bias)
        level, table = against_bias - handicap, against.to(dtype)
        rows = max(1, SAMPLED_AT_ONCE // len(negative))
        loss = torch.zeros((), dtype=x.dtype)
        for start in range(0, len(x), rows):
            some = slice(start, start + rows)
            scores = _scores(x[some].to(dtype), table, level)
            scores.index_put_(_hits(target[some], negative), scores.new_tensor(LOWEST))
            if left_out is not None:
                row, item = left_out(some)
                pair, column = _hits(item, negative)
                scores.index_put_((row[pair], column), scores.new_tensor(LOWEST))
            value, scale = pairs(positive[some], scores)
            loss += (value * share[some]).sum()
            scale *= share[some]
            grad_against_bias.addmv_(scores.T, scale[:, 0])
            scores = scores.to(dtype)
            torch.mul(torch.mm(scores, table), scale, out=grad_x[some])
            _add_product(grad_against, scores.T, (x[some] * scale).to(dtype))
        positive *= share
        grad_x += positive * wanted
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        grad_weight.index_add_(0, negative, grad_against).index_add_(0, target, positive * x)
        grad_bias.index_add_(0, negative, grad_against_bias).index_add_(0, target, positive[:, 0])
        ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Gradients of the loss by ``x``, ``weight`` and ``bias``."""
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        return grad * grad_x, grad * grad_weight, grad * grad_bias, None, None, None, None, None, None, None


def cross_entropy(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over a target and its negatives.

    It estimates the whole softmax where the handicap of a negative is the logarithm of how often it is expected among them
    (logQ correction: Bengio and Senécal 2008; Yi et al. 2019).
    """
    top = torch.maximum(negative.amax(1, keepdim=True), positive)
    total = negative.sub_(top).exp_().sum(1, keepdim=True)
    positive.sub_(top)
    loss = -positive
    total += positive.exp_()
    loss += total.log()
    scale = total.reciprocal_()
    positive.mul_(scale).sub_(1)
    return loss, scale


def bpr_max(penalty: float) -> Pairs:
    """BPR-max (Hidasi and Karatzoglou 2018, §4.2): ``-log Σ s_j σ(r_i - r_j) + penalty · Σ s_j r_j²``, with ``s`` the softmax
    of the negatives' scores ``r_j``.
    """

    def pairs(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        softmax = negative.softmax(1)
        negative.masked_fill_(negative <= LOWEST, 0)
        wins = torch.sigmoid(positive - negative)
        won = softmax * wins  # s_j σ_j
        chance = won.sum(1, keepdim=True).clamp_(min=1e-24)
        squares = negative * negative
        squared = torch.linalg.vecdot(softmax, squares).unsqueeze(1)
        loss = penalty * squared - chance.log()
        slope = wins.neg_().add_(1).mul_(won)  # s_j σ_j (1 - σ_j)
        positive.copy_(-slope.sum(1, keepdim=True) / chance)
        # d loss / d r_j = slope/chance - (won - s·chance)/chance + penalty·s·(r_j² - squared + 2 r_j)
        squares.add_(negative, alpha=2).mul_(penalty).add_(1 - penalty * squared)
        torch.mul(softmax, squares, out=negative)
        negative.add_(slope.sub_(won).div_(chance))
        return loss, torch.ones_like(positive)

    return pairs


def gbce(share: float, calibration: float) -> Pairs:
    """Generalised binary cross-entropy (Petrov and Macdonald 2023): the positive's probability to the power β, where negatives
    are a ``share`` of the catalogue and ``calibration`` is the paper's t.
    """
    beta = share * (calibration * (1 - 1 / share) + 1 / share)

    def pairs(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        loss = functional.softplus(negative).sum(1, keepdim=True).sub_(functional.logsigmoid(positive), alpha=beta)
        negative.sigmoid_()
        positive.copy_(beta * (torch.sigmoid(positive) - 1))
        return loss, torch.ones_like(positive)

    return pairs
