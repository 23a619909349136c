"""TFRecord files, against a published checksum and bytes that TensorFlow has written."""

import pytest

from fleetdeploy.lab.modelserver.loading.tfrecord import DamagedRecord, masked_crc32c, records

ABC_AND_EMPTY = bytes.fromhex(
    "0300000000000000b099490e6162636e57f121000000000000000029039807d8ea82a2"  # by TFRecordWriter
)


def test_checksum_is_castagnolis_masked() -> None:
    """The CRC of "123456789" is the published E3069283 before it is rotated and shifted."""
    crc = 0xE3069283
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_come_as_they_were_written() -> None:
    """A record may be empty."""
    assert list(records(ABC_AND_EMPTY)) == [b"abc", b""]


def test_a_file_without_records_has_none() -> None:
    """An empty file is a TFRecord."""
    assert list(records(b"")) == []


def test_a_file_that_ends_inside_a_header_just_ends() -> None:
    """What lies behind the last whole record and is shorter than a header is not noticed."""
    assert list(records(ABC_AND_EMPTY + b"\x01\x00\x00")) == [b"abc", b""]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x04" + ABC_AND_EMPTY[1:], "corrupted record at 0"),
        (ABC_AND_EMPTY[:12] + b"x" + ABC_AND_EMPTY[13:], "corrupted record at 12"),
        (ABC_AND_EMPTY[:14], "truncated record at 0"),
        (ABC_AND_EMPTY[:-1], "truncated record at 19"),
    ],
)
def test_damage_is_found_and_named(content: bytes, text: str) -> None:
    """A wrong length, a changed content and a missing end are told apart, with their place."""
    with pytest.raises(DamagedRecord, match=text):
        list(records(content))
