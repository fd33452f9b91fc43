"""Files, whole or not at all: what every reader and writer of the other rooms stands on."""

from napari_xreg.files.errors import ReadError
from napari_xreg.files.json_text import json_of_text, plain_numbers, read_json, with_schema
from napari_xreg.files.text import decoded, read_bytes, read_text
from napari_xreg.files.whole import WriteError, written

__all__ = [
    "ReadError",
    "WriteError",
    "decoded",
    "json_of_text",
    "plain_numbers",
    "read_bytes",
    "read_json",
    "read_text",
    "with_schema",
    "written",
]
