"""Files that are not DICOM: volumes, radiographs and landmarks."""
