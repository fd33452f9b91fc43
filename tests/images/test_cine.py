"""Frames in time: which there are, what they are called, when they were taken, read one by one."""

import cv2
import numpy as np
import pytest
from xray_files import dicom, stored_intensity

from napari_xreg.files import read_npy
from napari_xreg.images import ReadError, SeveralFrames, numbered_files, open_cine
from napari_xreg.images.formats import raster

STACK = np.stack([stored_intensity(i0=i0) for i0 in (3000.0, 2000.0, 1500.0)])


def saved(folder, pixels=STACK, **attributes):
    path = folder / "cine.dcm"
    dicom(pixels, **attributes).save_as(path)
    return path


def test_the_frames_of_a_dicom_file(tmp_path):
    """Each with its own angles, as the C-arm moved by 2 degrees a frame."""
    path = saved(
        tmp_path, PositionerMotion="DYNAMIC", PositionerPrimaryAngleIncrement=["2"], FrameTime="40"
    )
    cine = open_cine(path)
    assert cine.numbers == (1, 2, 3)
    assert cine.times_s == pytest.approx((0.0, 0.04, 0.08))
    assert [cine.read(number).nominal.primary_deg for number in cine.numbers] == [30, 32, 34]
    with pytest.raises(ReadError, match=r"has no frame 4: its frames are 1\.\.3"):
        cine.read(4)


@pytest.mark.parametrize(
    ("attributes", "times"),
    [
        ({"FrameTimeVector": ["0", "40", "60"], "FrameTime": "33"}, (0.0, 0.04, 0.1)),
        ({"FrameTimeVector": ["0", "40"], "CineRate": "25"}, (0.0, 0.04, 0.08)),
        ({"RecommendedDisplayFrameRate": "10"}, (0.0, 0.1, 0.2)),
        ({"FrameTime": "0"}, None),
        ({"FrameTime": "-4", "CineRate": "0"}, None),
        ({"CineRate": "-1", "RecommendedDisplayFrameRate": "10"}, (0.0, 0.1, 0.2)),
        ({}, None),
    ],
)
def test_when_they_were_taken(tmp_path, attributes, times):
    found = open_cine(saved(tmp_path, **attributes)).times_s
    assert found == (None if times is None else pytest.approx(times))


def test_one_frame_is_a_short_sequence(tmp_path):
    cine = open_cine(saved(tmp_path, STACK[1]))
    assert cine.numbers == (1,)
    assert cine.read(1).carm.detector.shape == (30, 44)


GEOMETRY = {
    "source_to_detector": 1050.0, "source_to_isocenter": 690.0, "pixel_spacing": (0.31, 0.27),
    "read_as": "intensity",
}  # fmt: skip


def test_a_folder_is_called_by_the_numbers_of_its_files(tmp_path):
    """Not in the order of the letters: frame 10 comes after frame 9."""
    for number, image in zip((9, 10, 12), STACK, strict=True):
        assert cv2.imwrite(str(tmp_path / f"cam_{number}.png"), image)
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / "run_9.avi").write_bytes(b"what they were taken from")
    cine = open_cine(tmp_path, **GEOMETRY)
    assert cine.numbers == (9, 10, 12)
    assert cine.times_s is None
    # The centre of the body has the least signal; each frame was made with another I0.
    least = [float(cine.read(n).i0) for n in cine.numbers]
    assert least == sorted(least, reverse=True)


def pictures(folder, *names):
    for name, image in zip(names, STACK, strict=False):
        assert cv2.imwrite(str(folder / f"{name}.png"), image)


def test_a_stray_picture_is_no_frame(tmp_path):
    """Counted along, it would pair every frame of this camera with the one before of another."""
    pictures(tmp_path, "cam_1", "blank", "cam_2")
    assert open_cine(tmp_path, **GEOMETRY).numbers == (1, 2)


def test_files_without_any_number_are_counted(tmp_path):
    pictures(tmp_path, "b", "a", "c")
    assert open_cine(tmp_path, **GEOMETRY).numbers == (1, 2, 3)


def test_frames_of_two_cameras_in_one_folder_are_refused(tmp_path):
    pictures(tmp_path, "cam1_0001", "cam2_0001", "cam1_0002")
    with pytest.raises(ReadError, match=r"several sequences.*\(cam1_\*, cam2_\*\)"):
        open_cine(tmp_path, **GEOMETRY)
    like = tmp_path / "cam1_0002.png"
    assert list(numbered_files(tmp_path, (".png",), "radiographs", like=like)) == [1, 2]
    with pytest.raises(ReadError, match="has no number at the end of its name"):
        numbered_files(tmp_path, (".png",), "radiographs", like=tmp_path / "ap.png")


def test_a_folder_without_a_radiograph(tmp_path):
    with pytest.raises(ReadError, match="holds no radiograph"):
        open_cine(tmp_path)
    with pytest.raises(ReadError, match="cannot be opened"):
        open_cine(tmp_path / "absent.dcm")


def test_reading_one_radiograph_still_asks_which(tmp_path):
    from napari_xreg.images import read_radiograph

    with pytest.raises(SeveralFrames, match=r"1\.\.3"):
        read_radiograph(saved(tmp_path))


def test_a_frame_of_a_stack_is_read_without_the_others(tmp_path, monkeypatch):
    stack = np.stack([STACK[0] + number for number in range(9)]).astype(np.float32)
    np.save(tmp_path / "s.npy", stack)
    asked = []

    def seen(path, *, page):
        array = read_npy(path, page=page)
        asked.append(array.shape)
        return array

    monkeypatch.setattr(raster, "read_npy", seen)
    stored = raster.read_raster_image(tmp_path / "s.npy", frame=4)
    assert stored.pixels.tolist() == stack[3].tolist()
    assert asked == [stack.shape[1:]]
    with pytest.raises(ReadError, match=r"there is no frame 10"):
        raster.read_raster_image(tmp_path / "s.npy", frame=10)


def test_a_folder_with_a_film_alone_says_to_name_the_film(tmp_path):
    (tmp_path / "run.AVI").write_bytes(b"a film")
    with pytest.raises(ReadError, match=r"it holds a film, run\.AVI: name the file itself"):
        open_cine(tmp_path, **GEOMETRY)


def test_a_folder_that_may_not_be_read_is_refused_in_words(tmp_path, monkeypatch):
    def forbidden(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", forbidden)
    with pytest.raises(ReadError, match="cannot be read"):
        open_cine(tmp_path, **GEOMETRY)
