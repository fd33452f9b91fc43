"""Scrambled Sobol points in six dimensions: even samples of a cube, the same for a seed everywhere.

scipy.stats has them too, and takes most of a second to import; these are its numbers, bit for bit.
"""

import numpy as np
import numpy.typing as npt

BITS = 30
# Primitive polynomials, and the first direction numbers that go with them, dimension by dimension:
# Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci.
# Comput. 30 (2008), new-joe-kuo-6.
_POLYNOMIALS = (1, 3, 7, 11, 13, 19)
_FIRST = ((1,), (1,), (1, 3), (1, 3, 1), (1, 1, 1), (1, 1, 3, 3))
DIMENSIONS = len(_POLYNOMIALS)

Words = npt.NDArray[np.int64]


def scrambled_sobol(power: int, seed: int) -> npt.NDArray[np.float64]:
    """``2**power`` points [n, 6] in [0, 1), their digits scrambled and shifted.

    Scrambling is linear (a random lower triangular matrix over the binary digits of each dimension)
    with a random shift: Matousek, "On the L2-discrepancy for anchored boxes", J. Complexity 14 (1998).

    Parameters
    ----------
    power
        At most `BITS`.
    seed
        Of matrices and shifts.
    """
    rng = np.random.default_rng(seed).spawn(1)[0]
    shift = rng.integers(2, size=(DIMENSIONS, BITS), dtype=np.uint32) @ (1 << np.arange(BITS))
    lower = np.tril(rng.integers(2, size=(DIMENSIONS, BITS, BITS), dtype=np.uint32))
    lower |= np.eye(BITS, dtype=np.uint32)
    places = 1 << np.arange(BITS - 1, -1, -1)  # the first digit counts most
    digits = (_directions()[:, None] & places[:, None]) > 0  # dimension, digit, direction
    directions = places @ (lower.astype(np.int64) @ digits % 2)
    # Gray code: a point differs from the one before by the direction of the lowest zero bit.
    numbers = np.arange(2**power - 1)
    lowest = np.frexp((~numbers & (numbers + 1)).astype(np.float64))[1] - 1
    changes = np.vstack([shift, directions[:, lowest].T])
    return np.bitwise_xor.accumulate(changes) / 2.0**BITS


def _directions() -> Words:
    """Direction numbers of every dimension, first digit highest."""
    found = np.ones((DIMENSIONS, BITS), np.int64)
    for row, polynomial, first in zip(found[1:], _POLYNOMIALS[1:], _FIRST[1:], strict=True):
        degree = len(first)
        row[:degree] = first
        for i in range(degree, BITS):
            word = row[i - degree]
            for k in range(1, degree + 1):
                if polynomial >> (degree - k) & 1:
                    word ^= row[i - k] << k
            row[i] = word
    return found << np.arange(BITS - 1, -1, -1)
