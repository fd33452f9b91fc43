"""What a network sees of a radiograph, as a picture."""

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.rayemb.prepared import PreparedNetwork


def embedding_colours(prepared: PreparedNetwork) -> npt.NDArray[np.uint8]:
    """The embedding of the radiograph as colours: its first three principal components.

    Rows and columns as of the radiograph, one pixel for each cell; like colours are alike to the
    network.
    """
    embedding = prepared.embedded.embedding.detach().cpu().float()
    d, h, w = embedding.shape
    cells = embedding.reshape(d, h * w).T
    cells = cells / cells.norm(dim=1, keepdim=True).clamp_min(1e-8)
    centred = cells - cells.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    # A direction has no sign of its own: the largest entry is made positive.
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    parts = centred @ (axes * largest.sign())[:3].T
    low, high = parts.quantile(0.02, dim=0), parts.quantile(0.98, dim=0)
    shares = ((parts - low) / (high - low).clamp_min(1e-8)).clamp(0, 1)
    colours = (255 * shares).round().to(torch.uint8).reshape(h, w, -1).numpy()
    if prepared.embedded.carm.detector.mirrored != prepared.carm.detector.mirrored:
        colours = colours[:, ::-1]
    return np.ascontiguousarray(colours)
