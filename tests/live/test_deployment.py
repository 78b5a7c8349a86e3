"""From a model folder and an address to a service: datasets with their items, loaded once, in part or whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from penchant import artifact, evaluation, workflow
from penchant import sequences as seq
from penchant.data import dataset
from penchant.live.deployment import open_service, open_store, verify_store
from penchant.live.events import Event
from penchant.live.records import Item
from penchant.live.service import Ask
from penchant.models import create
from penchant.types import PenchantError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset with titles and genres, and a model trained on all of it."""
    rows = [f"u{user},{(user + step) % 7},{1_600_000_000 + 60 * step + user}" for user in range(9) for step in range(6)]
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows))
    films = "\n".join(f"{item},Film {item},Comedy|War,1999" for item in range(7))
    (tmp_path / "items.csv").write_text(f"item_id,title,genres,year\n{films}")
    log = dataset.prepare(dataset.read(tmp_path / "events.csv", items=tmp_path / "items.csv"), tmp_path / "dataset")
    artifact.save(create("transitions").fit(seq.histories(log)), tmp_path / "model", {"dataset": log.content_hash})
    return tmp_path


def test_a_dataset_comes_with_its_items_and_is_not_learned_twice(folder: Path) -> None:
    store = f"sqlite:///{folder / 'store.db'}"
    service = open_service(folder / "model", store, dataset_folder=folder / "dataset")
    assert service.ledger.counts()["events"] == 54
    assert service.ledger.items(item_id="3") == [
        Item("3", categories=("Comedy", "War"), labels={"title": "Film 3", "year": "1999"}, text="Film 3")
    ]
    assert service.living.name == artifact.read_config(folder / "model")["id"]
    service.close()
    said: list[str] = []
    again = open_service(
        folder / "model", store, dataset_folder=folder / "dataset", progress=lambda what, *_: said.append(what)
    )
    assert again.ledger.counts()["events"] == 54
    assert again.living.name == artifact.read_config(folder / "model")["id"]
    assert any("has events already" in line for line in said)
    again.close()


@pytest.mark.parametrize(
    "genres",
    ["Comedy|War", "Comedy; War", "\"['Comedy', 'War']\"", '"[""Comedy"", ""War""]"'],
    ids=["bars", "semi", "list", "json"],
)
def test_categories_are_told_apart_as_the_kinds_of_items_are(folder: Path, genres: str) -> None:
    (folder / "items.csv").write_text(f"item_id,genres\n3,{genres}\n4,[]\n")
    dataset.prepare(dataset.read(folder / "events.csv", items=folder / "items.csv"), folder / "told")
    service = open_service(folder / "model", f"sqlite:///{folder / 'store.db'}", dataset_folder=folder / "told")
    told = {item: service.ledger.items(item_id=item)[0].categories for item in "34"}
    assert told == {"3": ("Comedy", "War"), "4": ()}
    service.close()


def test_of_a_dataset_only_what_lies_before_the_test_part(folder: Path) -> None:
    store = f"sqlite:///{folder / 'store.db'}"
    service = open_service(folder / "model", store, dataset_folder=folder / "dataset", split="leave-one-out")
    log = dataset.load(folder / "dataset")
    held = evaluation.held_out(log, evaluation.split(log, "leave-one-out"))
    assert service.ledger.counts()["events"] == 54 - held.sum() == 45
    service.close()


@pytest.mark.parametrize(("refit", "learned"), [(False, 36), (True, 45)])
@pytest.mark.parametrize("split", [None, "leave-one-out"])
def test_what_a_split_kept_from_a_model_is_learned_by_its_memory(
    folder: Path, refit: bool, learned: int, split: str | None
) -> None:
    log = dataset.load(folder / "dataset")
    workflow.train(log, "transitions", folder / "trained", split="leave-one-out", refit=refit)
    store = f"sqlite:///{folder / 'store.db'}"
    service = open_service(folder / "trained", store, dataset_folder=folder / "dataset", split=split)
    held = evaluation.held_out(log, evaluation.split(log, "leave-one-out")) & (split is not None)
    all_of_it = create("transitions").fit(seq.histories(log.where(~held)))
    assert service.living.memory.since == learned
    assert service.living.model.id == all_of_it.id
    service.close()


@pytest.mark.parametrize("address", ["store.db", "sqlite://store.db", "sqlite:///", "redis://here"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(PenchantError, match="is no store"):
        open_store(address, create=True)


def test_a_dataset_is_loaded_with_the_column_that_values_say(folder: Path) -> None:
    rows = [f"u{user},{user % 7},{1_600_000_000 + user},{user / 10},5" for user in range(9)]
    (folder / "watched.csv").write_text("user_id,item_id,timestamp,watch_ratio,value\n" + "\n".join(rows))
    dataset.prepare(dataset.read(folder / "watched.csv"), folder / "watched")
    loaded = {}
    for value in (None, "completion", "dwell"):
        store = f"sqlite:///{folder / str(value)}.db"
        service = open_service(folder / "model", store, dataset_folder=folder / "watched", value=value)
        loaded[value] = service.ledger.past("u3")[3]
        assert service.insight.value == value
        service.close()
    assert loaded == {None: [5], "completion": [pytest.approx(0.3)], "dwell": [5]}


def test_states_of_a_catalogue_that_grew_are_verified_too(folder: Path) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    service = open_service(model, store, dataset_folder=folder / "dataset")
    now = 1_600_009_000_000_000
    service.feedback([Event("u1", "new", now, event_id="1"), Event("u1", "3", now + 1, event_id="2")], now + 2).result()
    service.close()
    again = open_service(model, store)
    assert "new" in again.living.model.items.ids
    for user in ("u1", "u2"):
        again.recommend(Ask(now + 2, user)).result()
    again.close()
    found = verify_store(model, store)
    assert (found.stored, found.compared, found.differing) == (2, 2, ())
    ledger = open_store(store)
    kept = [state for state in ledger.states(["u1", "u2"]) if state is not None]
    ledger.put_states([replace(kept[0], state=kept[1].state)]).result()
    ledger.close()
    assert verify_store(model, store).differing == ("u1",)


def test_states_of_another_model_are_said_not_to_be_compared(folder: Path) -> None:
    model, store = folder / "model", f"sqlite:///{folder / 'store.db'}"
    service = open_service(model, store, dataset_folder=folder / "dataset")
    service.recommend(Ask(1_600_009_000_000_000, "u1")).result()
    service.close()
    artifact.save(create("transitions", window=2).fit(seq.histories(dataset.load(folder / "dataset"))), folder / "other")
    found = verify_store(folder / "other", store)
    assert (found.stored, found.compared, found.differing) == (1, 0, ())


def test_less_than_no_memory_is_refused(folder: Path) -> None:
    with pytest.raises(PenchantError, match="the memory for states can't be negative"):
        open_service(folder / "model", f"sqlite:///{folder / 'store.db'}", memory=-5)
    assert not (folder / "store.db").exists()
