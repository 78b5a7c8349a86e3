"""Losses and their gradients against the formulas written plainly."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from penchant.models.neural import losses
from penchant.models.neural.losses import bpr_max, cross_entropy, gbce, sampled_loss, softmax_loss

N, ITEMS, WIDTH, NEGATIVES = 7, 12, 4, 9
WORTH = torch.linspace(0.4, 1.6, N, dtype=torch.float64)
"""How much each target counts."""
Naive = Callable[[Tensor, Tensor], Tensor]
"""The loss of one target from its score and the scores of its negatives."""


def naive_cross_entropy(positive: Tensor, negative: Tensor) -> Tensor:
    return -torch.log(positive.exp() / (positive.exp() + negative.exp().sum()))


def naive_bpr_max(positive: Tensor, negative: Tensor, penalty: float) -> Tensor:
    s = negative.exp() / negative.exp().sum()
    return -torch.log((s * torch.sigmoid(positive - negative)).sum()) + penalty * (s * negative**2).sum()


def naive_gbce(positive: Tensor, negative: Tensor, share: float, calibration: float) -> Tensor:
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    return -torch.log(torch.sigmoid(positive) ** beta) - torch.log(1 - torch.sigmoid(negative)).sum()


PAIRS: dict[str, tuple[losses.Pairs, Naive]] = {
    "cross_entropy": (cross_entropy, naive_cross_entropy),
    "bpr_max": (bpr_max(0.7), partial(naive_bpr_max, penalty=0.7)),
    "bpr_max, no penalty": (bpr_max(0.0), partial(naive_bpr_max, penalty=0.0)),
    "gbce": (gbce(0.3, 0.75), partial(naive_gbce, share=0.3, calibration=0.75)),
    "gbce, plain": (gbce(0.3, 0.0), partial(naive_gbce, share=0.3, calibration=0.0)),
}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Interests, embeddings and biases."""
    return (
        random(N, WIDTH, seed=seed).requires_grad_(),
        random(ITEMS, WIDTH, seed=seed + 1).requires_grad_(),
        random(ITEMS, seed=seed + 2).requires_grad_(),
    )


def drawn(count: int, seed: int) -> Tensor:
    return torch.randint(0, ITEMS, (count,), generator=torch.Generator().manual_seed(seed))


def gradients(loss: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss * 3, inputs)


@pytest.fixture(params=[3 * ITEMS, 1 << 19], ids=["some rows", "at once"], autouse=True)
def _rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "SCORES_AT_ONCE", request.param)
    monkeypatch.setattr(losses, "SAMPLED_AT_ONCE", request.param)


@pytest.mark.parametrize("worth", [None, WORTH], ids=["alike", "unlike"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_sampled_loss_is_its_formula_and_so_are_its_gradients(name: str, worth: Tensor | None) -> None:
    pairs, naive = PAIRS[name]
    inputs = x, weight, bias = some()
    target, negative, handicap = drawn(N, 3), drawn(NEGATIVES, 4), random(NEGATIVES, seed=5)
    assert (target[:, None] == negative).any(), "this test needs a negative that is the target itself"
    loss = sampled_loss(x, weight, bias, target, negative, handicap, pairs, worth=worth, dtype=torch.float64)
    expected = torch.zeros((), dtype=torch.float64)
    for row in range(N):
        scores = weight @ x[row] + bias
        others = negative != target[row]
        one = naive(scores[target[row]], scores[negative[others]] - handicap[others])
        expected = expected + one * (1 if worth is None else worth[row]) / N
    assert torch.allclose(loss, expected, atol=1e-12)
    for ours, theirs in zip(gradients(loss, inputs), gradients(expected, inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_the_gradients_of_a_sampled_loss_are_its_differences(name: str) -> None:
    target, negative, handicap = drawn(N, 3), drawn(NEGATIVES, 4), random(NEGATIVES, seed=5)

    def loss(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return sampled_loss(x, weight, bias, target, negative, handicap, PAIRS[name][0], dtype=torch.float64)

    assert torch.autograd.gradcheck(loss, some())


@pytest.mark.parametrize("worth", [None, WORTH], ids=["alike", "unlike"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_softmax_loss_is_cross_entropy_and_so_are_its_gradients(smoothing: float, worth: Tensor | None) -> None:
    inputs = x, weight, bias = some()
    target = drawn(N, 3)
    loss = softmax_loss(x, weight, bias, target, worth=worth, smoothing=smoothing, dtype=torch.float64)
    each = functional.cross_entropy(x @ weight.T + bias, target, label_smoothing=smoothing, reduction="none")
    expected = (each if worth is None else each * worth).mean()
    assert torch.allclose(loss, expected, atol=1e-12)
    for ours, theirs in zip(gradients(loss, inputs), gradients(expected, inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)

    def again(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return softmax_loss(x, weight, bias, target, worth=worth, smoothing=smoothing, dtype=torch.float64)

    assert torch.autograd.gradcheck(again, some())


def pairs_in(some: slice) -> tuple[Tensor, Tensor]:
    """What is left out: of each row two items, among them its target (``drawn(N, 3)``)."""
    rows = torch.arange(N)[some]
    item = torch.stack([(3 * rows + 1) % ITEMS, drawn(N, 3)[rows]], 1)
    return torch.arange(len(rows)).repeat_interleave(2), item.flatten()


def without(scores: Tensor, target: Tensor) -> Tensor:
    """The scores ``[N, ITEMS]`` with -inf for what ``pairs_in`` leaves out, save the target."""
    hidden = torch.zeros(scores.shape, dtype=torch.bool).index_put_(pairs_in(slice(None)), torch.tensor(True))
    hidden[torch.arange(len(target)), target] = False
    return scores.masked_fill(hidden, -torch.inf)


def test_what_is_left_out_of_the_softmax_does_not_compete() -> None:
    inputs = x, weight, bias = some()
    target = drawn(N, 3)
    loss = softmax_loss(x, weight, bias, target, left_out=pairs_in, dtype=torch.float64)
    expected = functional.cross_entropy(without(x @ weight.T + bias, target), target)
    assert not torch.allclose(loss, softmax_loss(x, weight, bias, target, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(loss, expected, atol=1e-12)
    for ours, theirs in zip(gradients(loss, inputs), gradients(expected, inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_what_is_left_out_is_no_negative() -> None:
    inputs = x, weight, bias = some()
    target, everything = drawn(N, 3), torch.arange(ITEMS)
    loss = sampled_loss(x, weight, bias, target, everything, 0.0, cross_entropy, left_out=pairs_in, dtype=torch.float64)
    expected = functional.cross_entropy(without(x @ weight.T + bias, target), target)
    assert torch.allclose(loss, expected, atol=1e-12)
    for ours, theirs in zip(gradients(loss, inputs), gradients(expected, inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.05)])
def test_the_softmax_loss_holds_in_lower_precision(dtype: torch.dtype, tolerance: float) -> None:
    x, weight, bias = (t.detach().float().requires_grad_() for t in some())
    target = drawn(N, 3)
    loss = softmax_loss(x, weight, bias, target, smoothing=0.1, dtype=dtype)
    expected = functional.cross_entropy(x @ weight.T + bias, target, label_smoothing=0.1)
    assert loss.dtype == torch.float32
    assert torch.allclose(loss, expected, atol=tolerance)
    for ours, theirs in zip(gradients(loss, (x, weight, bias)), gradients(expected, (x, weight, bias)), strict=True):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours, theirs, atol=tolerance)


@pytest.mark.parametrize("name", PAIRS)
def test_a_sampled_loss_holds_in_lower_precision(name: str) -> None:
    inputs = x, weight, bias = tuple(t.detach().float().requires_grad_() for t in some())
    target, negative, handicap = drawn(N, 3), drawn(NEGATIVES, 4), random(NEGATIVES, seed=5).float()
    exact, rough = (
        sampled_loss(x, weight, bias, target, negative, handicap, PAIRS[name][0], dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, atol=0.05)
    for ours, theirs in zip(gradients(rough, inputs), gradients(exact, inputs), strict=True):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours, theirs, atol=0.1)


def test_the_losses_stand_large_scores() -> None:
    x = torch.tensor([[1000.0], [-1000.0]], requires_grad=True)
    weight, bias = torch.tensor([[1.0], [-1.0]], requires_grad=True), torch.zeros(2, requires_grad=True)
    target = torch.tensor([0, 1])
    found = [softmax_loss(x, weight, bias, target)]
    found += [sampled_loss(x, weight, bias, target, target, 0.0, pairs) for pairs in (cross_entropy, bpr_max(0), gbce(1, 1))]
    for loss in found:
        assert loss.item() == pytest.approx(0)
        assert all(grad.isfinite().all() for grad in gradients(loss, (x, weight, bias)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_target_that_is_next_to_impossible_costs_a_bounded_loss_and_has_its_whole_gradient(dtype: torch.dtype) -> None:
    x, weight, bias = torch.ones(1, 1, requires_grad=True), torch.tensor([[500.0], [0.0]], requires_grad=True), torch.zeros(2)
    loss = softmax_loss(x, weight, bias.requires_grad_(), torch.tensor([1]), dtype=dtype)
    assert 80 < loss.item() < 100
    assert torch.autograd.grad(loss, weight)[0].tolist() == [[1], [-1]]


@pytest.mark.parametrize("name", PAIRS)
def test_a_target_whose_negatives_are_all_itself_moves_nothing_by_them(name: str) -> None:
    inputs = x, weight, bias = some()
    target, negative = torch.full((N,), 2), torch.tensor([2, 2])
    loss = sampled_loss(x, weight, bias, target, negative, 0.0, PAIRS[name][0])
    assert loss.isfinite()
    found = gradients(loss, inputs)
    assert all(grad.isfinite().all() for grad in found)
    assert found[1][torch.arange(ITEMS) != 2].abs().max() == 0


def test_with_the_handicap_of_being_drawn_the_sampled_loss_nears_the_whole_softmax() -> None:
    x, weight, bias = some()
    target, share = drawn(N, 3), torch.arange(1.0, ITEMS + 1, dtype=torch.float64) / (ITEMS * (ITEMS + 1) / 2)
    count = 200_000
    negative = torch.multinomial(share, count, replacement=True, generator=torch.Generator().manual_seed(1))
    sampled = sampled_loss(x, weight, bias, target, negative, torch.log(count * share)[negative], cross_entropy)
    assert sampled.item() == pytest.approx(softmax_loss(x, weight, bias, target, dtype=torch.float64).item(), abs=0.01)


def test_calibrated_gbce_gives_a_positive_the_weight_of_its_sample() -> None:
    positive, negative = torch.tensor([[0.3]]), torch.tensor([[-1.0, 0.5]])
    found, _ = gbce(0.1, 1.0)(positive.clone(), negative.clone())
    expected = -0.1 * functional.logsigmoid(positive).sum() + functional.softplus(negative).sum()
    assert found.item() == pytest.approx(expected.item())
