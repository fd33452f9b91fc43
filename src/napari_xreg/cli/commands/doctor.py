"""``napari-xreg doctor``: what this machine offers, and what to do where something is missing."""

from argparse import Namespace
from dataclasses import asdict, dataclass

from napari_xreg.cli.console import Console
from napari_xreg.cli.doctor_checks import CHECKS, Check, Trouble
from napari_xreg.files import DOCTOR, schema_head


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    name
        What was looked at.
    ok
        False: something does not work.
    found
        What there is, or what is wrong.
    do
        What to do about it; empty where all is well.
    """

    name: str
    ok: bool
    found: str
    do: str = ""


def run(arguments: Namespace, console: Console) -> int:
    """Look at everything, whatever fails; 0 where all is well, 1 where something is not."""
    if arguments.threads is not None:
        from napari_xreg.rendering import set_thread_count

        set_thread_count(arguments.threads)
    findings = []
    for check in CHECKS:
        if check.slow:
            console.step(f"{check.name}: {check.slow}")
        found = examine(check)
        console.say(f"{'ok' if found.ok else 'PROBLEM':8} {found.name}: {found.found}")
        if found.do:
            console.say(f"{'':8} -> {found.do}")
        findings.append(found)
    wrong = [found.name for found in findings if not found.ok]
    console.say(f"problems: {', '.join(wrong)}" if wrong else "all is well")
    console.answer(
        {
            **schema_head(DOCTOR),
            "ok": not wrong,
            "checks": [asdict(found) for found in findings],
        }
    )
    return 1 if wrong else 0


def examine(check: Check) -> Finding:
    """One check; one that cannot even be made is a problem like any other."""
    try:
        return Finding(check.name, True, check.look())
    except Trouble as trouble:
        return Finding(check.name, False, str(trouble), trouble.do or check.do)
    except Exception as error:  # a broken installation raises whatever it likes
        words = " ".join(str(error).split())
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        return Finding(check.name, False, said, check.do)
