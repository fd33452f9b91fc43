"""The one table of formats, and everything that offers files: they say the same."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import yaml

import napari_xreg
from napari_xreg.images import (
    FORMATS,
    StoredImage,
    formats_in_words,
    input_files,
    named,
    patterns,
    read_radiograph,
    read_volume,
)
from napari_xreg.images.formats import table
from napari_xreg.images.formats.table import Format
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.training.patients.population import ct_files
from napari_xreg.viewer.files.readers import each_once, get_reader, read_ct_layers
from napari_xreg.workflows import file_kind


def pair(folder, name="ct"):
    """A NIfTI in two files, of 3 x 4 x 5 voxels."""
    image = nibabel.Nifti1Pair(
        np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 3, 4, 1])
    )
    nibabel.save(image, folder / f"{name}.hdr")
    return folder / f"{name}.hdr", folder / f"{name}.img"


def test_the_manifest_offers_what_is_read():
    manifest = yaml.safe_load((Path(napari_xreg.__file__).parent / "napari.yaml").read_text())
    # Weights of networks and studies have readers of their own (tests/test_package.py).
    reader, *_ = manifest["contributions"]["readers"]
    expected = {"*.xreg.json"}
    for each in FORMATS:
        if not each.shared:
            expected |= {f"*{suffix}" for suffix in each.suffixes}
        elif each.kind == "radiograph":  # by the sidecar with their geometry
            expected |= {f"*{suffix}.json" for suffix in each.suffixes}
    assert set(reader["filename_patterns"]) == expected


def test_dialogs_name_every_ending_once():
    volumes = "*.nii *.nii.gz *.hdr *.img *.nrrd *.nhdr *.mha *.mhd *.h5 *.hdf5"
    assert patterns("volume", dicom=False) == volumes
    assert patterns("volume") == f"{volumes} *.dcm *.dicom *.ima *.tif *.tiff"
    assert (
        patterns("radiograph") == "*.dcm *.dicom *.ima *.png *.tif *.tiff *.npy *.npz *.avi *.mp4"
    )
    assert patterns("landmarks") == "*.fcsv *.mrk.json *.csv"
    assert formats_in_words("landmarks") == "3D Slicer (.fcsv, .mrk.json), CSV (.csv)"


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.NII.GZ", "NIfTI"), ("a.img", "NIfTI pair"), ("a.nhdr", "NRRD"), ("a.mhd", "MetaImage"),
        ("a.TIFF", "TIFF"), ("a.npz", "NPZ"), ("a.mrk.json", "3D Slicer"), ("a.csv", "CSV"),
        ("a.dcm", None), ("a.json", None), ("nii", None),
    ],
)  # fmt: skip
def test_a_name_tells(name, format):
    found = named(Path(name), "volume", "radiograph", "landmarks")
    assert (found and found.name) == format


def test_a_pair_is_one_ct_wherever_files_are_taken(tmp_path):
    header, voxels = pair(tmp_path)
    assert get_reader(str(header)) is get_reader(str(voxels)) is read_ct_layers
    assert file_kind(voxels) == "grid"
    assert each_once([str(voxels), str(header)]) == [str(voxels)]
    assert ct_files(tmp_path) == (header,)
    assert input_files(voxels) == (header, voxels)
    assert read_volume(voxels, values="hu").shape == (5, 4, 3)


def test_a_row_is_enough_for_another_kind_of_radiograph(tmp_path, monkeypatch):
    def read(path, *, frame=None):
        pixels = torch.arange(12.0, dtype=torch.float64).reshape(3, 4) + (frame or 0)
        return StoredImage(pixels, path.name, GeometryRecord(), meaning="line_integral")

    monkeypatch.setattr(table, "FORMATS", [*FORMATS, Format("Text", "radiograph", (".rad",), read)])
    path = tmp_path / "image.RAD"
    path.write_bytes(b"numbers")
    found = read_radiograph(
        path,
        frame=5,
        source_to_detector=1000.0,
        source_to_isocenter=700.0,
        pixel_spacing=(2.0, 3.0),
    )
    assert found.line_integrals[0].tolist() == [5.0, 6.0, 7.0, 8.0]


def test_other_files_of_these_endings_are_left_to_others(tmp_path):
    header, voxels = pair(tmp_path)
    header.write_bytes(b"#?RADIANCE\n" * 100)  # a photograph
    assert get_reader(str(header)) is None
    voxels.unlink()
    assert get_reader(str(header)) is None
    assert file_kind(header) is None
