"""The README's example runs and gives a registration."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.slow
def test_the_ten_lines_register(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(example.split("\n\n")[1].splitlines()) == 10
    exec(compile(example, str(README), "exec"), {})
    before, after = (float(mm) for mm in re.findall(r"([\d.]+) mm", capsys.readouterr().out))
    assert before > 15.0
    assert after < 1.0
