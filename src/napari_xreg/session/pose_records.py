"""The poses that a session's file keeps of what can be undone."""

from napari_xreg.images import Radiograph
from napari_xreg.session.named_poses import PoseRecord, same_pose
from napari_xreg.session.state import SessionState
from napari_xreg.session.undo import Moment


def pose_records(moments: tuple[Moment, ...], at: int) -> tuple[tuple[PoseRecord, ...], int]:
    """The poses before and after the present one, as a session's file keeps them.

    As far back and forth as the same CT was looked at by the same radiographs in the same geometry:
    poses of another patient mean nothing here. Moments that differ in something else than a pose
    count once.

    Returns
    -------
    tuple, int
        Records, oldest first, and the index of the one that holds; -1 where there is no radiograph.
    """
    now = moments[at]
    if not now.state.exposures:
        return (), -1
    first = last = at
    while first > 0 and _comparable(moments[first - 1].state, now.state):
        first -= 1
    while last < len(moments) - 1 and _comparable(moments[last + 1].state, now.state):
        last += 1
    older = moments[first].state
    records = list(
        older.records[: older.at + 1]
    )  # of a session that was opened in place of another
    index = -1
    lost = {gone.id for gone in now.state.missing}
    for number in range(first, last + 1):
        record = _recorded(moments[number], now.state, lost)
        if not records or not _same(records[-1], record):
            records.append(record)
        if number == at:
            index = len(records) - 1
    return tuple(records), index


def _recorded(moment: Moment, now: SessionState, lost: set[str]) -> PoseRecord:
    old = moment.state.poses
    poses = {entry.id: old[entry.id] for entry in now.exposures}
    if moment.absent is not None:
        poses |= {id: pose for id, pose in moment.absent.poses.items() if id in lost}
    return PoseRecord(poses, moment.why)


def _comparable(state: SessionState, now: SessionState) -> bool:
    then = {entry.id: entry.radiograph for entry in state.exposures}
    return state.volume is now.volume and all(
        entry.id in then and _same_geometry(then[entry.id], entry.radiograph)
        for entry in now.exposures
    )


def _same_geometry(a: Radiograph, b: Radiograph) -> bool:
    return a is b or (a.carm == b.carm and a.operations == b.operations)


def _same(a: PoseRecord, b: PoseRecord) -> bool:
    return a.poses.keys() == b.poses.keys() and all(
        same_pose(pose, b.poses[id]) for id, pose in a.poses.items()
    )
