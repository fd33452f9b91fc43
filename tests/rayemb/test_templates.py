"""Templates: rendered where they say, embedded once, kept by everything they depend on."""

from dataclasses import replace
from importlib.resources import files

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import (
    CompactEncoder,
    TemplateMade,
    TemplateSettings,
    make_templates,
    sample_points,
    shipped_encoder,
    templates as templates_module,
)
from napari_xreg.rayemb.network.weights_file import SHIPPED
from napari_xreg.rayemb.templates import RAYEMB_V1, template_poses
from napari_xreg.training import CheckpointError, PoseRange

CARM = CArm(1020.0, 750.0, Detector((128, 120), (2.0, 2.2)))
SETTINGS = TemplateSettings(
    count=5, extent=1.0, poses=PoseRange((-30.0, 40.0), (-15.0, 20.0), (0.0, 0.0), 5.0), seed=3
)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(2)
    return CompactEncoder(dimensions=8, widths=(8, 8, 8)).eval()


def blob() -> tuple[Volume, torch.Tensor]:
    """A ball away from the middle of an oblique grid, and where it is."""
    matrix = torch.tensor(
        [[3.0, 0.4, 0.0, -40.0], [0.0, 3.2, 0.3, -90.0], [0.2, 0.0, 2.8, 600.0], [0, 0, 0, 1]]
    ).double()
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (24, 26, 28)), indexing="ij")
    lac = 0.05 * torch.exp(-((x - 17.3) ** 2 + (y - 9.1) ** 2 + (z - 14.6) ** 2) / 4)
    center = matrix[:3, :3] @ torch.tensor([17.3, 9.1, 14.6]).double() + matrix[:3, 3]
    return Volume(lac, matrix, lac * 20_000), center


def test_a_points_projection_is_where_its_shadow_lies(encoder):
    volume, center = blob()
    templates = run(make_templates(encoder, volume, CARM, volume.center, settings=SETTINGS))
    assert len(templates) == 5
    assert templates.embeddings.shape[:2] == (5, 8)
    pixels, inside = templates.project(center[None])
    assert inside.all()
    for i in range(5):
        image = templates.images[i].double()
        rows, columns = (torch.arange(n, dtype=torch.float64) for n in image.shape)
        weight = image / image.sum()
        shadow = torch.stack([(weight.sum(1) * rows).sum(), (weight.sum(0) * columns).sum()])
        torch.testing.assert_close(shadow, pixels[i, 0], rtol=0, atol=0.1)


def test_they_stream_and_stop(encoder):
    volume, _ = blob()
    events = list(make_templates(encoder, volume, CARM, volume.center, settings=SETTINGS, batch=2))
    assert [(e.index, e.count) for e in events] == [(i, 5) for i in range(5)]
    assert all(isinstance(e, TemplateMade) and e.image.max() > 0 for e in events)
    control = Control()
    control.cancel()
    assert (
        run(
            make_templates(encoder, volume, CARM, volume.center, settings=SETTINGS, control=control)
        )
        is None
    )


def cached(volume, cache, **change):
    """How many templates were rendered, and all of them."""
    given = {"carm": CARM, "settings": SETTINGS, **change}
    iterator = make_templates(
        given["encoder"], volume, given["carm"], volume.center,
        settings=given["settings"], cache=cache,
    )  # fmt: skip
    count = 0
    while True:
        try:
            next(iterator)
            count += 1
        except StopIteration as end:
            return count, end.value


def test_the_cache_knows_what_it_depends_on(encoder, tmp_path):
    volume, _ = blob()

    def make(**change):
        given = {"volume": volume, "encoder": encoder, **change}
        return cached(given.pop("volume"), tmp_path, **given)

    made, first = make()
    assert made == 5
    kept, again = make()
    assert kept == 0
    assert torch.equal(first.embeddings, again.embeddings)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.poses.matrix(), again.poses.matrix())
    denser = replace(volume, lac=volume.lac.clone().index_fill_(0, torch.tensor([4]), 0.01))
    assert make(volume=denser)[0] == 5
    assert make(settings=replace(SETTINGS, seed=4))[0] == 5
    assert make(carm=replace(CARM, source_to_isocenter=700.0))[0] == 5
    torch.manual_seed(9)
    other = CompactEncoder(dimensions=8, widths=(8, 8, 8)).eval()
    assert make(encoder=other)[0] == 5
    assert len(list(tmp_path.iterdir())) == 5
    # A file cut short is made anew.
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert make()[0] == 5


def spoiled(how, tensors):
    images, embeddings = tensors["images"], tensors["embeddings"]
    return {
        "of another program": {"a": images},
        "one is missing": {"images": images},
        "of fewer templates": {"images": images[:-1], "embeddings": embeddings[:-1]},
        "of other pixels": {"images": images[:, 1:], "embeddings": embeddings},
        "flat": {"images": images, "embeddings": embeddings.flatten(1)},
        "not a number": {"images": images * float("nan"), "embeddings": embeddings},
        "other numbers": {"images": images.double(), "embeddings": embeddings.double()},
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "of another program", "one is missing", "of fewer templates", "of other pixels", "flat",
        "not a number", "other numbers",
    ],
)  # fmt: skip
def test_a_kept_file_that_is_none_is_made_anew(encoder, tmp_path, how):
    volume, _ = blob()
    made, first = cached(volume, tmp_path, encoder=encoder)
    (file,) = tmp_path.iterdir()
    wrong = {name: value.contiguous() for name, value in spoiled(how, load_file(file)).items()}
    save_file(wrong, file)
    again, templates = cached(volume, tmp_path, encoder=encoder)
    assert made == again == 5
    assert torch.equal(templates.images, first.images)
    assert cached(volume, tmp_path, encoder=encoder)[0] == 0


@pytest.mark.parametrize("why", ["the cache is a file", "the disk is full"])
def test_templates_that_cannot_be_kept_are_not_lost(encoder, tmp_path, monkeypatch, why):
    volume, _ = blob()
    cache = tmp_path / "cache"
    if why == "the cache is a file":
        cache.write_text("mine")
    else:

        def full(*arguments, **options):
            raise SafetensorError("No space left on device (os error 28)")

        monkeypatch.setattr(templates_module, "save_file", full)
    made, templates = cached(volume, cache, encoder=encoder)
    assert (made, len(templates)) == (5, 5)
    assert torch.isfinite(templates.embeddings).all()
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert left == ([cache] if why == "the cache is a file" else [])


def test_published_weights_get_the_published_grid():
    carm = CArm(1800.0, 900.0, Detector((224, 224), (3.2, 3.2)))
    poses = template_poses(carm, torch.tensor([1.0, 2.0, 3.0]), RAYEMB_V1)
    assert len(poses.translation) == 324
    corner = carm.carm_pose(poses[0], (1.0, 2.0, 3.0))
    assert (round(corner.primary_deg, 6), round(corner.secondary_deg, 6)) == (-45.0, -45.0)
    following = carm.carm_pose(poses[1], (1.0, 2.0, 3.0))
    assert round(following.secondary_deg, 4) == round(-45 + 90 / 17, 4)


def test_points_are_sampled_where_it_is_bright():
    volume, center = blob()
    points = sample_points(volume, above_hu=500.0, count=12)
    assert len(points) == 12
    assert (points - center).norm(dim=1).max() < 9.0
    with pytest.raises(ValueError, match="above 5000"):
        sample_points(volume, above_hu=5000.0)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="square number"):
        TemplateSettings(layout="grid", count=10)
    with pytest.raises(ValueError, match="at least two"):
        TemplateSettings(count=1)


def test_the_shipped_weights_are_there_or_say_that_they_are_not():
    file = files("napari_xreg.rayemb") / "weights" / SHIPPED
    if not file.is_file():
        with pytest.raises(CheckpointError, match="compact-pelvis"):
            shipped_encoder()
        return
    encoder, about = shipped_encoder()
    assert encoder.kind == "compact"
    assert "phantom" in about["trained_on"]
