"""Kernels without a folder to be kept in, and with a damaged one."""

import importlib.util
import warnings

import numba
import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

from napari_xreg.kernels import compiled

TINY = """
from napari_xreg.kernels import jit

@jit()
def half(x):
    return x / 2

@jit(fastmath=True)
def quarter(x):
    return half(half(x))
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A new start of a program of two kernels: its answer, what it said, and its cache hits."""
    (tmp_path / "tiny.py").write_text(TINY)
    # Both: numba reads the variables again whenever one of them has changed.
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))

    def run():
        monkeypatch.setattr(compiled, "_warned", set())
        spec = importlib.util.spec_from_file_location("tiny", tmp_path / "tiny.py")
        module = importlib.util.module_from_spec(spec)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            spec.loader.exec_module(module)
            answer = module.quarter(7.0)
        hits = sum(module.quarter.stats.cache_hits.values())
        return answer, [str(w.message) for w in said if w.category is RuntimeWarning], hits

    return run


def test_kept_from_one_start_to_the_next(start, tmp_path):
    assert start() == (1.75, [], 0)
    assert list(tmp_path.rglob("*.nbi"))
    assert start() == (1.75, [], 1)


def test_no_folder_can_be_written(start, tmp_path):
    """A file stands where each folder would be: permissions do not stop an administrator."""
    for name in ("__pycache__", "cache", "home"):
        (tmp_path / name).write_text("a file")
    answer, (said,), _ = start()
    assert answer == 1.75
    assert "cannot be kept" in said
    assert "set NUMBA_CACHE_DIR to one that can" in said


def test_two_programs_at_once_do_not_take_each_others_code(start, tmp_path, monkeypatch):
    """The second, which read the index before the first was in it, writes just before the first does."""

    def module():
        spec = importlib.util.spec_from_file_location("tiny", tmp_path / "tiny.py")
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    first, second = module(), module()
    double = np.array([7.0, 3.0])
    single = double.astype(np.float32)
    plain, waiting = IndexDataCacheFile._save_data, [True]

    def meanwhile(self, name, data):
        if waiting:
            waiting.clear()
            second.half._cache._cache_file._load_index = dict
            assert second.half(single).tolist() == [3.5, 1.5]
        plain(self, name, data)

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", meanwhile)
    assert first.half(double).tolist() == [3.5, 1.5]
    third = module()
    assert third.half(single).tolist() == [3.5, 1.5]
    assert third.half(double).tolist() == [3.5, 1.5]
    assert sum(third.half.stats.cache_hits.values()) == 2


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut"])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_written_anew(start, tmp_path, suffix, damage):
    start()
    files = [p for p in tmp_path.rglob(f"*.{suffix}") if p.name.startswith("tiny.quarter")]
    assert len(files) == 1
    content = files[0].read_bytes()
    broken = {"empty": b"", "garbage": b"\x80\x05no pickle", "cut": content[: len(content) // 2]}
    files[0].write_bytes(broken[damage])
    answer, (said,), hits = start()
    assert (answer, hits) == (1.75, 0)
    assert "damaged; they are compiled again" in said
    assert start() == (1.75, [], 1)  # healed


def test_the_kernels_of_the_package_are_compiled_this_way():
    from napari_xreg.rendering.cpu import (
        adjoint as cpu_adjoint,
        joseph as cpu_joseph,
        siddon as cpu_siddon,
        structures as cpu_structures,
    )
    from napari_xreg.rendering.cpu.trilinear import trilinear
    from napari_xreg.simulation.marching import march

    kernels = (
        trilinear, march, cpu_joseph.joseph, cpu_siddon.siddon, cpu_structures.structures,
        cpu_adjoint.spread_samples, cpu_adjoint.spread_cells,
    )  # fmt: skip
    for kernel in kernels:
        assert isinstance(kernel._cache, compiled._Forgiving)
