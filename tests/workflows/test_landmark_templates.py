"""Templates of landmarks: chosen by a label map, and what of them follows from it."""

import numpy as np
import pytest
import torch

from napari_xreg.images import TOTALSEGMENTATOR_NAMES, LabelMap, Landmark
from napari_xreg.session import Session
from napari_xreg.simulation import phantom
from napari_xreg.workflows import PlaceRequest, Template, TemplateEntry, take_placed, templates
from napari_xreg.workflows.landmarks.templates import Rule

IDS = {name: id for id, name in TOTALSEGMENTATOR_NAMES.items()}
# Stored x runs to the right, z downwards; 2.5 x 3 x 4 mm.
MATRIX = torch.diag(torch.tensor([-2.5, 3.0, -4.0, 1.0], dtype=torch.float64))
MATRIX[:3, 3] = torch.tensor([90.0, -40.0, 700.0])


def drawn(**structures):
    """A label map of 40 x 50 x 60 voxels (z, y, x), and boxes in it: (z, y, x) from and to, inclusive."""
    ids = torch.zeros(40, 50, 60, dtype=torch.int16)
    names = {}
    for number, (name, boxes) in enumerate(structures.items(), start=200):
        names[number] = name
        for (z0, y0, x0), (z1, y1, x1) in boxes:
            ids[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = number
    return LabelMap(ids, MATRIX, names)


def world(z, y, x):
    return (90.0 - 2.5 * x, -40.0 + 3.0 * y, 700.0 - 4.0 * z)


def placed(labels, *entries):
    template = Template("own", tuple(TemplateEntry(*entry) for entry in entries))
    answer = PlaceRequest(template, labels).answer()
    return {mark.name: mark.position for mark in answer.landmarks}, dict(answer.left)


def test_extreme_points_are_in_the_patients_axes_however_the_map_is_stored():
    # A column with a horn on each of its six sides, each at a place of its own.
    horns = {
        "superior": (3, 21, 31), "inferior": (32, 23, 28), "anterior": (15, 5, 33),
        "posterior": (17, 40, 27), "left": (20, 22, 6), "right": (22, 24, 51),
    }  # fmt: skip
    boxes = [((10, 20, 25), (25, 25, 35))]
    for z, y, x in horns.values():
        low = (min(z, 10), min(y, 20), min(x, 25))
        high = (max(z, 25), max(y, 25), max(x, 35))
        along = int(np.argmax([max(10 - z, z - 25), max(20 - y, y - 25), max(25 - x, x - 35)]))
        ends = [
            (min(lo, c), max(hi, c)) if axis == along else (c, c)
            for axis, (lo, hi, c) in enumerate(zip(low, high, (z, y, x), strict=True))
        ]
        boxes.append((tuple(e[0] for e in ends), tuple(e[1] for e in ends)))
    found, left = placed(
        drawn(bone=boxes), *((way, "bone", Rule(way)) for way in horns), ("hand", "bone", None)
    )
    assert left == {"hand": "to be picked by hand"}
    for way, at in horns.items():
        assert found[way] == pytest.approx(world(*at)), way


def test_lateral_is_left_on_the_left_and_right_on_the_right():
    chest = {one.title: one for one in templates()}["Chest"]
    rules = {entry.name: entry.rule for entry in chest.entries}
    assert rules["clavicle lateral-l"].toward == "left"
    assert rules["clavicle lateral-r"].toward == "right"
    assert rules["clavicle medial-r"].toward == "left"
    assert rules["rib 5 head-l"].toward == "right"
    knee = {one.title: one for one in templates()}["Knee"]
    hips = {one.title: one for one in templates()}["Pelvis"]
    structures = {entry.name: entry.structure for entry in (*knee.entries, *hips.entries)}
    assert structures["medial epicondyle-l"] == "femur_left"
    assert structures["FH-r"] == "femur_right"


def test_a_part_of_a_structure_and_the_centre():
    labels = drawn(bone=[((5, 10, 10), (24, 19, 39))], low=[((30, 10, 10), (33, 13, 17))])
    found, _ = placed(
        labels,
        ("centre", "low", Rule()),
        ("front", "bone", Rule(within=(("anterior", 0.45),))),
        ("corner", "bone", Rule("superior", within=(("left", 0.0), ("posterior", 0.0)))),
    )
    assert found["centre"] == pytest.approx(world(31.5, 11.5, 13.5))
    assert found["front"] == pytest.approx(world(14.5, 12.0, 24.5))  # rows 10 to 14 of 10 to 19
    assert found["corner"] == pytest.approx(world(5, 19, 10))


def test_what_leaves_the_ct_has_no_end_there():
    labels = drawn(femur_left=[((20, 10, 10), (39, 15, 15))], sternum=[((3, 3, 3), (9, 5, 9))])
    found, left = placed(
        labels,
        ("top", "femur_left", Rule("superior")),
        ("bottom", "femur_left", Rule("inferior")),
        ("middle", "femur_left", Rule()),
        ("no", "tibia", Rule()),
        ("condyle", "femur_left", Rule("left", within=(("inferior", 0.2),))),
        ("trochanter", "femur_left", Rule("left", within=(("superior", 0.2),))),
    )
    assert list(found) == ["top", "trochanter"]
    assert left["condyle"] == "femur_left leaves the CT"
    assert left["bottom"] == left["middle"] == "femur_left leaves the CT"
    assert "no tibia" in left["no"]


def test_two_bones_of_one_name_are_not_one_and_specks_do_not_count():
    bone = ((5, 5, 5), (14, 14, 14))
    pair = drawn(patella=[bone, ((5, 5, 40), (14, 12, 49))])
    speck = drawn(patella=[bone, ((30, 30, 40), (31, 31, 41))])
    rule = ("lowest", "patella", Rule("inferior"))
    assert "several pieces" in placed(pair, rule)[1]["lowest"]
    assert placed(speck, rule)[0]["lowest"][2] == pytest.approx(world(14, 0, 0)[2])


def test_a_femoral_head_is_the_sphere_in_its_socket():
    z, y, x = np.meshgrid(*(np.arange(n) for n in (40, 50, 60)), indexing="ij")
    at = np.stack(world(z, y, x), axis=-1)
    centre = np.array([31.3, 28.2, 622.4])
    away = at - centre
    distance = np.linalg.norm(away, axis=-1)
    ids = np.zeros(z.shape, np.int16)
    ids[(distance > 25.0) & (distance < 32.0) & (away[..., 2] > -4.0)] = 1
    ids[distance < 22.0] = 2
    ids[(np.abs(away[..., 0]) < 9) & (np.abs(away[..., 1]) < 9) & (away[..., 2] < -10)] = 2
    names = {1: "hip_left", 2: "femur_left"}
    rule = ("FH-l", "femur_left", Rule(beside="hip_left"))
    found, _ = placed(LabelMap(torch.from_numpy(ids), MATRIX, names), rule)
    assert found["FH-l"] == pytest.approx(centre, abs=0.7)
    # A shaft beside a plate is no ball in a socket.
    flat = drawn(hip_left=[((5, 5, 5), (30, 8, 40))], femur_left=[((5, 10, 5), (30, 20, 40))])
    assert "no sphere" in placed(flat, rule)[1]["FH-l"]


def test_the_template_is_the_region_that_the_label_map_holds():
    assert [one.title for one in templates()] == [
        "Pelvis", "Spine", "Chest", "Hip", "Knee", "Ankle", "Wrist", "Skull",
    ]  # fmt: skip
    lumbar = ("vertebrae_L2", "vertebrae_L3")
    boxes = [((n, 1, 1), (n, 2, 2)) for n in (1, 5)]
    spine = templates(drawn(**{name: [one] for name, one in zip(lumbar, boxes, strict=True)}))
    assert spine[0].title == "Spine"
    assert spine[0].names == tuple(
        f"{level} {part}" for level in ("L2", "L3") for part in ("body", "pedicle-l", "pedicle-r")
    )
    # The other task would have found a tibia; this map says nothing about it.
    assert "tibial tuberosity" in {one.title: one for one in spine}["Knee"].names
    for structure, title in (
        ("rib_left_5", "Chest"), ("patella", "Knee"), ("skull", "Skull"), ("carpal", "Wrist"),
    ):  # fmt: skip
        assert templates(drawn(**{structure: boxes}))[0].title == title


@pytest.mark.parametrize("names", [{}, {1: "left hip"}])
def test_a_label_map_of_other_names_changes_no_template(names):
    ids = torch.zeros(4, 5, 6, dtype=torch.int16)
    ids[1, 2, 3] = 1
    assert templates(LabelMap(ids, MATRIX, names)) == templates()


def test_a_region_that_the_label_map_lacks_is_whole():
    everything = {one.title: one for one in templates()}
    found = templates(drawn(hip_left=[((5, 5, 5), (6, 6, 6))]))
    assert {one.title for one in found} == set(everything)
    assert found[0].title == "Pelvis"
    assert "FH-l" not in found[0].names  # no femur
    assert {one.title: one for one in found}["Knee"] == everything["Knee"]


def test_the_phantoms_pelvis_is_placed_as_it_was_made(patient_labels):
    labels, truth = patient_labels
    pelvis = templates(labels)[0]
    assert pelvis.names == tuple(truth)
    answer = PlaceRequest(pelvis, labels).answer()
    off = {m.name: np.linalg.norm(np.array(m.position) - truth[m.name]) for m in answer.landmarks}
    assert set(off) == {f"{n}-{s}" for n in ("ASIS", "FH", "IPS", "SPS") for s in "lr"}
    assert max(off["FH-l"], off["FH-r"]) < 1.5
    assert max(off.values()) < 10.0  # an extreme point of round bone: a beginning
    assert answer.words(8).startswith("8 landmarks placed from the label map: check each. To be")
    assert "To be picked by hand: 6" in answer.words(8)
    assert "1 landmark placed from the label map: check each. 7 had a po" in answer.words(1)
    assert "0 landmarks placed from the label map. 8 had a position" in answer.words(0)

    session = Session()
    session.landmarks.set([Landmark("FH-l", (1.0, 2.0, 3.0))])
    assert take_placed(session, answer) == 7
    assert session.landmarks.all[0].position == (1.0, 2.0, 3.0)
    assert take_placed(session, answer) == 0


@pytest.fixture(scope="module")
def patient_labels():
    made = phantom(spacing_mm=3.0)
    return made.labels, made.landmarks


def test_every_structure_of_a_template_has_a_name_of_totalsegmentator():
    appendicular = {
        "patella", "tibia", "fibula", "tarsal", "radius", "ulna", "carpal", "metacarpal",
    }  # fmt: skip
    for one in templates():
        assert len(set(one.names)) == len(one.names), one.title
        for entry in one.entries:
            assert entry.structure in IDS or entry.structure in appendicular, entry
            assert not (entry.rule and entry.rule.beside) or entry.rule.beside in IDS
