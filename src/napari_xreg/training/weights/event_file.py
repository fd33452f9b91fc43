"""Event files of TensorBoard: records of protocol buffers with check sums, written without either."""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        rows.append(byte)
    return tuple(rows)


_CRC = _table()


def crc32c(data: bytes) -> int:
    """The check sum of Castagnoli.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """One record: its length, that one's masked check sum, the data, its masked check sum."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def event(step: int, scalars: Mapping[str, float], wall_time: float) -> bytes:
    """A message ``Event`` with a summary of numbers.

    Parameters
    ----------
    scalars
        By tag.
    wall_time
        Seconds since 1970.
    """
    values = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in scalars.items()
    )
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + _field(5, values)


class EventFile:
    """An event file in a folder, which TensorBoard finds by its name.

    Parameters
    ----------
    folder
        Made where it is absent; several runs may share it.

    Raises
    ------
    OSError
        If it cannot be written; so does `add`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        began = time.time()
        name = f"events.out.tfevents.{int(began):010d}.{socket.gethostname()}.{os.getpid()}"
        self.file = folder / name
        first = b"\x09" + struct.pack("<d", began) + _field(3, b"brain.Event:2")
        self._stream = self.file.open("ab")
        self._stream.write(record(first))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step, by tag."""
        self._stream.write(record(event(step, scalars, time.time())))

    def flush(self) -> None:
        """What was added may be read."""
        self._stream.flush()

    def close(self) -> None:
        """No more is added."""
        self._stream.close()


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
