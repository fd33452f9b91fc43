"""NRRD and MetaImage: SimpleITK reads the voxels, the header is checked for what it fills in silently."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images.errors import ReadError
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# A header of text before the voxels; longer ones (Slicer segmentations) stay well below this.
_HEADER_BYTES = 2**20
# Spaces whose axes are anatomical; SimpleITK turns them into LPS. "scanner-xyz" is none.
_ANATOMICAL = {
    "right-anterior-superior", "left-anterior-superior", "left-posterior-superior",
    "ras", "las", "lps",
}  # fmt: skip


def read_itk(path: Path) -> StoredGrid:
    """The voxels of a ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file and their place in LPS mm.

    Raises
    ------
    ReadError
        If the file is damaged, is not one 3D image of real numbers, or has no place.
    """
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    header = _nrrd_header(path) if nrrd else _meta_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise ReadError(
                f"{path}: expected one value per voxel, got {reader.GetNumberOfComponents()} (colour, "
                "vectors or overlapping segments): export one volume or one layer"
            )
        check_size(path, tuple(reader.GetSize()))
        world_from_index = _world_from_index(reader)
        check_place(path, world_from_index)
        image = reader.Execute()
    except RuntimeError as error:
        raise ReadError(
            f"{path}: the {'NRRD' if nrrd else 'MetaImage'} file is damaged, or its data file is "
            f"missing or too short ({_reason(error)}): copy or export it again"
        ) from error
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf":
        raise ReadError(f"{path}: expected real numbers, got {values.dtype}")
    return StoredGrid(values, world_from_index, _segment_names(header))


def _world_from_index(reader: sitk.ImageFileReader) -> Float[Tensor, "4 4"]:
    """Direction columns times spacing. The image would hide a zero or negative spacing."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
    matrix[:3, 3] = reader.GetOrigin()
    return torch.from_numpy(matrix)


def _nrrd_header(path: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    lines = _header_lines(path)
    if not lines or not lines[0].startswith("NRRD"):
        raise ReadError(
            f"{path}: this is not a NRRD file (it does not begin with NRRD): export it again"
        )
    for line in lines[1:]:
        if not line:
            break
        key, found, value = line.partition(":")
        if found and not key.startswith("#"):
            fields[key.strip().lower()] = value.lstrip("=").strip()
    space = fields.get("space", "").lower()
    if space not in _ANATOMICAL:
        raise ReadError(
            f"{path}: the field 'space' must name patient axes, such as left-posterior-superior: got "
            f"{space or 'none'}; export the volume with its orientation"
        )
    for field in ("space directions", "space origin"):
        if field not in fields:
            raise ReadError(
                f"{path}: the field '{field}' is missing, so the file does not say where the voxels "
                "lie in the patient: export the volume with its orientation"
            )
    units = set(fields.get("space units", '"mm"').replace('"', " ").split())
    if not units <= {"mm", "millimeter", "millimeters"}:
        raise ReadError(f"{path}: 'space units' must be mm: got {fields['space units']}")
    return fields


def _meta_header(path: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in _header_lines(path):
        key, found, value = line.partition("=")
        if not found:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    if "ElementDataFile" not in fields or "DimSize" not in fields:
        raise ReadError(
            f"{path}: this is not a MetaImage file (no DimSize or ElementDataFile): export it again"
        )
    for meaning, names in (
        ("spacing", ("ElementSpacing", "ElementSize")),
        ("position", ("Offset", "Origin", "Position")),
        ("orientation", ("TransformMatrix", "Rotation", "Orientation")),
    ):
        if not any(name in fields for name in names):
            raise ReadError(
                f"{path}: the {meaning} of the voxels ({names[0]}) is missing: export the volume "
                "with its orientation"
            )
    return fields


def _header_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        return [
            line.decode("latin-1").rstrip("\r") for line in file.read(_HEADER_BYTES).split(b"\n")
        ]


def _segment_names(header: dict[str, str]) -> dict[int, str]:
    """Names of the segments in a segmentation that 3D Slicer saved (``.seg.nrrd``)."""
    names: dict[int, str] = {}
    for key, value in header.items():
        if key.startswith("segment") and key.endswith("_labelvalue") and value.isdigit():
            names[int(value)] = header.get(key.replace("_labelvalue", "_name"), key)
    return names


def _reason(error: RuntimeError) -> str:
    """The last line of ITK's report, without its addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split("): ")[-1].rstrip(".") if lines else "no reason given"
