"""TFRecord files: records with their lengths and checksums, as tensorflow/core/lib/io/record_reader.cc reads them."""

import struct
from collections.abc import Iterator
from typing import Final

_HEADER_BYTES: Final = 12
_FOOTER_BYTES: Final = 4
_MASK_DELTA: Final = 0xA282EAD8
_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli, reflected


class DamagedRecord(Exception):
    """The file is no TFRecord, or not a whole one; the text says where."""


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        entry = byte
        for _ in range(8):
            entry = entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_TABLE: Final = _table()


def masked_crc32c(data: bytes) -> int:
    """Checksum of a record's length or of its content, rotated and shifted so that it may itself be summed."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def records(data: bytes) -> Iterator[bytes]:
    """Contents of a TFRecord file, one by one.

    As there, a file that ends inside a record's header just ends. Raises DamagedRecord for a checksum that does not
    match, and for a file that ends inside a record's content.
    """
    offset = 0
    while offset + _HEADER_BYTES <= len(data):
        length = int.from_bytes(_checksummed(data, offset, 8, at=offset), "little")
        content = offset + _HEADER_BYTES
        if content + length + _FOOTER_BYTES > len(data):
            raise DamagedRecord(f"truncated record at {offset}' failed with Read less bytes than requested")
        yield _checksummed(data, content, length, at=content)
        offset = content + length + _FOOTER_BYTES


def _checksummed(data: bytes, start: int, length: int, *, at: int) -> bytes:
    """Bytes that a checksum follows. Raises DamagedRecord, naming the place `at`."""
    found = data[start : start + length]
    (expected,) = struct.unpack_from("<I", data, start + length)
    if masked_crc32c(found) != expected:
        raise DamagedRecord(f"corrupted record at {at}")
    return found
