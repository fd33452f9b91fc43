"""A short run of the fuzzer; `python tests/fuzz/run.py --inputs 5000` is the long one."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().with_name("run.py")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_no_damaged_file_crashes_hangs_swells_or_becomes_a_wrong_value():
    command = [sys.executable, str(RUN), "--inputs", "150", "--seed", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "150 damaged files" in done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.slow
def test_the_fuzzer_notices_what_it_is_for(tmp_path):
    """Each kind of fault, made by a reader written to have it."""
    script = tmp_path / "faulty.py"
    script.write_text(
        f"""
import sys, time, os
sys.path.insert(0, {str(RUN.parent)!r})
import readings, run
def faulty(path):
    word = path.read_text()
    if word == "foreign": raise KeyError("x")
    if word == "crash": os.abort()
    if word == "hang": time.sleep(60)
    if word == "swell": return b"x" * (700 << 20)
    return word
def check(value):
    if value == "wrong": raise readings.WrongValue("so it is")
readings.READ["faulty"] = (faulty, check)
import worker
worker.main()
"""
    )
    sys.path.insert(0, str(RUN.parent))
    try:
        import run
    finally:
        sys.path.remove(str(RUN.parent))
    sound = tmp_path / "sound.txt"
    sound.write_text("sound")
    known, outcomes = [("faulty", str(sound))], {}
    reader = run.Reader(known, script=script)
    # What hangs never answers in a second either; what is only slow, on a busy machine, has longer.
    impatient = run.Reader(known, script=script, hangs_after_s=1.0)
    for word in ("sound", "foreign", "wrong", "swell", "crash", "hang"):
        file = tmp_path / f"{word}.txt"
        file.write_text(word)
        asked = impatient if word == "hang" else reader
        outcomes[word] = asked.read("faulty", file, False)[0]
    reader.end()
    impatient.end()
    assert outcomes == {
        "sound": "accepted", "foreign": "foreign", "wrong": "wrong", "swell": "swelled",
        "crash": "crashed", "hang": "hung",
    }  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.slow
def test_no_kind_of_file_is_waited_for(tmp_path):
    """A pipe that nobody writes to, and a device without an end, under the name of every kind of file."""
    sys.path.insert(0, str(RUN.parent))
    try:
        import run
        from seed_files import make_seeds
    finally:
        sys.path.remove(str(RUN.parent))
    seeds = make_seeds(tmp_path / "sound")
    reader, waited = run.Reader([]), {}
    for seed in seeds:
        source = tmp_path / "sound" / seed.read.relative_to(tmp_path / "sound").parts[0]
        for what in ("pipe", "device"):
            home = tmp_path / what / seed.name
            shutil.copytree(source, home)
            place = home / seed.damaged.relative_to(source)
            place.unlink()
            if what == "pipe":
                os.mkfifo(place)
            else:
                place.symlink_to("/dev/zero")
            said = reader.read(seed.kind, home / seed.read.relative_to(source), False)
            if said[0] in run.FAULTS:
                waited[seed.name, what] = said
    reader.end()
    assert waited == {}


def test_damage_is_the_same_every_time_and_is_damage():
    sys.path.insert(0, str(RUN.parent))
    try:
        from mutations import mutated
    finally:
        sys.path.remove(str(RUN.parent))
    data = b'{"a": [1, 2.5, {"b": "c"}]}' * 3
    first = [mutated(data, ".txt", random.Random(n)) for n in range(200)]
    again = [mutated(data, ".txt", random.Random(n)) for n in range(200)]
    assert first == again
    assert sum(changed != data for changed, _ in first) > 180
    assert len({what.split()[0] for _, what in first}) > 5
