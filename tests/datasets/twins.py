"""Synthetic twins of data sets: a lump of bone, its pictures and its points, by nothing of the package.

Everything is odd on purpose: anisotropic voxels, an oblique place, a principal point off the middle, as
many rows as columns nowhere. A camera is a 3 x 4 matrix M: (column, row, 1) ~ M (x, y, z, 1), LPS mm.
"""

import h5py
import nibabel
import numpy as np
import pydicom
import torch
from scipy.ndimage import map_coordinates

from napari_xreg.images import lac_from_hu

VOXELS = (26, 22, 30)  # z, y, x
SPACING = (1.9, 2.3, 1.6)  # x, y, z, mm
ORIGIN = (-35.0, 12.0, -140.0)
I0 = 65487.0
POINTS = {
    "ASIS-l": (-10.0, 20.0, -130.0),
    "FH-r": (8.0, 45.0, -118.0),
    "IOF-l": (12.0, 30.0, -105.0),
}


def turn(axis, degrees):
    """Rotation about a coordinate axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = [k for k in range(3) if k != axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def motion(rotation, translation):
    """4 x 4."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


def hounsfield():
    """Air around soft tissue around bone that looks the same from no two sides."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in VOXELS], indexing="ij")
    hu = np.full(VOXELS, -1000.0)
    hu[(x / 0.9) ** 2 + (y / 0.8) ** 2 + (z / 0.9) ** 2 < 1] = 20
    hu[((x - 0.3) / 0.35) ** 2 + ((y + 0.1) / 0.5) ** 2 + ((z - 0.2) / 0.4) ** 2 < 1] = 700
    hu[((x + 0.4) / 0.2) ** 2 + ((y - 0.2) / 0.2) ** 2 + ((z + 0.1) / 0.6) ** 2 < 1] = 1100
    hu[((x + 0.1) / 0.15) ** 2 + ((y - 0.4) / 0.15) ** 2 + ((z + 0.5) / 0.15) ** 2 < 1] = 1500
    return hu.astype(np.int16)


def labels():
    """2 on one side, 5 on the other, of what is bone."""
    hu = hounsfield()
    left = np.broadcast_to(np.arange(VOXELS[2]) < 13, VOXELS)
    return (np.where(left, 2, 5) * (hu > 300)).astype(np.uint8)


def attenuation(hu):
    """1/mm."""
    return lac_from_hu(torch.from_numpy(np.asarray(hu, np.float64)), energy_kev=70.0).numpy()


def affine(spacing=SPACING, origin=ORIGIN):
    """(x, y, z) of a voxel to LPS mm."""
    return motion(np.diag(spacing), origin)


def picture(camera, shape, lac, place, step=0.5):
    """Line integrals by plain sampling: from the source through the centre of each pixel."""
    inverse = np.linalg.inv(camera[:, :3])
    source = -inverse @ camera[:, 3]
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ways = np.stack([columns, rows, np.ones(shape)], -1).reshape(-1, 3) @ inverse.T
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    middle = (place @ np.array([*((np.array(lac.shape[::-1]) - 1) / 2), 1.0]))[:3]
    away = np.linalg.norm(middle - source)
    ways *= np.sign(ways @ (middle - source))[:, None]
    reach = np.linalg.norm(place[:3, :3] @ np.array(lac.shape[::-1]))
    depths = np.arange(away - reach / 2, away + reach / 2, step)
    to_index = np.linalg.inv(place)
    total = np.zeros(len(ways))
    for depth in depths:
        points = source + depth * ways
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        total += map_coordinates(lac, index[:, ::-1].T, order=1, cval=0.0)
    return (step * total).reshape(shape)


def pixels(camera, points):
    """(column, row) of points."""
    seen = np.asarray(points) @ camera[:, :3].T + camera[:, 3]
    return seen[:, :2] / seen[:, 2:]


def about(points, depth, rotation, towards=1.0):
    """World to a camera at a depth before the middle of points, its z towards them (1) or away (-1)."""
    middle = np.mean(points, axis=0)
    translation = np.array([4.0, -3.0, towards * depth]) - rotation @ middle
    return motion(rotation, translation)


# DeepFluoro, full resolution.

SHAPE = (44, 52)
PIXEL = (7.1, 6.3)  # row, column, mm
K = np.array([[-1020 / PIXEL[1], 0, 23.4], [0, -1020 / PIXEL[0], 24.3], [0, 0, 1.0]])
EXTRINSIC = motion(turn(0, 4) @ turn(2, -7), (3.0, -8.0, 11.0))
VIEWS = {  # turn of the camera, upside down
    "000": (turn(0, 90) @ turn(2, 12) @ turn(1, 5), False),
    "003": (turn(0, 80) @ turn(2, -25), True),
}


def deepfluoro_cameras():
    """View -> camera to CT (4 x 4), and the camera of the image as stored."""
    found = {}
    for name, (rotation, _) in VIEWS.items():
        world = about(list(POINTS.values()), 800.0, rotation, towards=-1.0)
        cam_to_volume = np.linalg.inv(np.linalg.inv(EXTRINSIC) @ world)
        found[name] = cam_to_volume, K @ world[:3]
    return found


def write_deepfluoro(path, specimens=("17-1882", "18-1109")):
    """The file, with two specimens, two projections each."""
    hu = hounsfield()
    lac, place = attenuation(hu), affine()
    column = {name: np.array(value)[:, None] for name, value in POINTS.items()}
    with h5py.File(path, "w") as file:
        said = file.create_group("proj-params")
        said["intrinsic"], said["extrinsic"] = K, EXTRINSIC
        said["num-rows"], said["num-cols"] = SHAPE
        said["pixel-row-spacing"], said["pixel-col-spacing"] = PIXEL
        for specimen in specimens:
            group = file.create_group(specimen)
            for name, values in (("vol", hu), ("vol-seg/image", labels())):
                grid = group.create_group(name)
                grid["pixels"], grid["dir-mat"] = values, np.eye(3)
                grid["spacing"] = np.array(SPACING)[:, None]
                grid["origin"] = np.array(ORIGIN)[:, None]
            group["vol-seg/labels-def/2"] = "Right Hemipelvis"
            group["vol-seg/labels-def/5"] = "Left Femur"
            for name, value in column.items():
                group[f"vol-landmarks/{name}"] = value
            for name, (cam_to_volume, camera) in deepfluoro_cameras().items():
                shot = group.create_group(f"projections/{name}")
                shot["image/pixels"] = (I0 * np.exp(-picture(camera, SHAPE, lac, place))).astype(
                    "f4"
                )
                shot["rot-180-for-up"] = int(VIEWS[name][1])
                for mark, seen in zip(POINTS, pixels(camera, list(POINTS.values())), strict=True):
                    shot[f"gt-landmarks/{mark}"] = seen[:, None]
                poses = shot.create_group("gt-poses")
                poses["cam-to-pelvis-vol"] = cam_to_volume
                poses["cam-to-left-femur-vol"] = cam_to_volume @ motion(turn(1, 3), (1.0, 2.0, 3.0))
                poses["left-femur-good-fov"] = 1
                poses["cam-to-right-femur-vol"] = cam_to_volume
                poses["right-femur-good-fov"] = 0
    return path


# xvr-data: what a set of it is written by, after FIELD 2.1: K and P AP on RAS mm from the middle.

XVR_SHAPE, XVR_EDGE = (40, 54), (3, 2)
XVR_AP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
XVR_CAMERA = {
    "sdd": 1190.0,
    "delx": 6.1,
    "dely": 7.3,
    "x0": 11.0,
    "y0": -17.0,
    "height": 40,
    "width": 54,
}
XVR_VIEWS = {"000": turn(0, -80) @ turn(2, 8), "003": turn(2, 30) @ turn(0, -95)}


def middle():
    """Of the grid, LPS mm."""
    return (affine() @ np.array([*((np.array(VOXELS[::-1]) - 1) / 2), 1.0]))[:3]


def xvr_cameras():
    """View -> pose as the newer generation stores it, and the camera of the part it is of."""
    said = XVR_CAMERA
    k = np.array(
        [
            [said["sdd"] / said["delx"], 0, (said["width"] - 1) / 2 + said["x0"] / said["delx"]],
            [0, -said["sdd"] / said["dely"], (said["height"] - 1) / 2 + said["y0"] / said["dely"]],
            [0, 0, 1],
        ]
    )
    centred_ras = np.diag([-1.0, -1, 1, 1]) @ motion(np.eye(3), -middle())
    found = {}
    for name, rotation in XVR_VIEWS.items():
        camera_from_ras = motion(rotation, (5.0, -4.0, 860.0))
        pose = np.linalg.inv(camera_from_ras) @ np.linalg.inv(XVR_AP)
        found[name] = pose, k @ (camera_from_ras @ centred_ras)[:3]
    return found


def write_xvr(folder, kind="deepfluoro", subjects=("subject01", "subject02"), *, older=()):
    """A set; in the subjects `older` poses are of the older generation."""
    hu = (
        hounsfield()
        if kind != "ljubljana"
        else np.where(hounsfield() > 300, 4000, 0).astype(np.int16)
    )
    air, dense = hu.min(), hu.max()
    lac = attenuation(hu) if kind != "ljubljana" else 0.05 * (hu - air) / (dense - air)
    ras = np.diag([-1.0, -1, 1, 1]) @ affine()
    for subject in subjects:
        place = folder / kind / subject
        (place / "xrays").mkdir(parents=True)
        for name, values in (("volume", hu), ("mask", labels())):
            image = nibabel.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), ras)
            image.header.set_xyzt_units("mm")
            if name == "volume" or kind != "ljubljana":
                nibabel.save(image, place / f"{name}.nii.gz")
        points = (np.array(list(POINTS.values())) - middle()) * [-1, -1, 1]
        torch.save(torch.tensor(points[None], dtype=torch.float32), place / "fiducials.pt")
        for name, (pose, camera) in xvr_cameras().items():
            shift = np.array([[1.0, 0, XVR_EDGE[1]], [0, 1, XVR_EDGE[0]], [0, 0, 1]])
            shape = tuple(n + 2 * e for n, e in zip(XVR_SHAPE, XVR_EDGE, strict=True))
            through = picture(shift @ camera, shape, lac, affine())
            if kind == "ljubljana":
                values = 60000 - 50000 * through / through.max()
            else:
                values = I0 * np.exp(-through)
            _write_xray(place / "xrays" / f"{name}.dcm", values)
            stored = pose @ np.diag([-1.0, -1, 1, 1]) if subject in older else pose
            said = {
                "pose": torch.tensor(stored[None], dtype=torch.float32),
                "intrinsics": XVR_CAMERA,
            }
            torch.save(said, place / "xrays" / f"{name}.pt")
    return folder / kind


def _write_xray(path, values):
    """As little as xvr-data's converter writes."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.XRayRadiofluoroscopicImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made = pydicom.Dataset()
    made.file_meta = meta
    made.Rows, made.Columns = values.shape
    made.PixelSpacing = [XVR_CAMERA["dely"], XVR_CAMERA["delx"]]
    made.DistanceSourceToDetector = XVR_CAMERA["sdd"]
    made.DetectorActiveOrigin = [XVR_CAMERA["y0"], XVR_CAMERA["x0"]]
    made.BitsStored = made.BitsAllocated = 16
    made.PixelRepresentation, made.SamplesPerPixel = 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = values.round().astype("<u2").tobytes()
    pydicom.dcmwrite(path, made, enforce_file_format=True)


# Ljubljana: as its matrices say, and as the field's reader takes its voxels.

LJ_SHAPE, LJ_PIXEL = (38, 50), (5.9, 6.6)  # row, column, mm
LJ_K = np.array([[-1250 / LJ_PIXEL[1], 0, 27.2], [0, -1250 / LJ_PIXEL[0], 15.6], [0, 0, 1.0]])
LJ_VIEWS = {
    "ap": turn(0, 90) @ turn(2, 10),
    "lat": turn(1, 90) @ turn(0, 80),
    "ap-max": turn(0, 95),
}


def ljubljana_cameras():
    """View -> world to camera of the file, whose x and y are those of RAS, and the camera of LPS."""
    ras = [np.array(point) * [-1, -1, 1] for point in POINTS.values()]
    found = {}
    for name, rotation in LJ_VIEWS.items():
        # A camera with z to the patient is one too, if none that is mirrored.
        extrinsic = about(ras, 760.0, rotation, towards=1.0 if name == "lat" else -1.0)
        found[name] = extrinsic, (LJ_K @ extrinsic[:3]) @ np.diag([-1.0, -1, 1, 1])
    return found


def write_ljubljana(path, subjects=("subject01", "subject02")):
    """The file; a vessel is what is bone elsewhere, and there is noise below 1000."""
    vessel = np.where(hounsfield() > 300, hounsfield() + 2000, 0)
    lac = vessel * 0.05 / vessel.max()
    noise = np.random.default_rng(3).integers(0, 900, VOXELS)
    # LPS to RAS turns x and y of the grid; the file's first axis runs against x.
    ras_origin = np.array(
        [
            -(ORIGIN[0] + SPACING[0] * (VOXELS[2] - 1)),
            -(ORIGIN[1] + SPACING[1] * (VOXELS[1] - 1)),
            ORIGIN[2],
        ]
    )
    stored = np.maximum(vessel, noise).transpose(2, 1, 0)[:, ::-1]
    with h5py.File(path, "w") as file:
        for subject in subjects:
            volume = file.create_group(f"{subject}/volume")
            volume["pixels"], volume["spacing"], volume["origin"] = (
                stored.astype("i2"),
                SPACING,
                ras_origin,
            )
            file[f"{subject}/points"] = np.array(list(POINTS.values())) * [-1, -1, 1]
            for name, (extrinsic, camera) in ljubljana_cameras().items():
                shot = file.create_group(f"{subject}/proj-{name}")
                through = picture(camera, LJ_SHAPE, lac, affine())
                shot["pixels"] = (1400 - 300 * through).astype("f4")
                shot["intrinsic"], shot["extrinsic"] = LJ_K, extrinsic
                shot["row-spacing"], shot["col-spacing"] = LJ_PIXEL
    return path
