"""A process that reads what it is told, one file a line: it may crash, hang or swell alone."""

import contextlib
import io
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

ROOM = 3 << 30

import torch
from readings import attempt, inspected


def _peak_mb() -> float:
    """Most memory this program ever held. Not `ru_maxrss`: that begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # A file of a few kilobytes needs no more; what declares more is to be refused, not tried.
    os.environ["NAPARI_XREG_MEMORY_GB"] = "0.5"
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # C libraries print on it
    sound = json.loads(sys.stdin.readline())
    for kind, path in sound:  # imports and compilers done before the limit is set
        attempt(kind, path)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        kind, path, inspect = json.loads(line)
        before, began = _peak_mb(), time.perf_counter()
        sink = io.StringIO()
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            outcome, words = attempt(kind, path)
            if inspect:
                shown, why = inspected(path)
                if shown == "foreign":
                    outcome, words = shown, f"{why}: {sink.getvalue()[-300:]}"
        swelled = _peak_mb() - before
        if swelled > 600:
            outcome, words = "swelled", f"took {swelled:.0f} MB; {outcome}: {words}"
        print(json.dumps([outcome, words, time.perf_counter() - began]), file=answers, flush=True)


if __name__ == "__main__":
    main()
