"""The suite itself: files run in any order, alone or together."""

import ast
import os
import runpy
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).resolve().parent
FILES = sorted(TESTS.rglob("*.py"))


def imported(file):
    """Names of the modules a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_every_planted_error_still_fits_the_code():
    """Code that moved takes its errors along, or nobody plants them again."""
    script = runpy.run_path(str(TESTS.parent / "scripts" / "plant_errors.py"))
    assert [(e.file, e.what, p) for e in script["listed"](()) if (p := e.problem())] == []


@pytest.mark.slow
def test_nothing_is_imported_from_a_conftest():
    """There are several: which one `import conftest` finds depends on what ran before."""
    assert [file.name for file in FILES if "conftest" in imported(file)] == []


def test_what_tests_share_is_found_by_one_name_alone():
    # The fuzzer's files are a program of its own, started by path.
    helpers = [
        file
        for file in FILES
        if not file.name.startswith(("test_", "conftest")) and file.parent.name != "fuzz"
    ]
    names = Counter(file.stem for file in helpers)
    assert [name for name, count in names.items() if count > 1] == []
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())
    listed = project["tool"]["pytest"]["ini_options"]["pythonpath"]
    missing = {str(file.parent.relative_to(TESTS.parent)) for file in helpers} - set(listed)
    assert missing == set()


@pytest.mark.parametrize("before", ["no other", "another"])
def test_no_test_inherits_the_threads_of_torch(before):
    assert torch.get_num_threads() == int(os.environ.get("NAPARI_XREG_TEST_THREADS", "1"))
    torch.set_num_threads(3)
