"""Training: what it trains on, that it is deterministic, stops in time, and goes on where it was killed."""

import json
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch.nn import functional

from penchant import sequences as seq
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.models.base import Model
from penchant.models.neural import training
from penchant.models.neural.examples import LEFT_OUT, pieces, steps
from penchant.models.neural.network import BODIES, Moments, Network
from penchant.models.neural.settings import LongShortNetworkSettings, NeuralSettings
from penchant.models.validation import some_cases, validate
from penchant.testing import example_histories, log_of
from penchant.types import Cases, PenchantError, Sequences, Split, Vocabulary

SMALL = {"width": 6, "batch_events": 40, "batch_histories": 1, "max_length": 6, "patience": 50}


@pytest.fixture(scope="module")
def split() -> Split:
    example = example_histories(np.random.default_rng(5), 40, items=15, longest=9)
    owner = np.repeat(np.arange(40), example.lengths)
    return leave_one_out(
        log_of([(f"u{u:02}", example.items[int(i)], n) for n, (u, i) in enumerate(zip(owner, example.item, strict=True))])
    )


def fitted(split: Split, valid: bool = True, checkpoint: Path | None = None, **settings: Any) -> Model:
    return create("lstm", **SMALL | settings).fit(split.train, split.valid if valid else None, checkpoint=checkpoint)


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
    model = create("lstm", **SMALL, epochs=3, learning_rate=0.02).fit(
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


def test_an_epoch_is_judged_by_a_bounded_number_of_cases(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "JUDGED", 7)
    model = fitted(split, epochs=3)
    assert validate(model, some_cases(split.valid, 7))["ndcg@10"] == max(epoch["ndcg@10"] for epoch in model.history)


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


def test_a_checkpoint_of_another_split_or_model_is_refused(split: Split, tmp_path: Path) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    other = replace(split.train, item=split.train.item[::-1].copy())  # as many events of the same dataset
    for name, train in (("lstm", other), ("gru", split.train)):
        with pytest.raises(PenchantError, match="was made with other settings or data"):
            create(name, **SMALL).fit(train, split.valid, checkpoint=tmp_path / "run")


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
        rewritten(lambda tensors, words: tensors.pop("optimiser/steps")),
    ],
    ids=[
        "cut",
        "flip",
        "empty",
        "text",
        "no identity",
        "no epoch",
        "no weights",
        "no best",
        "strange",
        "shape",
        "optimiser",
        "steps",
    ],
)
def test_a_damaged_checkpoint_is_refused(split: Split, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    fitted(split, checkpoint=tmp_path / "run", epochs=1)
    damage(tmp_path / "run")
    with pytest.raises(PenchantError, match=r"run: is (not a checkpoint|damaged); delete it and train from the start"):
        fitted(split, checkpoint=tmp_path / "run", epochs=2)


def test_the_folder_of_a_checkpoint_is_made(split: Split, tmp_path: Path) -> None:
    fitted(split, checkpoint=tmp_path / "new" / "run", epochs=1)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["run"]


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


def test_a_checkpoint_below_a_file_ends_in_a_sentence(split: Split, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PenchantError, match="the checkpoint can't be written"):
        fitted(split, checkpoint=tmp_path / "file" / "run", epochs=1)


class KilledError(Exception):
    pass


def killed_in(epoch: int, batch: int) -> Callable[[str, int, int], None]:
    """A progress that ends the training in the middle of an epoch."""

    def progress(what: str, done: int, total: int) -> None:
        if what == f"epoch {epoch}" and done == batch:
            raise KilledError

    return progress


HARD = {"loss": "sampled", "negatives": 20, "average": 0.5, "schedule": "cosine", "warmup": 9, "mask": 0.2, "crop": 0.5}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lstm", {"layers": 2}),
        ("lstm", HARD | {"l1": 1e-4, "repeat": 0.1, "reorder": 0.5}),
        ("attention_lstm", HARD | {"ring": 4, "loss": "bpr_max"}),
        ("longshort_network", HARD | {"loss": "gbce", "max_length": 3}),
    ],
)
def test_a_training_that_was_killed_in_an_epoch_ends_in_the_same_bits(
    split: Split, tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    def fit(**more: Any) -> Model:
        return create(name, **SMALL | settings | {"epochs": 4}).fit(split.train, split.valid, **more)

    whole = fit()
    for epoch in (1, 3):
        with pytest.raises(KilledError):
            fit(checkpoint=tmp_path / "run", progress=killed_in(epoch, 2))
        assert (tmp_path / "run").exists() == (epoch > 1)
    resumed = fit(checkpoint=tmp_path / "run")
    assert resumed.id == whole.id
    assert [epoch["loss"] for epoch in resumed.history] == [epoch["loss"] for epoch in whole.history]


def test_the_message_about_a_loss_that_is_no_number_names_the_place_and_the_last_good_checkpoint(
    split: Split, tmp_path: Path
) -> None:
    with pytest.raises(
        PenchantError,
        match=r"the loss is no number in epoch 1, batch \d+; no epoch was finished; lower learning_rate \(1e\+30\)$",
    ):
        fitted(split, valid=False, epochs=5, learning_rate=1e30)
    whole_epoch: dict[str, Any] = {"batch_events": 10_000, "loss": "sampled", "learning_rate": 0.001}
    path = tmp_path / "run"
    fitted(split, valid=False, checkpoint=path, epochs=1, **whole_epoch, embedding_rate=1e30)
    before = path.read_bytes()
    with pytest.raises(PenchantError) as caught:
        fitted(split, valid=False, checkpoint=path, epochs=5, **whole_epoch, embedding_rate=1e30)
    assert str(caught.value) == (
        f"the loss is no number in epoch 2, batch 1; the last good epochs are in {path}; "
        "lower learning_rate (0.001) or embedding_rate (1e+30)"
    )
    assert path.read_bytes() == before


def test_histories_of_one_event_teach_nothing() -> None:
    single: Sequences = seq.histories(log_of([("a", "x", 1), ("b", "y", 1)]))
    with pytest.raises(PenchantError, match="no user has two events in the training part"):
        create("lstm", **SMALL).fit(single)


def test_a_catalogue_of_one_item_and_windows_of_two_events_can_be_trained() -> None:
    model = create("lstm", width=2, epochs=2, max_length=2).fit(seq.histories(log_of([("a", "x", n) for n in range(5)])))
    assert model.history[-1]["loss"] == pytest.approx(0, abs=1e-6)


def size(model: Model, power: int = 1) -> float:
    return float(sum((np.abs(w) ** power).sum() for w in model.weights().values() if w.ndim > 1))


def test_the_table_learns_from_the_events_it_is_read_for_and_from_what_it_is_asked(split: Split) -> None:
    settings = NeuralSettings(width=6, loss="softmax", precision="float32", dropout=0, mask=0.3, clip=1e9, length_power=0.5)
    network = Network(training.shape_of(split.train), settings, BODIES["lstm"])
    plain = deepcopy(network)
    trainer, chance = training.Trainer(network, settings, split.train), np.random.default_rng(0)
    piece = next(pieces(split.train, np.arange(30), settings, chance))
    trainer._step(piece, None, 0.0, chance, chance)
    x = functional.embedding(torch.from_numpy(np.maximum(piece.item, 0)), plain.embedding)
    x = x * torch.from_numpy(piece.item != LEFT_OUT).unsqueeze(-1)
    at = Moments(torch.from_numpy(piece.gap), torch.from_numpy(piece.until))
    interest, _ = plain(x, torch.from_numpy(piece.kind), at)
    scores = interest[torch.from_numpy(piece.inside)] @ plain.embedding.T + plain.bias
    targets = split.train.lengths - 1
    of_one = np.maximum(targets, 1) ** -0.5
    worth = np.repeat(of_one[:30], targets[:30]) / np.average(of_one, weights=targets)
    each = functional.cross_entropy(scores, torch.from_numpy(piece.target), reduction="none")
    torch.autograd.backward((each * torch.from_numpy(worth)).mean())
    for (name, ours), theirs in zip(network.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None, name
        assert theirs.grad is not None, name
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("loss", ["softmax", "sampled", "bpr_max"])
def test_what_was_had_competes_only_where_people_take_items_again(loss: str) -> None:
    def trained(events: list[tuple[str, str, int]], only_new: str, **settings: Any) -> list[float]:
        chosen = SMALL | {"loss": loss, "only_new": only_new, "epochs": 1} | settings
        values: list[float] = create("lstm", **chosen).fit(seq.histories(log_of(events))).weights()["embedding"].tolist()
        return values

    once = [(f"u{user:02}", f"i{(user + 2 * n) % 11:02}", n) for user in range(12) for n in range(6)]
    again = [*once, ("u00", "i00", 9)]
    assert trained(once, "yes") != trained(once, "no")
    assert trained(once, "auto") == trained(once, "yes" if loss == "softmax" else "no")
    assert trained(again, "auto") == trained(again, "no") != trained(again, "yes")
    if loss == "softmax":
        assert trained(once, "auto", label_smoothing=0.1) == trained(once, "no", label_smoothing=0.1)


@pytest.mark.parametrize("loss", ["softmax", "sampled"])
def test_penalties_shrink_weights(split: Split, loss: str) -> None:
    settings: dict[str, Any] = {"epochs": 20, "loss": loss, "weight_decay": 0, "learning_rate": 0.02}
    plain = fitted(split, valid=False, **settings)
    l1, l2 = (fitted(split, valid=False, **(settings | {name: 0.01})) for name in ("l1", "l2"))
    assert size(l1) < 0.7 * size(plain)
    assert size(l2, 2) < 0.8 * size(plain, 2)
    near_zero = [float((np.abs(m.weights()["body.rnn.weight_hh_l0"]) < 0.01).mean()) for m in (plain, l1, l2)]
    assert near_zero[1] > max(near_zero[0], near_zero[2])


def test_weight_decay_shrinks_products_alone(split: Split) -> None:
    plain, decayed = (fitted(split, valid=False, epochs=10, learning_rate=0.02, weight_decay=w) for w in (0, 5))
    assert size(decayed, 2) < 0.7 * size(plain, 2)
    assert decayed.weights()["norm_in.weight"].mean() > 0.8


def test_label_smoothing_keeps_scores_close_together(split: Split) -> None:
    spreads = []
    for smoothing in (0.0, 0.5):
        model = fitted(split, valid=False, epochs=30, learning_rate=0.02, dropout=0, label_smoothing=smoothing)
        scores = model.score(model.encode(split.train), np.zeros(len(split.train), np.int64))
        spreads.append(scores.std(axis=1).mean())
    assert spreads[1] < 0.8 * spreads[0]


def test_rates_rise_over_the_warmup_and_fall_by_the_schedule() -> None:
    def rates(**settings: Any) -> list[float]:
        return [training._rate(NeuralSettings(**settings), step, step / 8) for step in (0, 1, 4, 8)]

    assert rates() == [1, 1, 1, 1]
    assert rates(warmup=4) == [0.25, 0.5, 1, 1]
    assert rates(schedule="linear") == [1, 0.875, 0.5, 0]
    assert rates(schedule="cosine") == pytest.approx([1, 0.9619398, 0.5, 0])
    assert rates(schedule="linear", warmup=2) == [0.5, 0.875, 0.5, 0]


@pytest.mark.parametrize("loss", ["softmax", "sampled"])
def test_a_long_warmup_hardly_moves_anything(split: Split, loss: str) -> None:
    def moved(**settings: Any) -> float:
        start = fitted(split, valid=False, epochs=1, learning_rate=1e-12, embedding_rate=1e-12, weight_decay=0, loss=loss)
        after = fitted(split, valid=False, epochs=1, learning_rate=0.01, weight_decay=0, loss=loss, **settings)
        return max(float(np.abs(after.weights()[name] - array).max()) for name, array in start.weights().items())

    assert moved(warmup=1_000_000) < 1e-3 * moved()


def test_clipping_bounds_what_a_step_learns(split: Split) -> None:
    tight, wide = (fitted(split, valid=False, epochs=1, clip=clip) for clip in (1e-9, 5.0))
    assert tight.history[0]["loss"] > wide.history[0]["loss"]


@pytest.mark.parametrize("loss", ["softmax", "sampled"])
def test_averaged_weights_keep_a_share_of_those_an_epoch_before(split: Split, loss: str) -> None:
    whole: dict[str, Any] = {"batch_events": 10_000, "loss": loss}  # one step an epoch
    ends = [fitted(split, valid=False, epochs=epochs, average=0, **whole).weights() for epochs in (1, 2)]
    averaged = fitted(split, valid=False, epochs=2, average=0.08, **whole).weights()
    for name, array in averaged.items():
        assert np.allclose(array, 0.08 * ends[0][name] + 0.92 * ends[1][name], atol=1e-6)


def test_averaged_weights_lie_within_those_of_the_steps(split: Split) -> None:
    start, end, little, much = (
        fitted(split, valid=False, epochs=epochs, average=average, learning_rate=1e-4).weights()["body.rnn.weight_hh_l0"]
        for epochs, average in ((1, 0), (4, 0), (4, 0.01), (4, 0.9))
    )
    few, many = (float(((mean - start) * (end - start)).sum() / np.square(end - start).sum()) for mean in (little, much))
    assert 0.8 < many < 0.95  # most of the way from the first epoch's end, for the later weigh more
    assert many < few < 0.99


def test_a_profile_of_the_first_steps_is_written(split: Split, tmp_path: Path) -> None:
    model = create("lstm", **SMALL, epochs=2)
    model.fit(split.train, profile=tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert any(event.get("name", "").startswith("aten::") for event in trace["traceEvents"])
    assert model.id == create("lstm", **SMALL, epochs=2).fit(split.train).id


@pytest.mark.parametrize("name", BODIES)
def test_bfloat16_trains_nearly_as_well(split: Split, name: str) -> None:
    exact, rough = (
        create(name, **SMALL, epochs=10, learning_rate=0.02, precision=precision).fit(split.train)
        for precision in ("float32", "bfloat16")
    )
    assert all(array.dtype == exact.weights()[name].dtype for name, array in rough.weights().items())
    assert not np.array_equal(exact.weights()["embedding"], rough.weights()["embedding"])
    losses = [model.history[-1]["loss"] for model in (exact, rough)]
    assert losses[1] < rough.history[0]["loss"]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize(("precision", "inside"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_products_of_the_body_are_in_the_precision_asked_for(split: Split, precision: str, inside: torch.dtype) -> None:
    settings = LongShortNetworkSettings(width=6, precision=precision)
    network = Network(training.shape_of(split.train), settings, BODIES["longshort_network"])
    seen: list[torch.dtype] = []
    network.body.get_submodule("bank.0.value").register_forward_hook(lambda _module, _input, output: seen.append(output.dtype))
    trainer, chance = training.Trainer(network, settings, split.train), np.random.default_rng(0)
    trainer._step(next(pieces(split.train, np.arange(30), settings, chance)), None, 0.0, chance, chance)
    assert seen == [inside]


@pytest.mark.parametrize("loss", ["softmax", "sampled", "bpr_max", "gbce"])
def test_every_loss_falls(split: Split, loss: str) -> None:
    model = fitted(split, valid=False, epochs=15, learning_rate=0.02, loss=loss, negatives=30, dropout=0.1)
    assert model.history[-1]["loss"] < 0.9 * model.history[0]["loss"]


def test_the_loss_is_sampled_for_a_large_catalogue(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(**settings: Any) -> Any:
        return fitted(split, valid=False, epochs=1, negatives=30, **settings).weights()["embedding"]

    whole, sampled = trained(loss="softmax"), trained(loss="sampled")
    assert np.array_equal(trained(), whole)
    monkeypatch.setattr(training, "FULL_SOFTMAX_UP_TO", 5)
    assert np.array_equal(trained(), sampled)


def test_a_history_in_carried_pieces_remembers_what_came_before_them() -> None:
    events = []
    for user in range(60):  # around a ring of 6, this way or that: three inputs, in pieces of two and one
        place, step = user % 6, (1, -1)[user // 6 % 2]
        events += [(f"u{user:03}", f"i{(place + n * step) % 6}", n) for n in range(4)]
    train = seq.histories(log_of(events))
    losses = [
        create(
            "lstm",
            width=16,
            epochs=60,
            batch_events=60,
            batch_histories=1,
            max_length=2,
            carry=carry,
            learning_rate=0.02,
            dropout=0,
            only_new="no",  # what was had would tell the way
        )
        .fit(train)
        .history[-1]["loss"]
        for carry in (True, False)
    ]
    # Nobody knows the way after one event. A guess costs log 2, one time in three, or two for those who forget it.
    assert losses[0] < 1.3 * np.log(2) / 3
    assert losses[1] > 1.9 * np.log(2) / 3


def test_an_observer_hears_of_each_epoch(split: Split) -> None:
    heard: list[tuple[int, dict[str, float]]] = []
    model = create("gru", **SMALL, epochs=2).fit(
        split.train, split.valid, observe=lambda epoch, measured: heard.append((epoch, dict(measured)))
    )
    assert heard == [(1, model.history[0]), (2, model.history[1])]


def test_refitting_takes_as_many_epochs_as_were_best(split: Split) -> None:
    model = fitted(split, epochs=12, learning_rate=0.1, patience=4)
    measured = [epoch["ndcg@10"] for epoch in model.history]
    again = model.refitted(split.train)
    assert len(again.history) == measured.index(max(measured)) + 1
    assert again.weights()["embedding"].tobytes() == model.weights()["embedding"].tobytes()


def test_the_clock_of_a_log() -> None:
    train = seq.histories(log_of([("a", "x", 0), ("a", "y", 10), ("a", "x", 10), ("a", "y", 40), ("b", "x", 100)]))
    shape = training.shape_of(train)
    assert (shape.items, shape.event_types, shape.timed) == (2, 1, True)
    assert (shape.unit, shape.span) == (20.0, 5.0)
    no_times = training.shape_of(replace(train, clock="index"))
    assert not no_times.timed


@pytest.fixture(scope="module")
def earlier(split: Split) -> tuple[Model, Sequences]:
    """A network that has learned people's first three events, and those."""
    learned = seq.until(split.train, np.minimum(split.train.lengths, 3))
    return create("lstm", **SMALL, epochs=5).fit(learned), learned


def test_a_network_goes_on_from_what_it_learned(
    split: Split, earlier: tuple[Model, Sequences], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as validation gets better, twice; what it began with stays where no epoch is better."""
    network, learned = earlier
    scripted(monkeypatch, [0.5, 0.6, 0.7, 0.6, 0.6])
    better = network.updated(split.train, split.valid, learned)
    assert len(better.history) == 4
    begun = network.weights()["embedding"]
    known = better.items.translation(network.items)[:-1]
    moved = better.weights()["embedding"][known >= 0] - begun[known[known >= 0]]
    assert 0 < np.abs(moved).max() < 0.1
    scripted(monkeypatch, [0.5, 0.6, 0.7, 0.6, 0.6])
    assert network.updated(split.train, split.valid, learned).id == better.id
    again = better.refitted(split.before_test)
    assert len(again.history) == 2  # from where it began, as long as was best
    scripted(monkeypatch, [0.5, 0.4, 0.5])
    as_it_was = network.updated(split.train, split.valid, learned)
    assert as_it_was.weights()["embedding"][known >= 0].tolist() == begun[known[known >= 0]].tolist()
    assert as_it_was.refitted(split.before_test).history == []


def test_what_a_network_knew_counts_among_the_averaged_weights(split: Split, earlier: tuple[Model, Sequences]) -> None:
    learned = earlier[1]
    moved = []
    for average in (0.0, 0.9):
        own = create("lstm", **SMALL, average=average, epochs=1).fit(learned)
        after = own.updated(split.train, None, learned)
        moved.append(np.abs(after.weights()["body.rnn.weight_hh_l0"] - own.weights()["body.rnn.weight_hh_l0"]).mean())
    assert moved[1] < 0.15 * moved[0]


def test_a_network_that_goes_on_is_trained_on_less(
    split: Split, earlier: tuple[Model, Sequences], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, learned = earlier
    trained: list[int] = []

    def noted(train: Sequences, *more: Any) -> Any:
        trained.append(len(train.item))
        return steps(train, *more)

    monkeypatch.setattr(training, "steps", noted)
    few = seq.until(split.train, np.where(np.arange(len(learned)) < 30, split.train.lengths, learned.lengths))
    network.updated(split.train, split.valid, few)
    assert max(trained) < len(split.train.item) / 2


def test_a_network_that_knows_none_of_the_items_begins_anew(split: Split, earlier: tuple[Model, Sequences]) -> None:
    others = replace(split.train, items=Vocabulary(tuple(f"other {item}" for item in split.train.items.ids)))
    network, learned = earlier
    assert network.updated(others, None, learned).id == create("lstm", **SMALL, epochs=5).fit(others).id
