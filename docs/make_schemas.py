"""JSON schemas of the files that napari-xreg reads and writes, from the models that check them.

    python docs/make_schemas.py      writes docs/reference/schemas/*.json and docs/reference/schemas.md

A test says when they are not current.
"""

import json
from pathlib import Path
from typing import Any

from napari_xreg.files import VERSIONS, Record
from napari_xreg.images.known_geometry.sidecar import GeometryFile
from napari_xreg.records.pose_files import PoseFile
from napari_xreg.records.result_files import ResultFile
from napari_xreg.records.study_manifest import StudyFile
from napari_xreg.records.study_row import StudyRow
from napari_xreg.records.truth_file import TruthFile
from napari_xreg.session.files.memory_files import GridAbout
from napari_xreg.training.weights.checkpoint import WeightsHeader

REFERENCE = Path(__file__).resolve().parent / "reference"
FILES: dict[type[Record], str] = {
    PoseFile: "`*.json` of a pose, and the clipboard",
    ResultFile: "`result.json` of `register`",
    TruthFile: "`*.truth.json` of `simulate`",
    GeometryFile: "`IMAGE.json` beside a picture, the `geometry` of an `.npz`, `--geometry`",
    GridAbout: "`about` of the `.npz` that keeps a CT or labels beside a session",
    StudyFile: "`*.toml`, the manifest of `study`",
    StudyRow: "`rows/*.json` of `study`: a registration each",
    WeightsHeader: "`napari-xreg` in the header of weights (`.safetensors`)",
}
_HEAD = """# Files as JSON schemas

What a file must hold to be read, for programs that write or check such files. Made by `docs/make_schemas.py` from the models that
read them. Entries beside these are ignored, except in a geometry, where a name that is not known is refused. Every schema has a
version of its own; files of earlier versions stay readable.

| schema | version | where it stands | |
|---|---|---|---|
"""


def schema_of(model: type[Record]) -> dict[str, Any]:
    """The JSON schema of a whole file."""
    made = model.model_json_schema(by_alias=True)
    head = {
        "schema": {"const": model.SCHEMA},
        "version": {"type": "integer", "minimum": 1, "maximum": VERSIONS[model.SCHEMA]},
    }
    made["properties"] = head | made["properties"]
    made["required"] = [*head, *made.get("required", ())]
    made["title"] = model.SCHEMA
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_in_order(made)}


def _in_order(part: Any) -> Any:
    """The same schema whatever was imported before: `typing` keeps one of two choices that differ in order alone."""
    if isinstance(part, dict):
        return {
            key: sorted(value) if key == "enum" else _in_order(value) for key, value in part.items()
        }
    return [_in_order(entry) for entry in part] if isinstance(part, list) else part


def pages() -> dict[Path, str]:
    """Every file that is made, and its text."""
    made, rows = {}, []
    for model, where in FILES.items():
        name = model.SCHEMA.split("/")[1]
        text = json.dumps(schema_of(model), indent=1, ensure_ascii=False) + "\n"
        made[REFERENCE / "schemas" / f"{name}.json"] = text
        link = f"[{name}.json](schemas/{name}.json)"
        rows.append(f"| `{model.SCHEMA}` | {VERSIONS[model.SCHEMA]} | {where} | {link} |")
    others = sorted(set(VERSIONS) - {model.SCHEMA for model in FILES})
    rest = ", ".join(f"`{name}` {VERSIONS[name]}" for name in others)
    made[REFERENCE / "schemas.md"] = (
        _HEAD + "\n".join(rows) + f"\n\nWritten without a JSON schema of their own: {rest}.\n"
    )
    return made


if __name__ == "__main__":
    (REFERENCE / "schemas").mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
