"""List every string that a user reads, room by room: ``make words``.

Read it from top to bottom: what a radiographer would not write is a defect. Strings that are no words
(keys, units, style sheets) are left out as far as that can be told.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "napari_xreg"
ROOMS = ("widgets", "viewer", "workflows", "session", "records", "options", "cli")
_NO_WORDS = re.compile(
    r"^[\W\d_]*$|^\w+( \| \w+)+$|font-|^[a-z_0-9.]+$|^#[0-9a-fA-F]{6}$|px;|^napari|^[A-Z_0-9]+$|[{]min-|\.(nii|xreg|json)\b$"
)


def words_of(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of what a module says, an f-string as one, its values in braces."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Subscript)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in apart | parts:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(map(_part, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "{" + ast.unparse(node.value if isinstance(node, ast.FormattedValue) else node) + "}"


def listed() -> Iterator[tuple[str, str]]:
    """Where and what, in the order of the rooms; the manifest last."""
    for room in ROOMS:
        for file in sorted((SOURCE / room).rglob("*.py")):
            for line, text in words_of(file):
                text = " ".join(text.split())
                if text and not _NO_WORDS.search(text):
                    yield f"{file.relative_to(SOURCE)}:{line}", text
    for line, text in enumerate((SOURCE / "napari.yaml").read_text("utf-8").splitlines(), 1):
        key, _, value = text.strip().lstrip("- ").partition(": ")
        if key in ("title", "display_name", "description"):
            yield f"napari.yaml:{line}", value


def main() -> None:
    """Print them."""
    for where, text in listed():
        sys.stdout.write(f"{where}: {text}\n")


if __name__ == "__main__":
    main()
