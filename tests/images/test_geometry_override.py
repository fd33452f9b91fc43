"""Another geometry for an image already cropped, resized, turned or flipped."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, geometry_record, with_geometry
from napari_xreg.images.known_geometry.sidecar import geometry_of, given_geometry
from napari_xreg.images.operations import Note, Other

ROWS, COLUMNS = 40, 62


def as_read(**values):
    """An image and its record as a reader gives them."""
    record = given_geometry(
        "DICOM",
        **{
            "source_to_detector": 1010.0,
            "source_to_isocenter": 620.0,
            "pixel_spacing": (0.7, 0.9),
            "mirrored": True,
            "primary_deg": 31.0,
            "secondary_deg": -17.0,
            "roll_deg": 8.0,
            **values,
        },
    )
    image = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(3))
    return Radiograph(
        image, record.carm((ROWS, COLUMNS)), nominal=record.nominal(), geometry=record
    )


def worked(image):
    return image.crop(3, 5, 30, 48).rotate90(1).resize(24, 15).flip_columns().rotate90(2)


NEW = {
    "source_to_detector": 1003.0,
    "pixel_spacing": (0.71, 0.93),
    "principal_point": (11.5, 40.25),
    "primary_deg": -12.0,
    "mirrored": False,
}


@pytest.mark.parametrize("name", list(NEW))
def test_one_value_overridden_is_as_if_it_had_been_read(name):
    expected = worked(as_read(**{name: NEW[name]}))
    given = given_geometry("given", **{name: NEW[name]})
    image = worked(as_read())
    found = with_geometry(image, geometry_record(image).override(given))
    assert found.carm == expected.carm
    assert found.nominal == expected.nominal
    assert found.operations == image.operations
    assert torch.equal(found.line_integrals, image.line_integrals)
    assert found.geometry.provenance[name] == "given"
    assert found.geometry.provenance["source_to_isocenter"] == "DICOM"


def test_the_middle_of_a_cropped_image_is_that_of_the_stored_one():
    # By hand: the principal point of 40 x 62 pixels is (19.5, 30.5); the crop starts at (3, 5).
    image = as_read().crop(3, 5, 30, 48)
    found = with_geometry(image, geometry_record(image).override(given_geometry(field_diameter=40)))
    assert found.carm.detector.center == (16.5, 25.5)
    assert not found.mask[0, 0]
    assert found.mask[16, 25]


def test_a_field_that_became_a_mask_cannot_be_undone():
    image = as_read(field_diameter=25.0).crop(3, 5, 30, 48)
    record = geometry_record(image)
    assert with_geometry(image, record.override(given_geometry(roll_deg=3.0))).nominal.roll_deg == 3
    with pytest.raises(ValueError, match="became part of the mask"):
        with_geometry(image, record.override(given_geometry(field_diameter=30.0)))


def test_an_unknown_operation_is_refused_by_name():
    image = replace(as_read(), operations=(Other("unwarped by hand"),))
    with pytest.raises(ValueError, match=r"unwarped by hand.*load the file again"):
        with_geometry(image, geometry_record(image))


def test_a_note_may_say_what_it_likes():
    """Words are for people: these once were a crop to those who read the history."""
    words = "crop rows 1+2, columns 3+4 of 5x6"
    image = replace(as_read(), operations=(Note(words),)).crop(3, 5, 30, 48)
    found = with_geometry(image, geometry_record(image))
    assert found.carm == as_read().crop(3, 5, 30, 48).carm


def test_what_contradicts_itself_is_refused():
    image = as_read()
    bad = geometry_record(image).override(given_geometry(source_to_isocenter=1200.0))
    with pytest.raises(ValueError, match="1200"):
        with_geometry(image, bad)


def test_an_image_without_a_record_starts_from_its_carm():
    carm = CArm(1020.0, 700.0, Detector((20, 30), (1.5, 1.1), (7.0, 16.0)))
    image = Radiograph(torch.rand(20, 30), carm, simulated=True).crop(2, 4, 15, 20)
    record = geometry_record(image)
    assert record == geometry_of(image.carm, None, "the simulation")
    found = with_geometry(image, record.override(given_geometry(source_to_detector=990.0)))
    assert found.carm == replace(image.carm, source_to_detector=990.0)
    assert found.operations == ()
    assert "crop rows 2+15" in found.notes[-1]
    # The same again: the record now describes what is there.
    again = with_geometry(found, geometry_record(found))
    assert again.carm == found.carm
    assert again.notes == found.notes


def test_inverting_twice_gives_the_image_back():
    mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
    mask[:4] = False
    image = replace(as_read(), mask=mask)
    turned = image.invert()
    used = image.usable
    low, high = image.line_integrals[used].aminmax()
    torch.testing.assert_close(turned.line_integrals[used], low + high - image.line_integrals[used])
    assert (turned.line_integrals[~used] == 0).all()
    torch.testing.assert_close(turned.invert().line_integrals[used], image.line_integrals[used])
    assert with_geometry(turned, geometry_record(turned)).carm == image.carm
