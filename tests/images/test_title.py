"""A layer says whose CT or radiograph it is, what it is and when it was taken; else its file."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, XRayAngiographicImageStorage

from napari_xreg.images import file_title, image_title


def dicom(path, kind=CTImageStorage, **tags):
    """A file that holds a header and no pixels."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = kind, "1.2.3.4"
    for name, value in tags.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ({"PatientName": "Doe^Jane", "SeriesDescription": "pelvis 1.0 B70", "SeriesDate": "20240501"}, "Doe Jane, pelvis 1.0 B70, 2024-05-01"),
        ({"PatientName": "Doe^Jane^^Dr", "StudyDescription": "hip", "StudyDate": "20231231"}, "Doe Jane Dr, hip, 2023-12-31"),
        ({"PatientName": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce", "SpecificCharacterSet": "ISO_IR 192"}, "Yamada Tarou"),
        ({"PatientName": "LIDC-0007"}, "LIDC-0007"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [CTImageStorage, XRayAngiographicImageStorage])
def test_patient_description_and_date(tmp_path, kind, tags, title):
    assert image_title(dicom(tmp_path / "IM0001.dcm", kind, **tags)) == title


@pytest.mark.parametrize("patient", ["", "Anonymous", "ANON^7", "^^", "De-identified", "unknown"])
def test_nobodys_radiograph_is_called_as_its_file_and_a_slice_as_its_series(tmp_path, patient):
    tags = {"PatientName": patient, "SeriesDescription": "knee", "StudyDate": "20231231"}
    shot = dicom(tmp_path / "left 2.dcm", XRayAngiographicImageStorage, **tags)
    assert image_title(shot) == "left 2"
    assert image_title(dicom(tmp_path / "IM0001.dcm", **tags)) == "knee, 2023-12-31"
    assert image_title(dicom(tmp_path / "IM0002.dcm", PatientName=patient)) == "IM0002"


def test_a_folder_is_called_as_the_series_in_it(tmp_path):
    folder = tmp_path / "scan.7"
    folder.mkdir()
    (folder / "a.txt").write_text("notes")
    assert image_title(folder) == "scan.7"
    for number, name in enumerate(("soft", "bone")):
        dicom(folder / f"b{number}.dcm", PatientName="Doe^Jane", SeriesDescription=name,
              SeriesInstanceUID=f"1.2.{number}", Rows=2)  # fmt: skip
    assert image_title(folder) == "Doe Jane, soft"
    assert image_title(folder, series_uid="1.2.1") == "Doe Jane, bone"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("hip.v2.png", "hip.v2"),
        ("pelvis.nii.gz", "pelvis"),
        ("marks.mrk.json", "marks"),
        ("CT.nii.gz", "case 9/CT"),
        ("0001.tif", "case 9/0001"),
        (".hidden", ".hidden"),
        ("1.2.840.77", "case 9/1.2.840.77"),
    ],
)
def test_a_file_is_called_as_its_name_with_its_folder_where_that_says_nothing(
    tmp_path, name, title
):
    assert file_title(tmp_path / "case 9" / name) == title


def test_a_damaged_header_leaves_the_name_of_the_file(tmp_path):
    path = tmp_path / "broken.dcm"
    path.write_bytes(b"no DICOM")
    assert image_title(path) == "broken"
    whole = dicom(tmp_path / "whole.dcm", PatientName="Doe^Jane").read_bytes()
    for length in np.linspace(130, len(whole) - 1, 15).astype(int):
        path.write_bytes(whole[:length])
        assert image_title(path) in ("broken", "Doe Jane", "Doe Jan", "Doe Ja", "Doe J")
