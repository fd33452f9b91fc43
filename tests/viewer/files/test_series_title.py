"""A layer of a DICOM series says whose it is, what it is and when it was taken."""

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from napari_xreg.viewer.files.readers import series_title


def slice_file(folder, **tags):
    """A file that holds a header and no pixels."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    for name, value in tags.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "IM0001.dcm"
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ({"PatientName": "Doe^Jane", "SeriesDescription": "pelvis 1.0 B70", "SeriesDate": "20240501"}, "Doe Jane, pelvis 1.0 B70, 2024-05-01"),
        ({"SeriesDescription": "knee", "StudyDate": "20231231"}, "knee, 2023-12-31"),
        ({"PatientName": ""}, "IM0001"),
    ],
)  # fmt: skip
def test_patient_description_and_date(tmp_path, tags, title):
    assert series_title(slice_file(tmp_path, **tags)) == title


def test_a_damaged_header_leaves_the_name_of_the_file(tmp_path):
    path = tmp_path / "broken.dcm"
    path.write_bytes(b"no DICOM")
    assert series_title(path) == "broken"
