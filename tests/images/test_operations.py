"""Operations as values: their words, their JSON, and the words of older files."""

import pytest

from napari_xreg.images import ReadError
from napari_xreg.images.operations import (
    Crop,
    Flip,
    Invert,
    Mask,
    Note,
    Other,
    Resize,
    Turn,
    operation_from_json,
    operation_to_json,
)

# Value, words, JSON: as files hold them, not as this program makes them today.
PINNED = [
    (
        Crop(row=3, column=5, rows=20, columns=31, of=(30, 44)),
        "crop rows 3+20, columns 5+31 of 30x44",
        {"kind": "crop", "row": 3, "column": 5, "rows": 20, "columns": 31, "of": [30, 44]},
    ),
    (
        Resize(rows=15, columns=11, of=(30, 44)),
        "resize 30x44 to 15x11",
        {"kind": "resize", "rows": 15, "columns": 11, "of": [30, 44]},
    ),
    (Turn(3), "rotate 270 degrees clockwise", {"kind": "turn", "turns": 3}),
    (Flip(), "flip left and right", {"kind": "flip"}),
    (Invert(), "invert bright and dark", {"kind": "invert"}),
    (Mask("a tube"), "mask: a tube", {"kind": "mask", "reason": "a tube"}),
    (
        Note("i0 was not known: estimated as 812"),
        "i0 was not known: estimated as 812",
        {"kind": "note", "text": "i0 was not known: estimated as 812"},
    ),
    (Note("3 of 9 pixels masked: dark"), "3 of 9 pixels masked: dark", None),
    (Other("unwarped"), "unwarped", {"kind": "other", "text": "unwarped"}),
]


@pytest.mark.parametrize(("operation", "words", "json"), PINNED)
def test_words_and_json(operation, words, json):
    assert str(operation) == words
    assert operation_from_json(words) == operation
    if json is not None:
        assert operation_to_json(operation) == json
        assert operation_from_json(json) == operation


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"kind": "warp"},
        {"kind": []},
        {"kind": "crop", "row": 3},
        {"kind": "crop", "row": 3, "column": 5, "rows": 2, "columns": 3, "of": [30]},
        {"kind": "resize", "rows": 1.5, "columns": 11, "of": [30, 44]},
        {"kind": "resize", "rows": 15, "columns": 11, "of": [30, True]},
        {"kind": "turn", "turns": 5},
        {"kind": "mask", "reason": 3},
    ],
)
def test_malformed(data):
    with pytest.raises(ReadError):
        operation_from_json(data)
