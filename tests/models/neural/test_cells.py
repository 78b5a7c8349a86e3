"""Cells against torch's own and against the formulas, number by number."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penchant.models.neural.cells import article_step, attend, gelu, gru_step, layer_norm, lstm_step, sigmoid
from penchant.types import Float


@given(arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32)))
def test_sigmoid_is_the_logistic_function_and_cannot_overflow(x: Float) -> None:
    expected = [1 / (1 + math.exp(-v)) if v > -700 else 0.0 for v in x.tolist()]
    found = sigmoid(x)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-6)


def test_one_step_by_the_formulas() -> None:
    i, f, g, o, c = 0.3, -0.2, 0.7, 1.1, 0.5
    h, cell = lstm_step(np.array([[i, f, g, o]], np.float32), np.array([[c]], np.float32))

    def s(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    expected = s(f) * c + s(i) * math.tanh(g)
    assert math.isclose(cell.item(), expected, rel_tol=1e-5)
    assert math.isclose(h.item(), s(o) * math.tanh(expected), rel_tol=1e-5)


def test_a_step_is_that_of_torchs_cell() -> None:
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(5, 7)
    x, h, c = torch.randn(4, 5), torch.randn(4, 7), torch.randn(4, 7)
    with torch.no_grad():
        gates = x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
        expected_h, expected_c = cell(x, (h, c))
    found_h, found_c = lstm_step(gates.numpy(), c.numpy())
    assert np.allclose(found_h, expected_h.numpy(), atol=1e-6)
    assert np.allclose(found_c, expected_c.numpy(), atol=1e-6)
    assert [str(found.dtype) for found in (found_h, found_c)] == ["float32", "float32"]


def test_layer_norm_is_torchs_for_any_scale_and_offset() -> None:
    chance = np.random.default_rng(0)
    for scale, offset in ((1, 0), (1e-4, 0), (1e3, 50), (0, 3)):
        x = (chance.normal(size=(6, 16)) * scale + offset).astype(np.float32)
        weight, bias = (chance.normal(size=16).astype(np.float32) for _ in range(2))
        expected = torch.nn.functional.layer_norm(
            torch.from_numpy(x), (16,), torch.from_numpy(weight), torch.from_numpy(bias)
        ).numpy()
        assert np.allclose(layer_norm(x, weight, bias), expected, atol=2e-5), (scale, offset)


def test_a_gated_recurrent_step_is_that_of_torchs_cell() -> None:
    torch.manual_seed(0)
    cell = torch.nn.GRUCell(5, 7)
    x, h = torch.randn(4, 5), torch.randn(4, 7)
    with torch.no_grad():
        expected = cell(x, h).numpy()
        from_x, from_h = x @ cell.weight_ih.T + cell.bias_ih, h @ cell.weight_hh.T + cell.bias_hh
    found = gru_step(from_x.numpy(), from_h.numpy(), h.numpy())
    assert np.allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_the_articles_cell_by_its_equations() -> None:
    a_i, a_g, a_f, a_o, before = 0.3, -0.9, 0.7, 1.1, 0.5
    h, c = article_step(np.array([[a_i, a_g, a_f, a_o]], np.float32), np.array([[before]], np.float32))

    def s(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    i, candidate, f, o = s(a_i), math.tanh(a_g), s(a_f), s(a_o)
    g = f * candidate
    expected = g * candidate + (1 - i) * before
    assert math.isclose(c.item(), expected, rel_tol=1e-5)
    assert math.isclose(h.item(), o * math.tanh(expected), rel_tol=1e-5)


def test_gelu_is_torchs() -> None:
    x = np.linspace(-6, 6, 101, dtype=np.float32)
    expected = torch.nn.functional.gelu(torch.from_numpy(x), approximate="tanh").numpy()
    assert np.allclose(gelu(x), expected, atol=1e-6)


def test_attention_is_torchs_and_what_is_hidden_counts_for_nothing() -> None:
    chance = np.random.default_rng(0)
    q, k, v = (chance.normal(size=(2, 3, length, 4)).astype(np.float32) for length in (5, 6, 6))
    bias = np.where(chance.random((2, 3, 5, 6)) < 0.3, -np.inf, chance.normal(size=(2, 3, 5, 6))).astype(np.float32)
    bias[..., 0] = 0
    tensors = [torch.from_numpy(t) for t in (q, k, v, bias)]
    expected = torch.nn.functional.scaled_dot_product_attention(tensors[0], tensors[1], tensors[2], tensors[3]).numpy()
    assert np.allclose(attend(q, k, v, bias), expected, atol=1e-6)
    bias[..., 5] = -np.inf
    without = attend(q, k[:, :, :5], v[:, :, :5], bias[..., :5])
    assert np.allclose(attend(q, k, v, bias), without, atol=1e-6)
