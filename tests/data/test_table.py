"""Tables with a 0/1 label: what becomes of their columns, and what is refused."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from penchant.data.table import Encoding, leaks, read_table
from penchant.types import PenchantError

Write = Callable[[str, str | bytes], Path]
STEPS = "x_t2,age,x_t1,said,y\n"
ROWS = "2,30,1,a b,1\n4,,3,b c,0\n6,50,NA,,1\n8,60,7,a a c,0\n"


def test_steps_are_put_in_order_and_what_is_missing_is_counted(write: Write) -> None:
    table = read_table(write("t.csv", STEPS + ROWS))
    assert (len(table), table.steps, table.label_name, table.label.tolist()) == (4, 2, "y", [1, 0, 1, 0])
    x, age, said = (next(s for s in table.series if s.name == name) for name in ("x", "age", "said"))
    assert x.columns == ("x_t1", "x_t2")
    assert x.number is not None
    assert said.words is not None
    np.testing.assert_array_equal(x.number, [[1, 2], [3, 4], [np.nan, 6], [7, 8]])
    assert (x.missing, age.missing, said.missing) == (1, 1, 1)
    assert said.words[:, 0].tolist() == ["a b", "b c", "", "a a c"]


def test_the_same_table_in_other_clothes(write: Write) -> None:
    plain = read_table(write("t.csv", STEPS + ROWS))
    out = io.BytesIO()
    columns = {"x_t2": [2, 4, 6, 8], "age": [30, None, 50, 60], "x_t1": [1, 3, None, 7], "said": ["a b", "b c", "", "a a c"]}
    pl.DataFrame(columns | {"y": [True, False, True, False]}).write_parquet(out)
    for name, content in (
        ("t.tsv", (STEPS + ROWS).replace(",", "\t")),
        ("t.gz", gzip.compress((STEPS + ROWS).encode())),
        ("t.parquet", out.getvalue()),
        ("blank.csv", STEPS + "\n" + ROWS),
    ):
        table = read_table(write(name, content))
        assert table.label.tolist() == plain.label.tolist()
        for mine, theirs in zip(table.series, plain.series, strict=True):
            assert (mine.name, mine.columns, mine.missing) == (theirs.name, theirs.columns, theirs.missing)
            for said, wanted in ((mine.number, theirs.number), (mine.words, theirs.words)):
                assert (said is None) == (wanted is None)
                if said is not None and wanted is not None:
                    np.testing.assert_array_equal(said, wanted)


def test_between_semicolons_the_comma_is_that_of_decimals(write: Write) -> None:
    table = read_table(write("table.csv", "x;words;y\n0,5;1,2,3;0\n-1,25;4;1\n"))
    number, words = table.series
    assert number.number is not None
    assert number.number.tolist() == [[0.5], [-1.25]]
    assert words.words is not None


def test_encoding_learns_from_the_training_rows_alone(write: Write) -> None:
    table = read_table(write("t.csv", STEPS + ROWS))
    encode = Encoding.fit(table, np.array([0, 1]), "tfidf", words=10)
    assert encode.scale["x"] == (2.5, 2.5, float(np.std([1, 2, 3, 4])))
    assert encode.scale["age"] == (30, 30, 1)
    assert list(encode.terms["said"]) == ["a", "b", "c"]
    steps, flat = encode(table)
    assert steps.shape == (4, 2, 5)
    assert flat.shape == (4, 1 + 2 + 3)
    deviation = float(np.std([1, 2, 3, 4]))
    place = encode.features.index("x")
    assert (steps[:, :, place] * deviation + 2.5).tolist() == [pytest.approx(row) for row in ([1, 2], [3, 4], [2.5, 6], [7, 8])]
    np.testing.assert_array_equal(steps[:, 0, 2:], steps[:, 1, 2:])
    np.testing.assert_allclose(steps[:, 0, encode.features.index("age")], [0, 0, 20, 30])


@pytest.mark.parametrize(("text", "theirs"), [("tfidf", TfidfVectorizer), ("bag", CountVectorizer)])
def test_words_become_what_scikit_learn_makes_of_them(write: Write, text: str, theirs: type) -> None:
    said = ["Alien in Space", "space opera, space!", "", "An opera é 7"]
    table = read_table(write("t.csv", "n,said,y\n" + "".join(f'{i},"{s}",{i % 2}\n' for i, s in enumerate(said))))
    encode = Encoding.fit(table, np.arange(3), text, words=3)
    vectorizer = theirs(token_pattern=r"\w+", max_features=3).fit(said[:3])
    assert list(encode.terms["said"]) == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_allclose(encode(table)[1][:, 1:], vectorizer.transform(said).toarray(), atol=1e-6)


def test_constant_columns_and_those_that_equal_the_label_are_left_out_with_a_sentence(write: Write) -> None:
    rows = "".join(f"{i},5,{1 - i % 2},{'yes' if i % 2 else 'no'},{i % 3},{i % 2}\n" for i in range(12))
    table, said = leaks(read_table(write("t.csv", "n,five,flipped,word,three,y\n" + rows)))
    assert [s.name for s in table.series] == ["n", "three"]
    assert said == [
        "five is constant: it is left out",
        "flipped equals the label y: a leak; flipped is left out",
        "word equals the label y: a leak; word is left out",
    ]
    with pytest.raises(PenchantError, match=r"no column is left to tell the label by: five is constant"):
        leaks(read_table(write("u.csv", "five,y\n" + "5,0\n5,1\n")))


def test_people_and_times_are_found_by_their_usual_names(write: Write) -> None:
    table = read_table(write("t.csv", "userId,t,x_t1,y\n1,5,0,1\n1,6,1,0\n2,7,1,0\n"))
    assert (table.user, table.time) == ("userId", "t")
    table = read_table(write("u.csv", "user_id,watch_time,x_t1,y\n1,5,0,1\n2,6,1,0\n3,7,1,0\n"))
    assert (table.user, table.time) == (None, None), "nobody has two rows, and a watch time is no moment"


WRONG = {
    "x,y\n1,0\n2,2\n3,yes\n4,2\n": "is the label and must be 0 or 1, but holds '2' (2 ×), 'yes' (1 ×), in lines 3, 4, 5",
    "x,y\n1,0\n2,\n": "but holds '' (1 ×), in line 3",
    "x,y\n1,1\n2,1\n": "field y: every label is 1; with one class there is nothing to tell apart",
    "1,2,0\n3,4,1\n": "has no header; the first line must name the columns, the label last",
    "alice 3 4 5\nbob 3 4\n": "has no header",
    "y\n0\n1\n": "has but one column, y; before the label there must be others",
    "x,y\n": "has a header but no rows",
    "": "is empty",
    "x_t1,x_t3,y\n1,2,0\n1,2,1\n": "has x_t1, x_t3 but no x_t2; steps mustn't have gaps",
    "x_t0,x_t1,y\n1,2,0\n1,2,1\n": "has x_t0, x_t1 but a x_t0, where steps begin at t1; steps mustn't have gaps",
    "x_t1,x_t01,y\n1,2,0\n1,2,1\n": "columns x_t1 and x_t01 are the same step; rename one",
    "x_t1,x_t2,z_t1,y\n1,2,0,1\n1,2,1,0\n": "z has 1 steps, x 2; every name must have as many",
    "x,y\n1,0\n2,1,7\n": "line 3: has 3 fields where the header has 2",
    "x,y\n1,0\n2\n": "line 3, field y: is missing",
    "x,y\n" + "1,0\n2,1\n" * 10 + "3o,1\n": "line 22, field x: '3o' is not a number, as nearly all others of its column are",
    "x,y\n" + "1,0\n2,1\n" * 10 + "inf,1\n": "line 22, field x: 'inf' is not a number",
    "x,x,y\n1,2,0\n": "line 1: two columns are called 'x'; rename one",
    '{"x": 1, "y": 0}\n{"x": }\n': "line 2: is not JSON",
}


@pytest.mark.parametrize(("content", "sentence"), WRONG.items())
def test_what_cannot_be_right_is_refused_in_a_sentence(write: Write, content: str, sentence: str) -> None:
    path = write("bad.csv", content)
    with pytest.raises(PenchantError) as refused:
        read_table(path)
    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
