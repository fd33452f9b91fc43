"""Scrambled Sobol points against scipy's, whose numbers they are."""

import numpy as np
import pytest
from scipy.stats import qmc

from napari_xreg.registration.refinement.sobol import DIMENSIONS, scrambled_sobol


@pytest.mark.parametrize(("power", "seed"), [(1, 0), (3, 5), (7, 0), (8, 20001)])
def test_the_points_are_scipys(power, seed):
    theirs = qmc.Sobol(DIMENSIONS, scramble=True, rng=np.random.default_rng(seed))
    np.testing.assert_array_equal(scrambled_sobol(power, seed), theirs.random_base2(power))


def test_every_axis_is_filled_evenly():
    """Of 16 points one lies in every sixteenth of each axis."""
    cells = np.sort((16 * scrambled_sobol(4, 3)).astype(int), axis=0)
    np.testing.assert_array_equal(cells, np.tile(np.arange(16)[:, None], (1, DIMENSIONS)))
