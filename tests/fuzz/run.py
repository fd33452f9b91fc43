#!/usr/bin/env python3
"""Read damaged files of every format: none may crash, hang, swell, or be accepted with a wrong value.

    python tests/fuzz/run.py --inputs 5000 --seed 1
    python tests/fuzz/run.py --only nrrd,session --inputs 500
    python tests/fuzz/run.py --replay 1 nrrd 37        damage number 37 again, kept on disk

Exit code: 0 if every file was refused with one of our own sentences or read as something sound.
"""

import argparse
import json
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mutations import damage
from seed_files import make_seeds

HANGS_AFTER_S = 20.0
FAULTS = ("foreign", "wrong", "swelled", "hung", "crashed")
INSPECT_EVERY = 7


class Reader:
    """A worker process, started anew after a crash or a hang."""

    def __init__(self, sound, *, script=HERE / "worker.py", hangs_after_s=HANGS_AFTER_S):
        self._sound = sound
        self._script = script
        self._patience = hangs_after_s
        self._process = None

    def read(self, kind, path, inspect):
        """The outcome of one file, in a word, in words, and in seconds."""
        if self._process is None:
            self._start()
        began = time.perf_counter()
        self._process.stdin.write(json.dumps([kind, str(path), inspect]) + "\n")
        self._process.stdin.flush()
        line = self._line(self._patience)
        if line is None:
            self.end()
            return "hung", f"no answer for {self._patience:g} s", self._patience
        if not line:
            code = self._process.wait()
            self.end()
            return "crashed", f"the process ended with {code}", time.perf_counter() - began
        return json.loads(line)

    def end(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, str(self._script)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._process.stdin.write(json.dumps(self._sound) + "\n")
        self._process.stdin.flush()
        if not self._line(300.0):
            raise SystemExit("the worker does not start")

    def _line(self, seconds):
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline() if waiting.select(seconds) else None


def generator(seed, name, number):
    """The draw of one damage: the same on every machine, whatever else is run."""
    return random.Random(f"{seed} {name} {number}")


def damaged_copy(seed, source, folder, draw):
    """A copy of the seed's folder with one file damaged: what to read, and what was done."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    inside = seed.damaged.relative_to(source)
    what = damage(seed.damaged, folder / inside, draw)
    return folder / seed.read.relative_to(source), what


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=5000, help="damaged files in all (5000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="names of seeds, with commas")
    parser.add_argument("--replay", nargs=3, metavar=("SEED", "NAME", "NUMBER"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        seeds = make_seeds(folder / "sound")
        if arguments.replay:
            return replay(seeds, folder, *arguments.replay)
        if arguments.only:
            wanted = arguments.only.split(",")
            seeds = [seed for seed in seeds if seed.name in wanted]
        return fuzz(seeds, folder, arguments.inputs, arguments.seed)


def fuzz(seeds, folder, inputs, seed_number):
    reader = Reader([(seed.kind, str(seed.read)) for seed in seeds])
    counts, table = Counter(), {seed.name: Counter() for seed in seeds}
    slowest = 0.0
    for seed in seeds:
        outcome, words, _ = reader.read(seed.kind, seed.read, True)
        if outcome != "accepted":
            reader.end()
            print(f"{seed.name}: the sound file is {outcome}: {words}")
            return 2
    for index in range(inputs):
        seed = seeds[index % len(seeds)]
        number = index // len(seeds)
        source = folder / "sound" / _home(seed, folder)
        path, what = damaged_copy(
            seed, source, folder / "damaged", generator(seed_number, seed.name, number)
        )
        outcome, words, seconds = reader.read(seed.kind, path, number % INSPECT_EVERY == 0)
        counts[outcome] += 1
        table[seed.name][outcome] += 1
        slowest = max(slowest, seconds)
        if outcome in FAULTS:
            print(f"{outcome:8} --replay {seed_number} {seed.name} {number}: {what}\n{words:>10}")
    reader.end()
    for name, row in table.items():
        print(f"{name:16} " + ", ".join(f"{n} {word}" for word, n in sorted(row.items())))
    print(f"{inputs} damaged files: " + ", ".join(f"{n} {w}" for w, n in counts.most_common()))
    print(f"slowest {slowest:.1f} s")
    return 1 if any(counts[fault] for fault in FAULTS) else 0


def replay(seeds, folder, seed_number, name, number):
    from readings import READ

    seed = next(seed for seed in seeds if seed.name == name)
    source = folder / "sound" / _home(seed, folder)
    kept = Path(tempfile.gettempdir()) / f"replayed-{name}-{number}"
    path, what = damaged_copy(seed, source, kept, generator(seed_number, name, number))
    print(f"{path}: {what}", flush=True)
    print(READ[seed.kind][0](path))
    return 0


def _home(seed, folder):
    """The folder of a seed: the first below that of all."""
    return seed.read.relative_to(folder / "sound").parts[0]


if __name__ == "__main__":
    sys.exit(main())
