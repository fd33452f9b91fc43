"""Templates: DRRs of the CT at known poses, embedded once, and the features of a point in them."""

import contextlib
import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_xreg.files import written
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.rayemb.network.encoder import RayEncoder
from napari_xreg.rayemb.template_range import TEMPLATE_POSES, learned_template_poses
from napari_xreg.rendering import at_voxel_size, render_drr
from napari_xreg.training import Align, PoseRange, cells_from_pixels, inside_image

RAYEMB_V1_CARM = CArm(1800.0, 900.0, Detector((512, 512), (1.4, 1.4)))
"""What the templates of the published weights were rendered with (METHODS A3)."""


@dataclass(frozen=True)
class TemplateSettings:
    """Which templates to render.

    Parameters
    ----------
    layout
        ``random`` or ``grid``.
    count
        Number of templates; for a grid the square of its side.
    extent
        Side over that of a radiograph: larger, so that most of the patient is seen.
    poses
        Range of C-arm poses.
    seed
        Of a random layout.
    voxel_mm
        The CT is averaged to about this before rendering.
    rayemb_v1
        Use the C-arm and the 18 x 18 grid over +-45 degrees of the published weights.
    """

    layout: Literal["random", "grid"] = "random"
    count: int = 64
    extent: float = 1.25
    poses: PoseRange = TEMPLATE_POSES
    seed: int = 0
    voxel_mm: float = 3.0
    rayemb_v1: bool = False

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"at least two templates are needed: got {self.count}")
        if self.layout not in ("random", "grid"):
            raise ValueError(f"layout is random or grid: got {self.layout!r}")
        if self.layout == "grid" and round(self.count**0.5) ** 2 != self.count:
            raise ValueError(f"a grid has a square number of templates: got {self.count}")


RAYEMB_V1 = TemplateSettings(
    layout="grid", count=324, rayemb_v1=True,
    poses=PoseRange((-45.0, 45.0), (-45.0, 45.0), (0.0, 0.0), 0.0),
)  # fmt: skip
"""What the published weights were trained with, code rather than paper (METHODS A3)."""


def templates_for(
    encoder: RayEncoder, about: Mapping[str, Any], settings: TemplateSettings | None = None
) -> TemplateSettings:
    """The templates that weights want: about the poses they learned, or the published grid.

    Parameters
    ----------
    encoder, about
        See `load_encoder`.
    settings
        All else; published weights have their own.
    """
    if encoder.align == "rayemb-v1":
        return RAYEMB_V1
    return replace(settings or TemplateSettings(), poses=learned_template_poses(about))


@dataclass(frozen=True, eq=False)
class TemplateMade:
    """A template was rendered and embedded.

    Parameters
    ----------
    index, count
        Which one, of how many.
    world_from_camera
        Its pose.
    image
        Line integrals.
    """

    index: int
    count: int
    world_from_camera: Pose
    image: Float[Tensor, "rows columns"]


@dataclass(frozen=True, eq=False)
class Templates:
    """Embedded templates.

    Parameters
    ----------
    carm
        Of all of them, on the encoder's pixels.
    poses
        ``world_from_camera``, a batch.
    images
        Line integrals.
    embeddings
        Per template and cell.
    align
        Of the encoder that made them.
    """

    carm: CArm
    poses: Pose
    images: Float[Tensor, "t rows columns"]
    embeddings: Float[Tensor, "t d h w"]
    align: Align = "centers"

    def __len__(self) -> int:
        return len(self.embeddings)

    def project(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "t n 2"], Bool[Tensor, "t n"]]:
        """Row, column of world points in every template, and whether that lies in its image."""
        pixels = self.carm.project(points.double(), Pose(
            self.poses.rotation.double(), self.poses.translation.double()
        ))  # fmt: skip
        return pixels, inside_image(pixels, self.carm.detector.shape)

    def features(
        self,
        pixels: Float[Tensor, "t n 2"],
        choice: Int[Tensor, "n k"],
        seen: Bool[Tensor, "n k"] | None = None,
    ) -> Float[Tensor, "n d k"]:
        """Embeddings of every point in its chosen templates, zero where it is not seen.

        Parameters
        ----------
        pixels
            See `project`.
        choice
            Templates of each point.
        seen
            None: clip to the border instead, as RayEmb does.
        """
        h, w = self.embeddings.shape[-2:]
        cells = cells_from_pixels(pixels, self.carm.detector.shape, (h, w), self.align)
        n = len(choice)
        chosen = cells[choice, torch.arange(n)[:, None]].to(self.embeddings.device)
        features = _gathered(self.embeddings, choice.to(self.embeddings.device), chosen)
        if seen is not None:
            features = features * seen[..., None].to(features)
        return features.transpose(1, 2)


def _gathered(
    embeddings: Float[Tensor, "t d h w"],
    choice: Int[Tensor, "n k"],
    cells: Float[Tensor, "n k 2"],
) -> Float[Tensor, "n k d"]:
    """Bilinear; beyond the outermost cells the border goes on."""
    h, w = embeddings.shape[-2:]
    limit = cells.new_tensor([h - 1, w - 1])
    where = torch.minimum(cells.nan_to_num(0.0).clamp_min(0), limit)
    low = where.floor().long()
    high = torch.minimum(low + 1, limit.long())
    share = (where - low).to(embeddings.dtype)
    total = torch.zeros((), dtype=embeddings.dtype, device=embeddings.device)
    for row, by_row in ((low, 1 - share), (high, share)):
        for column, by_column in ((low, 1 - share), (high, share)):
            weight = by_row[..., 0] * by_column[..., 1]
            # Two index tensors beside a slice: the result has (n, k) first.
            corner = embeddings[choice, :, row[..., 0], column[..., 1]]
            total = total + weight[..., None] * corner
    return total


def choose_templates(
    inside: Bool[Tensor, "t n"],
    per_point: int,
    generator: torch.Generator,
    *,
    visible: bool = True,
    alike: bool = False,
) -> tuple[Int[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Draw templates for every point.

    Parameters
    ----------
    inside
        Whether template t sees point n.
    per_point
        How many.
    visible
        True: another draw for each point, among the templates that see it first. False: one draw
        for all points whatever they see, as RayEmb does.
    alike
        Every point draws what it would draw alone.

    Returns
    -------
    choice
        Indices of templates, distinct for a point.
    seen
        Whether the chosen template sees the point.
    """
    t, n = inside.shape
    if t < per_point:
        raise ValueError(f"{per_point} templates per point need at least as many: got {t}")
    if visible:
        keys = torch.rand(1 if alike else n, t, generator=generator) + inside.T.cpu().float()
        choice = keys.topk(per_point, dim=1).indices
    else:
        choice = torch.randperm(t, generator=generator)[:per_point].expand(n, per_point)
    seen = inside.T.cpu().gather(1, choice)
    return choice, seen


def template_poses(carm: CArm, isocenter: Float[Tensor, "3"], settings: TemplateSettings) -> Pose:
    """Where the templates are taken from."""
    if settings.layout == "grid":
        side = round(settings.count**0.5)
        return settings.poses.grid(carm, isocenter, side, side)
    generator = torch.Generator().manual_seed(settings.seed)
    return settings.poses.sample(carm, isocenter, settings.count, generator)


def make_templates(
    encoder: RayEncoder,
    volume: Volume,
    carm: CArm,
    isocenter: Float[Tensor, "3"],
    *,
    settings: TemplateSettings | None = None,
    cache: Path | None = None,
    batch: int = 8,
    control: Control | None = None,
) -> Generator[TemplateMade, None, Templates | None]:
    """Render templates of a CT and embed them.

    Parameters
    ----------
    encoder
        In evaluation mode; templates are embedded on its device.
    volume
        The CT.
    carm
        Of the radiographs to come: templates show the patient at the same scale.
    isocenter
        Middle of the poses, world mm.
    settings
        See `TemplateSettings`.
    cache
        Folder where embedded templates are kept, named by everything they depend on; where it
        cannot be written to, nothing is kept.
    batch
        Templates embedded at once.
    control
        Cancel, pause.

    Yields
    ------
    TemplateMade
        None of them where the cache had all.

    Returns
    -------
    Templates or None
        None if cancelled.
    """
    settings = settings or TemplateSettings()
    control = control or Control()
    if settings.rayemb_v1:
        source = RAYEMB_V1_CARM
        template_carm = encoder.framing.carm(source)
    else:
        source = template_carm = encoder.framing.template_carm(carm, settings.extent)
    poses = template_poses(template_carm, isocenter, settings)
    file = None
    if cache is not None:
        key = content_hash(encoder, volume, template_carm, poses, settings)
        file = cache / f"templates-{key}.safetensors"
        kept = _read(file, template_carm.detector.shape, len(poses.translation))
        if kept is not None:
            return Templates(
                template_carm, poses, kept["images"], kept["embeddings"].to(encoder.device),
                encoder.align,
            )  # fmt: skip
    coarse = at_voxel_size(volume.to(dtype=torch.float32), settings.voxel_mm)
    images = []
    embeddings = []
    count = len(poses.translation)
    for start in range(0, count, batch):
        made = []
        for i in range(start, min(start + batch, count)):
            if not control.proceed():
                return None
            made.append(render_drr(coarse, template_carm, poses[i], method="joseph"))
            yield TemplateMade(i, count, poses[i], made[-1])
        images.append(torch.stack(made))
        embeddings.append(embed_images(encoder, images[-1], template_carm))
    templates = Templates(
        template_carm, poses, torch.cat(images), torch.cat(embeddings), encoder.align
    )
    if file is not None:
        _write(file, templates)
    return templates


def embed_images(
    encoder: RayEncoder, images: Float[Tensor, "t rows columns"], carm: CArm, *, batch: int = 8
) -> Float[Tensor, "t d h w"]:
    """Embeddings of line integrals on the encoder's pixels, all usable, on the encoder's device."""
    embeddings = []
    with torch.no_grad():
        for block in images.split(batch):
            on_device = block.to(encoder.device)
            usable = torch.ones_like(on_device, dtype=torch.bool)
            embeddings.append(encoder(encoder.inputs(on_device, usable, carm)).float())
    return torch.cat(embeddings)


def content_hash(
    encoder: RayEncoder, volume: Volume, carm: CArm, poses: Pose, settings: TemplateSettings
) -> str:
    """Of everything embedded templates depend on."""
    key = hashlib.sha256(b"templates 1")
    for tensor in (volume.lac, volume.world_from_index, poses.rotation, poses.translation):
        key.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        key.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    key.update(repr((carm, settings.voxel_mm, encoder.kind, encoder.configuration())).encode())
    for name, value in encoder.state_dict().items():
        key.update(name.encode())
        key.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return key.hexdigest()[:24]


def _read(file: Path, shape: tuple[int, int], count: int) -> dict[str, Tensor] | None:
    """Templates of an earlier run; None where there are none that can be used."""
    try:
        kept = load_file(file) if file.is_file() else {}
    except (SafetensorError, OSError, ValueError, RuntimeError):
        return None
    images, embeddings = kept.get("images"), kept.get("embeddings")
    # Of another program, or changed on the disk: made anew.
    if images is None or embeddings is None:
        return None
    fits = images.shape == (count, *shape) and embeddings.ndim == 4 and len(embeddings) == count
    numbers = images.dtype == embeddings.dtype == torch.float32
    if not fits or not numbers or not bool(images.isfinite().all() & embeddings.isfinite().all()):
        return None
    return kept


def _write(file: Path, templates: Templates) -> None:
    """Keep templates where that is possible: those just made are worth more than their copy."""
    kept = {"images": templates.images, "embeddings": templates.embeddings.cpu()}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written(file, failures=(SafetensorError,)) as beside:
            save_file({name: value.contiguous() for name, value in kept.items()}, beside)
