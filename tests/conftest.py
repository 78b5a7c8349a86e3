"""What several tests need: files to write, the shared event logs, small models, the settings of Hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from penchant.models import create
from penchant.models.base import Model
from penchant.models.interest import Interest, InterestSettings, shapes
from penchant.models.neural.model import LSTM
from penchant.models.neural.runtime import RUNTIMES, common_shapes
from penchant.types import Vocabulary

# Networks in tests are tiny: one thread, asleep while it waits. Set before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("penchant", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("penchant")

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of a name and content into the test's folder and return its path."""

    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real event logs. Where it is absent a test is skipped, but never where PENCHANT_REQUIRE_DATA is set."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PENCHANT_SHARED_DATA", default))
    if not folder.is_dir():
        reason = f"the shared event logs are not at {folder}; name their folder with PENCHANT_SHARED_DATA"
        if os.environ.get("PENCHANT_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def lstm() -> Model:
    """As if trained: with weights drawn at random, so that no torch is needed."""
    model, chance = create("lstm", width=8), np.random.default_rng(2)
    assert isinstance(model, LSTM)
    model.items = Vocabulary(tuple(f"item {number}" for number in range(40)))
    model.event_types = ("event",)
    shapes = common_shapes(40, 1, timed=True, settings=model.settings) | RUNTIMES["lstm"].shapes(model.settings, timed=True)
    model.set_weights({name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    return model


@pytest.fixture(scope="session")
def head(lstm: Model) -> Interest:
    """A ranker over it, as if trained on clicks and likes in three tabs."""
    model, chance = Interest(InterestSettings(width=8, hidden=6, ring=4)), np.random.default_rng(3)
    model.take_base(lstm, lstm.items, lstm.event_types)
    form = model.form_for(("click", "like"), {"tab": ("1", "2", "3")})
    weights = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes(form, model.settings).items()}
    weights["usual"], weights["usually"] = np.array([0.4, 0.1], np.float32), np.full(form.kinds, 0.5, np.float32)
    for name in ("counted", "done"):  # how often, then of that what came of it
        weights[name] = np.cumsum(chance.integers(0, 9, weights[name].shape), axis=1)[:, ::-1].astype(np.float32)
    model.set_head(form, weights, (np.ones(2, np.float32), np.zeros(2, np.float32)))
    return model
