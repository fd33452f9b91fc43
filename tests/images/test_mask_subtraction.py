"""DSA: the line integrals of the frame before the contrast agent are taken from those of a frame that shows it."""

import numpy as np
import pytest
import torch
from xray_files import COLUMNS, ROWS, dicom, item, line_integrals, save

from napari_xreg.images import ReadError, read_radiograph


def vessel():
    """Line integrals of a tube of contrast agent that runs obliquely, off centre: 0.8 at most."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    distance = (rows - 0.4 * columns - 5) / 3.5
    return 0.8 * np.sqrt(np.clip(1 - distance**2, 0, None))


def frames(*, agent=(0.0, 0.5, 1.0), i0=60000.0, dtype=np.uint16):
    """A run: the patient, and so much of the vessel."""
    run = [i0 * np.exp(-line_integrals() - share * vessel()) for share in agent]
    return np.rint(run).astype(dtype)


def written(tmp_path, pixels=None, **attributes):
    pixels = frames() if pixels is None else pixels
    return save(tmp_path / "run.dcm", dicom(pixels, BitsStored=16, HighBit=15, **attributes))


def test_two_frames_differ_by_the_line_integral_of_the_vessel(tmp_path):
    radiograph = read_radiograph(written(tmp_path), frame=3, mask_frame=1, find_collimator=False)
    used = radiograph.usable
    # The readings are rounded to whole numbers: 0.5 of some 2500 at the least, twice.
    error = (radiograph.line_integrals - torch.from_numpy(vessel()))[used].abs().max()
    assert used.all()
    assert error < 5e-4
    assert radiograph.subtracted
    assert radiograph.notes[0] == "frame 1 subtracted from frame 3 (logarithms)"
    assert not any("i0" in note for note in radiograph.notes)  # it cancels
    assert radiograph.carm.source_to_detector == 1050


def test_a_given_i0_and_the_gain_of_the_run_cancel(tmp_path):
    path = written(tmp_path)
    one = read_radiograph(path, frame=3, mask_frame=1)
    other = read_radiograph(path, frame=3, mask_frame=1, i0=123.0)
    torch.testing.assert_close(one.line_integrals, other.line_integrals, atol=1e-6, rtol=0)


def test_several_mask_frames_are_averaged(tmp_path):
    path = written(tmp_path, frames(agent=(0.0, 0.1, 1.0)))
    both = read_radiograph(path, frame=3, mask_frame=(1, 2)).line_integrals
    mean = -np.log(frames(agent=(0.0, 0.1)).mean(0))
    wanted = -np.log(frames(agent=(1.0,))[0].astype(float)) - mean
    np.testing.assert_allclose(both, wanted, atol=1e-5)


@pytest.mark.parametrize("named", [2, [2, 3]])
def test_auto_takes_the_frames_that_the_file_names(tmp_path, named):
    run = frames(agent=(1.0, 0.0, 0.0, 0.7))
    said = [
        item(MaskOperation="TID"),
        item(MaskOperation="AVG_SUB", MaskFrameNumbers=named),
    ]
    path = written(tmp_path, run, MaskSubtractionSequence=said)
    found = read_radiograph(path, frame=4, mask_frame="auto")
    np.testing.assert_allclose(found.line_integrals, 0.7 * vessel(), atol=5e-4)
    assert ("mean of frames 2, 3" if named != 2 else "frame 2 subtracted") in found.notes[0]


def test_auto_takes_the_first_where_the_file_names_none(tmp_path):
    found = read_radiograph(written(tmp_path), frame=2, mask_frame="auto")
    np.testing.assert_allclose(found.line_integrals, 0.5 * vessel(), atol=5e-4)


@pytest.mark.parametrize(("falling", "unit"), [(False, 65535), (True, 16383)])
def test_values_that_are_logarithms_already_are_subtracted_as_they_are(tmp_path, falling, unit):
    # 4000 grey values are one unit of attenuation; the reader's unit is what the bits in use can hold.
    attenuation = np.rint(
        [4000 * (line_integrals() + share * vessel()) for share in (0, 1)]
    ).astype(np.uint16)
    path = written(
        tmp_path,
        attenuation if falling else 40000 - attenuation,
        PixelIntensityRelationship="LOG",
        PixelIntensityRelationshipSign=-1 if falling else 1,
    )
    found = read_radiograph(path, frame=2, mask_frame=1)
    wanted = 4000 * vessel() / unit
    np.testing.assert_allclose(found.line_integrals, wanted, atol=1.01 / unit)


def test_what_either_frame_cannot_measure_is_masked(tmp_path):
    run = frames()
    run[0, 3, 7], run[2, 20, 30] = 0, 0
    found = read_radiograph(written(tmp_path, run), frame=3, mask_frame=1, find_collimator=False)
    assert not found.usable[3, 7]
    assert not found.usable[20, 30]
    assert int((~found.usable).sum()) == 2


def test_pages_and_stacks_too(tmp_path):
    np.save(tmp_path / "run.npy", frames(dtype=np.float32, agent=(0.0, 0.0, 0.4, 1.0)))
    geometry = {
        "source_to_detector": 1000.0,
        "source_to_isocenter": 700.0,
        "pixel_spacing": (0.3, 0.4),
    }
    found = read_radiograph(
        tmp_path / "run.npy", frame=3, mask_frame=(1, 2), read_as="intensity", **geometry
    )
    np.testing.assert_allclose(found.line_integrals, 0.4 * vessel(), atol=5e-4)


@pytest.mark.parametrize(
    ("said", "attributes", "why"),
    [
        ({"frame": 1, "mask_frame": 1}, {}, "nothing would be left"),
        ({"frame": "mean", "mask_frame": 1}, {}, "from one frame that shows the vessels"),
        ({"frame": 3, "mask_frame": 7}, {}, "no frame 7"),
        (
            {"frame": 3, "mask_frame": 1},
            {
                "PositionerMotion": "DYNAMIC",
                "PositionerPrimaryAngleIncrement": ["0", "1", "2"],
                "PositionerSecondaryAngleIncrement": ["0", "0", "0"],
            },
            "moved between the mask frame and frame 3",
        ),
    ],
)
def test_what_cannot_be_subtracted_is_said(tmp_path, said, attributes, why):
    with pytest.raises(ReadError, match=why):
        read_radiograph(written(tmp_path, **attributes), **said)
