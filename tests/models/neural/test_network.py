"""The network that torch trains: its loss and gradients, its chance."""

import pytest
import torch
from penchant.models.recurrent.network import Network, tied_cross_entropy
from penchant.models.recurrent.settings import LSTMSettings


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_chunked_loss_is_cross_entropy_and_so_are_its_gradients(chunk: int, dtype: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(chunk)
    x, weight, bias = (torch.randn(*shape, generator=chance, dtype=dtype) for shape in ((7, 4), (11, 4), (11,)))
    target = torch.randint(11, (7,), generator=chance)
    ours = [t.clone().requires_grad_() for t in (x, weight, bias)]
    theirs = [t.clone().requires_grad_() for t in (x, weight, bias)]
    loss = tied_cross_entropy(ours[0], ours[1], ours[2], target, chunk)
    expected = torch.nn.functional.cross_entropy(theirs[0] @ theirs[1].T + theirs[2], target)
    assert torch.allclose(loss, expected, atol=1e-6)
    (loss * 3).backward()  # type: ignore[no-untyped-call]
    (expected * 3).backward()  # type: ignore[no-untyped-call]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_the_loss_stands_large_logits() -> None:
    x = torch.tensor([[1000.0], [-1000.0]], requires_grad=True)
    loss = tied_cross_entropy(x, torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([0, 1]), 1)
    assert loss.item() == pytest.approx(0)


def test_a_network_comes_from_its_generator_and_leaves_torchs_own_alone() -> None:
    before = torch.random.get_rng_state()
    settings = LSTMSettings(width=4, layers=2)
    first, again, other = (Network(6, settings, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.embedding, other.embedding)
    assert not torch.equal(first.lstm.weight_hh_l1, other.lstm.weight_hh_l1)  # type: ignore[arg-type]
    first(torch.tensor([[1, 2]]), generator=torch.Generator().manual_seed(1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_needs_a_generator_and_follows_it() -> None:
    network = Network(6, LSTMSettings(width=16, dropout=0.5), torch.Generator().manual_seed(1))
    item = torch.tensor([[1, 2, 3]])
    plain, again = network(item)[0], network(item)[0]
    assert torch.equal(plain, again)
    dropped, same, other = (network(item, generator=torch.Generator().manual_seed(s))[0] for s in (1, 1, 2))
    assert torch.equal(dropped, same)
    assert not torch.equal(dropped, other)
    assert 0.2 < (dropped == 0).float().mean() < 0.8


def test_steps_one_by_one_are_all_at_once() -> None:
    network = Network(6, LSTMSettings(width=5, layers=2), torch.Generator().manual_seed(1))
    item = torch.tensor([[1, 2, 3, 4], [5, 0, 0, 2]])
    whole, _ = network(item)
    state = None
    for step in range(4):
        one, state = network(item[:, step : step + 1], state)
        assert torch.allclose(one[:, 0], whole[:, step], atol=1e-6)
