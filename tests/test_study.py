"""The study of the documentation runs, in small."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "many-radiographs.md"


@pytest.mark.slow
def test_many_radiographs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    small = example.replace("count = 20", "count = 2")
    assert small != example
    exec(compile(small, str(PAGE), "exec"), {})
    *lines, rate = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines] == [0, 1]
    assert all(line.endswith("CONVERGED") and float(line.split()[1]) < 1.0 for line in lines)
    assert "(2/2, " in rate
