"""A pose from landmarks, and what is done to landmarks of a session."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from landmarks_scene import TRUTH, angle_deg

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Landmark, Radiograph, read_landmarks
from napari_xreg.registration import PnPSettings, PnPStatus, Weighting
from napari_xreg.session import Session
from napari_xreg.simulation import phantom
from napari_xreg.workflows import (
    PickGuide,
    Places,
    SolveRequest,
    landmark_rows,
    pick_landmark,
    place_landmark,
    places_of,
    remove_landmark,
    rename_landmark,
    save_landmarks,
    set_landmark_sigma,
    set_landmark_ticked,
    set_landmark_visible,
    sigma_px,
    solve,
    take_detected,
    take_landmarks,
    templates,
)

# Nothing alike: rows and columns differ in number, spacing and principal point.
CARM = CArm(1020.0, 750.0, Detector((190, 230), (1.7, 1.3), (101.5, 108.25)))
ISOCENTER = torch.tensor([4.0, -7.0, 11.0], dtype=torch.float64)
POINTS = {
    "a": (60.0, 12.0, 35.0), "b": (-71.0, 30.0, 20.0), "c": (15.0, -52.0, 70.0),
    "d": (-33.0, 41.0, -44.0), "e": (48.0, -15.0, -62.0), "f": (-8.0, 66.0, 3.0),
    "g": (81.0, 27.0, -13.0),
}  # fmt: skip
POSE = CARM.pose_from(CArmPose(isocenter=tuple(ISOCENTER.tolist()), **TRUTH))


def seen(points=POINTS, **shifts):
    """Pinhole by hand: the detector is mirrored, so +x goes to smaller columns."""
    found = {}
    for name, point in points.items():
        x, y, z = POSE.rotation.numpy().T @ (np.array(point) - POSE.translation.numpy())
        row, column = 101.5 + 1020.0 * y / z / 1.7, 108.25 - 1020.0 * x / z / 1.3
        d_row, d_column = shifts.get(name, (0.0, 0.0))
        found[name] = Landmark(name, pixel=(float(row + d_row), float(column + d_column)))
    return found


def ask(picked, points=POINTS, *, left_out=(), weighting=None, settings=None, sigma=2.0, **more):
    patient = tuple(Landmark(name, point) for name, point in points.items())
    request = SolveRequest(
        patient, tuple(picked), CARM, frozenset(left_out), ISOCENTER,
        weighting or Weighting(), settings or PnPSettings(selection="none"), sigma, **more,
    )  # fmt: skip
    return solve(request)


def test_names_pair_them_not_their_order():
    marks = list(seen().values())
    answer = ask([*marks[3:], *marks[:3]])
    assert answer.solution
    assert angle_deg(answer.pose, POSE) < 1e-5
    np.testing.assert_allclose(answer.pose.translation, POSE.translation, atol=1e-4)
    assert {v.fate for v in answer.verdicts.values()} == {"used"}
    assert all(v.weight == 1.0 for v in answer.verdicts.values())
    assert max(v.error_px for v in answer.verdicts.values()) < 1e-5


def test_pixels_and_millimetres_of_an_error():
    answer = ask(seen(c=(3.0, -4.0)).values(), left_out=["c"])
    verdict = answer.verdicts["c"]
    assert verdict.fate == "unticked"
    assert verdict.weight is None
    assert verdict.error_px == pytest.approx(5.0, abs=1e-4)
    assert verdict.error_mm == pytest.approx(math.hypot(3 * 1.7, 4 * 1.3), abs=1e-4)
    assert [n for n, v in answer.verdicts.items() if v.fate == "used"] == list("abdefg")


def test_a_weight_is_an_inverse_variance():
    sigmas = dict(zip(POINTS, (1, 2, 3, 4, 5, 6, 8), strict=True))
    marks = [replace(m, covariance=(s**2, 0.0, s**2)) for m, s in
             ((seen()[n], s) for n, s in sigmas.items())]  # fmt: skip
    weights = {
        n: v.weight for n, v in ask(marks, weighting=Weighting("covariance")).verdicts.items()
    }
    assert weights == pytest.approx({name: 1 / s**2 for name, s in sigmas.items()})
    # u is the distance from the mean: sqrt(2) sigma. exp(-beta (u - min u)), 1 for the best.
    beta = 0.3
    answer = ask(marks, weighting=Weighting("continuous", beta=beta))
    for name, sigma in sigmas.items():
        wanted = math.exp(-beta * math.sqrt(2) * (sigma - 1))
        assert answer.verdicts[name].weight == pytest.approx(wanted)
    # Two that disagree: the pose goes to the one of the smaller variance.
    moved = [replace(m, pixel=(m.pixel[0] + 6, m.pixel[1])) if m.name in "ag" else m for m in marks]
    heavy = ask(moved, weighting=Weighting("covariance")).verdicts
    assert heavy["a"].error_px < heavy["g"].error_px


def test_the_sigma_of_a_hand_counts_where_nothing_else_is_known():
    marks = seen()
    marks["b"] = replace(marks["b"], covariance=(16.0, 1.5, 9.0))
    assert sigma_px(marks["b"], 2.0) == pytest.approx(math.sqrt(12.5))
    assert sigma_px(marks["a"], 2.0) == 2.0
    answer = ask(marks.values(), weighting=Weighting("covariance"), sigma=2.5)
    assert answer.verdicts["b"].weight == pytest.approx(2.5**2 / 12.5)
    given = answer.counted.covariances[list(POINTS).index("b")]
    np.testing.assert_allclose(given, [[16.0, 1.5], [1.5, 9.0]])
    # The covariance of the pose follows from the sigma alone.
    twice = ask(marks.values(), weighting=Weighting("covariance"), sigma=5.0)
    assert (
        torch.diagonal(twice.solution.covariance)[3] > torch.diagonal(answer.solution.covariance)[3]
    )


def test_the_most_uncertain_are_dropped():
    marks = [replace(m, covariance=(s**2, 0.0, s**2)) for m, s in
             zip(seen().values(), (4, 1, 2, 9, 3, 8, 5), strict=True)]  # fmt: skip
    answer = ask(marks, weighting=Weighting.selection(2))
    dropped = [name for name, v in answer.verdicts.items() if v.fate == "dropped"]
    assert dropped == ["d", "f"]
    assert {v.weight for v in answer.verdicts.values() if v.fate == "used"} == {1.0}


def test_what_does_not_agree_is_an_outlier():
    answer = ask(seen(e=(25.0, -18.0)).values(), settings=PnPSettings(threshold_px=3.0))
    assert answer.verdicts["e"].fate == "outlier"
    assert angle_deg(answer.pose, POSE) < 1e-4
    assert "e does not agree with the others" in answer.reason


def test_one_sided_and_invisible_ones_have_no_say_and_no_sentence_each():
    marks = seen()
    marks["g"] = replace(marks["g"], visible=False)
    del marks["f"]
    extra = Landmark("x", pixel=(5.0, 6.0))
    answer = ask([*marks.values(), extra, Landmark("F ", pixel=(1.0, 2.0))])
    fates = {name: v.fate for name, v in answer.verdicts.items()}
    assert fates["g"] == "invisible"
    assert fates["f"] == fates["x"] == "one side"
    assert "x has no position" not in answer.reason
    assert "is it the same as" in answer.reason  # "F " and "f": worth a sentence
    assert "g is marked invisible" in answer.reason


@pytest.mark.parametrize(
    ("points", "status"),
    [
        ({n: POINTS[n] for n in "abc"}, PnPStatus.TOO_FEW),
        ({n: (10.0 * i, 20.0 * i, -5.0 * i) for i, n in enumerate("abcde")}, PnPStatus.COLLINEAR),
    ],
)
def test_no_pose_is_a_sentence(points, status):
    answer = ask(seen(points).values(), points)
    assert answer.solution.status is status
    assert answer.pose is None
    assert answer.reason.startswith(status.value)
    assert {v.fate for v in answer.verdicts.values()} == {"open"}
    assert all(v.error_px is None for v in answer.verdicts.values())
    with pytest.raises(ValueError, match="landmarks"):
        answer.registration()


def plane():
    """Points of a small square that leans a little: two poses explain it."""
    return {
        "a": (-9.0, 2.0, -8.0),
        "b": (8.0, 2.2, -9.0),
        "c": (9.0, -2.0, 8.5),
        "d": (-8.0, -2.1, 9),
    }


def test_of_two_poses_the_nearer_to_the_start_and_the_other_on_request():
    points = {n: tuple(float(v) for v in p) for n, p in plane().items()}
    marks = seen(points)
    first = ask(marks.values(), points)
    assert first.solution.status is PnPStatus.AMBIGUOUS
    assert first.other is not None
    swapped = ask(marks.values(), points, start=first.other)
    assert angle_deg(swapped.pose, first.other) < 1e-3
    assert angle_deg(swapped.other, first.pose) < 1e-3
    again = ask(marks.values(), points, start=swapped.pose)
    assert angle_deg(again.pose, swapped.pose) < 1e-3


# ---------------------------------------------------------------------- the guide


def places(names, patient="", radiograph=""):
    return Places(tuple(names), frozenset(patient), frozenset(radiograph))


def test_click_here_then_there():
    guide = PickGuide()
    guide.start(places("abc", patient="b"))
    assert guide.name == "a"
    assert guide.wanted(places("abc", patient="b")) == "patient"
    before, after = places("abc", "b"), places("abc", "ab")
    guide.clicked("patient", before, after)
    assert (guide.name, guide.wanted(after)) == ("a", "radiograph")
    before, after = after, places("abc", "ab", "a")
    guide.clicked("radiograph", before, after)
    assert (guide.name, guide.wanted(after)) == ("b", "radiograph")
    guide.skip(after)
    assert guide.name == "c"
    guide.clicked("radiograph", after, places("abc", "ab", "ac"))  # the other way round
    assert guide.name == "c"
    guide.clicked("patient", places("abc", "ab", "ac"), places("abc", "abc", "ac"))
    assert guide.name is None  # b was skipped
    guide.start(places("abc", "abc", "ac"))
    assert guide.name == "b"


def test_a_complete_one_can_be_picked_again():
    guide, whole = PickGuide(), places("ab", "ab", "ab")
    guide.start(whole)
    assert guide.name is None
    guide.start(whole, "a")
    guide.clicked("patient", whole, whole)
    assert guide.name == "a"
    guide.clicked("radiograph", whole, whole)
    assert guide.name is None


def test_the_template_is_that_of_the_phantom():
    assert tuple(phantom(spacing_mm=10.0).landmarks) == templates()[0].names


# ---------------------------------------------------------------------- the session


@pytest.fixture
def session():
    made = Session()
    image = torch.zeros(CARM.detector.shape)
    for name in ("frontal", "lateral"):
        made.exposures.add(Radiograph(image, CARM), name=name, start=POSE)
    made.landmarks.set([Landmark("a", POINTS["a"]), Landmark("b", POINTS["b"], visible=False)])
    made.landmarks.set_picked(made.exposures.named("frontal").id, [Landmark("a", pixel=(3.0, 4.0))])
    made.landmarks.set_picked(
        made.exposures.named("lateral").id,
        [Landmark("a", pixel=(7.0, 8.0), covariance=(2.0, 1.0, 3.0))],
    )
    return made


def test_what_is_done_to_a_landmark(session):
    place_landmark(session, "a", (1.0, 2.0, 3.0))
    place_landmark(session, "new", (4.0, 5.0, 6.0))
    assert [(m.name, m.position) for m in session.landmarks.all] == [
        ("a", (1.0, 2.0, 3.0)), ("b", POINTS["b"]), ("new", (4.0, 5.0, 6.0)),
    ]  # fmt: skip
    assert not session.landmarks.all[1].visible
    set_landmark_visible(session, "a", False)  # of the active radiograph: the lateral one
    (mark,) = session.exposures.active.landmarks
    assert mark == Landmark("a", pixel=(7.0, 8.0), visible=False, covariance=(2.0, 1.0, 3.0))
    assert session.exposures.named("frontal").landmarks[0].visible
    pick_landmark(session, "a", (9.0, 8.5))
    assert session.exposures.active.landmarks == (Landmark("a", pixel=(9.0, 8.5)),)
    set_landmark_sigma(session, "a", 1.5)
    assert session.exposures.active.landmarks[0].covariance == (2.25, 0.0, 2.25)
    set_landmark_ticked(session, "a", False)
    assert session.exposures.active.left_out == ("a",)
    assert session.exposures.named("frontal").left_out == ()
    rename_landmark(session, "a", "z")
    assert session.exposures.active.left_out == ("z",)
    assert [e.landmarks[0].name for e in session.exposures.all] == ["z", "z"]
    assert session.landmarks.all[0].name == "z"
    set_landmark_ticked(session, "z", True)
    assert session.exposures.active.left_out == ()
    with pytest.raises(ValueError, match="a name of its own: got 'b', which is taken"):
        rename_landmark(session, "z", "b")
    with pytest.raises(ValueError, match="got ''"):
        rename_landmark(session, "z", "")
    remove_landmark(session, "z", patient=False)
    assert session.exposures.active.landmarks == ()
    assert len(session.exposures.named("frontal").landmarks) == 1
    remove_landmark(session, "z", patient=True)
    assert [m.name for m in session.landmarks.all] == ["b", "new"]


def test_a_detector_leaves_what_a_hand_has_picked(session):
    pick_landmark(session, "b", (20.0, 30.0))
    pick_landmark(session, "c", (50.0, 60.0))
    set_landmark_sigma(session, "c", 4.0)
    found = [Landmark(n, pixel=(1.0, 2.0), covariance=(5.0, 1.0, 2.0)) for n in "abcd"]
    assert take_detected(session, session.exposures.named("lateral").id, found) == 2
    marks = {mark.name: mark for mark in session.exposures.active.landmarks}
    assert marks["a"] == found[0]  # detected before
    assert marks["d"] == found[3]
    assert marks["b"].pixel == (20.0, 30.0)
    assert marks["c"] == Landmark("c", pixel=(50.0, 60.0), covariance=(16.0, 0.0, 16.0))


def test_rows_say_what_is_where(session):
    hand = 2.0
    rows = landmark_rows(session, places_of(session, ("q", "a")), None, hand)
    assert [row.name for row in rows] == ["q", "a", "b"]
    q, a, b = rows
    assert (q.in_patient, q.on_radiograph, q.sigma_px) == (False, False, None)
    assert (a.in_patient, a.on_radiograph, a.by_hand) == (True, True, False)
    assert a.sigma_px == pytest.approx(math.sqrt(2.5))
    assert not b.visible
    # The usual template gives way to a patient with names of its own.
    assert places_of(session, ("q",), usual=True).names == ("a", "b")
    assert places_of(session, ("q", "a"), usual=True).names == ("q", "a", "b")


def test_what_was_saved_is_taken_again(session, tmp_path):
    set_landmark_visible(session, "a", False)
    assert save_landmarks(session, tmp_path / "all.csv") == 2
    other = Session()
    assert not take_landmarks(other, read_landmarks(tmp_path / "all.csv"))  # no radiograph
    assert [mark.position for mark in other.landmarks.all] == [POINTS["a"], POINTS["b"]]
    other.exposures.add(session.exposures.active.radiograph, start=POSE)
    other.landmarks.set_picked(
        other.exposures.named("radiograph").id, [Landmark("kept", pixel=(1.0, 2.0))]
    )
    assert take_landmarks(other, read_landmarks(tmp_path / "all.csv"))
    assert [(m.name, m.pixel, m.visible) for m in other.exposures.active.landmarks] == [
        ("kept", (1.0, 2.0), True),
        ("a", (7.0, 8.0), False),
    ]
    assert save_landmarks(session, tmp_path / "ct.mrk.json") == 2
    assert [m.pixel for m in read_landmarks(tmp_path / "ct.mrk.json")] == [None, None]
