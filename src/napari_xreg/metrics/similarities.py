"""The similarities that a user can choose: one table for optimisers, landscapes and the window."""

from collections.abc import Callable

from torch import Tensor

from napari_xreg.metrics.correlation import multiscale_ncc, ncc
from napari_xreg.metrics.gradient_correlation import gradient_ncc, xvr_similarity
from napari_xreg.metrics.information import mutual_information, normalized_mutual_information
from napari_xreg.metrics.structural import ssim

Similarity = Callable[..., Tensor]
"""``(fixed, moving, mask=...)``, [*batch, rows, columns] each, to a number a batch item; higher is better."""

SIMILARITIES: dict[str, Similarity] = {
    "mNCC and gNCC (xvr)": xvr_similarity,
    "multiscale NCC": multiscale_ncc,
    "gradient NCC": gradient_ncc,
    "NCC": ncc,
    "mutual information": mutual_information,
    "normalised mutual information": normalized_mutual_information,
    "SSIM": ssim,
}
"""By name; the first line of a function's docstring explains it to the user."""


def similarity_words(similarity: Similarity) -> str:
    """What the user reads of a similarity."""
    lines = (getattr(similarity, "__doc__", None) or "").strip().splitlines()
    return lines[0] if lines else ""
