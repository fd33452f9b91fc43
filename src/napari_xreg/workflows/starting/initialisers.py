"""Who finds a pose to start a registration from: one row each.

Nothing heavy is imported here: the parser of the command line reads the table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Initialiser:
    """Somebody who finds a pose to start from.

    Parameters
    ----------
    name
        As a user gives it.
    title
        What a user reads.
    line
        What it does, in a line.
    module
        Holds ``find_start(request, *, control)``: a generator of events that returns a
        `StartingPose`, None if cancelled, and raises `NoStart` where it finds none.
    needs
        Fields of `InitialiseRequest` that it cannot do without.
    recipe
        Of `RECIPES`: what trains its weights.
    """

    name: str
    title: str
    line: str
    module: str
    needs: tuple[str, ...] = ()
    recipe: str = ""


INITIALISERS: dict[str, Initialiser] = {
    row.name: row
    for row in (
        Initialiser(
            "manual",
            "Current pose",
            "the pose that is given",
            "napari_xreg.workflows.starting.by_hand",
            needs=("given",),
        ),
        Initialiser(
            "dicom",
            "Radiograph's header",
            "where the radiograph's own file says that the C-arm stood",
            "napari_xreg.workflows.starting.by_header",
        ),
        Initialiser(
            "rayemb",
            "Points (RayEmb)",
            "found from points of the CT (RayEmb)",
            "napari_xreg.workflows.starting.by_points",
            recipe="rayemb",
        ),
        Initialiser(
            "landmarks",
            "Landmark detector",
            "from those that a detector finds (--weights) and their places in the CT (--landmarks)",
            "napari_xreg.workflows.starting.by_landmarks",
            needs=("weights", "landmarks"),
            recipe="landmarks",
        ),
        Initialiser(
            "regression",
            "Pose network",
            "the pose that a network says (--weights: of `train pose`, of xvr or of DiffPose)",
            "napari_xreg.workflows.starting.by_regression",
            needs=("weights",),
            recipe="pose",
        ),
        Initialiser(
            "similarity",
            "Learned similarity",
            "a network you trained moves the current pose nearer (--weights: of `train similarity`)",
            "napari_xreg.workflows.starting.by_similarity",
            needs=("given", "weights"),
            recipe="similarity",
        ),
    )
}


class NoStart(RuntimeError):
    """No pose was found; the message says why and what to do."""
