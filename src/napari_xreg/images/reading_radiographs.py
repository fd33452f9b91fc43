"""Read a radiograph from a file of any kind: pixels, what they mean, and geometry."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from napari_xreg.images.dicom.radiograph import read_dicom_image
from napari_xreg.images.errors import ReadError
from napari_xreg.images.formats.table import formats_in_words, named
from napari_xreg.images.frames import Frame
from napari_xreg.images.known_geometry.reading import read_geometry
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.known_geometry.sidecar import given_geometry
from napari_xreg.images.radiograph import Radiograph
from napari_xreg.images.stored_image import StoredImage, radiograph_from_stored


def read_radiograph(
    path: Path | str,
    *,
    frame: int | Literal["mean"] | None = None,
    mask_frame: int | Sequence[int] | Literal["auto"] | None = None,
    read_as: Literal["intensity", "line_integral"] | None = None,
    bone: Literal["dark", "bright"] | None = None,
    i0: float | None = None,
    find_collimator: bool = True,
    geometry: GeometryRecord | Path | str | None = None,
    source_to_detector: float | None = None,
    source_to_isocenter: float | None = None,
    pixel_spacing: tuple[float, float] | None = None,
    principal_point: tuple[float, float] | None = None,
    mirrored: bool | None = None,
    field_diameter: float | None = None,
    primary_deg: float | None = None,
    secondary_deg: float | None = None,
    roll_deg: float | None = None,
    offset_mm: tuple[float, float, float] | None = None,
    isocenter: tuple[float, float, float] | None = None,
    crop: tuple[int, int, int, int] | None = None,
    rotate180: bool = False,
) -> Radiograph:
    """An X-ray image as line integrals, with the geometry it was taken in.

    DICOM (XA, RF, DX, CR; secondary captures if their geometry is given), PNG, TIFF (of any number
    type), NPY, NPZ and films (AVI, MP4). Geometry comes from keywords first, then `geometry`, then a
    sidecar ``<image name>.json``, then the DICOM header. What is still missing is named, with its
    unit, in one error; it is never made up. `Radiograph.geometry` tells where each value came
    from, and `Radiograph.notes` what was ambiguous, estimated or masked.

    Parameters
    ----------
    frame
        One of several, counted from 1, or "mean".
    mask_frame
        Of a DSA run: the frame before the contrast agent, or several of them to be averaged, whose line
        integrals are taken from those of `frame`, so that vessels are left. "auto": those that the file
        names, else the first. None: nothing is subtracted.
    read_as
        "intensity": values rise with X-ray intensity, and the logarithm is taken. "line_integral":
        they rise with attenuation and are used as they are. None: as the file says.
    bone
        Whether bone has the lower or the higher values. None: as the file says, else "dark" for
        intensity and "bright" for line integrals.
    i0
        Unattenuated intensity in the file's units. None: as the file says, else estimated from
        the image (`estimate_i0`), with a note.
    find_collimator
        Look for blades or a circular field in an intensity image and mask what is outside.
    geometry
        A record, or the path of a JSON file or of a calibration (`read_geometry`).
    source_to_detector, source_to_isocenter, field_diameter
        mm.
    pixel_spacing
        Row, column spacing at the detector, mm.
    principal_point
        Row, column in pixels of the image as stored.
    mirrored
        See `Detector`.
    primary_deg, secondary_deg, roll_deg, offset_mm, isocenter
        The nominal pose: see `CArmPose`. DICOM cannot tell the isocenter (xvr, M.7).
    crop
        First row, first column, rows, columns of the part to keep.
    rotate180
        Turn the image upside down, after the crop.

    Returns
    -------
    Radiograph
        float32, on the CPU. The nominal pose is None unless both angles are known.

    Raises
    ------
    ReadError
        If the file is not a radiograph, or not enough is known to use it as one.
    """
    path = Path(path)
    try:
        given = given_geometry(
            source_to_detector=source_to_detector,
            source_to_isocenter=source_to_isocenter,
            pixel_spacing=pixel_spacing,
            principal_point=principal_point,
            mirrored=mirrored,
            field_diameter=field_diameter,
            primary_deg=primary_deg,
            secondary_deg=secondary_deg,
            roll_deg=roll_deg,
            offset_mm=offset_mm,
            isocenter=isocenter,
        )
    except ValueError as error:
        raise ReadError(f"{path.name}: {error}") from error
    stored = read_stored_image(path, frame=frame)
    masks = None if mask_frame is None else _mask_frames(stored, frame, mask_frame)
    before = None if masks is None else read_stored_image(path, frame=masks)
    if before is not None and before.geometry.known() != stored.geometry.known():
        raise ReadError(
            f"{path.name}: the C-arm moved between the mask frame and frame {frame}, so they cannot be "
            "subtracted: choose a mask frame of the same view"
        )
    record = stored.geometry
    if geometry is not None:
        if not isinstance(geometry, GeometryRecord):
            rows, columns = stored.pixels.shape
            geometry = read_geometry(geometry, shape=(rows, columns))
        record = record.override(geometry)
    stored = replace(stored, geometry=record.override(given))
    if read_as is not None and read_as != stored.meaning:
        keep_bone = stored.meaning is None
        stored = replace(stored, meaning=read_as, bone=stored.bone if keep_bone else None)
    if bone is not None:
        stored = replace(stored, bone=bone)
    if before is not None:
        before = replace(before, meaning=stored.meaning, bone=stored.bone)
    radiograph = radiograph_from_stored(
        stored, i0=i0, find_collimator=find_collimator, source=path.name, before=before
    )
    if masks is not None:
        radiograph = replace(radiograph, notes=(_said(masks, frame), *radiograph.notes))
    if crop is not None:
        try:
            radiograph = radiograph.crop(*crop)
        except (TypeError, ValueError) as error:
            raise ReadError(f"{path.name}: {error}") from error
    return radiograph.rotate180() if rotate180 else radiograph


def _mask_frames(
    stored: StoredImage, frame: Frame, said: int | Sequence[int] | Literal["auto"]
) -> tuple[int, ...]:
    """Frames to subtract, counted from 1."""
    if said == "auto":
        masks: tuple[int, ...] = stored.mask_frames or (1,)
    else:
        masks = (said,) if isinstance(said, int) else tuple(said)
    if stored.subtracted:
        raise ReadError(f"{stored.file}: is subtracted already: leave the mask frame out")
    if not isinstance(frame, int):
        raise ReadError(
            f"{stored.file}: a mask frame is subtracted from one frame that shows the vessels: choose that one"
        )
    if frame in masks:
        raise ReadError(
            f"{stored.file}: frame {frame} is the mask frame, so nothing would be left: choose a frame "
            "that shows the vessels, or another mask frame"
        )
    return masks


def _said(masks: tuple[int, ...], frame: Frame) -> str:
    which = (
        f"frame {masks[0]}"
        if len(masks) == 1
        else f"the mean of frames {', '.join(map(str, masks))}"
    )
    return f"{which} subtracted from frame {frame} (logarithms)"


def read_stored_image(path: Path, *, frame: Frame = None) -> StoredImage:
    """What an image file holds, before anything is made of it, by the reader of its format.

    Raises
    ------
    ReadError
        If it is no radiograph; `SeveralFrames` where one of several has to be chosen.
    """
    found = None if _is_dicom(path) else named(path, "radiograph")
    image: StoredImage = (read_dicom_image if found is None else found.read)(path, frame=frame)
    return image


def _is_dicom(path: Path) -> bool:
    """By content where it can be told, else by name."""
    if path.is_dir():
        raise ReadError(f"{path.name}: is a folder: give one image file")
    try:
        if path.exists() and not path.is_file():
            raise ReadError(f"{path.name}: is a device or a pipe, not a file")
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened ({error.strerror})") from error
    if not head:
        raise ReadError(f"{path.name}: is empty (0 bytes)")
    if head[128:132] == b"DICM":
        return True
    if named(path, "radiograph") is not None:
        return False
    if not path.suffix or named(path, "radiograph", dicom=True) is not None:
        return True
    raise ReadError(
        f"{path.name}: is not a file this program reads as a radiograph: "
        f"{formats_in_words('radiograph')}"
    )
