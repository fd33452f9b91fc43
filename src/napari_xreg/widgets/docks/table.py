"""Every widget of ours: the title of its tab, and what it is for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A widget.

    Parameters
    ----------
    title
        Of its tab: short, to be read beside five others.
    widget
        Its class, a name of the front `napari_xreg.widgets`.
    about
        What one does there.
    main
        Whether its tab is always there; the others are in the Tools menu.
    area
        Side of the window.
    """

    title: str
    widget: str
    about: str
    main: bool = False
    area: str = "right"


ENTRIES = (
    Entry("Data", "DataWidget", "Load CT, radiographs, labels, landmarks; sessions", main=True),
    Entry("Pose", "PoseWidget", "Move the C-arm by hand", main=True),
    Entry("Refine", "RefineWidget", "Register, and watch every iteration", main=True),
    Entry("3D view", "RoomWidget", "Patient and C-arm in three dimensions", main=True),
    Entry("Geometry", "GeometryWidget", "Look at and turn the geometry of a radiograph"),
    Entry("Landmarks", "LandmarksWidget", "A pose from landmarks"),
    Entry("Points", "RayEmbWidget", "Find points of the CT in the radiograph (RayEmb)"),
    Entry("Find a pose", "StartsWidget", "Poses that networks, header and hand propose, ranked"),
    Entry("Sequence", "SequenceWidget", "Track a bone through the frames of a sequence"),
    Entry("Bones", "BonesWidget", "Register bones that moved against each other, together"),
    Entry("Study", "StudyWidget", "Look at many registrations, and open any of them"),
    Entry("Loss landscape", "LandscapeWidget", "Similarity around the current pose"),
    Entry("Confidence", "ConfidenceWidget", "How certain a result is"),
    Entry("Train", "TrainWidget", "Train a network for this patient, or for many"),
    Entry("Slices", "SlicesWidget", "Three linked slices of the CT", area="bottom"),
)
"""In the order of the tabs and of the menu."""


def entry_of(widget: type) -> Entry | None:
    """The entry of a widget's class; None for one that has none, as the tour."""
    return next((entry for entry in ENTRIES if entry.widget == widget.__name__), None)


def entry_titled(title: str) -> Entry | None:
    """The entry of a tab."""
    return next((entry for entry in ENTRIES if entry.title == title), None)
