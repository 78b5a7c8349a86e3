"""Training: what it trains on, that it is deterministic, stops in time, and goes on where it was killed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from penchant.models.recurrent import training
from safetensors import safe_open
from safetensors.numpy import save_file

from penchant import sequences as seq
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.models.base import Model
from penchant.models.validation import validate
from penchant.testing import example_histories, log_of
from penchant.types import Cases, PenchantError, Sequences, Split

SMALL = {"width": 6, "batch_size": 8, "max_length": 6, "patience": 50}


@pytest.fixture(scope="module")
def split() -> Split:
    example = example_histories(np.random.default_rng(5), 40, items=15, longest=9)
    owner = np.repeat(np.arange(40), example.lengths)
    return leave_one_out(
        log_of([(f"u{u:02}", example.items[int(i)], n) for n, (u, i) in enumerate(zip(owner, example.item, strict=True))])
    )


def fitted(split: Split, valid: bool = True, checkpoint: Path | None = None, **settings: Any) -> Model:
    return create("lstm", **SMALL | settings).fit(split.train, split.valid if valid else None, checkpoint=checkpoint)


@given(st.lists(st.integers(0, 12), max_size=6), st.integers(2, 7))
def test_every_event_but_a_first_one_is_a_target_exactly_once(lengths: list[int], longest: int) -> None:
    example = example_histories(np.random.default_rng(0), 3)
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    train = replace(example, offsets=offsets)
    windows = training._windows(train, longest)
    targets = sorted(place for start, length in windows for place in range(start + 1, start + length))
    firsts = set(offsets[:-1].tolist())
    assert targets == [place for place in range(sum(lengths)) if place not in firsts]
    for start, length in windows:
        assert 2 <= length <= longest
        row = np.searchsorted(offsets, start, side="right") - 1
        assert start + length <= offsets[row + 1]


@given(st.lists(st.integers(2, 9), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 9))
def test_an_epoch_takes_every_window_once_in_batches_of_like_length(lengths: list[int], size: int, seed: int) -> None:
    batches = list(training._shuffled(np.array(lengths), size, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)
    spans = sorted((min(lengths[i] for i in batch), max(lengths[i] for i in batch)) for batch in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_same_seed_gives_the_same_model_whatever_torchs_own_chance(split: Split) -> None:
    torch.manual_seed(1)
    first = fitted(split, epochs=3)
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002
    before = torch.random.get_rng_state()
    assert fitted(split, epochs=3).id == first.id
    assert torch.equal(before, torch.random.get_rng_state())
    other = fitted(split, epochs=3, seed=2)
    assert not np.allclose(other.weights()["embedding"], first.weights()["embedding"])


def test_history_tells_each_epoch(split: Split) -> None:
    told: list[str] = []
    model = create("lstm", **SMALL, epochs=3).fit(
        split.train, split.valid, progress=lambda what, done, total: told.append(what)
    )
    assert len(model.history) == 3
    assert all(epoch.keys() == {"loss", "seconds", "targets_per_second", "ndcg@10", "recall@10"} for epoch in model.history)
    assert model.history[-1]["loss"] < model.history[0]["loss"]
    assert model.history[0]["loss"] < np.log(len(model.items)) * 1.5
    assert {"epoch 1", "epoch 3"} <= set(told)
    assert any(word.startswith("epoch 3: loss ") for word in told)


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let validation say these values, epoch by epoch."""
    said = iter(values)

    def judge(model: Model, cases: Cases) -> dict[str, float]:
        return {"ndcg@10": next(said), "recall@10": 0.5}

    monkeypatch.setattr(training, "validate", judge)


def test_training_stops_when_patience_ends_and_keeps_the_best_epoch(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.1, 0.3, 0.3, 0.2, 0.9])
    model = fitted(split, epochs=30, patience=2)
    assert [epoch["ndcg@10"] for epoch in model.history] == [0.1, 0.3, 0.3, 0.2]
    best = fitted(split, valid=False, epochs=2)
    for name, array in best.weights().items():
        assert np.array_equal(array, model.weights()[name])


def test_the_kept_weights_are_the_ones_that_validated_best(split: Split) -> None:
    model = fitted(split, epochs=30, learning_rate=0.1, patience=4)
    measured = [epoch["ndcg@10"] for epoch in model.history]
    assert measured.index(max(measured)) < len(measured) - 1, "this test needs an epoch that is worse than one before"
    assert validate(model, split.valid)["ndcg@10"] == max(measured)


def test_without_validation_the_last_epoch_stays(split: Split) -> None:
    model = fitted(split, valid=False, epochs=4, patience=1)
    assert len(model.history) == 4
    assert "ndcg@10" not in model.history[0]


def test_a_training_in_pieces_ends_as_one_in_one(split: Split, tmp_path: Path) -> None:
    whole = fitted(split, epochs=5, layers=2)
    checkpoint = tmp_path / "half.safetensors"
    for epochs in (2, 3, 5):
        pieces = fitted(split, checkpoint=checkpoint, epochs=epochs, layers=2)
        assert len(pieces.history) == epochs
    assert pieces.weights().keys() == whole.weights().keys()
    for name, array in whole.weights().items():
        assert np.array_equal(array, pieces.weights()[name]), name
    assert [e["loss"] for e in pieces.history] == [e["loss"] for e in whole.history]
    assert [p.name for p in tmp_path.iterdir()] == ["half.safetensors"]


def test_resuming_remembers_the_best_epoch_and_the_patience_spent(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    scripted(monkeypatch, [0.5, 0.1])
    fitted(split, checkpoint=checkpoint, epochs=2)
    scripted(monkeypatch, [0.2, 0.3, 0.4])
    model = fitted(split, checkpoint=checkpoint, epochs=30, patience=3)
    assert [epoch["ndcg@10"] for epoch in model.history] == [0.5, 0.1, 0.2, 0.3]
    best = fitted(split, valid=False, epochs=1)
    assert np.array_equal(best.weights()["embedding"], model.weights()["embedding"])


@pytest.mark.parametrize(
    "other", [{"width": 7}, {"seed": 9}, {"learning_rate": 0.5}, {"valid": False}], ids=lambda other: next(iter(other))
)
def test_a_checkpoint_of_another_training_is_refused(split: Split, tmp_path: Path, other: dict[str, Any]) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    with pytest.raises(PenchantError, match="run: was made with other settings or data; delete it"):
        fitted(split, checkpoint=tmp_path / "run", epochs=2, **other)


def test_a_checkpoint_of_other_data_is_refused(split: Split, tmp_path: Path) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    for train in (replace(split.train, content_hash="other"), seq.select(split.train, np.arange(9))):
        with pytest.raises(PenchantError, match="was made with other settings or data"):
            create("lstm", **SMALL).fit(train, split.valid, checkpoint=tmp_path / "run")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 64
    path.write_bytes(raw)


def rewritten(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with safe_open(path, "numpy") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        words = json.loads(metadata["run"])
        change(tensors, words)
        save_file(tensors, path, metadata=metadata | {"run": json.dumps(words)})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello, this is not a checkpoint"),
        rewritten(lambda tensors, words: words.pop("identity")),
        rewritten(lambda tensors, words: words.pop("epoch")),
        rewritten(lambda tensors, words: tensors.pop("weights/embedding")),
        rewritten(lambda tensors, words: tensors.pop("best/bias")),
        rewritten(lambda tensors, words: tensors.update({"strange": np.zeros(1)})),
        rewritten(lambda tensors, words: tensors.update({"weights/bias": np.zeros(1, np.float32)})),
        rewritten(lambda tensors, words: tensors.pop("optimiser/0.exp_avg")),
    ],
    ids=["cut", "flip", "empty", "text", "no identity", "no epoch", "no weights", "no best", "strange", "shape", "optimiser"],
)
def test_a_damaged_checkpoint_is_refused(split: Split, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    damage(tmp_path / "run")
    with pytest.raises(PenchantError, match=r"run: is (not a checkpoint|damaged); delete it and train from the start"):
        fitted(split, checkpoint=tmp_path / "run", epochs=2)


def test_a_checkpoint_that_cannot_be_written_ends_in_a_sentence(split: Split, tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="the checkpoint can't be written"):
        fitted(split, checkpoint=tmp_path / "nowhere" / "run", epochs=1)


def test_an_interrupted_save_leaves_the_checkpoint_before_and_nothing_else(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    before = (tmp_path / "run").read_bytes()

    def interrupted(*names: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted(split, checkpoint=tmp_path / "run", epochs=2)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run").read_bytes() == before


def test_a_learning_rate_that_explodes_ends_in_a_sentence(split: Split) -> None:
    with pytest.raises(PenchantError, match=r"the loss is no number in epoch \d+; lower learning_rate"):
        fitted(split, epochs=5, learning_rate=1e30)


def test_histories_of_one_event_teach_nothing() -> None:
    single: Sequences = seq.histories(log_of([("a", "x", 1), ("b", "y", 1)]))
    with pytest.raises(PenchantError, match="no user has two events in the training part"):
        create("lstm", **SMALL).fit(single)


def test_a_catalogue_of_one_item_and_windows_of_two_events_can_be_trained() -> None:
    model = create("lstm", width=2, epochs=2, max_length=2).fit(seq.histories(log_of([("a", "x", n) for n in range(5)])))
    assert model.history[-1]["loss"] == pytest.approx(0, abs=1e-6)
