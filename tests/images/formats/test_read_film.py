"""Films: the right frame, its time, what compression does, and what is refused in which words."""

import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest

from napari_xreg.images import ReadError, SeveralFrames, open_cine, read_radiograph
from napari_xreg.images.formats.film import film_times, read_film

GEOMETRY = {
    "source_to_detector": 1050.0, "source_to_isocenter": 690.0, "pixel_spacing": (0.31, 0.27),
    "read_as": "intensity", "find_collimator": False,
}  # fmt: skip
ROWS, COLUMNS, FRAMES = 48, 80, 31
CODECS = {".avi": "MJPG", ".mp4": "mp4v"}


def frame(number):
    """Grey 40 + 5 n, a darker bar at column 2 n."""
    image = np.full((ROWS, COLUMNS), 40 + 5 * number, np.uint8)
    image[:, 2 * number : 2 * number + 8] -= 30
    return image


def film(folder, suffix=".avi", *, colour=(1.0, 1.0, 1.0), share=1.0):
    path = folder / f"cine{suffix}"
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*CODECS[suffix]), 12.5, (COLUMNS, ROWS)
    )
    assert writer.isOpened()
    for number in range(1, FRAMES + 1):
        grey = frame(number)
        image = np.repeat(grey[..., None], 3, 2)
        wide = round(share * COLUMNS)
        image[:, :wide] = (image[:, :wide] * np.array(colour)).astype(np.uint8)
        writer.write(image)
    writer.release()
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_the_frame_that_was_asked_for(tmp_path, suffix):
    """In any order: the middle of a film is entered, and compression moves a grey value by a few."""
    path = film(tmp_path, suffix)
    for number in (17, 3, 31, 4, 1):
        found, notes = read_film(path, lambda _, number=number: [number])
        assert found.shape == (ROWS, COLUMNS)
        assert np.abs(found.astype(float) - frame(number)).mean() < 2.0
        assert "compressed" in notes[0]
    mean, _ = read_film(path, lambda count: range(1, count + 1))
    every = np.mean([frame(n).astype(float) for n in range(1, FRAMES + 1)], 0)
    assert np.abs(mean - every).mean() < 2.0


@pytest.mark.parametrize("suffix", CODECS)
def test_a_film_is_a_sequence(tmp_path, suffix):
    path = film(tmp_path, suffix)
    with pytest.raises(SeveralFrames, match=r"holds 31 frames: choose one of the frames 1\.\.31"):
        read_radiograph(path, **GEOMETRY)
    cine = open_cine(path, **GEOMETRY)
    assert cine.numbers == tuple(range(1, FRAMES + 1))
    assert cine.times_s == pytest.approx([n / 12.5 for n in range(FRAMES)])
    radiograph = cine.read(9)
    assert radiograph.carm.detector.shape == (ROWS, COLUMNS)
    bar = radiograph.line_integrals.mean(0)
    # Darker by 30 of 85: a line integral of ln(85 / 55) = 0.435 more.
    assert float(bar[20:24].mean() - bar[60:70].mean()) == pytest.approx(0.435, abs=0.05)
    assert any("The DICOM file of the same run" in note for note in radiograph.notes)
    with pytest.raises(ReadError, match="has no frame 32"):
        cine.read(32)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def motion_jpeg(path, frames, counted=None, index=True):
    """An AVI of JPEG pictures at 10 a second, byte by byte; an empty one is a frame that was dropped."""
    count = len(frames) if counted is None else counted
    main = struct.pack("<14I", 100_000, 0, 0, 16 * index, count, 0, 1, 0, COLUMNS, ROWS, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack(
        "<IHHIIIIIIII4h", 0, 0, 0, 0, 1, 10, 0, count, 0, 0xFFFFFFFF, 0, 0, 0, COLUMNS, ROWS
    )
    picture = struct.pack(
        "<IiiHH4sIiiII", 40, COLUMNS, ROWS, 1, 24, b"MJPG", COLUMNS * ROWS * 3, 0, 0, 0, 0
    )
    of_stream = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", picture))
    head = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + of_stream)
    movie, places = b"", b""
    for image in frames:
        places += b"00dc" + struct.pack("<III", 16, 4 + len(movie), len(image))
        movie += chunk(b"00dc", image)
    body = (
        b"AVI "
        + head
        + chunk(b"LIST", b"movi" + movie)
        + (chunk(b"idx1", places) if index else b"")
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@pytest.mark.parametrize("dropped", [(), (7, 8), (0,)])
@pytest.mark.parametrize("counted", [None, 0, 25])
def test_frames_are_counted_and_timed_as_they_are(tmp_path, dropped, counted):
    """Whatever the header says: dropped frames, the camera switched off, a count that is too large."""
    images = [cv2.imencode(".jpg", frame(n))[1].tobytes() for n in range(1, 13)]
    kept = [n for n in range(12) if n not in dropped]
    films = [b"" if n in dropped else image for n, image in enumerate(images)]
    path = motion_jpeg(
        tmp_path / ("a b.avi" if sys.platform == "win32" else "a:b.avi"),
        films,
        counted,
        index=counted != 0,
    )
    times = film_times(path)
    assert times == pytest.approx([(n - kept[0]) / 10 for n in kept], abs=1e-6)
    for number in (len(kept), 1, 4, 8):
        found, _ = read_film(path, lambda _, number=number: [number])
        assert np.abs(found.astype(float) - frame(kept[number - 1] + 1)).mean() < 2.0, number
    mean, _ = read_film(path, lambda count: range(1, count + 1))
    every = np.mean([frame(n + 1).astype(float) for n in kept], 0)
    assert np.abs(mean - every).mean() < 2.0


def test_its_geometry_lies_beside_it(tmp_path):
    path = film(tmp_path)
    (tmp_path / "cine.avi.json").write_text(
        '{"schema": "napari-xreg/xray-geometry", "version": 1, "source_to_detector_mm": 1050, '
        '"source_to_isocenter_mm": 690, "pixel_spacing_mm": [0.31, 0.27], "image": {"read_as": "intensity"}}'
    )
    assert read_radiograph(path, frame=2).carm.source_to_detector == 1050.0


def test_colour_is_refused_and_a_coloured_clock_is_not(tmp_path):
    with pytest.raises(ReadError, match="is a film in colour"):
        read_film(film(tmp_path, colour=(1.0, 0.6, 0.3)), lambda _: [20])
    found, _ = read_film(film(tmp_path, colour=(0.3, 1.0, 0.3), share=0.0), lambda _: [20])
    assert found.shape == (ROWS, COLUMNS)


def test_damaged_films_are_refused_in_words(tmp_path):
    whole = film(tmp_path).read_bytes()
    damaged = tmp_path / "damaged.avi"
    for content, words in (
        (b"RIFF" + bytes(4000), "is no film that can be decoded"),
        (whole[:300], "is no film that can be decoded|without a frame|cannot be decoded"),
        (whole[: len(whole) // 2], "cannot be decoded"),
    ):
        damaged.write_bytes(content)
        with pytest.raises(ReadError, match=words):
            read_film(damaged, lambda _: [FRAMES])
    damaged.write_bytes(b"RIFF" + bytes(4000))
    assert film_times(damaged) is None
    with pytest.raises(ReadError, match=r"damaged\.avi"):
        open_cine(damaged, **GEOMETRY)


@pytest.mark.slow
def test_decoders_say_nothing_of_their_own(tmp_path):
    """In a program of its own, for FFmpeg asks how loud it may be when it is loaded."""
    path = film(tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    program = (
        "import sys; from pathlib import Path; from napari_xreg.images.formats.film import film_times; "
        "print(film_times(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
