"""A CT as a network learns from it: bone and soft tissue, points, bending, folders."""

import nibabel
import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import LabelMap, ReadError, Volume, lac_from_hu
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    CTFolder,
    Mixture,
    OnePatient,
    PhantomPopulation,
    bent,
    bone_mask,
    patient_from_volume,
    points_in_bone,
)

CARM = CArm(1020.0, 750.0, Detector((24, 32), (9.0, 8.0)))


def small() -> tuple[Volume, LabelMap]:
    """Soft tissue with one bar of bone off the middle, oblique."""
    hu = torch.full((14, 18, 22), -1000.0)
    hu[2:12, 2:16, 3:20] = 40.0
    hu[4:7, 5:12, 6:10] = 900.0
    matrix = torch.tensor(
        [[2.0, 0.3, 0.0, 31.0], [0.0, 2.5, 0.2, -44.0], [0.1, 0.0, 3.0, 600.0], [0, 0, 0, 1]]
    ).double()
    ids = (hu > 500).int() * 7
    return Volume(lac_from_hu(hu), matrix, hu), LabelMap(ids, matrix)


def test_bone_and_soft_tissue_add_up_to_the_ct():
    volume, _ = small()
    patient = patient_from_volume(volume, voxel_mm=0.5)
    pose = CARM.world_from_camera(31.0, 12.0, isocenter=patient.isocenter)[None]
    kinds = patient.render(CARM, pose)
    whole = render_drr(volume, CARM, pose, method="joseph")
    torch.testing.assert_close(kinds.sum(1), whole, rtol=1e-4, atol=1e-5)
    assert kinds[:, 0].max() > 0.2
    assert kinds[:, 1].max() > 0.2


def test_points_are_voxel_centres_of_the_bone_and_around_it():
    volume, labels = small()
    patient = patient_from_volume(volume, labels=labels, soft_points=0.5, voxel_mm=3.0)
    index = volume.index_from_world.double()
    at = patient.points @ index[:3, :3].T + index[:3, 3]
    torch.testing.assert_close(at, at.round(), rtol=0, atol=1e-9)
    x, y, z = at.round().long().T
    hu = volume.hu[z, y, x]
    count = 3 * 7 * 4
    assert (hu[:count] == 900).all()
    assert len(hu) == count + count // 2
    assert (hu[count:] == 40).all()
    assert len(torch.unique(patient.points, dim=0)) == len(patient.points)
    # Middle of the bar: index (7.5, 8, 5).
    middle = volume.world_from_index[:3, :3] @ torch.tensor([7.5, 8.0, 5.0]).double()
    torch.testing.assert_close(patient.isocenter, middle + volume.world_from_index[:3, 3])


def test_a_ct_without_bone_is_refused_in_words():
    volume, _ = small()
    with pytest.raises(ValueError, match="no voxel above 2000 HU"):
        patient_from_volume(volume, bone_above_hu=2000)
    # Of what is validated on, too: the middle of no points is no place to turn about.
    with pytest.raises(ValueError, match="no voxel above 2000 HU"):
        points_in_bone(volume, None, 2000, 0)


def test_labelled_points_are_dense_where_anything_is():
    volume, labels = small()
    whole = LabelMap(torch.full_like(labels.ids, 25), labels.world_from_index, {25: "sacrum"})
    dense = bone_mask(volume, whole, None, 250.0)
    assert torch.equal(dense, volume.hu > 250)
    assert torch.equal(bone_mask(volume, labels, None, 250.0), labels.ids > 0)
    # Of a structure that is soft all over every voxel counts.
    soft = LabelMap(
        (volume.hu < 250).to(labels.ids.dtype) * 51, labels.world_from_index, {51: "heart"}
    )
    assert torch.equal(bone_mask(volume, soft, [51], 250.0), volume.hu < 250)


@pytest.mark.slow
def test_bending_moves_ct_and_labels_alike():
    made = phantom(spacing_mm=8.0, seed=5)
    generator = torch.Generator().manual_seed(2)
    volume, labels = bent(
        made.volume, made.labels, generator, bend_mm=12.0, stretch=0.1, texture=0.0
    )
    before, after = made.labels.ids > 0, labels.ids > 0
    overlap = (before & after).sum() / (before | after).sum()
    assert 0.15 < overlap < 0.9
    # Bone is still where its label is: bent apart, its HU would be those of soft tissue.
    assert volume.hu[after].median() > volume.hu[before & ~after].median() + 200
    assert volume.hu[~after].median() < 100
    same, kept = bent(made.volume, made.labels, generator, bend_mm=0.0, stretch=0.0, texture=0.0)
    torch.testing.assert_close(same.hu, made.volume.hu, rtol=0, atol=0.05)
    assert torch.equal(kept.ids, made.labels.ids)


@pytest.mark.slow
def test_the_same_generator_draws_the_same_patient():
    population = PhantomPopulation(seeds=(3, 4), spacing_mm=8.0)
    one, two = (population.draw(torch.Generator().manual_seed(9)) for _ in range(2))
    assert one.name == two.name
    assert torch.equal(one.bone.lac, two.bone.lac)
    assert torch.equal(one.points, two.points)


def test_a_folder_of_cts_and_a_mixture(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        hu = rng.normal(30, 5, (10, 9, 8)).astype(np.float32)
        hu[3:6, 2:5, 2:6] = 700.0
        hu[9] = -1000.0  # air: without any, nobody could tell that these are Hounsfield units
        nibabel.Nifti1Image(hu, np.diag([3.0, 3.5, 4.0, 1.0])).to_filename(
            tmp_path / name / "ct.nii.gz"
        )
    labels = np.zeros((10, 9, 8), np.uint8)
    labels[4, 3, 3] = 25
    nibabel.Nifti1Image(labels, np.diag([3.0, 3.5, 4.0, 1.0])).to_filename(
        tmp_path / "a" / "labels.nii.gz"
    )
    folder = CTFolder(tmp_path)
    assert [file.parent.name for file in folder.files] == ["a", "b"]
    generator = torch.Generator().manual_seed(0)
    drawn = {patient.name: patient for patient in (folder.draw(generator) for _ in range(12))}
    assert set(drawn) == {"a", "b"}
    # One labelled voxel against 3 x 3 x 4 bright ones (a share of soft points comes on top).
    assert len(drawn["a"].points) == 1
    assert len(drawn["b"].points) == 36 + 5
    mixture = Mixture([(folder, 3.0), (OnePatient(drawn["b"]), 1.0)])
    names = [mixture.draw(generator).name for _ in range(200)]
    # "a" is one of two in a folder that is drawn three times in four; four standard deviations.
    assert names.count("a") == pytest.approx(75, abs=27)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ReadError, match="holds no CT"):
        CTFolder(tmp_path)
    with pytest.raises(ValueError, match="positive weights"):
        Mixture([])
