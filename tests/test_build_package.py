"""The README that a package index gets: links that lead somewhere, or none."""

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SPEC = spec_from_file_location("build_package", REPOSITORY / "scripts" / "build_package.py")
script = module_from_spec(SPEC)
SPEC.loader.exec_module(script)
ADDRESS = "https://github.com/somebody/napari-xreg"


def test_pictures_are_raw_files_and_links_pages_at_the_tag():
    text = "![a, b](docs/x.png) [page](docs/y.md#z) [out](https://a.org/b) [here](#top)"
    assert script.readme_for_index(text, ADDRESS, "1.2.3") == (
        f"![a, b]({ADDRESS}/raw/v1.2.3/docs/x.png) [page]({ADDRESS}/blob/v1.2.3/docs/y.md#z) "
        "[out](https://a.org/b) [here](#top)"
    )


def test_without_an_address_nothing_leads_nowhere():
    text = "Before.\n\n![a](docs/x.png)\n\n*Of a,\nb.*\n\n*Said* of [page](docs/y.md), [out](https://a.org).\n"
    assert script.readme_for_index(text, "", "1") == (
        "Before.\n\n*Said* of page, [out](https://a.org).\n"
    )


def test_no_link_of_the_readme_stays_relative():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for address in (ADDRESS, ""):
        targets = re.findall(r"\]\(([^)]*)\)", script.readme_for_index(readme, address, "0.1.0"))
        assert targets
        assert all(re.match("https?://", target) for target in targets)


def test_the_addresses_are_listed_once():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert "urls" not in tomllib.loads(text)["project"]  # a placeholder would be a broken link
    urls = tomllib.loads(script.with_urls(text, ADDRESS))["project"]["urls"]
    assert urls["Source"] == ADDRESS
