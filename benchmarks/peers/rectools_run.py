"""RecTools' SASRec, softmax loss, 256 wide (its default) and 64 wide: training, one new event, everyone."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import common

MODELS = {"SASRec-64": 64, "SASRec-256": 256}
"""Width."""
BATCHES = 32
"""Batches of 128 users that are trained; an epoch takes several minutes."""


def measure(name: str) -> dict[str, Any]:
    import torch
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import LambdaCallback
    from rectools.models import SASRecModel

    torch.set_num_threads(1)
    meter = common.Meter()

    def count(_trainer: Any, _module: Any, batch: Any, _index: int) -> None:
        meter.targets += int((batch["y"] != 0).sum())

    def trainer() -> Any:
        watch = LambdaCallback(
            on_train_epoch_start=lambda *_: meter.start(),
            on_train_batch_start=count,
            on_train_epoch_end=lambda *_: meter.stop(),
        )
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        return Trainer(max_epochs=1, limit_train_batches=BATCHES, accelerator="cpu", callbacks=[watch], **quiet)

    torch.manual_seed(1)
    histories = common.histories()
    everyone = dataset(histories)
    model = SASRecModel(n_factors=MODELS[name], session_max_len=common.LONGEST, loss="softmax", get_trainer_func=trainer)
    model.fit(everyone)

    def one(user: int) -> object:
        return model.recommend([0], dataset(histories[user : user + 1]), k=common.K, filter_viewed=True)

    def all_users() -> object:
        return model.recommend(np.arange(len(histories)), everyone, k=common.K, filter_viewed=True)

    return {
        "batches": BATCHES,
        "batches_in_epoch": -(-len(histories) // model.batch_size),
        "training": meter.figures(),
        "answers": common.answers(one, all_users),
    }


def dataset(histories: list[list[int]]) -> Any:
    """Histories as RecTools takes them, users numbered from 0."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    lengths = [len(items) for items in histories]
    frame = pd.DataFrame(
        {
            Columns.User: np.repeat(np.arange(len(histories)), lengths),
            Columns.Item: np.concatenate(histories),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(np.concatenate([np.arange(n) for n in lengths]), unit="D"),
        }
    )
    return Dataset.construct(frame)


if __name__ == "__main__":
    common.main(measure)
