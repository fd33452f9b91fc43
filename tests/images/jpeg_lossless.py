"""JPEG Lossless (ITU-T T.81, process 14, predictor 1: the sample to the left), written by hand."""

import struct

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1


def jpeg_lossless(image: np.ndarray, precision: int) -> bytes:
    """One frame [rows, columns] of unsigned values, or signed ones as their bits."""
    rows, columns = image.shape
    values = image.astype(np.int64) & ((1 << precision) - 1)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    # Differences are taken modulo 2^16; of the 17 sizes every one has a code of five bits.
    differences = (values - predicted + 32768) % 65536 - 32768
    bits = []
    for difference in differences.ravel().tolist():
        size = 16 if difference == -32768 else abs(difference).bit_length()
        bits.append(f"{size:05b}")
        if 0 < size < 16:
            extra = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{extra:0{size}b}")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    packed = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")
    counts = bytes([0, 0, 0, 0, 17, *[0] * 11])
    return b"".join(
        [
            b"\xff\xd8",
            b"\xff\xc3" + struct.pack(">HBHHBBBB", 11, precision, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 17, 0) + counts + bytes(range(17)),
            b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0),
            packed,
            b"\xff\xd9",
        ]
    )


def squeezed(dataset: Dataset, frames, precision: int) -> Dataset:
    """The same header, its frames as JPEG Lossless."""
    dataset.PixelData = encapsulate([jpeg_lossless(frame, precision) for frame in frames])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    return dataset
