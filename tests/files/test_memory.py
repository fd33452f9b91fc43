"""A declared size is compared with the memory there is, before it is taken."""

import pytest

from napari_xreg.files import ReadError, TooLarge, claim, free_memory, memory

GB = 10**9


@pytest.fixture
def free(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 6 * GB)
    monkeypatch.delenv("NAPARI_XREG_MEMORY_GB", raising=False)


def test_what_fits_is_taken_to_the_last_byte(free):
    claim(6 * GB, "ct.nrrd")
    with pytest.raises(TooLarge):
        claim(6 * GB + 1, "ct.nrrd")


def test_what_does_not_fit_says_how_much_it_is_how_much_there_is_and_how_to_allow_it(free):
    with pytest.raises(
        TooLarge,
        match=r"^ct\.nrrd: 9 voxels takes 8\.3 GB, and 6 GB of memory are free.*NAPARI_XREG_MEMORY_GB",
    ):
        claim(8_300_000_000, "ct.nrrd: 9 voxels")
    assert issubclass(TooLarge, ReadError)


@pytest.mark.parametrize(("allowed", "refused"), [("9", 9 * GB + 1), ("0.25", GB // 4 + 1)])
def test_the_variable_raises_or_lowers_the_limit(free, monkeypatch, allowed, refused):
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", allowed)
    claim(refused - 1, "ct.nrrd")
    with pytest.raises(TooLarge, match=f"allows {allowed} GB"):
        claim(refused, "ct.nrrd")


@pytest.mark.parametrize("nonsense", ["lots", "0", "-3", "nan", "inf", ""])
def test_a_variable_that_is_no_size_counts_as_not_set(free, monkeypatch, nonsense):
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", nonsense)
    with pytest.raises(TooLarge, match="6 GB of memory are free"):
        claim(7 * GB, "ct.nrrd")


def container(tmp_path, monkeypatch, limit, used, kept):
    texts = {
        "limit": limit,
        "used": used,
        "stat": f"anon 7\nactive_file {kept}\ninactive_file 11",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text + "\n")
    files = tuple(str(tmp_path / name) for name in ("limit", "used", "stat"))
    monkeypatch.setattr(memory, "_CONTAINER", ((str(tmp_path / "absent"),) * 3, files))


def test_a_container_has_what_its_limit_leaves_and_the_cached_files_do_not_count(
    tmp_path, monkeypatch
):
    # 64 MB allowed, 50 MB used, of which 20 MB and 11 bytes are files that are only kept.
    container(tmp_path, monkeypatch, "64000000", "50000000", "20000000")
    assert free_memory() == 34_000_011


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path, monkeypatch):
    container(tmp_path, monkeypatch, "max", "50000000", "0")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("M", (), {"available": 17}))
    assert free_memory() == 17
