"""The room itself: what it offers is there, and looking at it imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

from napari_xreg import workflows


def test_every_name_is_there_and_is_known_to_type_checkers():
    tree = ast.parse(Path(workflows.__file__).read_text(encoding="utf-8"))
    typed = {
        f"{node.module}.{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    public = {f"napari_xreg.workflows.{workflows._HOME[name]}.{name}" for name in workflows.__all__}
    assert typed == public
    assert set(workflows.__all__) <= set(dir(workflows))
    for name in workflows.__all__:
        assert getattr(workflows, name) is not None


def test_the_front_door_costs_nothing():
    code = (
        "import sys, napari_xreg.workflows; print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
