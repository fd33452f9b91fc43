"""DICOM: series, radiographs of C-arms and what their headers say of the geometry."""
