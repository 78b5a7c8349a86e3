"""Telling what kind of file an event log is, and where in it a fault is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from penchant.data.files import EventFile, examine, find_fault, listed, shortened
from penchant.types import PenchantError

Write = Callable[[str, str | bytes], Path]


def zipped(*names: str, text: bytes = b"user_id,item_id\n") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return packed.getvalue()


def tarred(name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return packed.getvalue()


@pytest.fixture
def look(write: Write, tmp_path: Path) -> Callable[..., EventFile]:
    def looked(content: str | bytes, encoding: str = "utf-8") -> EventFile:
        return examine(write("log", content), tmp_path, encoding)

    return looked


Look = Callable[..., EventFile]


@pytest.mark.parametrize(
    ("content", "kind", "separator", "columns"),
    [
        ("user_id,item_id\na,b\n", "delimited", ",", ("user_id", "item_id")),
        ("user_id\titem_id\na\tb\n", "delimited", "\t", ("user_id", "item_id")),
        ("user_id;item_id\na;b\n", "delimited", ";", ("user_id", "item_id")),
        ("user_id|item_id\na|b\n", "delimited", "|", ("user_id", "item_id")),
        ("user_id item_id\na b\n", "delimited", " ", ("user_id", "item_id")),
        ("196\t242\t3\t881250949\n", "delimited", "\t", ("1", "2", "3", "4")),
        ("1::1193::5::978300760\n", "double_colon", "::", ("1", "2", "3", "4")),
        ('{"u": 1}\n{"v": 2}\n', "jsonl", ",", ("u", "v")),
        ("u1 a1 b2 c3\n", "sequences", ",", ("user_id", "item_id")),
        ("1 20 1400000000\n2 21 1400000001\n", "delimited", " ", ("1", "2", "3")),
        ("1 20 30\n2 21 31\n", "sequences", ",", ("user_id", "item_id")),
        ("user_id, item_id\na, b\n", "delimited", ",", ("user_id", "item_id")),
        (b"PAR1....PAR1", "parquet", ",", ()),
    ],
)
def test_the_content_tells_the_kind(
    look: Look, content: str | bytes, kind: str, separator: str, columns: tuple[str, ...]
) -> None:
    file = look(content)
    assert (file.kind, file.separator, file.columns) == (kind, separator, columns)


def test_a_first_line_with_a_number_is_no_header(look: Look) -> None:
    assert look("user_id,item_id\na,b\n").has_header
    assert not look("a,7\nb,8\n").has_header


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ends_are_read(look: Look, end: str) -> None:
    assert look(end.join(["user_id,item_id", "a,b", ""])).columns == ("user_id", "item_id")


def test_gzip_and_byte_order_mark_are_taken_off(look: Look) -> None:
    text = b"\xef\xbb\xbf" + "user_id,item_id\né,b\n".encode()
    for content in (text, gzip.compress(text)):
        file = look(content)
        assert file.columns == ("user_id", "item_id")
        assert file.path.read_bytes() == text[3:]


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress, lambda text: zipped("log.csv", text=text)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_packed_files_are_unpacked_and_marked_encodings_read(look: Look, packed: Callable[..., bytes], encoding: str) -> None:
    file = look(packed("user_id,item_id\né,b\n".encode(encoding)))
    assert (file.columns, file.path.read_text(encoding="utf-8")) == (("user_id", "item_id"), "user_id,item_id\né,b\n")


def test_the_columns_that_look_like_times_are_known_the_likeliest_first(look: Look) -> None:
    assert look("1,1400000000,3,1400000000123\n2,1400000001,5,1400000000456\n").moments == ("4", "2")
    assert look("u,i,when,at\na,b,1400000000,2014-05-13 16:53:20\n").moments == ("at", "when")
    assert look("1\t2\tTue Apr 03 18:00:09 +0000 2012\n").moments == ("3",)
    assert look("1::2::3::978300760\n").moments == ("4",)
    assert look("1,20,3,4\n").moments == ()


def test_a_header_may_hold_a_line_break(look: Look) -> None:
    assert look('"user_id","what\nitem","at"\na,b,c\n').columns == ("user_id", "what\nitem", "at")


def test_another_encoding_is_turned_into_utf8(look: Look) -> None:
    file = look("user_id,item_id\né,b\n".encode("latin-1"), encoding="latin-1")
    assert file.path.read_text(encoding="utf-8") == "user_id,item_id\né,b\n"


def test_a_header_of_any_length_is_seen_whole(look: Look) -> None:
    names = tuple(f"column_{number}" for number in range(200_000))
    assert look(",".join(names) + "\n" + "," * 199_999 + "\n").columns == names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\r\n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (gzip.compress(b""), "is empty"),
        (bytes(range(256)), "is a binary file"),
        (b"user_id,item_id\na,\x00\n", "zero byte at byte 18"),
        (gzip.compress(gzip.compress(b"a,b\n")), "packed twice (gzip inside)"),
        (b"PK\x03\x04rest", "the zip data is damaged or cut short"),
        (zipped("a.csv", "b.csv"), "a zip archive of 2 files (a.csv, b.csv)"),
        (b"BZh91AY", "the bzip2 data is damaged"),
        (b"\xfd7zXZ\x00", "the xz data is damaged"),
        (b"\x28\xb5\x2f\xfd\x00", "Zstandard"),
        (b"%PDF-1.4\n", "a PDF document"),
        (b"ARROW1\x00\x00", "Arrow (Feather)"),
        (b"\x01\x99,\x02\x98\n" * 50, "is a binary file (control characters"),
        ("a,b\n".encode("utf-16-le"), "--encoding utf-16-le"),
        (b"<html> <body>Not found</body>\n</html>\n", "reads like prose"),
        (b"# exported 2020\nuser_id,item_id\n", "reads like prose"),
        (b"# exported 2020\n\nuser_id,item_id\na,b\n", "first line ('# exported 2020') is no row of the table below"),
        (b"sep=;\nuser_id;item_id\na;b\n", "remove what stands above the header"),
        (b"1:\n7,3,2005-09-06\n8,4,2005-09-07\n", "first line ('1:')"),
        (b'"user_id", "item_id"\n', "line 1: has a blank between a separator and a quote"),
        (b'{"u": 1}\n\n{"i": 2, "u": 3, "i": 4}\n', "line 3: the key 'i' stands there twice"),
        (gzip.compress(tarred("events.csv")), "is a tar archive"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "is a spreadsheet"),
        (zipped("mimetype", "content.xml"), "is a spreadsheet"),
        (zipped(), "a zip archive with nothing in it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a 7-Zip archive"),
        (b'127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326\n', "reads like prose"),
        (b"it was the best of times\nit was the worst of times\n", "reads like prose"),
        (gzip.compress(b"a,b\n" * 10_000)[:-12], "cut short"),
        (b"\x1f\x8brest", "damaged or cut short"),
        (b"[1, 2]", "JSON lines"),
        (b'{\n "user_id": 1\n}\n', "line 1: is not JSON"),
        (b"{}\n{}\n", "without fields"),
        (b"user_id,a,a\n1,2,3\n", "line 1: two columns are called 'a'"),
    ],
)
def test_what_can_be_no_log_is_refused_by_name(look: Look, content: bytes, words: str) -> None:
    with pytest.raises(PenchantError, match=r"log[: ]") as raised:
        look(content)
    assert words in str(raised.value)


def test_missing_files_folders_and_encodings_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(PenchantError, match="no such file"):
        examine(tmp_path / "nowhere", tmp_path)
    with pytest.raises(PenchantError, match="is a folder"):
        examine(tmp_path, tmp_path)
    with pytest.raises(PenchantError, match="klingon is not an encoding"):
        examine(write("log", "a,b\n"), tmp_path, "klingon")
    with pytest.raises(PenchantError, match="is not ascii"):
        examine(write("log", "é,b\n"), tmp_path, "ascii")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("u,i,t\na,b,1\n\nc,d\n", "line 4, field t: is missing (2 fields where the header has 3)"),
        ("u,i,t\na,b,1,2\n", "line 2: has 4 fields where the header has 3 (u, i, t)"),
        ("1\t2\t3\n1\t2\n", "line 2, field 3: is missing (2 fields where the first line has 3)"),
        ("1::2::3\n1::2\n", "line 2, field 3: is missing (2 fields where the first line has 3)"),
        ("1::2::3\n\n1::2::3::4\n", "line 3: has 4 fields"),
        ('u,i\na,b\n"c,d\ne,f\n', "lines 3 to 4: a quote that opens isn't closed"),
        ('u,i\na,"b"c\n', "line 2: a quote that opens isn't closed"),
        ('u,i,t\n"a,b,1\nc,d,2\ne",f\n', "line 2: a quote that opens here isn't closed before line 4"),
        ('u,i\na,12" record\n', "line 2, field i: has a quote inside"),
        ('{"a": 1}\n{"a": \n', "line 2: is not JSON"),
        ('{"a": 1}\n{"a": NaN}\n', "line 2: is not JSON (NaN"),
        ('{"a": 1}\n\n[1]\n', "line 3: is not a JSON object"),
        ('{"a": 1}\n{"a": ' + "[" * 100_000 + "\n", "line 2: is not JSON"),
        (b"u,i\na,b\nc,\xe9\n", "line 3, field i: byte 0xE9 isn't UTF-8"),
        (b"1::2\n1::\xe9\n", "line 2, field 2: byte 0xE9 isn't UTF-8"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "line 2: byte 0xE9 isn't UTF-8"),
        (b"u1 a1 b1\nu2 i3\xe9\n", "line 2: byte 0xE9 isn't UTF-8"),
        (b"u,i\ra,b\rc,\xe9\r", "line 3, field i: byte 0xE9 isn't UTF-8"),
    ],
)
def test_a_fault_is_found_by_line_and_field(look: Look, content: str | bytes, fault: str) -> None:
    assert (find_fault(look(content)) or "").startswith(fault)


@pytest.mark.parametrize(
    "content",
    [
        'u,i\n"a\nb",c\n\n"d ""e""",f\n',
        'u,i\r\na,"b,c"\r\n',
        'u,i\na,6" to 9" record\n',
        "1::2\n\n3::4\n",
        '{"a": 1}\n\n{"b": "x\\ny"}\n',
        "u1 a1 b1\n\nu2\n",
        "u,i\n" + "a" * 500_000 + ",b\n",
    ],
)
def test_a_sound_file_has_no_fault(look: Look, content: str) -> None:
    assert find_fault(look(content)) is None


def test_names_are_cut_to_fit_a_sentence() -> None:
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 60 + "…"
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(30)]).endswith("18, 19, … (30 in all)")
