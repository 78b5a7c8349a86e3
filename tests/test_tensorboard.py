"""What is written for TensorBoard, read back by TensorBoard."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from penchant import tensorboard
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.testing import log_of
from penchant.types import PenchantError


def scalars(folder: Path) -> dict[str, Any]:
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_training_is_written_epoch_by_epoch(tmp_path: Path) -> None:
    cut = leave_one_out(log_of([(f"u{u:02}", f"i{(u * 3 + n) % 17:02}", 100 * n + u) for u in range(20) for n in range(6)]))
    with tensorboard.writing(tmp_path / "new" / "run") as observe:
        model = create("lstm", width=6, epochs=3).fit(cut.train, cut.valid, observe=observe)
    assert len(model.history) == 3
    assert scalars(tmp_path / "new" / "run") == {
        name: [(epoch, pytest.approx(measured[name])) for epoch, measured in enumerate(model.history, 1)]
        for name in tensorboard.SCALARS
    }


def test_what_was_not_measured_is_not_written_and_what_was_can_be_read_at_once(tmp_path: Path) -> None:
    with tensorboard.writing(tmp_path) as observe:
        observe(1, {"loss": 2.0, "seconds": 9.0})
        assert scalars(tmp_path) == {"loss": [(1, 2.0)]}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(PenchantError, match=r"file: can't be written: "), tensorboard.writing(tmp_path / "file"):
        pass


@pytest.mark.parametrize("missing", ["tensorboard", "torch"])
def test_without_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(PenchantError, match=r"pip install 'penchant\[train,tensorboard\]'"), tensorboard.writing(tmp_path):
        pass
