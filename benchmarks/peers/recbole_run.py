"""RecBole's GRU4Rec and SASRec: the training epoch of its own trainer, every prefix a padded row, full cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.machine import DATA
from benchmarks.peers import common

MODELS: dict[str, int | None] = {"GRU4Rec": 24, "SASRec": 16}
"""How many batches of 2,048 rows are trained; ``None`` is an epoch."""


def measure(name: str) -> dict[str, Any]:
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(1)
    write_log(Path("beauty"))
    settings = {
        "data_path": ".",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "train_neg_sample_args": None,  # the loss is full cross-entropy
        "MAX_ITEM_LIST_LENGTH": common.LONGEST,
        "use_gpu": False,
    }
    config = Config(model=name, dataset="beauty", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    train, _, _ = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    meter = common.Meter()

    def counted(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            meter.targets += len(batch)
            yield batch

    meter.start()
    trainer._train_epoch(counted(islice(train, MODELS[name])), 0)
    meter.stop()
    return {"batches": MODELS[name] or len(train), "batches_in_epoch": len(train), "training": meter.figures()}


def write_log(folder: Path) -> None:
    """The log as RecBole's atomic file. It cuts off everyone's last two items by itself."""
    folder.mkdir()
    with (folder / "beauty.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for line in (DATA / "amazon" / "Beauty.txt").read_text(encoding="utf-8").splitlines():
            user, *items = line.split()
            file.writelines(f"{user}\t{item}\t{time}\n" for time, item in enumerate(items))


if __name__ == "__main__":
    common.main(measure)
