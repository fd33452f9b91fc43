"""Open: the CT with its labels, the chosen structures and landmarks, from files or the phantom."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import (
    CT_ENERGY_KEV,
    LabelMap,
    Landmark,
    Radiograph,
    Volume,
    attenuation_seen,
    read_labels,
    read_volume,
    said_names,
)
from napari_xreg.records import describe_input
from napari_xreg.session import Rendering
from napari_xreg.simulation import phantom


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT and what came with it.

    Parameters
    ----------
    volume
        The CT.
    name
        How messages call it.
    path
        Its file or folder; None: made by this program.
    labels
        On the grid of the CT.
    structures
        Ids of the labels that are registered, and what they are called; none: the whole CT.
    landmarks
        With positions, world LPS mm.
    attenuation
        Of `images.ATTENUATIONS`: what is rendered of bones alone.
    """

    volume: Volume
    name: str
    path: Path | None = None
    labels: LabelMap | None = None
    structures: Mapping[int, str] = field(default_factory=dict)
    landmarks: tuple[Landmark, ...] = ()
    attenuation: str = "auto"

    @cached_property
    def rendering(self) -> Rendering:
        """What of the CT is rendered and registered; the structures are cut out where it is used."""
        return Rendering(self.volume, self.labels, tuple(self.structures), self.attenuation)

    def seen_in(self, radiographs: Sequence[Radiograph]) -> "Patient":
        """The same, rendered as these show it where nobody says how (see `images.attenuation_seen`)."""
        seen = attenuation_seen([each.subtracted for each in radiographs])
        if seen == self.attenuation or self.attenuation != "auto":
            return self
        return replace(self, attenuation=seen)

    @property
    def middle(self) -> Float[Tensor, "3"]:
        """Of the chosen structures, else of the CT; world mm, float64."""
        if self.labels is not None and self.structures:
            return self.labels.middle(self.structures)
        return self.volume.center.double()

    @property
    def registered(self) -> str:
        """What `middle` is the middle of, in words."""
        return (
            "the structures to register"
            if self.labels is not None and self.structures
            else "the CT"
        )

    def described(self) -> dict[str, Any]:
        """Where the CT came from, as a result file says it."""
        return described_ct(self.name if self.path is None else self.path)


def described_ct(ct: Path | str) -> dict[str, Any]:
    """Where a CT comes from, as a result file says it; its files are read to the end for that.

    Parameters
    ----------
    ct
        As of `open_patient`.

    Raises
    ------
    ReadError
        If it is neither a file nor a folder.
    """
    if _is_phantom(ct):
        return {"role": "ct", "path": str(ct), "built_in": True}
    return dict(describe_input(ct, "ct"))


def _is_phantom(ct: Path | str) -> bool:
    return str(ct).partition(":")[0] == "phantom" and not Path(ct).exists()


def open_patient(
    ct: Path | str,
    *,
    series_uid: str | None = None,
    values: str | None = None,
    energy_kev: float = 70.0,
    ct_energy_kev: float = CT_ENERGY_KEV,
    spacing: tuple[float, float, float] | None = None,
    flip: tuple[int, int, int] | None = None,
    labels: Path | str | None = None,
    label_names: Path | str | None = None,
    structures: Sequence[str] | None = None,
    landmarks: Sequence[Landmark] = (),
) -> Patient:
    """Read a CT and what belongs to it.

    Parameters
    ----------
    ct
        A file, a folder, or "phantom" with an optional number of the patient: "phantom:7".
    series_uid, values, energy_kev, ct_energy_kev, spacing, flip
        As of `read_volume`.
    labels
        File of a label map on the grid of the CT; the phantom brings its own.
    label_names
        What its ids are called, where the file does not say it itself: as of `said_names`.
    structures
        Ids or names of labels to register alone, as of `structure_ids`. None: all of `labels`, or the whole CT where there are none.
    landmarks
        Of the patient; without any, the phantom brings its own.

    Raises
    ------
    ReadError
        If a file is absent or damaged.
    ValueError
        If a structure is named that does not occur, or there are no labels to choose from.
    """
    path, made = Path(ct), None
    if _is_phantom(ct):
        number = str(ct).partition(":")[2]
        if number and not (number.isdecimal() and len(number) < 20):
            raise ValueError(f"a phantom's patient is a whole number: got {str(ct)!r}")
        made = phantom(seed=int(number) if number else None)
        volume, name = made.volume, str(ct)
    else:
        volume = read_volume(
            path,
            series_uid=series_uid,
            energy_kev=energy_kev,
            ct_energy_kev=ct_energy_kev,
            values=values,
            spacing=spacing,
            flip=flip,
        )
        # Half of all CTs are called ct.nii.gz: the folder tells them apart.
        name = "/".join(path.absolute().parts[-2:])
    marks = tuple(landmarks)
    if made is not None and not marks:
        marks = tuple(Landmark(name, place) for name, place in made.landmarks.items())
    label_map = None if made is None else made.labels
    if labels is not None:
        names = None if label_names is None else said_names(label_names)
        label_map = read_labels(labels, names=names).onto(volume)
    chosen: dict[int, str] = {}
    if structures is not None or labels is not None:
        if label_map is None:
            raise ValueError("structures are chosen from a label map on the grid of the CT")
        ids = label_map.present() if structures is None else structure_ids(structures, label_map)
        chosen = {i: label_map.called(i) for i in ids}
    return Patient(volume, name, None if made else path, label_map, chosen, marks)


def structure_ids(wanted: Sequence[str], labels: LabelMap) -> list[int]:
    """Ids of the labels that are named, by id or name.

    Parameters
    ----------
    wanted
        Several in a text if separated by commas or blanks. A number is an id, never a name. A name may
        have blanks itself, also as the words of a command line, and "_" or "-" for them; capitals do not
        matter where no two names differ by them alone.
    labels
        The label map.

    Raises
    ------
    ValueError
        If one does not occur, several labels have the name, or none is named.
    """
    present = labels.present()
    exact: dict[str, list[int]] = {}
    alike: dict[str, list[int]] = {}
    for i in present:
        exact.setdefault(labels.called(i), []).append(i)
        alike.setdefault(_alike(labels.called(i)), []).append(i)
    most = max((len(name.split()) for name in alike), default=1)

    def known(words: Sequence[str]) -> int | None:
        text = " ".join(words)
        # (Python reads no number of more than 4300 digits.)
        if text.isdecimal() and len(text) < 20:
            return int(text) if int(text) in present else None
        same = exact.get(text) or alike.get(_alike(text), [])
        if len(same) > 1:
            either = " or ".join(f"{i} ({labels.called(i)})" for i in same)
            raise ValueError(f"structure {text!r} may be label {either}: give its id")
        return same[0] if same else None

    parts: list[list[str]] = [[]]
    for text in wanted:
        if "," in text and known([text]) is not None:  # of a name
            parts += [[text], []]
            continue
        first, *others = text.split(",")
        parts[-1] += first.split()
        parts += [part.split() for part in others]
    found = []
    for words in parts:
        while words:
            sizes = range(min(len(words), most), 0, -1)
            size = next((n for n in sizes if known(words[:n]) is not None), 0)
            number = known(words[:size])
            if number is None:
                held = ", ".join(f"{i} {labels.names.get(i, '')}".strip() for i in present)
                near = _near([" ".join(words), words[0]], list(exact))
                asked = f" (do you mean {' or '.join(near)}?)" if near else ""
                raise ValueError(
                    f"structure {words[0]!r} does not occur in the labels{asked}, which hold {held}"
                )
            found.append(number)
            words = words[size:]
    if not found:
        raise ValueError("the list of structures names none: give ids or names")
    return found


def _near(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names that look like one that is asked for, the likest first. A number is an id, never a name."""
    called: dict[str, list[str]] = {}
    for name in names:
        called.setdefault(_alike(name), []).append(name)
    words = [_alike(text) for text in wanted if not text.isdecimal()]
    likest = [each for text in words for each in difflib.get_close_matches(text, called, 3, 0.7)]
    return [name for each in dict.fromkeys(likest) for name in called[each]][:3]


def _alike(name: str) -> str:
    """What of a name matters where it is typed."""
    return name.casefold().replace("_", " ").replace("-", " ")
