"""``napari-xreg inspect``: what a file is, and what is known of its geometry."""

from argparse import Namespace
from typing import Any

from napari_xreg.cli.console import Console
from napari_xreg.cli.hints import CT_VALUES
from napari_xreg.cli.inputs import said_spacing, said_values
from napari_xreg.files import INSPECTION, schema_head
from napari_xreg.workflows import inspect


def run(arguments: Namespace, console: Console) -> int:
    """Describe; the exit code."""
    entry = inspect(
        arguments.file,
        kind=arguments.kind,
        series_uid=arguments.series,
        values=said_values(arguments),
        spacing=said_spacing(arguments),
        frame=arguments.frame,
        label_names=arguments.label_names,
    )
    if entry["kind"] == "volume of unknown spacing":
        entry["warning"] += f": give --ct-spacing X Y Z, {CT_VALUES}"
    if entry["kind"] == "volume in an unknown unit":
        entry["warning"] += f": give {CT_VALUES}"
    if "seen" in entry:
        entry["seen"] += "; --as ct reads it as a CT"
    if entry["kind"].startswith("pose in"):
        entry["warning"] += " (--pose-frame)"
    if entry["kind"].startswith("stack of"):
        entry["advice"] = (
            "as a CT: --as ct --ct-spacing X Y Z (mm) and --ct-values; as a radiograph: --as radiograph "
            "--frame N"
        )
    if entry.get("values", "").startswith("unknown"):
        entry["values"] += "; give --read-as"
    if "does not say" in entry.get("start", ""):
        entry["start"] += ": give angles or --start"
    if entry.get("network", "").startswith("pose"):
        entry["advice"] = "register --init regression --weights FILE, or train pose --finetune FILE"
    for name, value in entry.items():
        _say(console, name.replace("_", " "), value)
    console.answer({**schema_head(INSPECTION), **entry})
    return 0


_NAMED = ("structures voxels", "labels")


def _say(console: Console, name: str, value: Any, indent: str = "") -> None:
    label = f"{indent}{name}:"
    if isinstance(value, dict) and "value" in value:
        console.say(f"{label:<28} {_text(value['value'])}   [{value['from']}]")
    elif isinstance(value, dict):
        console.say(label)
        for key, entry in value.items():
            # The name of a structure is one to be typed.
            text = str(key) if name in _NAMED else str(key).replace("_", " ")
            _say(console, text, entry, indent + "  ")
    elif isinstance(value, list) and value and isinstance(value[0], (str, list, dict)):
        console.say(label)
        for entry in value:
            console.say(f"{indent}  {_text(entry)}")
    elif value is not None and value != []:
        console.say(f"{label:<28} {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_text(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return "  ".join(_text(v) for v in value)
    return str(value)
