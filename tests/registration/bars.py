"""A patient whose bone can be told from the rest."""

import torch

from napari_xreg.images import Volume, lac_from_hu


def barred_patient() -> Volume:
    """Water with a few bony bars and a fat layer, 3 mm voxels."""
    hu = torch.full((40, 44, 48), -1000.0)
    hu[3:37, 4:40, 4:44] = -90.0
    hu[3:37, 7:37, 8:40] = 20.0
    hu[5:35, 12:18, 12:17] = 900.0
    hu[10:16, 20:24, 10:38] = 500.0
    hu[22:33, 25:33, 28:36] = 300.0
    matrix = torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0], dtype=torch.float64))
    return Volume(lac_from_hu(hu), matrix, hu=hu)
