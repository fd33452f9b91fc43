"""A mirror image shows the other side."""

import pytest
import torch

from napari_xreg.landmarks import mirrored_order, mirrored_pixels, other_side


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ASIS-l", "ASIS-r"),
        ("GSN-R", "GSN-L"),
        ("left femoral head", "right femoral head"),
        ("FH_right", "FH_left"),
        ("Left", "Right"),
        ("promontory", "promontory"),
        ("lateral plate", "lateral plate"),
        ("L5", "L5"),
    ],
)
def test_the_other_side_of_a_name(name: str, other: str) -> None:
    assert other_side(name) == other
    assert other_side(other) == name


def test_columns_are_reversed_and_names_change_sides() -> None:
    names = ("ASIS-l", "S1", "ASIS-r")
    pixels = torch.tensor([[10.0, 3.0], [20.0, 15.5], [11.0, 29.0]])
    # 32 columns: column c goes to 31 - c. What was the right one is now the left one.
    expected = torch.tensor([[11.0, 2.0], [20.0, 15.5], [10.0, 28.0]])
    assert torch.equal(mirrored_pixels(pixels, 32, names), expected)
    assert torch.equal(mirrored_pixels(expected, 32, names), pixels)
    assert mirrored_order(names).tolist() == [2, 1, 0]


def test_a_landmark_without_a_partner_cannot_be_mirrored() -> None:
    with pytest.raises(ValueError, match="ASIS-l has no partner; leave it off"):
        mirrored_order(("ASIS-l", "S1"))
