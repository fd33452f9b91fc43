"""One idea, one name: words that were given up are in nothing a user reads."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src" / "napari_xreg"
ROOMS = ("cli", "options", "records", "session", "viewer", "widgets", "workflows")

# As a regular expression: what is said instead.
OLD = {
    r"\b[Ii]terates?\b(?!\.py)": "iteration",
    r"^own$|own scales": "custom",
    r"^Scales$|^Starts$|\*\*(Scales|Starts)\*\*": "resolution, starting poses",
    r"robust image and edges": "intensity + gradient, robust",
    r"[Pp]ose as declared": "pose in the file header",
    r"^Mirrored$": "patient's left on the right",
    r"Check shown|^Whole CT$": "tick all listed, use the whole CT",
    r"pose of now|[Pp]resent pose|^(Keep|Go to|Forget)$": "current pose; save, load, delete pose",
    r"[Mm]oved to (\{name|refinement)": "C-arm set to",
    r"drawing from": "converges from ... (capture range)",
    r"refinement's loss": "same metric as Refine",
    r"^Templates$|[Rr]ender(ing)? templates": "reference views",
    r"Sample, keep|^Redraws": "points tried, kept; resampling",
    r"^Best by$": "rank by",
    r"^To pose|^to projection": "distance to the current projection",
    r"^As landmarks$|^All points$|^Embedding$": "copy to Landmarks, show all points, show feature map",
    r"chosen structures$": "ticked structures",
    r"both places": "marked in CT and X-ray",
    r"all alike": "uniform",
    r"σ by hand": "drop the K worst, picking error",
    r"C-arm follows": "update the pose while picking",
    r"^Cut$|Drag one\.": "plane; drag to move it",
    r"^Invisible$|^Skip$": "not visible in this X-ray, next",
    r"[Bb]egin with\b": "start from",
    r"Train anew|taken elsewhere|Of the minutes": "train from scratch; outside the training pose range",
    r"what it is measured on|nobody knows how good": "validation images; not validated yet",
    r"mostly no pose|far for a start": "usually too few to solve for a pose",
    r"Read with care": "warnings",
    r"\*\*Room\*\*|<b>Room<|\*\*Landscape\*\*|<b>Landscape<|^Picture$": "3D view, loss landscape, view",
    r"start that nobody gave|best few go on": "initial pose estimation; keep the best few",
    r"Start is off by": "initial pose error",
    r"iterations a level \(and|again: go on": "per level and start; click again to resume",
    r"comes by itself": "is selected automatically",
    r"lost the patient": "left the field of view",
    r"[Ww]eakest direction": "least constrained direction",
    r"[Ll]ooking at every point once": "computing heatmaps for all points",
    r"runs upwards": "vertical axis, horizontal",
    r"give or take": "+-",
    r"PnP eats": "input of PnP",
}  # fmt: skip


def literals(file):
    """The strings of a module that are no docstrings, with their lines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    apart = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    apart |= {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)  # keys and Literal: names of values, not words
        for part in ast.walk(node.slice)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
    ]


def read_by_users():
    """Where: what, of everything that a user reads."""
    for room in ROOMS:
        for file in sorted((SOURCE / room).rglob("*.py")):
            for line, text in literals(file):
                yield f"{file.relative_to(SOURCE)}:{line}", text
    pages = [*(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "docs" / "how-to").glob("*.md")]
    for file in (*pages, SOURCE / "napari.yaml"):
        # What planted errors and the house are called is for developers.
        if file.name in ("planted-errors.md", "architecture.md", "extending.md"):
            continue
        for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{file.name}:{line}", text


@pytest.fixture(scope="module")
def everything():
    return list(read_by_users())


@pytest.mark.parametrize("old", OLD)
def test_the_old_word_is_gone(everything, old):
    found = [f"{where}: {text[:90]!r}" for where, text in everything if re.search(old, text)]
    assert not found, f"write {OLD[old]!r}:\n" + "\n".join(found)


def test_it_reads_the_window_the_command_line_and_the_pages(everything):
    places = {where.split(":")[0] for where, _ in everything}
    assert {
        "widgets/refine/widget.py",
        "cli/arguments/parser.py",
        "tutorial.md",
        "napari.yaml",
    } <= places
    assert any("Cancel" == text for _, text in everything)
