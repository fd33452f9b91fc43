"""The journal of a training, and event files of TensorBoard, read back by hand."""

import json
import struct

import pytest

from napari_xreg.training import EventFile, Journal, Step, Validation
from napari_xreg.training.weights.event_file import crc32c, event, record


def test_check_sum_by_the_standard_example():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


def test_a_record_by_hand():
    written = record(b"abc")
    assert struct.unpack("<Q", written[:8]) == (3,)
    assert written[12:15] == b"abc"
    for data, place in ((written[:8], 8), (b"abc", 15)):
        crc = crc32c(data)
        masked = ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8 & 0xFFFFFFFF
        assert written[place : place + 4] == struct.pack("<I", masked)
    assert len(written) == 19


def test_an_event_by_hand():
    # wall_time 1: double; step 2: 300 = 0xAC 0x02; summary 5 with one value: tag "a", 1.5.
    value = b"\x0a\x01a\x15" + struct.pack("<f", 1.5)
    assert event(300, {"a": 1.5}, 2.25) == (
        b"\x09" + struct.pack("<d", 2.25) + b"\x10\xac\x02"
        + b"\x2a\x0a" + b"\x0a\x08" + value
    )  # fmt: skip


def records_of(file):
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert data[: 16 + length] == record(body)
        found.append(body)
        data = data[16 + length :]
    return found


def test_a_file_that_tensorboard_finds(tmp_path):
    file = EventFile(tmp_path / "runs")
    file.add(200, {"loss": 0.5})
    file.close()
    assert file.file.name.startswith("events.out.tfevents.")
    assert file.file.name.split(".")[3].isdigit()
    first, second = records_of(file.file)
    assert first.endswith(b"\x1a\x0dbrain.Event:2")
    assert second.endswith(struct.pack("<f", 0.5))


def test_steps_and_validations_are_lines(tmp_path):
    file, board = tmp_path / "deep" / "w.train.jsonl", tmp_path / "board"
    journal = Journal(file, {"began": {"seed": 3}}, tensorboard=board, anew=True)
    journal.add(Step(1, {"loss": 2.0, "far": float("nan")}, 1e-3, 0.25))
    journal.add(Validation(1, 0.5, {"score": 7.0, "median_mtre_mm": 6.5}, True, "a plot"))
    journal.close()
    began, step, validation = map(json.loads, file.read_text().splitlines())
    assert began == {"began": {"seed": 3}}
    assert step == {
        "step": 1, "seconds": 0.25, "loss/loss": 2.0, "loss/far": None, "learning rate": 1e-3
    }  # fmt: skip
    assert validation == {
        "step": 1, "seconds": 0.5, "best": True, "validation/score": 7.0,
        "validation/median_mtre_mm": 6.5,
    }  # fmt: skip
    assert len(records_of(next(board.iterdir()))) == 3
    with file.open("a") as stream:
        stream.write('{"step": 2, "sec')  # killed
    further = Journal(file, {"began": {}}, tensorboard=None, anew=False)
    further.close()
    assert [len(json.loads(line)) for line in file.read_text().splitlines()] == [1, 5, 5, 1]
    Journal(file, {}, tensorboard=None, anew=True).close()
    assert file.read_text() == "{}\n"


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "w.train.jsonl").mkdir()
    with pytest.raises(OSError, match=r"w\.train\.jsonl"):
        Journal(tmp_path / "w.train.jsonl", {}, tensorboard=tmp_path / "b", anew=True)
