"""Ways to find a start that nobody gave: one row each.

Nothing heavy is imported here, the parser reads this table. The module of a row holds
``find_start(arguments, patient, radiograph, console) -> Start`` and raises `NoStart` where it finds
none.
"""

INITIALISERS = {
    "rayemb": "napari_xreg.cli.rayemb_start",
    "landmarks": "napari_xreg.cli.landmark_start",
}


class NoStart(RuntimeError):
    """No pose was found; the message says why and what to do."""
