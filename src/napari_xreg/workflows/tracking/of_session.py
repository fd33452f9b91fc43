"""The sequence that the radiographs of a session are one frame of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import (
    Cine,
    Radiograph,
    ReadError,
    SeveralFrames,
    numbered_files,
    times_of,
)
from napari_xreg.session import Exposure, Kept, SequenceTrack, Session, Source, read_xray
from napari_xreg.workflows.tracking.frames import Frames, frames_of

SourceAt = Callable[[int], Source]
RadiographAt = Callable[[int], Radiograph]


@dataclass(frozen=True, eq=False)
class SequenceRequest:
    """The radiographs of a session, captured.

    Parameters
    ----------
    exposures
        Those that move together: each is one frame of a sequence.
    pivot
        World mm.
    """

    exposures: tuple[Exposure, ...]
    pivot: Float[Tensor, "3"]


@dataclass(frozen=True, eq=False)
class SessionSequence:
    """The frames that go with the radiographs of a session.

    Parameters
    ----------
    frames
        What is tracked.
    number
        Of the frame that the session shows.
    ids
        Of the radiographs, in the order of the views.
    sources
        Where each radiograph of a number can be read again.
    pictures
        Each radiograph of a number as a session keeps it: with the geometry that was typed, without what
        was painted by hand.
    """

    frames: Frames
    number: int
    ids: tuple[str, ...]
    sources: tuple[SourceAt, ...]
    pictures: tuple[RadiographAt, ...]

    def is_of(self, track: SequenceTrack) -> bool:
        """Whether these are the radiographs and files that were tracked, in whatever order."""
        if set(self.ids) != set(track.radiographs) or track.start not in self.frames.numbers:
            return False
        then = dict(zip(track.radiographs, track.sources, strict=True))
        return all(
            _same_place(source(track.start), then[id])
            for id, source in zip(self.ids, self.sources, strict=True)
        )

    def kept_in(self, track: SequenceTrack) -> tuple[Kept, int]:
        """The kept poses of a track of more radiographs, or others, that are of these; and how many are not."""
        then = dict(zip(track.radiographs, track.sources, strict=True))
        shared = [
            _same_place(source(track.start), then[id])
            for id, source in zip(self.ids, self.sources, strict=True)
            if track.start in self.frames.numbers and id in then
        ]
        same = bool(shared) and all(shared)
        numbers = set(self.frames.numbers)
        kept = {
            bone: {
                number: poses
                for number, poses in frames.items()
                if same and number in numbers and set(self.ids) <= set(poses)
            }
            for bone, frames in track.kept.items()
        }
        return kept, sum(map(len, track.kept.values())) - sum(map(len, kept.values()))

    def is_in(self, session: Session) -> bool:
        """Whether its radiographs are all still there."""
        return all(session.exposures.find(id) is not None for id in self.ids)

    def shown_in(self, session: Session) -> int | None:
        """The frame that a session shows; None: other pictures, or none."""
        exposure = session.exposures.find(self.ids[0])
        return None if exposure is None else self.number_of(exposure)

    def number_of(self, exposure: Exposure) -> int | None:
        """The frame that the first radiograph of a session shows; None: another picture."""
        at, source = self.sources[0], exposure.source
        if source is None:
            return None
        return next((n for n in self.frames.numbers if _same_place(at(n), source)), None)


@dataclass(frozen=True, eq=False)
class FrameRead:
    """A frame, ready to be put in the place of the one that a session shows.

    Parameters
    ----------
    number
        Of the frame.
    radiographs, sources
        Of every camera, without what was painted by hand.
    cameras
        Where each stands in the rig.
    """

    number: int
    radiographs: tuple[Radiograph, ...]
    sources: tuple[Source, ...]
    cameras: tuple[Pose, ...]


def sequence_request(session: Session) -> SequenceRequest:
    """Capture the radiographs that are used; the active one comes first.

    Raises
    ------
    ValueError
        If there is none, or one is not as its file has it.
    """
    active = session.exposures.active
    used = sorted((e for e in session.exposures.all if e.used), key=lambda e: e is not active)
    if not used:
        if active is not None:
            raise ValueError("no radiograph is ticked: choose at least one to use")
        raise ValueError("there is no radiograph to track from: open a frame of a sequence first")
    for each in used:
        if each.source is None:
            raise ValueError(f"{each.name} is in no file: a sequence is read from files")
        if each.edited:
            raise ValueError(
                f"{each.name} was cropped, turned or edited: the other frames would not fit to it. Say it "
                "when the file is read"
            )
    return SequenceRequest(tuple(used), session.patient.isocenter)


def sequence_of(request: SequenceRequest) -> SessionSequence:
    """Find the frames that go with the radiographs; it looks at files, in any thread.

    A radiograph is a frame of its file, where that holds several, or of its folder, where the files
    there are numbered. Where its geometry is no longer what its file says, it is that of every frame.

    Raises
    ------
    ReadError
        If a radiograph is no frame of a sequence, or a file cannot be read.
    ValueError
        If the radiographs are of different frames.
    """
    found = [_cine_of(exposure) for exposure in request.exposures]
    numbers = {number for _, number, _ in found}
    if len(numbers) > 1:
        said = ", ".join(
            f"{e.name}: {n}" for e, (_, n, _) in zip(request.exposures, found, strict=True)
        )
        raise ValueError(
            f"the radiographs are of different frames ({said}): show the same one of each"
        )
    (number,) = numbers
    typed = [
        _Typed(exposure.radiograph, cine.read(number))
        for exposure, (cine, _, _) in zip(request.exposures, found, strict=True)
    ]

    def masked(radiograph: Radiograph, camera: int) -> Radiograph:
        painted = request.exposures[camera].painted
        if painted is None or tuple(painted.shape) != radiograph.carm.detector.shape:
            return radiograph
        return radiograph.with_mask(painted, "painted by hand")

    frames = frames_of(
        [
            replace(cine, read=_then(each.camera, cine.read))
            for each, (cine, _, _) in zip(typed, found, strict=True)
        ],
        [exposure.world_from_camera for exposure in request.exposures],
        number,
        request.pivot,
        masked,
    )
    return SessionSequence(
        frames,
        number,
        tuple(exposure.id for exposure in request.exposures),
        tuple(source for _, _, source in found),
        tuple(
            _then(each.whole, cine.read) for each, (cine, _, _) in zip(typed, found, strict=True)
        ),
    )


def read_frame(sequence: SessionSequence, number: int) -> FrameRead:
    """Read a frame as a session keeps it: without what was painted by hand.

    Raises
    ------
    ReadError
        If a file of it cannot be read.
    """
    sources = tuple(source(number) for source in sequence.sources)
    cameras = tuple(view.world_from_camera for view in sequence.frames.views(number))
    pictures = tuple(picture(number) for picture in sequence.pictures)
    return FrameRead(number, pictures, sources, cameras)


def show_frame(
    session: Session,
    sequence: SessionSequence,
    frame: FrameRead,
    poses: Mapping[str, Pose],
    *,
    moved: bool = True,
) -> None:
    """Put a frame in the place of the one that a session shows, and the cameras where they were found.

    What was picked on a frame comes back with it. Results of another frame do not go along: where there are such, or a pose that was
    set by hand gives way, or a crop or distances that were typed since, it is a step of undo; else it is only looked at
    (`Session.look`), however many frames are.

    Parameters
    ----------
    poses
        ``world_from_camera`` by `Exposure.id`; none: not found, the cameras stay where they are.
    moved
        Whether the cameras stand where nothing but the session has it.
    """
    left = sequence.shown_in(session)
    lost = (moved and bool(poses)) or any(
        _only_here(session, id, left, radiograph)
        or session.exposures[id].radiograph.carm != radiograph.carm
        for id, radiograph in zip(sequence.ids, frame.radiographs, strict=True)
    )
    why = f"frame {frame.number}"
    with session.one_step(why, work=False) if lost else session.look():
        for id, radiograph, source in zip(
            sequence.ids, frame.radiographs, frame.sources, strict=True
        ):
            session.exposures.show_frame(id, radiograph, source, left=left, number=frame.number)
        if poses:
            session.poses.set_several(poses, "")


def carried_poses(
    sequence: SessionSequence, poses: Mapping[str, Pose], then: int, number: int
) -> dict[str, Pose]:
    """The cameras about a bone in a frame, where it lies as it did in another; it reads both where they differ, in any thread.

    Parameters
    ----------
    poses
        ``world_from_camera`` of every camera in frame `then`, by `Exposure.id`.
    then, number
        Of the frame that they are of, and of the one that is asked for.

    Raises
    ------
    ReadError
        If a file of either frame cannot be read.
    """
    if then == number:
        return dict(poses)
    before, now = sequence.frames.views(then), sequence.frames.views(number)
    return {
        id: poses[id] @ (a.world_from_camera.inverse() @ b.world_from_camera)
        for id, a, b in zip(sequence.ids, before, now, strict=True)
    }


def _only_here(session: Session, id: str, left: int | None, other: Radiograph) -> bool:
    """Whether something of a radiograph goes with its picture, where the frame `other` takes its place."""
    entry = session.exposures[id]
    used = any(id in result.radiographs for result in session.results.all)
    stays = left is not None and entry.picks_stay(other)
    picked = bool(entry.landmarks or entry.left_out) and not stays
    return used or picked or entry.truth is not None or entry.edited


@dataclass(frozen=True, eq=False)
class _Typed:
    """The geometry of a radiograph in a session, beside what its file says."""

    shown: Radiograph
    file: Radiograph

    def camera(self, frame: Radiograph) -> Radiograph:
        """A frame with the distances and the detector that were typed."""
        carm = self.shown.carm
        if carm == self.file.carm:
            return frame
        if frame.carm.detector.shape != carm.detector.shape:
            raise ReadError(
                f"its rows and columns {frame.carm.detector.shape} are not those of the frame whose "
                f"geometry was typed: {carm.detector.shape}"
            )
        return replace(frame, carm=carm)

    def whole(self, frame: Radiograph) -> Radiograph:
        """A frame with all that was typed; where a header says that the C-arm moved, its angles stay."""
        with_camera = self.camera(frame)
        if self.shown.nominal == self.file.nominal and with_camera is frame:
            return frame
        if frame.nominal == self.file.nominal:
            said = self.shown
            return replace(with_camera, nominal=said.nominal, geometry=said.geometry)
        return replace(with_camera, geometry=None)


def _then(last: Callable[[Radiograph], Radiograph], first: RadiographAt) -> RadiographAt:
    return lambda number: last(first(number))


def _same_place(one: Source, other: Source) -> bool:
    return (one.path, dict(one.options)) == (other.path, dict(other.options))


def _cine_of(exposure: Exposure) -> tuple[Cine, int, SourceAt]:
    source = exposure.source
    assert source is not None
    path, said = Path(source.path), source.options.get("frame")
    if said == "mean":
        raise ReadError(f"{path.name}: the mean of all frames is shown: open one of them")
    if said is not None:
        cine, at = _of_file(source, path)
        return cine, int(said), at
    cine, at, number = _of_folder(source, path)
    return cine, number, at


def _of_file(source: Source, path: Path) -> tuple[Cine, SourceAt]:
    """A radiograph that is one frame of its file."""
    options = {name: value for name, value in source.options.items() if name != "frame"}
    try:
        read_xray(replace(source, options=options))
        count = 1
    except SeveralFrames as several:
        count = several.frames
    numbers = tuple(range(1, count + 1))

    def at(number: int) -> Source:
        return replace(source, options={**options, "frame": number})

    return Cine(numbers, lambda number: read_xray(at(number)), times_of(path, count), path.name), at


def _of_folder(source: Source, path: Path) -> tuple[Cine, SourceAt, int]:
    """A radiograph whose file lies beside those of the other frames."""
    files = numbered_files(path.parent, (path.suffix.lower(),), "radiographs", like=path)
    number = next((number for number, file in files.items() if file.name == path.name), None)
    if number is None or len(files) < 2:
        raise ReadError(
            f"{path.name}: is one picture: open a frame of a file that holds several, or of a folder with a "
            "file for each"
        )

    def at(number: int) -> Source:
        # What another file holds is not known by its contents yet.
        return replace(source, path=str(files[number]), sha256="")

    return Cine(tuple(files), lambda n: read_xray(at(n)), source=path.parent.name), at, number
