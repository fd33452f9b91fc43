"""The parametric pelvis: anatomy where it should be, and a grid that matches the solids."""

import numpy as np
import pytest
import torch

from napari_xreg.images import lac_from_hu
from napari_xreg.simulation import PelvisShape, phantom
from napari_xreg.simulation.patient import rotation_about

LANDMARKS = [
    f"{name}-{side}" for name in ("ASIS", "FH", "GSN", "IOF", "IPS", "MOF", "SPS") for side in "lr"
]
LABELS = [25, 27, 28, 75, 76, 77, 78]
HIP, FEMUR = {"l": 77, "r": 78}, {"l": 75, "r": 76}


@pytest.fixture(scope="module")
def mean_patient():
    return phantom(spacing_mm=2.5)


@pytest.fixture(scope="module", params=[3, 8])
def patient(request):
    return phantom(spacing_mm=3.0, seed=request.param, origin_mm=(-14.0, 31.0, -207.0))


def painted(solids, points):
    """HU and label of the last solid that holds each point."""
    hu, label = np.full(len(points), -1000.0), np.zeros(len(points), dtype=int)
    for solid in solids:
        inside = solid.inside(points)
        hu[inside], label[inside] = solid.hu, solid.label
    return hu, label


def world_of(mask, volume):
    z, y, x = np.nonzero(mask)
    index = np.stack([x, y, z], -1).astype(float)
    matrix = volume.world_from_index.numpy()
    return index @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.mark.slow
def test_the_grid_holds_the_solids(mean_patient):
    rng = np.random.default_rng(0)
    volume = mean_patient.volume
    z, y, x = (rng.integers(0, n, 4000) for n in volume.shape)
    matrix = volume.world_from_index.numpy()
    centre = np.stack([x, y, z], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    # Voxels whose corners are all of the same stuff hold exactly that stuff.
    corners = centre[:, None] + 1.25 * np.array(
        [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    )
    hu, label = painted(mean_patient.solids, corners.reshape(-1, 3))
    hu, label = hu.reshape(-1, 8), label.reshape(-1, 8)
    pure = (hu == hu[:, :1]).all(1)
    assert pure.sum() > 3000
    got = volume.hu.numpy()[z, y, x]
    off = np.abs(got - hu[:, 0])[pure]
    # A thin solid may pass between the corners.
    assert (off < 1.0).mean() > 0.985
    same = (label == label[:, :1]).all(1) & pure
    assert (mean_patient.labels.ids.numpy()[z, y, x] == label[:, 0])[same].mean() > 0.985


@pytest.mark.slow
def test_labels_and_landmarks_are_the_ones_promised(patient):
    assert patient.labels.present() == LABELS
    assert patient.labels.names[75] == "femur_left"
    assert patient.labels.names[78] == "hip_right"
    assert list(patient.landmarks) == LANDMARKS
    patient.labels.check_grid(patient.volume)
    assert torch.equal(patient.volume.lac, lac_from_hu(patient.volume.hu))


def test_left_is_plus_x(patient):
    for name in ("ASIS", "FH", "GSN", "IOF", "IPS", "MOF", "SPS"):
        assert patient.landmarks[f"{name}-l"][0] > patient.landmarks[f"{name}-r"][0]
    for left, right in ((75, 76), (77, 78)):
        ids = patient.labels.ids.numpy()
        assert world_of(ids == left, patient.volume)[:, 0].mean() > 20 + (
            world_of(ids == right, patient.volume)[:, 0].mean()
        )


@pytest.mark.parametrize("side", ["l", "r"])
def test_a_femoral_head_is_centred_on_its_landmark(patient, side):
    centre = np.array(patient.landmarks[f"FH-{side}"])
    directions = np.random.default_rng(2).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    _, inside = painted(patient.solids, centre + 18.0 * directions)
    assert (inside == FEMUR[side]).all()
    # Towards the midline and above lies the joint space, then the socket.
    up_and_in = np.array([-0.6 if side == "l" else 0.6, 0.0, 0.8])
    steps = np.arange(15.0, 38.0, 0.25)[:, None]
    _, along = painted(patient.solids, centre + steps * up_and_in)
    surface = steps[along == FEMUR[side]].max()
    assert 19.0 < surface < 29.0
    kinds = along[np.r_[True, np.diff(along) != 0]].tolist()
    assert kinds[:3] == [FEMUR[side], 0, HIP[side]]
    # The head is a ball about the landmark: the same radius to the front and the back.
    for axis in ([0.0, 1.0, 0.0], [0.0, -1.0, 0.0]):
        _, along = painted(patient.solids, centre + steps * np.array(axis))
        assert steps[along == FEMUR[side]].max() == pytest.approx(surface, abs=0.3)


@pytest.mark.parametrize("name", [n for n in LANDMARKS if not n.startswith("FH")])
def test_the_other_landmarks_lie_on_the_surface_of_the_hip(patient, name):
    place = np.array(patient.landmarks[name])
    directions = np.random.default_rng(3).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    _, near = painted(patient.solids, place + 1.5 * directions)
    share = (near == HIP[name[-1]]).mean()
    # On a smooth surface about half of a small sphere is bone.
    assert 0.2 < share < 0.8


@pytest.mark.parametrize("side", ["l", "r"])
def test_landmarks_are_where_anatomy_puts_them(mean_patient, side):
    points = {k[:-2]: np.array(v) for k, v in mean_patient.landmarks.items() if k[-1] == side}
    hip = world_of(mean_patient.labels.ids.numpy() == HIP[side], mean_patient.volume)
    upper = hip[hip[:, 2] > points["FH"][2] + 60]
    # The anterior superior spine is the foremost point of the wing, and lateral to the head.
    assert points["ASIS"][1] == pytest.approx(upper[:, 1].min(), abs=4.0)
    assert abs(points["ASIS"][0] - 11.0) > abs(points["FH"][0] - 11.0) + 15
    # The symphysis is in front, near the midline, its upper end above its lower end.
    for name in ("SPS", "IPS"):
        assert points[name][1] < points["FH"][1] - 30
        assert 1.0 < abs(points[name][0] - 11.0) < 15.0
    assert points["SPS"][2] - points["IPS"][2] == pytest.approx(35.0, abs=5.0)
    # The foramen's inner rim is lateral to the symphysis; its lower rim is below.
    assert abs(points["MOF"][0] - 11.0) > abs(points["SPS"][0] - 11.0) + 10
    assert points["IOF"][2] < points["IPS"][2] - 15
    # The sciatic notch is behind and above the joint.
    assert points["GSN"][1] > points["FH"][1] + 25
    assert points["GSN"][2] > points["FH"][2] + 20
    # It is a notch: seen from the side there is ilium above it and ischium below, but not behind.
    around = np.abs(hip[:, 0] - points["GSN"][0]) < 60
    above = hip[around & (np.abs(hip[:, 1] - points["GSN"][1]) < 4)]
    assert (above[:, 2] > points["GSN"][2] + 5).any()


@pytest.mark.parametrize("side", ["l", "r"])
def test_the_obturator_foramen_is_a_hole(mean_patient, side):
    rim_inner, rim_lower = (np.array(mean_patient.landmarks[f"{n}-{side}"]) for n in ("MOF", "IOF"))
    sign = 1.0 if side == "l" else -1.0
    middle = rim_inner + [sign * 15.0, 0.0, -12.0]
    ids = mean_patient.labels.ids.numpy()
    seen = (ids == HIP[side]).any(1)
    matrix = mean_patient.volume.world_from_index.numpy()
    column = round((middle[0] - matrix[0, 3]) / 2.5)
    row = round((middle[2] - matrix[2, 3]) / 2.5)
    assert not seen[row - 1 : row + 2, column - 1 : column + 2].any()
    # And bone all around it in the frontal projection.
    assert seen[row:, column].any()
    assert seen[:row, column].any()
    assert seen[row, column:].any()
    assert seen[row, :column].any()
    assert rim_lower[2] < middle[2] < mean_patient.landmarks[f"SPS-{side}"][2]


def test_bones_have_a_dense_shell_and_the_shaft_a_canal(mean_patient):
    shape = PelvisShape()
    origin = np.array([11.0, -23.0, 640.0])
    # Across the left femoral shaft, 130 mm below the head: cortex, marrow, cortex.
    x = np.arange(100.0, 150.0, 0.5)
    line = origin + np.stack([x, np.full_like(x, 2.0), np.full_like(x, -130.0)], -1)
    hu, label = painted(mean_patient.solids, line)
    inside = hu[label == 75]
    assert inside[0] == inside[-1] == shape.cortical_hu
    assert inside[len(inside) // 2] == -20.0
    assert 24.0 < 0.5 * len(inside) < 32.0  # mm of bone and marrow


@pytest.mark.slow
def test_the_same_seed_is_the_same_patient_and_another_is_not():
    a, b, c = (phantom(spacing_mm=6.0, seed=s) for s in (5, 5, 6))
    assert torch.equal(a.volume.hu, b.volume.hu)
    assert a.landmarks == b.landmarks
    moved = [np.linalg.norm(np.subtract(a.landmarks[k], c.landmarks[k])) for k in LANDMARKS]
    assert max(moved) > 3.0


def test_the_population_stays_anatomical():
    for seed in range(40):
        shape = PelvisShape.random(seed)
        assert all(0.75 < s < 1.25 for s in shape.scale)
        assert 1.0 < shape.cortical_mm < 3.0
        assert abs(shape.tilt_deg) < 30


@pytest.mark.slow
def test_a_shape_turns_the_way_it_says():
    """Forward tilt lowers the symphysis's front; flexion brings the knee forward; abduction out."""
    rest = phantom(spacing_mm=5.0, shape=PelvisShape())
    tilted = phantom(spacing_mm=5.0, shape=PelvisShape(tilt_deg=10.0))
    assert tilted.landmarks["ASIS-l"][1] < rest.landmarks["ASIS-l"][1] - 5
    flexed = phantom(
        spacing_mm=5.0, shape=PelvisShape(femur_deg=((15.0, 0.0, 0.0), (0.0, 15.0, 0.0)))
    )

    def knee(p, label):
        points = world_of(p.labels.ids.numpy() == label, p.volume)
        return points[points[:, 2] < points[:, 2].min() + 15].mean(0)

    assert knee(flexed, 75)[1] < knee(rest, 75)[1] - 20
    assert knee(flexed, 76)[0] < knee(rest, 76)[0] - 20
    assert flexed.landmarks["FH-l"] == rest.landmarks["FH-l"]


@pytest.mark.slow
def test_the_volume_lies_where_it_was_put():
    here = phantom(spacing_mm=6.0)
    there = phantom(spacing_mm=6.0, origin_mm=(111.0, -3.0, 600.0))
    for name in LANDMARKS:
        assert np.subtract(there.landmarks[name], here.landmarks[name]).tolist() == pytest.approx(
            [100.0, 20.0, -40.0]
        )
    assert torch.allclose(here.volume.hu, there.volume.hu, atol=0.5)


@pytest.mark.slow
def test_the_scale_stretches_along_its_own_axes():
    wide = phantom(spacing_mm=6.0, shape=PelvisShape(scale=(1.1, 1.0, 0.9)))
    rest = phantom(spacing_mm=6.0)
    breadth = [p.landmarks["FH-l"][0] - p.landmarks["FH-r"][0] for p in (wide, rest)]
    assert breadth[0] / breadth[1] == pytest.approx(1.1)
    height = [p.landmarks["MOF-l"][2] - 640.0 for p in (wide, rest)]
    assert height[0] / height[1] == pytest.approx(0.9)


def test_rotations_are_right_handed():
    assert rotation_about("x", 90.0) @ [0, 1, 0] == pytest.approx([0, 0, 1])
    assert rotation_about("y", 90.0) @ [0, 0, 1] == pytest.approx([1, 0, 0])
    assert rotation_about("z", 90.0) @ [1, 0, 0] == pytest.approx([0, 1, 0])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"between 0\.2 and 10 mm: got 0"):
        phantom(spacing_mm=0.0)
    with pytest.raises(ValueError, match="either seed or shape"):
        phantom(seed=1, shape=PelvisShape())
