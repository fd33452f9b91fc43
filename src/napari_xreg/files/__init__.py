"""Files, whole or not at all: what every reader and writer of the other rooms stands on."""

from napari_xreg.files.errors import ReadError, TooLarge
from napari_xreg.files.folder import check_folder, check_writable, written_folder
from napari_xreg.files.json_text import json_of_text, plain, read_json, with_schema
from napari_xreg.files.memory import MEMORY_VARIABLE, claim, free_memory
from napari_xreg.files.npz import read_npy, read_npz
from napari_xreg.files.numbers import is_number, number
from napari_xreg.files.place import check_file
from napari_xreg.files.processors import set_thread_count, thread_count, usable_cpus
from napari_xreg.files.text import decoded, read_bytes, read_text
from napari_xreg.files.whole import WriteError, written

__all__ = [
    "MEMORY_VARIABLE",
    "ReadError",
    "TooLarge",
    "WriteError",
    "check_file",
    "check_folder",
    "check_writable",
    "claim",
    "decoded",
    "free_memory",
    "is_number",
    "json_of_text",
    "number",
    "plain",
    "read_bytes",
    "read_json",
    "read_npy",
    "read_npz",
    "read_text",
    "set_thread_count",
    "thread_count",
    "usable_cpus",
    "with_schema",
    "written",
    "written_folder",
]
