"""The examples in the documentation give what they say."""

import doctest
import re
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_give_what_they_say(page):
    failed, _ = doctest.testfile(
        str(page), module_relative=False, globs={"torch": torch}, encoding="utf-8"
    )
    assert failed == 0


def test_the_conventions_have_examples_to_check():
    text = (REPOSITORY / "docs" / "conventions.md").read_text(encoding="utf-8")
    assert len(doctest.DocTestParser().get_examples(text)) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_are_not_broken(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_listed():
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in folder.glob("0*.md")]
    assert pages
    assert [name for name in pages if f"({name})" not in index] == []
    numbers = [name[:4] for name in pages]
    assert len(set(numbers)) == len(numbers)
