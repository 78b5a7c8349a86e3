"""A model as a folder: what is saved comes back, what is damaged is refused in one sentence."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penchant import artifact
from penchant.models import create
from penchant.models.base import Model
from penchant.sequences import histories
from penchant.testing import example_histories, log_of
from penchant.types import PenchantError

LOG = log_of([(user, item, time) for user in "xyz" for time, item in enumerate(["007", "7", "a,b", "☕", "007"])])


@pytest.fixture
def model() -> Model:
    return create("popularity").fit(histories(LOG))


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    artifact.save(model, tmp_path / "model", {"dataset": "d41d", "split": "temporal"})
    return tmp_path / "model"


def test_a_saved_model_comes_back_the_same(model: Model, folder: Path) -> None:
    loaded = artifact.load(folder)
    assert loaded.id == model.id
    assert loaded.items.ids == model.items.ids
    assert set(loaded.items.ids) == {"007", "7", "a,b", "☕"}
    assert loaded.settings == model.settings
    now = np.zeros(1, np.int64)
    assert np.array_equal(loaded.score(loaded.initial(1), now), model.score(model.initial(1), now))


def test_an_lstm_comes_back_with_its_settings_and_history(tmp_path: Path) -> None:
    model = create("lstm", width=4, epochs=2, layers=2, dropout=0).fit(histories(LOG))
    artifact.save(model, tmp_path / "lstm")
    loaded = artifact.load(tmp_path / "lstm")
    assert (loaded.id, loaded.settings, loaded.history) == (model.id, model.settings, model.history)
    assert len(loaded.history) == 2
    assert loaded.encode(histories(LOG)).to_bytes() == model.encode(histories(LOG)).to_bytes()


def test_lineage_says_where_a_model_comes_from(folder: Path) -> None:
    lineage = artifact.read_lineage(folder)
    assert lineage["dataset"] == "d41d"
    assert lineage["split"] == "temporal"
    assert lineage["histories"] == {}


def test_a_folder_holds_the_four_files_and_nothing_else(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "items.parquet", "lineage.json", "weights.safetensors"]
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_saving_over_a_model_replaces_it(model: Model, folder: Path) -> None:
    artifact.save(create("recent_popularity").fit(histories(LOG)), folder)
    assert artifact.load(folder).name == "recent_popularity"


def test_saving_over_something_else_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(PenchantError, match="is not replaced"):
        artifact.save(model, tmp_path)
    with pytest.raises(PenchantError, match="is a file; name a folder"):
        artifact.save(model, tmp_path / "letter.txt")
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_model_that_learned_nothing_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="learned nothing yet"):
        artifact.save(create("popularity"), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def change(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        raw = bytearray((folder / name).read_bytes())
        raw[-1] ^= 1
        (folder / name).write_bytes(raw)

    return damage


def configured(**changes: object) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))

    return damage


def swap_weights(folder: Path) -> None:
    """Weights of another model of the same shape, with hashes that agree: only the id tells."""
    other = create("popularity").fit(histories(log_of([("x", item, 0) for item in LOG.items.ids])))
    artifact.save(other, folder.parent / "other")
    (folder / "weights.safetensors").write_bytes((folder.parent / "other" / "weights.safetensors").read_bytes())
    theirs = json.loads((folder.parent / "other" / "config.json").read_text())["sha256"]["weights.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    config["sha256"]["weights.safetensors"] = theirs
    (folder / "config.json").write_text(json.dumps(config))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed weights": (change("weights.safetensors"), r"weights\.safetensors: is not the file this model was saved with"),
    "changed items": (change("items.parquet"), r"items\.parquet: is not the file this model was saved with"),
    "changed lineage": (change("lineage.json"), r"lineage\.json: is not the file"),
    "no weights": (lambda f: (f / "weights.safetensors").unlink(), r"has no weights\.safetensors; copy the whole folder"),
    "no items": (lambda f: (f / "items.parquet").unlink(), r"has no items\.parquet; copy the whole folder"),
    "no config": (lambda f: (f / "config.json").unlink(), r"is not a model \(no config\.json\)"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), r"config\.json: is damaged"),
    "config in other words": (lambda f: (f / "config.json").write_text("[1]"), r"config\.json: is damaged"),
    "config in other bytes": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), r"config\.json: is damaged"),
    "config without hashes": (configured(sha256=None), r"config\.json: is damaged"),
    "config whose settings are none": (configured(settings=5), r"config\.json: is damaged"),
    "config whose kinds are none": (configured(event_types=5), r"config\.json: is damaged"),
    "config with fewer hashes": (configured(sha256={}), r"config\.json: is damaged"),
    "config of another catalogue": (configured(items=3), r"config\.json: is damaged"),
    "unknown setting": (configured(settings={"wdith": 3}), r"model: there is no setting 'wdith'"),
    "newer format": (configured(format=99), "has format 99, this Penchant reads up to 1; update Penchant"),
    "unknown kind": (configured(model="crystal"), "is a model of kind 'crystal', which this Penchant doesn't have"),
    "other id": (configured(id="popularity-0123"), "its files don't belong together"),
    "other settings": (configured(model="recent_popularity"), "its files don't belong together"),
    "other weights": (swap_weights, "its files don't belong together"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused_in_one_sentence(folder: Path, damage: str) -> None:
    spoil, words = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(PenchantError, match=words) as caught:
        artifact.load(folder)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PenchantError, match="is not a model"):
            artifact.load(place)
    (tmp_path / "file").write_text("")
    with pytest.raises(PenchantError, match="is not a model"):
        artifact.load(tmp_path / "file")


def test_a_full_disk_leaves_no_model_and_says_so(tmp_path: Path) -> None:
    model = create("popularity").fit(example_histories(np.random.default_rng(0), 20, items=2000, longest=300))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a full disk: no file can grow beyond
    try:
        with pytest.raises(PenchantError, match="model: can't be written"):
            artifact.save(model, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
