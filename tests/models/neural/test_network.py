"""The networks that torch trains: what they remember, their chance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from penchant.models import MODELS
from penchant.models.neural.network import BODIES, Dropout, Moments, Network, Scan, Shape, State, gap_features

SHAPE = Shape(items=6, event_types=2, timed=True, unit=60.0, span=5000.0)
SETTINGS: dict[str, dict[str, Any]] = {name: {"width": 8, "layers": 2} for name in BODIES}
SETTINGS["attention_lstm"] |= {"ring": 3, "heads": 2}
SETTINGS["transformer"] |= {"ring": 9, "max_length": 9, "heads": 2}
SETTINGS["longshort_network"] |= {"long_layers": 2}


def network(name: str = "lstm", shape: Shape = SHAPE, **settings: Any) -> Network:
    return Network(shape, MODELS[name](**SETTINGS[name] | settings).settings, BODIES[name])  # type: ignore[arg-type]


def interests(
    network: Network, item: Tensor, state: State | None = None, seed: int | None = None, start: int = 0
) -> tuple[Tensor, State]:
    """What the network makes of items a minute apart, of kinds in turn."""
    places = torch.arange(start, start + item.shape[1]).expand(item.shape)
    at = Moments(torch.where(places == 0, -1.0, 60.0 * places), torch.full(item.shape, 60.0))
    chance = None if seed is None else np.random.default_rng(seed)
    out: tuple[Tensor, State] = network(functional.embedding(item, network.embedding), places % 2, at, state, chance)
    return out


@pytest.mark.parametrize("name", BODIES)
def test_a_network_comes_from_its_seed_and_leaves_torchs_own_chance_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = network(name, seed=1), network(name, seed=1), network(name, seed=2)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    assert not torch.equal(first.embedding, other.embedding)
    random = [key for key, value in first.body.state_dict().items() if value.dim() > 1 and value.any()]
    assert all(not torch.equal(first.body.state_dict()[key], other.body.state_dict()[key]) for key in random)
    interests(first, torch.tensor([[1, 2]]), seed=1)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", BODIES)
def test_dropout_needs_a_generator_and_follows_it(name: str) -> None:
    some, item = network(name, dropout=0.5, width=16), torch.tensor([[1, 2, 3]])
    assert torch.equal(interests(some, item)[0], interests(some, item)[0])
    dropped, same, other = (interests(some, item, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(dropped, same)
    assert not torch.equal(dropped, other)
    assert 0.2 < (dropped == 0).float().mean() < 0.8


def test_dropout_keeps_the_mean() -> None:
    x = torch.ones(200, 200)
    dropped = Dropout(0.3, np.random.default_rng(0))(x)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert Dropout(0.0, np.random.default_rng(0))(x) is x


@pytest.mark.parametrize("name", [name for name in BODIES if name != "transformer"])
def test_steps_one_by_one_are_all_at_once(name: str) -> None:
    some = network(name)
    item = torch.tensor([[1, 2, 3, 4, 1, 1], [5, 0, 0, 2, 3, 3]])
    whole, after = interests(some, item)
    state: State | None = None
    for step in range(item.shape[1]):
        one, state = interests(some, item[:, step : step + 1], state, start=step)
        assert torch.allclose(one[:, 0], whole[:, step], atol=1e-6)
    assert state is not None
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(state, after, strict=True))


@pytest.mark.parametrize("name", BODIES)
def test_no_interest_knows_what_comes_after(name: str) -> None:
    some = network(name)
    first, _ = interests(some, torch.tensor([[1, 2, 3, 4]]))
    second, _ = interests(some, torch.tensor([[1, 2, 5, 0]]))
    assert torch.allclose(first[:, :2], second[:, :2], atol=1e-6)
    assert not torch.allclose(first[:, 2:], second[:, 2:], atol=1e-3)


@pytest.mark.parametrize("name", BODIES)
def test_every_weight_learns(name: str) -> None:
    some = network(name)
    with torch.no_grad():  # the start value 0 of some hides the slopes of others
        for parameter in some.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    out, _ = interests(some, torch.tensor([[1, 2, 3, 4], [4, 0, 3, 3]]))
    (out @ some.embedding.T + some.bias).logsumexp(-1).square().sum().backward()  # type: ignore[no-untyped-call]
    still = [key for key, parameter in some.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert still == []


def test_inputs_that_a_log_has_not_or_that_are_off_have_no_weights() -> None:
    for settings, shape, names in (
        ({}, SHAPE, {"kind", "gap"}),
        ({}, replace(SHAPE, event_types=1), {"gap"}),
        ({}, replace(SHAPE, timed=False), {"kind"}),
        ({"event_types": False, "time_gaps": False}, SHAPE, set[str]()),
    ):
        some = network("longshort_network", shape, **settings)
        assert {"kind", "gap"} & some.state_dict().keys() == names
        fused = some.state_dict()["body.fusion.weight"].shape[1]
        assert fused == 16 + (9 if "gap" in names else 0)


def test_gap_features_are_bumps_and_nothing_where_there_is_no_gap() -> None:
    found = gap_features(torch.tensor([-1.0, 0.0, 9.0, 1e8]))
    assert found[0].eq(0).all()
    assert found[1:].argmax(1).tolist() == [0, 1, 8]
    assert found[1, 0] == 1
    assert torch.allclose(found[2, :3], torch.exp(torch.tensor([-1.0, 0.0, -1.0])), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_scan_is_the_loop_and_so_are_its_gradients(dtype: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(0)
    a = (0.5 * torch.randn(3, 7, 4, generator=chance, dtype=dtype)).requires_grad_()
    b = torch.randn(3, 7, 4, generator=chance, dtype=dtype).requires_grad_()
    start = torch.randn(3, 4, generator=chance, dtype=dtype).requires_grad_()

    def loop(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
        c, out = start, []
        for step in range(b.shape[1]):
            c = a[:, step] * c + b[:, step]
            out.append(c)
        return torch.stack(out, 1)

    ours, theirs = Scan.apply(a, b, start), loop(a, b, start)  # type: ignore[no-untyped-call]
    assert torch.allclose(ours, theirs, atol=1e-12)
    weigh = torch.randn(3, 7, 4, generator=chance, dtype=dtype)
    for mine, other in zip(*(torch.autograd.grad((c * weigh).real.sum(), (a, b, start)) for c in (ours, theirs)), strict=True):
        assert torch.allclose(mine, other, atol=1e-12)
    assert torch.autograd.gradcheck(Scan.apply, (a, b, start))


def test_the_articles_network_by_its_equations() -> None:
    some = network("article_lstm", layers=1, event_types=False, time_gaps=False)
    item = torch.tensor([[1, 2, 3, 1]])
    found, (last_h, last_c) = interests(some, item)
    body: Any = some.body
    into, recurrent = body.input[0], body.recurrent[0]
    h = c = torch.zeros(1, 8)
    for step in range(4):
        x = some.norm_in(some.embedding[item[:, step]])
        a_i, a_g, a_f, a_o = (into(x) + recurrent(h)).chunk(4, 1)
        i, candidate, f, o = torch.sigmoid(a_i), torch.tanh(a_g), torch.sigmoid(a_f), torch.sigmoid(a_o)
        g = f * candidate
        c = g * candidate + (1 - i) * c
        h = o * torch.tanh(c)
        assert torch.allclose(found[:, step], some.body.norm(h + x), atol=1e-6)  # type: ignore[operator]
    assert torch.allclose(last_h[0], h, atol=1e-6)
    assert torch.allclose(last_c[0], c, atol=1e-6)


def test_the_long_memory_fades_with_real_time() -> None:
    some = network("longshort_network", short=False, long_layers=1)
    x = functional.embedding(torch.tensor([[1, 2]]), some.embedding)
    kept = []
    for gap in (1.0, 1e9):
        at = Moments(torch.tensor([[-1.0, gap]]), torch.zeros(1, 2))
        _, (sums,) = some.body(x, at, None, Dropout(0, None))
        kept.append(sums)
    _, (alone,) = some.body(x[:, 1:], Moments(torch.tensor([[-1.0]]), torch.zeros(1, 1)), None, Dropout(0, None))
    assert torch.allclose(kept[1], alone, atol=1e-6)
    assert not torch.allclose(kept[0], alone, atol=1e-3)
