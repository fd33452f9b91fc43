"""Small pictures of a radiograph with a DRR over it."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap
from torch import Tensor


def overlaid(
    radiograph: Float[Tensor, "rows columns"], drr: Float[Tensor, "h w"]
) -> NDArray[np.uint8]:
    """The DRR in orange, the radiograph in blue: grey where they agree; [rows, columns, 3].

    Parameters
    ----------
    radiograph
        Line integrals.
    drr
        Of the same C-arm, of any size.
    """
    shape = (radiograph.shape[0], radiograph.shape[1])
    fitted = torch.nn.functional.interpolate(
        drr[None, None].float(), shape, mode="bilinear", align_corners=False
    )[0, 0]
    seen, drawn = _stretched(radiograph), _stretched(fitted)
    return (255 * np.stack([drawn, 0.5 * (seen + drawn), seen], -1)).astype(np.uint8)


def _stretched(image: Float[Tensor, "rows columns"]) -> NDArray[np.float32]:
    """From its 1 to its 99 per cent; nothing for an even image."""
    values = image.detach().cpu().float().numpy()
    low, high = np.percentile(values, (1.0, 99.0)).tolist()
    stretched: NDArray[np.float32] = (values - low) / max(high - low, 1e-6)
    return np.clip(stretched, 0.0, 1.0)


def pixmap_of(picture: NDArray[np.uint8], size: QSize) -> QPixmap:
    """As large as fits, its sides' ratio kept."""
    rows, columns, _ = picture.shape
    image = QImage(picture.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image).scaled(
        size,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
