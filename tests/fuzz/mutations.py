"""Damage: one change of a file's bytes, drawn by a seeded generator and described in words."""

import json
import random
import re
from pathlib import Path

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_ODD_NUMBERS = (
    b"nan", b"inf", b"-inf", b"0", b"-1", b"1e300", b"-1e300", b"1e-320", b"99999999999999999999",
    b"4294967295", b"2147483648", b"-2147483648", b"0x7f", b"", b"1,5", b"1.0.0",
)  # fmt: skip
_ODD_VALUES = (
    None, True, False, 0, -1, 1e300, -1e300, 2**63, "", "x", "NaN", [], [[]], {}, [1, 2], {"a": 1},
    [None] * 3, ["1", "2", "3"], [1e400], "\0", "9" * 400,
)  # fmt: skip
_FILLS = (b"\x00", b"\xff", b"\x7f", b"\x80")
_WIDTHS = (1, 2, 4, 8)


def mutated(data: bytes, suffix: str, draw: random.Random) -> tuple[bytes, str]:
    """A damaged copy, and what was done to it."""
    ways = [_flip, _cut, _extreme, _cut_out, _twice, _stray]
    if suffix in (
        ".json",
        ".txt",
        ".csv",
        ".fcsv",
        ".tfm",
        ".nrrd",
        ".nhdr",
        ".mha",
        ".mhd",
        ".toml",
    ):
        ways += [_number, _number, _line_gone, _line_twice]
    if suffix == ".json":
        ways += [_json_value] * 3 + [_json_gone] * 2 + [_deep]
    return draw.choice(ways)(data, draw)


def _flip(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    changed = bytearray(data)
    places = [_place(data, draw) for _ in range(draw.choice((1, 1, 3, 20)))]
    for place in places:
        changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed), f"bits flipped at {places[:5]}"


def _cut(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    length = draw.randrange(len(data))
    return data[:length], f"cut to {length} of {len(data)} bytes"


def _extreme(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    """A length, a count or a number at its end of the scale."""
    width, place = draw.choice(_WIDTHS), _place(data, draw)
    fill = draw.choice(_FILLS) * width
    if width > 1 and draw.random() < 0.5:  # the largest signed number, little or big end first
        fill = (2 ** (8 * width - 1) - 1).to_bytes(width, draw.choice(("little", "big")))
    return data[:place] + fill + data[place + width :], f"{fill!r} at {place}"


def _cut_out(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    place, length = _place(data, draw), draw.choice((1, 4, 16, 200))
    return data[:place] + data[place + length :], f"{length} bytes gone at {place}"


def _twice(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    place, length = _place(data, draw), draw.choice((1, 4, 64))
    again = data[place : place + length]
    return data[:place] + again + data[place:], f"{length} bytes twice at {place}"


def _stray(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    place, junk = _place(data, draw), draw.randbytes(draw.choice((2, 8, 40)))
    return data[:place] + junk + data[place + len(junk) :], f"{len(junk)} random bytes at {place}"


def _number(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    found = list(_NUMBER.finditer(data[:20000]))
    if not found:
        return _flip(data, draw)
    number, odd = draw.choice(found), draw.choice(_ODD_NUMBERS)
    changed = data[: number.start()] + odd + data[number.end() :]
    return changed, f"{number[0]!r} at {number.start()} became {odd!r}"


def _line_gone(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    lines = data.split(b"\n")
    gone = lines.pop(draw.randrange(len(lines)))
    return b"\n".join(lines), f"the line {gone[:60]!r} is gone"


def _line_twice(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    lines = data.split(b"\n")
    line = draw.choice(lines)
    lines.insert(draw.randrange(len(lines)), line)
    return b"\n".join(lines), f"the line {line[:60]!r} stands twice"


def _json_value(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    document = json.loads(data)
    holder, key = draw.choice(list(_slots(document)))
    odd = draw.choice(_ODD_VALUES)
    holder[key] = odd
    return json.dumps(document).encode(), f"{key!r} became {str(odd)[:40]!r}"


def _json_gone(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    document = json.loads(data)
    holder, key = draw.choice(list(_slots(document)))
    del holder[key]
    return json.dumps(document).encode(), f"{key!r} is gone"


def _deep(data: bytes, draw: random.Random) -> tuple[bytes, str]:
    document = json.loads(data)
    holder, key = draw.choice(list(_slots(document)))
    holder[key] = "DEEP"
    levels = draw.choice((50, 3000, 200_000))
    nested = b"[" * levels + b"]" * levels
    return json.dumps(document).encode().replace(b'"DEEP"', nested), f"{key!r} nests {levels} deep"


def _slots(value):
    """Every place of a JSON document: its holder and the key in it."""
    if isinstance(value, dict):
        for key in list(value):
            yield value, key
            yield from _slots(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from _slots(value[index])


def _place(data: bytes, draw: random.Random) -> int:
    """Headers lie at the front (of an archive: at the end): they are hit more often than pixels."""
    size, where = max(len(data), 1), draw.random()
    if where < 0.5:
        return draw.randrange(min(size, 400))
    return size - 1 - draw.randrange(min(size, 400)) if where < 0.7 else draw.randrange(size)


def damage(source: Path, target: Path, draw: random.Random) -> str:
    """Write a damaged copy of a file; what was done."""
    data = source.read_bytes()
    changed, what = mutated(data, source.suffix.lower(), draw)
    target.write_bytes(changed)
    return what
