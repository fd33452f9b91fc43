"""Rigid transforms in ITK's files: whole, or refused."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_xreg.files import ReadError, number, read_bytes, read_text

# How many parameters and fixed parameters (the centre; the order of angles) each has.
_LINEAR = {
    "AffineTransform": (12, 3),
    "MatrixOffsetTransformBase": (12, 3),
    "Euler3DTransform": (6, 4),
    "VersorRigid3DTransform": (6, 3),
    "QuaternionRigidTransform": (7, 3),
    "VersorTransform": (3, 3),
    "Similarity3DTransform": (7, 3),
    "ScaleVersor3DTransform": (9, 3),
    "ScaleTransform": (3, 3),
    "TranslationTransform": (3, 0),
    "IdentityTransform": (0, 0),
}
_KEYS = ("Transform", "Parameters", "FixedParameters")


def itk_text(matrix: npt.NDArray[np.float64], comment: str) -> str:
    """A 4 x 4 matrix as the text of an ITK transform.

    Affine, because its twelve numbers are the matrix itself, and every ITK program reads it.
    """
    numbers = [*matrix[:3, :3].ravel(), *matrix[:3, 3]]
    return (
        f"#Insight Transform File V1.0\n# {comment}\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(repr(float(v)) for v in numbers)}\nFixedParameters: 0 0 0\n"
    )


def read_itk_transform(path: Path | str) -> npt.NDArray[np.float64]:
    """The 4 x 4 matrix of a file that holds one linear transform of space, text or binary (``.h5``, ``.mat``).

    Raises
    ------
    ReadError
        As `matrix_of_itk`, or if it is absent.
    """
    path = Path(path)
    if path.suffix.lower() in (".h5", ".mat"):
        read_bytes(path)  # refuses what is no file before ITK opens it
        return matrix_of_itk(path, None)
    return matrix_of_itk(path, read_text(path))


def matrix_of_itk(path: Path, text: str | None) -> npt.NDArray[np.float64]:
    """The 4 x 4 matrix of a file that holds one linear transform of space.

    Parameters
    ----------
    text
        Its contents; None for a binary file (``.h5``).

    Raises
    ------
    ReadError
        If it is not such a file, holds several transforms, or lacks a part: ITK itself takes what
        is missing for the identity.
    """
    if text is not None:
        _check_whole(path.name, text)
    try:
        import SimpleITK as sitk  # a quarter of a second, for one kind of file

        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise ReadError(f"{path.name}: ITK cannot read it as a transform") from error
    if not transform.IsLinear() or transform.GetDimension() != 3:
        raise ReadError(
            f"{path.name}: expected a rigid 3D transform: got {transform.GetName()} in "
            f"{transform.GetDimension()} dimensions"
        )
    # Any linear transform is known by where it puts the origin and the axes.
    origin = np.asarray(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.asarray(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3)]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(axes, 1), origin
    return matrix


def _check_whole(name: str, text: str) -> None:
    """Every part is there, once, with as many numbers as it has."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    parts = [(key.strip(), value.strip()) for key, _, value in (li.partition(":") for li in lines)]
    keys = tuple(key for key, _ in parts)
    if keys.count("Transform") > 1:
        raise ReadError(
            f"{name}: holds several transforms, a pose is one: save it as a single linear transform"
        )
    if keys != _KEYS or not text.endswith("\n"):
        raise ReadError(
            f"{name}: is damaged or cut off: a transform has the lines Transform, Parameters and "
            "FixedParameters, and ends with a line break"
        )
    kind, values, fixed = (value for _, value in parts)
    named = re.fullmatch(r"(\w+?)_(?:double|float)_3_3", kind)
    if named is None or named[1] not in _LINEAR:
        raise ReadError(f"{name}: expected a rigid 3D transform: got {kind or 'no name'}")
    wanted, fixed_wanted = _LINEAR[named[1]]
    for what, found, count in (("", values, wanted), ("fixed ", fixed, fixed_wanted)):
        words = found.split()
        # ITK before version 4.10 wrote no order of angles.
        if len(words) != count and not (named[1] == "Euler3DTransform" and len(words) == 3):
            raise ReadError(
                f"{name}: is damaged or cut off: {named[1]} has {count} {what}parameters: got "
                f"{len(words)}"
            )
        try:
            for word in words:
                number(word)
        except ValueError as error:
            raise ReadError(f"{name}: in the {what}parameters, {error}") from error
