"""Archives of arrays: what they declare is checked, what they hold is numbers, errors are one kind."""

import io
import os
import zipfile

import numpy as np
import pytest

from napari_xreg.files import ReadError, TooLarge, read_npy, read_npz


def archive(path, members):
    """A zip of members given as bytes, or as arrays."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content if isinstance(content, bytes) else npy(content))
    return path


def npy(values, allow_pickle=False):
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=allow_pickle)
    return stream.getvalue()


def header(shape, dtype="<f4"):
    """An array's header alone, with nothing behind it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"shape": shape, "fortran_order": False, "descr": dtype}
    )
    return stream.getvalue()


def test_arrays_come_back_by_name(tmp_path):
    path = tmp_path / "case.npz"
    np.savez(path, lac=np.arange(6, dtype=np.int16).reshape(2, 3), about=np.array("text"))
    found = read_npz(path)
    assert sorted(found) == ["about", "lac"]
    assert found["lac"].dtype == np.int16
    assert found["lac"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert str(found["about"]) == "text"


def test_only_what_is_named_is_read(tmp_path):
    path = archive(tmp_path / "case.npz", {"a.npy": np.arange(3), "notes.txt": b"no array"})
    assert read_npz(path, only=["a"])["a"].tolist() == [0, 1, 2]


def test_the_members_together_are_compared_with_the_memory(tmp_path, monkeypatch):
    path = archive(tmp_path / "case.npz", {f"{i}.npy": np.zeros(1000, np.float64) for i in "abc"})
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "24e-6")
    assert len(read_npz(path)) == 3
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "23.9e-6")
    with pytest.raises(TooLarge, match=r"case\.npz: the archive takes 2\.4e-05 GB"):
        read_npz(path)
    assert len(read_npz(path, only=["a", "b"])) == 2


def test_a_size_nobody_has_is_refused_before_it_is_taken(tmp_path):
    # 4e15 bytes in a file of 128: the disk holds fewer than declared.
    path = tmp_path / "bomb.npy"
    path.write_bytes(header((10**15,)))
    with pytest.raises(ReadError, match=r"bomb\.npy ends early \(128 bytes of 4000000000000000\)"):
        read_npy(path)
    with pytest.raises(ReadError, match="bomb: a ends early"):
        read_npz(archive(tmp_path / "bomb", {"a.npy": header((10**15,))}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_page_is_read_without_the_others(tmp_path, monkeypatch, order):
    stack = np.arange(4 * 5 * 7, dtype=">i2").reshape(4, 5, 7)
    path = tmp_path / "stack.npy"
    np.save(path, np.asarray(stack, order=order))
    if order == "C":
        monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "75e-9")  # of a page 70 bytes, of all 280
        with pytest.raises(TooLarge, match=r"stack\.npy: the array takes"):
            read_npy(path)
    found = read_npy(path, page=lambda shape: shape[0] - 2)
    if order == "F":  # its pages do not lie together: all of it, as without
        found = found[2]
    assert found.tolist() == stack[2].tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no array at all", "a is no array"),
        (b"", "a is no array"),
        (npy(np.array([{}], dtype=object), allow_pickle=True), "holds Python objects"),
        (header((-1, 3)) + b"1234", "declares a shape of"),
        (b"\x93NUMPY\x09\x00" + header((1,))[8:], "not a readable|in version"),
        (header((2,))[:-20], "not a readable"),
        (b"\x93NUMPY\x01\x00\xf8\x1f" + b"(" * 8184, "not a readable|not enough memory"),
    ],
)
def test_members_that_are_no_numbers_are_named(tmp_path, content, words):
    with pytest.raises(ReadError, match=words):
        read_npz(archive(tmp_path / "odd.npz", {"a.npy": content}))


def test_damage_within_a_member_is_a_read_error(tmp_path):
    path = archive(tmp_path / "case.npz", {"a.npy": np.arange(4000.0)})
    whole = path.read_bytes()
    for at in range(60, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            found = read_npz(path)
        except ReadError:
            continue
        assert found.get("a", np.arange(4000.0)).tolist() == list(range(4000))
    for at in (0, 3, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at])
        with pytest.raises(ReadError, match=r"case\.npz"):
            read_npz(path)


def test_what_is_no_file_is_refused_without_being_opened(tmp_path):
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    for path, words in (
        (pipe, "device or a pipe"),
        ("/dev/zero", "device or a pipe"),
        (tmp_path, "a folder"),
        (tmp_path / "absent.npz", "no such file"),
        ("a\0b.npz", "no such file"),
    ):
        with pytest.raises(ReadError, match=words):
            read_npz(path)
