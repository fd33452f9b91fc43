"""A study on SLURM: an array of runners that share one folder. No scheduler of dask is needed.

Every job of the array runs the same command. Cases are shared by claims in the folder, which must
be one that all machines see; a job that the cluster ends leaves whole rows, and the next one goes on.
"""

import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from napari_xreg.files import ReadError, Record, Text, Whole, read_text, written


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("should be words on one line")
    return text


def _command(text: str) -> str:
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise ValueError(f"should be a command as a shell takes it: {error}") from error
    if not words or not words[0]:
        raise ValueError("should be a command as a shell takes it: it names no program")
    return text


Positive = Annotated[Whole, Field(ge=1)]
Line = Annotated[Text, AfterValidator(_one_line)]
"""A line of its own in the script would be read as what it is not."""


class SlurmSettings(Record):
    """What SLURM is asked for; a site's own words go into `directives` and `prologue`."""

    model_config = ConfigDict(extra="forbid")
    jobs: Positive = 1
    cpus: Positive = 1
    memory: Line = "8G"
    time: Line = "04:00:00"
    partition: Line | None = None
    account: Line | None = None
    directives: tuple[Line, ...] = ()
    prologue: tuple[Text, ...] = ()
    command: Annotated[Line, AfterValidator(_command)] = "napari-xreg"


def read_slurm(path: Path | str) -> SlurmSettings:
    """The settings in a TOML file.

    Raises
    ------
    ReadError
        If it is absent, not TOML, or an entry is unknown or of another kind.
    """
    path = Path(path)
    try:
        data = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ReadError(f"{path.name}: is not TOML: {error}") from error
    except RecursionError as error:
        raise ReadError(f"{path.name}: nests too deeply to be settings of jobs") from error
    return SlurmSettings.of(data, path.name)


def job_script(settings: SlurmSettings, arguments: list[str], out: Path) -> str:
    """The script of the array.

    Parameters
    ----------
    settings
        Of the site.
    arguments
        Of the command, without those that say who computes.
    out
        The folder of the study: what the jobs say goes there.
    """
    asked = [
        "--job-name=xreg-study",
        f"--array=1-{settings.jobs}",
        f"--cpus-per-task={settings.cpus}",
        f"--mem={settings.memory}",
        f"--time={settings.time}",
        f"--output={shlex.quote(str(out / 'slurm-%A-%a.log'))}",
    ]
    asked += [f"--partition={settings.partition}"] if settings.partition else []
    asked += [f"--account={settings.account}"] if settings.account else []
    line = ["study", *arguments, "--workers", str(settings.cpus), "--quiet"]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {each}" for each in (*asked, *settings.directives)),
            "set -eu",
            "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1",
            *settings.prologue,
            # As it was written: the shell knows what ~ and $HOME are there.
            f"{settings.command} {shlex.join(line)}",
            "",
        ]
    )


def submit(script: str, folder: Path) -> str:
    """Hand a script to SLURM; what it answers.

    Raises
    ------
    ValueError
        If there is no SLURM here, or it refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "slurm-job.sh"
    with written(file) as beside:
        beside.write_text(script, encoding="utf-8")
    try:
        said = subprocess.run(["sbatch", str(file)], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ValueError("there is no SLURM on this machine: sbatch was not found") from error
    except subprocess.CalledProcessError as error:
        raise ValueError(f"SLURM refused the job: {error.stderr.strip()}") from error
    return said.stdout.strip()
