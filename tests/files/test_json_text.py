"""JSON says one thing or is refused in a sentence."""

import dataclasses
import os
import threading
from pathlib import Path

import pytest

from napari_xreg.files import VERSIONS, ReadError, json_of_text, plain, read_json, with_schema


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    text = '{"name": "Hüfte", "at": [0.9, 1.3]}'
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.json").write_bytes(text.encode(encoding))
        assert read_json(tmp_path / "a.json") == {"name": "Hüfte", "at": [0.9, 1.3]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not valid JSON"),
        ('{"a": 1', "is not valid JSON"),
        ('{"sdd": 1000, "sdd": 1200}', r"'sdd' stands twice"),
        ('[{"x": {"y": 1, "y": 1}}]', r"'y' stands twice"),
        ("[NaN]", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[1e999]", "1e999 is too large"),
        ("[" * 100_000, "nests too deeply"),
        ("[" * 300 + "]" * 300, "nests too deeply"),
        ('{"a":' * 300 + "1" + "}" * 300, "nests too deeply"),
        ("9" * 5000, "is not valid JSON"),
    ],
)
def test_a_text_that_is_not_one_value_is_refused(text, sentence):
    with pytest.raises(ReadError, match=rf"^pose\.json: .*{sentence}"):
        json_of_text(text, "pose.json")


def test_a_hundred_levels_are_not_too_deep():
    value, levels = json_of_text('{"a":' * 50 + "[" * 50 + "]" * 50 + "}" * 50, "a"), 0
    while value:
        value, levels = (value["a"] if levels < 50 else value[0]), levels + 1
    assert levels == 99
    assert value == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\x00\x01", "not a text file"),
        (b"\x89PNG\r\n\x1a\n", "not a text file"),
        (b"[1]\0", "binary data"),
        (
            '{"name": "H\u00fcfte",\n"n": 1}'.encode("cp1252"),
            "a text, but not in UTF-8: save it as UTF-8",
        ),
        (b"\xff\xfe[\0]", "not a text file"),
        (b" " * 2000 + b"1", "larger than"),
    ],
)
def test_a_file_that_is_not_a_short_text_is_refused(tmp_path, data, sentence):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ReadError, match=rf"^a\.json: .*{sentence}"):
        read_json(tmp_path / "a.json", limit=2000)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", ".", "pipe", "/dev/zero", "a\0b"):
        failed: list[BaseException] = []

        def reading(name=name, failed=failed):
            try:
                read_json(tmp_path / name)
            except ReadError as error:
                failed.append(error)

        thread = threading.Thread(target=reading, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive(), name
        assert len(failed) == 1, name


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.setitem(VERSIONS, "ours/pose", 1)
    monkeypatch.setitem(VERSIONS, "ours/truth", 3)


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "expected a JSON object.*ours/pose or ours/truth: got no JSON object but a list"),
        ({}, "got None"),
        ({"schema": []}, r"got \[\]"),
        ({"schema": {"a": 1}, "version": 1}, "got {'a': 1}"),
        ({"schema": "theirs", "version": 1}, "got 'theirs'"),
        ({"schema": "ours/pose"}, "has version None of ours/pose, this program reads version 1:"),
        ({"schema": "ours/pose", "version": 2}, "has version 2"),
        ({"schema": "ours/pose", "version": True}, "has version True"),
        ({"schema": "ours/pose", "version": 1.0}, "has version 1.0"),
        ({"schema": "ours/truth", "version": 0}, "has version 0.*reads versions 1 to 3"),
        ({"schema": "ours/truth", "version": 4}, "has version 4.*reads versions 1 to 3"),
    ],
)
def test_a_schema_has_its_own_versions(data, sentence):
    with pytest.raises(ReadError, match=rf"^f: .*{sentence}"):
        with_schema(data, "f", "ours/pose", "ours/truth")


@pytest.mark.usefixtures("ours")
def test_a_known_version_of_a_known_schema_passes():
    data = {"schema": "ours/truth", "version": 3, "more": 1}
    assert with_schema(data, "f", "ours/pose", "ours/truth") is data


def test_what_json_does_not_know_becomes_what_it_knows():
    @dataclasses.dataclass
    class Pixels:
        spacing: tuple[float, float]
        how: object

    value = {
        "a": (1.5, float("nan")),
        3: [float("inf"), {"b": -float("inf")}],
        "c": Pixels((0.9, 1.3), len),
        "d": Path("a/b"),
        "e": [True, None, 2, "NaN"],
    }
    assert plain(value) == {
        "a": [1.5, None],
        "3": [None, {"b": None}],
        "c": {"spacing": [0.9, 1.3], "how": "len"},
        "d": str(Path("a/b")),
        "e": [True, None, 2, "NaN"],
    }
