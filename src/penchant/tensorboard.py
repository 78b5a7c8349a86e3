"""A training's figures for TensorBoard (needs the extras ``train`` and ``tensorboard``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from penchant.types import Observer, PenchantError

SCALARS = ("loss", "ndcg@10", "recall@10", "targets_per_second")


@contextmanager
def writing(folder: str | Path) -> Iterator[Observer]:
    """An observer for ``Model.fit`` that writes each epoch's figures into a folder ``tensorboard --logdir`` reads.

    Raises ``PenchantError`` where TensorBoard or PyTorch isn't installed, or the folder can't be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "tensorboard"):
            raise
        raise PenchantError(
            "writing for TensorBoard needs it and PyTorch; install them with: pip install 'penchant[train,tensorboard]'"
        ) from error
    try:
        writer = SummaryWriter(str(folder))
    except OSError as error:
        raise PenchantError(f"{folder}: can't be written: {error.strerror}") from error

    def observe(epoch: int, measured: Mapping[str, float]) -> None:
        for name in SCALARS:
            if name in measured:
                writer.add_scalar(name, measured[name], epoch)
        writer.flush()

    with writer:
        yield observe
