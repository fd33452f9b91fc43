"""The part of `confidence` that looks at every pixel of one pose."""

import cv2
import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.confidence import CORRELATION_REACH
from napari_xreg.rendering import split, thread_count


def correlated_sum(
    scores: npt.NDArray[np.float64], threads: int | None = None
) -> npt.NDArray[np.float64]:
    """``sum over p, q of k(p - q) s_p s_q^T`` for s of shape [n, rows, columns].

    A box correlated with itself is the triangle k, so this is the sum of outer products of box
    sums, which cannot be indefinite.
    """
    reach = max(1, round(CORRELATION_REACH * max(scores.shape[1:])))
    border = reach  # boxes that hang over the edge count too
    rows, columns = scores.shape[1:]
    stack = np.empty((len(scores), rows + 2 * border, columns + 2 * border))

    def some(start: int, stop: int) -> None:
        for plane, out in zip(scores[start:stop], stack[start:stop], strict=True):
            padded = cv2.copyMakeBorder(
                plane, border, border, border, border, cv2.BORDER_CONSTANT, value=0.0
            )
            out[:] = cv2.boxFilter(
                padded, cv2.CV_64F, (reach, reach), normalize=False, borderType=cv2.BORDER_CONSTANT
            )

    split(some, len(scores), threads=threads or thread_count(), smallest=1)
    flat = stack.reshape(len(stack), -1)
    total: npt.NDArray[np.float64] = flat @ flat.T / reach**2
    return total
