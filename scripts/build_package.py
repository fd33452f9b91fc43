"""Build sdist and wheel with a README that a package index can show: ``build_package.py [ADDRESS]``.

The README's pictures and links are paths in the repository, which an index cannot follow. With the
repository's address on GitHub they become absolute, at the tag of the version, and the address is
written under ``[project.urls]``; without one, pictures and their captions are left out and links become their words. The
working tree stays as it is: what git tracks is copied, changed there and built into ``dist/``.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# An optional !, the words, and a path that is no address and no place on the page itself.
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")

_CAPTION = re.compile(r"(?<=\)\n\n)\*[^*\n][^*]*\*\n")  # slanted, after a picture


def readme_for_index(text: str, address: str, version: str) -> str:
    """The README with absolute links, or with none that lead nowhere.

    Parameters
    ----------
    text
        Markdown.
    address
        Of the repository, ``https://github.com/OWNER/NAME``; empty: none yet.
    version
        Its tag is ``v`` and this.
    """

    def absolute(found: re.Match[str]) -> str:
        picture, words, path = found.groups()
        if not address:
            return "" if picture else words
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({address}/{kind}/v{version}/{path})"

    if not address:
        text = _CAPTION.sub("", text)
    changed = _LINK.sub(absolute, text)
    return changed if address else re.sub(r"\n{3,}", "\n\n", changed)


def with_urls(pyproject: str, address: str) -> str:
    """``pyproject.toml`` with the addresses that an index lists."""
    urls = {"Source": address, "Issues": f"{address}/issues", "Changelog": f"{address}/releases"}
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    return pyproject.replace("[project.scripts]\n", f"[project.urls]\n{lines}\n[project.scripts]\n")


def main() -> None:
    """Build both into ``dist/``."""
    parser = argparse.ArgumentParser(description="Build sdist and wheel for a package index.")
    parser.add_argument("address", nargs="?", default="", help="https://github.com/OWNER/NAME")
    address = parser.parse_args().address.rstrip("/")
    if address and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        parser.error(f"the address is https://github.com/OWNER/NAME: got {address}")
    said = (REPOSITORY / "src" / "napari_xreg" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "([^"]+)"', said, re.MULTILINE)
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in filter(None, tracked.split("\0")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
        readme, project = copy / "README.md", copy / "pyproject.toml"
        text = readme_for_index(readme.read_text(encoding="utf-8"), address, version)
        readme.write_text(text, encoding="utf-8")
        if address:
            project.write_text(
                with_urls(project.read_text(encoding="utf-8"), address), encoding="utf-8"
            )
        out = ["--outdir", str(REPOSITORY / "dist")]
        subprocess.run([sys.executable, "-m", "build", *out, folder], check=True)


if __name__ == "__main__":
    main()
