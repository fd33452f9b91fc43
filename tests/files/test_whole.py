"""A file written whole, or left as it was."""

import errno
import os
import stat

import pytest

from napari_xreg.files import WriteError, written


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def write_half(target, error, **options):
    """Write half of a file and fail."""
    with written(target, **options) as beside:
        beside.write_text("half")
        raise error


def test_the_new_file_replaces_the_old_one_and_nothing_is_left_beside_it(tmp_path):
    target = tmp_path / "pose.tar.gz"
    target.write_text("old")
    target.chmod(0o640)
    with written(target) as beside:
        assert beside.parent == tmp_path
        assert beside.name.endswith("-pose.tar.gz")
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert names(tmp_path) == ["pose.tar.gz"]


def test_a_failure_within_the_block_leaves_the_old_file(tmp_path):
    target = tmp_path / "pose.json"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="in the middle"):
        write_half(target, RuntimeError("in the middle"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["pose.json"]


def test_a_full_disk_names_the_file_that_the_user_named(tmp_path):
    target = tmp_path / "pose.json"
    target.write_text("old")
    with pytest.raises(WriteError) as caught:
        write_half(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.errno == errno.ENOSPC
    assert str(target) in str(caught.value)
    assert "part-" not in str(caught.value)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["pose.json"]


def test_a_folder_that_is_not_there_is_said_of_the_file(tmp_path):
    target = tmp_path / "nowhere" / "pose.json"
    with pytest.raises(WriteError) as caught, written(target) as beside:
        beside.write_text("x")
    assert caught.value.filename == str(target)


def test_an_error_about_another_file_stays_its_own(tmp_path):
    other = tmp_path / "absent.txt"
    with pytest.raises(FileNotFoundError) as caught, written(tmp_path / "pose.json"):
        other.read_text()
    assert caught.value.filename == str(other)


def test_what_a_library_raises_is_translated_when_it_is_named(tmp_path):
    with pytest.raises(WriteError, match="stream failed"):
        write_half(tmp_path / "w.pt", RuntimeError("stream failed"), failures=(RuntimeError,))
    assert names(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    target = tmp_path / "far.json"
    target.write_text("old")
    link = tmp_path / "near.json"
    link.symlink_to(target)
    with written(link) as beside:
        beside.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_to_directly():
    with written("/dev/null") as beside:
        beside.write_text("gone")
