"""What a voxel is made of, by its attenuation relative to water."""

import pytest

from napari_xreg.simulation.decomposition import Decomposition


def test_metal_begins_at_2800_hu():
    """2800 HU is 3.8 times water; below it lies dense bone such as a tooth."""
    materials = Decomposition.standard()
    soft, bone, metal = materials.fractions(3.75)
    assert (soft, metal) == (0.0, 0.0)
    assert bone == pytest.approx(3.75 / materials.bone)
    assert materials.fractions(3.85) == (0.0, 0.0, pytest.approx(3.85 / materials.metal))
