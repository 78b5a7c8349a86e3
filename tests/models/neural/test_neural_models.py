"""Networks learn what popularity and the last item can't, keep the contract, and live without torch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penchant import artifact
from penchant import sequences as seq
from penchant.evaluation import evaluate, leave_one_out
from penchant.models import create
from penchant.testing import check_recommender, log_of
from penchant.types import Interactions, PenchantError, Split

RING = 30
WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
"""
"""Code that makes torch unimportable."""


def walks(steps: list[int], users: int = 250, length: int = 7) -> Interactions:
    """Each person walks around a ring of shuffled items, from a random place, with a step of their own throughout."""
    chance = np.random.default_rng(0)
    ring = [f"item {number:02}" for number in chance.permutation(RING)]
    events = []
    for user in range(users):
        place, step = int(chance.integers(RING)), int(chance.choice(steps))
        events += [(f"u{user:03}", ring[(place + n * step) % RING], float(n)) for n in range(length)]
    return log_of(events)


def best_by_last_item(split: Split) -> float:
    """How often a clairvoyant is right who knows, of each item, what follows it most often in the test itself."""
    cases = split.test
    last = cases.histories.item[cases.histories.offsets[1:] - 1]
    table = np.zeros((RING, RING))
    np.add.at(table, (last, cases.target), 1)
    return float(table.max(axis=1).sum() / len(cases))


def test_a_chain_where_each_item_has_one_successor_is_learned() -> None:
    split = leave_one_out(walks([1]))
    models = {name: create(name, **settings).fit(split.train, split.valid) for name, settings in (
        ("lstm", {"width": 24, "epochs": 25, "learning_rate": 0.02, "dropout": 0.1, "patience": 4}), ("popularity", {}),
    )}  # fmt: skip
    found = evaluate(models, split, k=1).models
    assert found["lstm"]["hit@1"] > 0.97
    assert found["popularity"]["hit@1"] < 3 / (RING - 6)


def test_a_chain_whose_next_item_hangs_on_the_last_two_is_learned() -> None:
    split = leave_one_out(walks([1, -1, 4, -4]))
    assert best_by_last_item(split) < 0.6
    lstm = create("lstm", width=32, epochs=40, batch_events=128, learning_rate=0.02, dropout=0, patience=6).fit(
        split.train, split.valid
    )
    assert evaluate({"lstm": lstm}, split, k=1).models["lstm"]["hit@1"] > 0.9


@pytest.mark.parametrize("extra", [{}, {"loss": "bpr_max", "negatives": 16}], ids=["softmax", "bpr_max"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lstm", {}),
        ("gru", {}),
        ("article_lstm", {}),
        ("attention_lstm", {"ring": 6, "heads": 2}),
        ("transformer", {"ring": 6, "max_length": 6}),
        ("longshort_network", {}),
    ],
)
def test_a_network_keeps_the_contract(name: str, settings: dict[str, Any], extra: dict[str, Any]) -> None:
    check_recommender(lambda: create(name, width=8, epochs=2, **settings, **extra))


def test_training_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("training", "network", "losses"):
        monkeypatch.delitem(sys.modules, f"penchant.models.neural.{module}", raising=False)
    with pytest.raises(
        PenchantError, match=r"training the model lstm needs PyTorch; install it with: pip install 'penchant\[train\]'"
    ):
        create("lstm").fit(seq.histories(log_of([("a", "x", n) for n in range(3)])))


def test_another_missing_module_is_not_blamed_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "penchant.models.neural.training", raising=False)
    monkeypatch.setitem(sys.modules, "penchant.models.neural.network", None)
    with pytest.raises(ModuleNotFoundError):
        create("lstm").fit(seq.histories(log_of([("a", "x", n) for n in range(3)])))


def test_a_saved_lstm_recommends_and_is_evaluated_where_there_is_no_torch(tmp_path: Path) -> None:
    split = leave_one_out(walks([1], users=20))
    model = create("lstm", width=4, epochs=1).fit(split.train)
    artifact.save(model, tmp_path / "model")
    expected = evaluate({"m": model}, split, k=3).models["m"]
    code = (
        WITHOUT_TORCH
        + f"""
import numpy as np, penchant
from penchant.testing import log_of
model = penchant.load_model({str(tmp_path / "model")!r})
log = log_of([(f"u{{u}}", f"item {{(u + n) % {RING}:02}}", n) for u in range(20) for n in range(7)])
rows = list(penchant.recommend_users(model, log, k=3))
assert len(rows) == 60, len(rows)
result = penchant.evaluate({{"m": model}}, penchant.leave_one_out(log), k=3)
assert set(result.models["m"]) == {set(expected)!r}
assert "torch" not in sys.modules
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_penchant_and_its_command_line_loads_no_torch() -> None:
    code = "import sys, penchant, penchant.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
