from dataclasses import replace

import numpy as np
import pytest

from penchant import sequences as seq
from penchant.models.content import ContentNeighbours, vectors_of
from penchant.testing import check_recommender, example_histories, log_of
from penchant.types import Content, PenchantError, Vocabulary


def content_of(**features: list[int]) -> Content:
    lengths = [len(values) for values in features.values()]
    feature = np.array([value for values in features.values() for value in values], np.int32)
    weight = np.concatenate([np.full(n, n**-0.5) for n in lengths if n] or [np.zeros(0)]).astype(np.float32)
    return Content(Vocabulary(tuple(features)), np.concatenate([[0], np.cumsum(lengths)]), feature, weight, 10)


def test_keeps_the_contract() -> None:
    check_recommender(ContentNeighbours)


def test_recommends_what_is_like_the_last_items_though_nobody_had_it_with_them() -> None:
    log = log_of([("ann", "tea", 1), ("bob", "green tea", 1), ("cid", "cup", 1)])
    content = content_of(**{"cup": [3], "green tea": [1, 2], "tea": [1], "unsold": [1]})
    model = ContentNeighbours().fit(replace(seq.histories(log), content=content))
    scores = model.score(model.encode(seq.of_users(seq.histories(log), ["ann"])), np.zeros(1, np.int64))[0]
    assert scores[model.items.code("green tea")] == pytest.approx(2**-0.5)
    assert scores[model.items.code("cup")] == 0


def test_vectors_follow_the_catalogue() -> None:
    vectors = vectors_of(content_of(b=[1], a=[2]), Vocabulary(("a", "stranger", "b"))).toarray()
    assert vectors[:, 1:3].tolist() == [[0, 1], [0, 0], [1, 0]]


def test_without_words_it_says_what_is_missing() -> None:
    histories = replace(example_histories(np.random.default_rng(0), 5), content=None)
    with pytest.raises(PenchantError, match="content needs words about the items"):
        ContentNeighbours().fit(histories)
