"""The part of `confidence` that looks at every pixel of one pose."""

import cv2
import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.confidence import CORRELATION_REACH


def correlated_sum(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``sum over p, q of k(p - q) s_p s_q^T`` for s of shape [n, rows, columns].

    A box correlated with itself is the triangle k, so this is the sum of outer products of box
    sums, which cannot be indefinite.
    """
    reach = max(1, round(CORRELATION_REACH * max(scores.shape[1:])))
    border = reach  # boxes that hang over the edge count too
    sums = []
    for plane in scores:
        padded = cv2.copyMakeBorder(
            plane, border, border, border, border, cv2.BORDER_CONSTANT, value=0.0
        )
        sums.append(
            cv2.boxFilter(
                padded, cv2.CV_64F, (reach, reach), normalize=False, borderType=cv2.BORDER_CONSTANT
            ).ravel()
        )
    stack = np.stack(sums)
    total: npt.NDArray[np.float64] = stack @ stack.T / reach**2
    return total
