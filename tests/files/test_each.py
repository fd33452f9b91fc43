"""Files of a run that cost each other nothing."""

import pytest

from napari_xreg.files import EachFile, missing_words


def test_every_file_is_tried(tmp_path):
    each = EachFile(tmp_path)
    with each.file("a.txt", "the first") as path:
        path.write_text("a")
    with each.file("b.txt", "the second") as path:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))
    with each.file("c.txt"):
        raise ZeroDivisionError
    with each.file("d.txt", "the fourth") as path:
        path.write_text("d")
    assert each.files == {"a.txt": "the first", "d.txt": "the fourth"}
    assert each.missing == {"b.txt": "No space left on device", "c.txt": "ZeroDivisionError"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.txt", "d.txt"]
    assert missing_words(each.missing) == (
        "could not be written: b.txt (No space left on device); c.txt (ZeroDivisionError)"
    )
    each.check()


def test_an_older_file_stays_where_the_new_one_cannot_be_written(tmp_path):
    (tmp_path / "a.csv").write_text("of the last run")
    (tmp_path / "bone").mkdir()
    each = EachFile(tmp_path)
    with each.file("a.csv"):
        raise OSError(28, "No space left on device")
    with each.file("bone"):
        raise OSError(28, "No space left on device")
    assert (tmp_path / "a.csv").read_text() == "of the last run"
    full = "No space left on device"
    assert each.missing == {"a.csv": f"{full}; an older one stands there", "bone": full}


def test_where_nothing_was_written_the_first_failure_is_the_answer(tmp_path):
    each = EachFile(tmp_path)
    each.check()
    with each.file("a.txt"):
        raise OSError(13, "Permission denied")
    with each.file("b.txt"):
        raise ValueError("another")
    with pytest.raises(OSError, match="Permission denied"):
        each.check()


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_who_is_interrupted_ends(tmp_path, error):
    each = EachFile(tmp_path)
    with pytest.raises(error), each.file("a.txt"):
        raise error
    assert each.missing == {}
