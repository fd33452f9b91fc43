"""Options made from a settings dataclass: the same settings a form gives."""

import argparse
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from napari_xreg.cli.arguments.options import add_settings, given
from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.options import Option
from napari_xreg.workflows import SampleSettings


@dataclass(frozen=True)
class Everything:
    count: Annotated[int, Option("Count", "How many.", low=3, high=9)] = 5
    length: Annotated[float, Option("Length", "How far.", "mm", 0.0, flag="how-long")] = 7.5
    angles: Annotated[tuple[float, float], Option("Angles", "100 % of it.", metavar="DEG")] = (
        -9,
        12,
    )
    kind: Annotated[Literal["quick", "slow"], Option("Kind", "Which.")] = "slow"
    on: Annotated[bool, Option("On", "Or not.")] = True
    threads: int | None = None


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_settings(parser, Everything(count=4, threads=2))
    return parser


def test_nothing_given_is_the_settings_themselves(parser):
    start = Everything(count=4, threads=2)
    assert given(parser.parse_args([]), start) == start


def test_what_is_given_is_set(parser):
    line = "--count 7 --how-long 3.25 --angles 5 60 --kind quick --no-on"
    found = given(parser.parse_args(line.split()), Everything(threads=2))
    assert found == Everything(7, 3.25, (5.0, 60.0), "quick", False, threads=2)


def test_help_has_words_units_and_defaults(parser):
    words = " ".join(parser.format_help().split())
    for part in ("how far, mm (default: 7.5)", "--angles DEG DEG", "100 % of it (default: -9 12)",
                 "{quick,slow}", "or not (default: yes)", "how many (default: 4)"):  # fmt: skip
        assert part in words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--count", "2"], "expected a number from 3 to 9: got 2"),
        (["--count", "10"], "expected a number from 3 to 9: got 10"),
        (["--how-long", "-1"], "expected 0 or more: got -1"),
        (["--kind", "other"], "invalid choice"),
    ],
)
def test_what_cannot_be_is_refused(parser, line, words, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(line)
    assert words in capsys.readouterr().err


def test_demo_simulate_and_the_question_begin_alike():
    """One number each, in `SampleSettings`."""
    parser = build_parser()
    usual = SampleSettings()
    names = ("severity", "seed", "start_error")
    for line in (["demo"], ["simulate", "CT", "--out", "x.npz"]):
        assert given(parser.parse_args(line), usual, names) == usual
