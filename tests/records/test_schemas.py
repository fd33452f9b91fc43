"""The JSON schemas in the documentation are those of the models, and say what files hold."""

import json
import runpy
from pathlib import Path

import pytest

from napari_xreg.files import GEOMETRY, POSE, RESULT, TRUTH

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = Path(__file__).with_name("written_by_0_1_0")


@pytest.fixture(scope="module")
def maker():
    return runpy.run_path(str(ROOT / "docs" / "make_schemas.py"))


def test_the_schemas_in_the_documentation_are_current(maker):
    for path, text in maker["pages"]().items():
        assert path.read_text(encoding="utf-8") == text, "run python docs/make_schemas.py"


def follow(schema, whole):
    """A part of a schema, behind its reference."""
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            schema = one
    return whole["$defs"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema


def missing(schema, data, whole):
    """Entries that a schema requires and an object does not have, by their path."""
    schema = follow(schema, whole)
    found = [name for name in schema.get("required", ()) if name not in data]
    for name, part in schema.get("properties", {}).items():
        if isinstance(data.get(name), dict):
            found += [f"{name}.{inner}" for inner in missing(part, data[name], whole)]
    return found


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        (POSE, "pose.json"), (RESULT, "result.json"), (TRUTH, "truth.json"),
        (GEOMETRY, "geometry.json"), (GEOMETRY, "radiograph.png.json"),
    ],
)  # fmt: skip
def test_files_of_the_first_version_have_what_is_required(maker, schema, file):
    whole = next(maker["schema_of"](model) for model in maker["FILES"] if model.SCHEMA == schema)
    data = json.loads((WRITTEN / file).read_text())
    assert whole["properties"]["schema"]["const"] == data["schema"]
    assert missing(whole, data, whole) == []
    assert set(data) <= set(whole["properties"]) or schema != GEOMETRY
    del data["schema"]
    assert missing(whole, data, whole) == ["schema"]


def test_a_pose_is_four_rows_of_four_numbers(maker):
    whole = next(maker["schema_of"](model) for model in maker["FILES"] if model.SCHEMA == RESULT)
    pose = follow(whole["properties"]["pose"], whole)["properties"]["world_from_camera"]
    assert (pose["minItems"], pose["items"]["maxItems"]) == (4, 4)
    status = follow(whole["properties"]["status"], whole)["properties"]["name"]
    assert "NOT_TRUSTED" in status["enum"]
