"""Write a radiograph so that `read_radiograph` gets it back: NPZ exactly, PNG or TIFF with a sidecar."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from napari_xreg.files import written
from napari_xreg.images.formats.raster import sidecar_path
from napari_xreg.images.known_geometry.sidecar import geometry_of, geometry_to_json
from napari_xreg.images.radiograph import Radiograph


def write_radiograph(path: Path | str, radiograph: Radiograph) -> tuple[Path, ...]:
    """Write line integrals, mask and geometry; the ending of the path chooses the format.

    ``.npz`` holds everything and loses nothing. ``.png`` and ``.tif`` hold 16-bit grey values (0
    is masked, 1..65535 span the line integrals, so half a step of rounding is lost) beside a JSON
    sidecar with the geometry, the scale and the provenance. `Radiograph.geometry` and
    `Radiograph.operations` describe another file and are not written.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    ValueError
        If the ending is another.
    WriteError
        If a file cannot be written; older ones are then untouched.
    """
    path = Path(path)
    record = geometry_of(radiograph.carm, radiograph.nominal, "written by napari-xreg")
    details = geometry_to_json(record)
    image: dict[str, Any] = {"read_as": "line_integral", "simulated": radiograph.simulated}
    if radiograph.subtracted:
        image["subtracted"] = True
    if radiograph.notes:
        image["notes"] = list(radiograph.notes)
    if radiograph.i0 is not None:
        image["i0"] = radiograph.i0
    values = radiograph.line_integrals.detach().cpu()
    mask = None if radiograph.mask is None else radiograph.mask.detach().cpu().numpy()
    suffix = path.suffix.lower()
    if suffix == ".npz":
        text = np.array(json.dumps({**details, "image": image}))
        arrays: dict[str, Any] = {"line_integrals": values.numpy(), "geometry": text}
        if mask is not None:
            arrays["mask"] = mask
        with written(path) as beside:
            np.savez_compressed(beside, **arrays)
        return (path,)
    if suffix not in (".png", ".tif", ".tiff"):
        raise ValueError(f"a radiograph is written as .npz, .png or .tif: got {path.name}")
    usable = values if mask is None else values[torch.from_numpy(mask)]
    low, high = (float(usable.min()), float(usable.max())) if usable.numel() else (0.0, 1.0)
    slope = (high - low) / 65534 or 1.0
    stored = np.rint((values.double().numpy() - low) / slope) + 1
    if mask is not None:
        stored = np.where(mask, stored, 0)
        image["masked_value"] = 0
    image |= {"slope": slope, "intercept": low - slope}
    done, data = cv2.imencode(suffix, stored.astype(np.uint16))
    if not done:
        raise ValueError(f"{path.name}: the image could not be encoded")
    sidecar = sidecar_path(path)
    # Both or neither: an image beside another one's geometry would be read wrongly.
    with written(path) as beside, written(sidecar) as beside_sidecar:
        beside.write_bytes(data.tobytes())
        said = json.dumps({**details, "image": image}, indent=2, allow_nan=False) + "\n"
        beside_sidecar.write_text(said, encoding="utf-8")
    return path, sidecar
