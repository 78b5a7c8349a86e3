from pathlib import Path

import numpy as np
import pytest

from penchant.data import engine
from penchant.data.content import read_content
from penchant.types import Content, PenchantError


def items_file(folder: Path, **columns: list[str | None]) -> Path:
    size = len(next(iter(columns.values())))
    ids = [f"i{number}" for number in range(size)]
    path = folder / "items.parquet"
    engine.write_parquet(engine.table({"item_id": ids, **columns}).lazy(), path)
    return path


def cosine(content: Content, first: int, second: int) -> float:
    def vector(row: int) -> np.ndarray:
        out = np.zeros(content.size)
        events = slice(content.offsets[row], content.offsets[row + 1])
        out[content.feature[events]] = content.weight[events]
        return out

    return float(vector(first) @ vector(second))


def test_items_with_rare_words_in_common_are_alike(tmp_path: Path) -> None:
    content = read_content(
        items_file(tmp_path, title=["red nail lacquer", "Nail lacquer, red!", "red soap", "soap bar", "a bar"])
    )
    assert content is not None
    assert cosine(content, 0, 0) == pytest.approx(1)
    assert cosine(content, 0, 1) > cosine(content, 0, 2) > cosine(content, 0, 3) == 0


def test_chinese_titles_are_alike_by_characters_that_stand_together(tmp_path: Path) -> None:
    content = read_content(items_file(tmp_path, title=["银河帝国科幻小说", "科幻小说选", "中国推理小说", "烹饪入门", "入门"]))
    assert content is not None
    assert cosine(content, 0, 1) > cosine(content, 0, 2) > cosine(content, 0, 3) == 0


def test_numbers_are_measures_unless_named(tmp_path: Path) -> None:
    path = items_file(tmp_path, title=["a b", "a c", "b c"], sales=["100", "100", "7"])
    words, both = read_content(path), read_content(path, ["title", "sales"])
    assert words is not None
    assert both is not None
    assert both.size > words.size
    assert cosine(both, 0, 1) > cosine(words, 0, 1)
    assert not words.measures
    assert {name: values.tolist() for name, values in both.measures.items()} == {"sales": [100, 100, 7]}


def test_nothing_known_is_no_content(tmp_path: Path) -> None:
    assert read_content(items_file(tmp_path, events=["1", "2"])) is None
    assert read_content(items_file(tmp_path, title=["once", "only", None])) is None
    assert read_content(items_file(tmp_path, title=["a b", "a b", "c"]), []) is None


def test_an_item_without_words_has_an_empty_vector(tmp_path: Path) -> None:
    content = read_content(items_file(tmp_path, title=["a b", "a c", None, "b c"]))
    assert content is not None
    assert content.offsets[2] == content.offsets[3]
    assert np.isfinite(content.weight).all()


def test_a_column_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match=r"no column 'genre'.*it has title"):
        read_content(items_file(tmp_path, title=["a"]), ["genre"])
