"""What the CT has not, effect by effect, against numbers worked out by hand."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Volume, lac_from_hu
from napari_xreg.simulation import REAL, SEVERITIES, Beyond, simulate_radiograph
from napari_xreg.simulation.beyond import (
    LongBone,
    as_written,
    beads_and_rings,
    bone_axis,
    circular_field,
    ring,
    tissue_length,
    white_level,
    with_beyond,
)
from napari_xreg.simulation.decomposition import Decomposition
from napari_xreg.simulation.projector import PathLengths
from napari_xreg.simulation.radiograph import WATER, patient_paths
from napari_xreg.simulation.solids import Capsule

DETECTOR = Detector((40, 60), (2.0, 1.5))


def volume_of(hu):
    grid = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0]))
    return Volume(lac_from_hu(hu), grid, hu=hu)


def a_bone():
    """Filled x 5..9, y 8..16, z 9..57 mm in a grid of air."""
    hu = torch.full((24, 13, 15), -1000.0)
    hu[3:20, 4:9, 5:10] = 900.0
    return volume_of(hu)


def test_the_severity_is_what_decision_23_says():
    assert asdict(REAL) == {
        "name": "real", "kvp": (55.0, 90.0), "bone_scale": 1.15, "soft_scale": 0.97,
        "scatter_to_primary": 0.3, "scatter_sigma_mm": 30.0, "scatter_uniform": 0.25,
        "noise": 0.03, "electronic_noise": 3.0, "blur_mm": 0.3, "heel": 0.2, "vignetting": 0.15,
        "response_gamma": 0.9, "open_field": (0.7, 1.0), "blade_deg": 6.0, "rods": 0,
        "rod_radius_mm": 3.0, "wires": 1, "screws": 0, "bone_motion_deg": 0.0,
        "bone_motion_mm": 0.0,
        "beyond": {
            "tissue_mm": 32.0, "other_bones": 2, "bone_distance_mm": (8.0, 20.0), "beads": 8,
            "rings": 2, "circle": (0.9, 1.0), "saturation": 1.6, "letters": 2, "bits": 8,
        },
    }  # fmt: skip
    assert SEVERITIES["real"] is REAL
    assert all(SEVERITIES[name].beyond is None for name in ("clean", "typical", "hard"))


def test_the_long_axis_of_what_is_filled():
    middle, axes, half = bone_axis(a_bone())
    assert middle == pytest.approx([7.0, 12.0, 33.0])
    assert np.abs(axes[0]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)
    assert half == pytest.approx([24.0, 4.0, 2.0])


def test_tissue_of_a_limb_about_a_bone():
    # Semi-axes: 4 + 10 mm along y, 2 + 10 along x; rays through the middle along each.
    beyond = Beyond(tissue_mm=10.0)
    source = np.array([7.0, 12.0 - 100.0, 33.0])
    through = tissue_length(beyond, a_bone(), source, np.array([[[0.0, 200.0, 0.0]]]))
    assert float(through[0, 0]) == pytest.approx(28.0)
    source = np.array([7.0 - 100.0, 12.0, 200.0])  # far beyond the bone's end: the limb goes on
    through = tissue_length(beyond, a_bone(), source, np.array([[[200.0, 0.0, 0.0]]]))
    assert float(through[0, 0]) == pytest.approx(24.0)


def test_the_body_goes_on_beyond_a_whole_ct_and_not_within():
    hu = torch.full((10, 20, 30), 40.0)
    hu[:, :1] = -1000.0
    volume = volume_of(hu)  # x 30, y 40, z 30 mm; its slices reach from -1.5 to 28.5 mm
    # Along x through the middle: the body is 0.8 of 30 mm, beyond the CT alone.
    for z, wanted in ((13.5, 0.0), (27.9, 0.0), (29.5, 24.0), (-4.0, 24.0)):
        source = np.array([14.5 - 100.0, 19.0, z])
        through = tissue_length(Beyond(), volume, source, np.array([[[200.0, 0.0, 0.0]]]))
        assert float(through[0, 0]) == pytest.approx(wanted), z


def test_a_long_bone_is_a_shell():
    bone = LongBone(Capsule(np.array([0.0, 0.0, -50.0]), np.array([0.0, 0.0, 50.0]), 7.0))
    source = np.array([-100.0, 0.0, 0.0])
    across = bone.shell_length(source, np.array([[[200.0, 0.0, 0.0]], [[200.0, 12.0, 0.0]]]))
    # Through the axis: 14 mm less 10 of marrow. Past it, 6 mm off: through cortex alone.
    assert float(across[0, 0]) == pytest.approx(4.0)
    tilted = 6.0 / np.hypot(1.0, 0.06)
    assert float(across[1, 0]) == pytest.approx(2 * np.sqrt(49.0 - tilted**2), rel=1e-6)


def test_bone_takes_the_place_of_tissue():
    beyond, bone = Beyond(tissue_mm=10.0), a_bone()
    source, r = np.array([7.0, -88.0, 33.0]), np.array([[[0.0, 200.0, 0.0]]])
    own = PathLengths(np.full((1, 1), -6.0), np.full((1, 1), 6.0), np.zeros((1, 1)))
    other = LongBone(Capsule(np.array([7.0, 20.0, -50.0]), np.array([7.0, 20.0, 150.0]), 7.0))
    made = with_beyond(own, beyond, bone, (other,), source, r)
    # 28 mm of limb: 6 of them the bone's own, 4 the other's cortex.
    assert float(made.soft[0, 0]) == pytest.approx(28.0 - 6.0 - 4.0)
    assert float(made.bone[0, 0]) == pytest.approx(6.0 + 4.0)


def test_bones_in_a_limb_fade_to_water_and_not_to_air():
    # Two voxels of 800 HU, 3 mm each, alone along the ray: what is above water fades over a voxel on
    # either side, 2 x 3 mm x 0.8 in all. Towards air it would end 0.44 voxel out: a bone cut from its CT
    # would be narrower than it was, and seem farther away.
    hu = torch.full((1, 1, 8), -1000.0)
    hu[..., 3:5] = 800.0
    grid = torch.diag(torch.tensor([3.0, 2.0, 2.0, 1.0]))
    volume = Volume(lac_from_hu(hu), grid, hu=hu)
    source, r = np.array([-100.0, 0.0, 0.0]), np.array([[200.0, 0.0, 0.0]])
    made = patient_paths(volume, None, {}, source, r, step_mm=0.001, around=WATER)
    bone = 2 * 3.0 * 0.8 / (Decomposition.standard().bone - 1.0)
    assert float(made.bone[0]) == pytest.approx(bone, rel=1e-3)
    assert float(made.soft[0]) == pytest.approx(-bone, rel=1e-3)


def test_a_bead_and_a_ring():
    carm = CArm(1000.0, 700.0, DETECTOR)
    pose = carm.pose_from(CArmPose(isocenter=(7.0, 12.0, 33.0)))
    made = beads_and_rings(Beyond(), a_bone(), carm, pose, np.random.default_rng(1))
    assert len(made) == 10
    ball = made[0].parts[0]
    source = ball.start - [100.0, 0.0, 0.0]
    assert float(made[0].chord_lengths(source, np.array([[200.0, 0.0, 0.0]]))[0]) == pytest.approx(
        2.0
    )
    x, y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    wire = ring(np.zeros(3), x, y)
    rays = np.array([[0.0, 0.0, 200.0], [12.0, 0.0, 200.0]])  # the middle; 6 mm off, on the wire
    through = wire.chord_lengths(np.array([0.0, 0.0, -100.0]), rays)
    assert float(through[0]) == 0.0
    assert float(through[1]) == pytest.approx(0.8, rel=0.02)


def test_the_circle_of_an_intensifier():
    field = circular_field(Beyond(circle=(0.9, 0.9)), DETECTOR, np.random.default_rng(0))
    # 80 x 90 mm: a circle of 72 mm, in pixels of 3 mm^2.
    assert field.sum() == pytest.approx(np.pi * 36.0**2 / 3.0, rel=0.03)
    assert field[20, 30]
    assert not field[0, 0]
    assert field[20, 7]  # 33.75 mm off
    assert not field[20, 4]  # 38.25 mm


def test_eight_bits_clipped_at_white():
    share = np.full((40, 60), 0.25)
    share[:, 30:] = 0.4
    share[:, 50:] = 0.9  # air
    field = np.ones(share.shape, np.bool_)
    white = white_level(share, share, field, Beyond(saturation=1.6))
    assert white == pytest.approx(1.6 * 0.25)  # behind the patient are 0.25 and 0.4, more of 0.25
    written = as_written(share, white, Beyond(letters=0), np.random.default_rng(0))
    assert np.unique(written).tolist() == [159.0, 255.0]  # 0.25 / 0.4 of 255; clipped
    assert (written[:, 30:] == 255.0).all()


def test_letters_are_burnt_in_below_saturation():
    share = np.full((200, 300), 0.1)
    beyond = Beyond(letters=2)
    plain = as_written(share, 1.0, replace(beyond, letters=0), np.random.default_rng(4))
    written = as_written(share, 1.0, beyond, np.random.default_rng(4))
    changed = written != plain
    assert (written[changed] == 230.0).all()  # 0.9 of 255, rounded
    assert 100 < changed.sum() < 6000
    rows = np.nonzero(changed.any(1))[0]
    assert rows.min() < 70
    assert rows.max() > 130


@pytest.mark.parametrize("whole", [False, True])
def test_a_radiograph_of_it(whole):
    hu = torch.full((24, 24, 24), 40.0 if whole else -1000.0)
    hu[3:20, 9:14, 9:14] = 900.0
    hu[:, :2] = -1000.0
    volume = volume_of(hu)
    carm = CArm(1000.0, 700.0, Detector((48, 64), (3.0, 2.5)))
    x, y, z = volume.center.tolist()
    pose = carm.pose_from(CArmPose(20.0, 5.0, isocenter=(x, y, z)))
    made = simulate_radiograph(volume, None, carm, pose, severity="real", seed=5, rays_per_side=1)
    again = simulate_radiograph(volume, None, carm, pose, severity="real", seed=5, rays_per_side=1)
    assert torch.equal(made.intensity, again.intensity)
    assert torch.equal(made.intensity, made.intensity.round())
    assert float(made.intensity.max()) <= 255.0
    assert made.radiograph.simulated
    clipped = made.intensity >= 255.0
    assert not bool((made.radiograph.usable & clipped).any())
    assert not bool(made.radiograph.usable[0, 0])  # outside the circle
    assert float(made.radiograph.usable.float().mean()) > 0.2
