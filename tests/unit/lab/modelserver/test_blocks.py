"""Tensors as values: cut, joined and padded."""

import struct

import pytest

from fleetdeploy.lab.modelserver.runtime.blocks import Block, concatenate, pad
from fleetdeploy.lab.modelserver.status import Code, StatusError

INT16, FLOAT, STRING = 5, 1, 7


def shorts(shape: tuple[int, ...], *values: int) -> Block:
    """A block of int16."""
    return Block(INT16, shape, struct.pack(f"<{len(values)}h", *values))


def values(block: Block) -> list[int]:
    """Elements of a block of int16."""
    assert isinstance(block.data, bytes)
    return list(struct.unpack(f"<{len(block.data) // 2}h", block.data))


def test_rows_are_cut_along_the_first_dimension() -> None:
    """Rows keep their other dimensions."""
    block = shorts((3, 2), 1, 2, 3, 4, 5, 6).rows(1, 3)
    assert (block.shape, values(block)) == ((2, 2), [3, 4, 5, 6])


def test_blocks_are_joined_along_the_first_dimension() -> None:
    """The sizes of the first dimension add up."""
    block = concatenate([shorts((1, 2), 1, 2), shorts((2, 2), 3, 4, 5, 6)])
    assert (block.shape, values(block)) == ((3, 2), [1, 2, 3, 4, 5, 6])


def test_texts_are_joined_and_cut_like_numbers() -> None:
    """Elements of a tensor of strings are what is counted."""
    block = concatenate([Block(STRING, (1,), [b"a"]), Block(STRING, (2,), [b"", b"ccc"])])
    assert (block.shape, block.data) == ((3,), [b"a", b"", b"ccc"])
    assert block.rows(1, 3).data == [b"", b"ccc"]


def test_blocks_of_different_dtypes_are_not_joined() -> None:
    """Joining numbers of different types is INTERNAL, as the real server reports it."""
    with pytest.raises(StatusError, match="Got int16 and float") as caught:
        concatenate([shorts((1,), 1), Block(FLOAT, (1,), b"\0\0\0\0")])
    assert caught.value.code is Code.INTERNAL


def test_padding_repeats_the_first_element_in_every_dimension_but_the_first() -> None:
    """What is added lies behind what was there, in each dimension."""
    block = pad(shorts((2, 1, 2), 1, 2, 3, 4), [9, 2, 3])
    assert block.shape == (2, 2, 3)
    assert values(block) == [1, 2, 1, 1, 1, 1, 3, 4, 1, 1, 1, 1]


def test_texts_are_padded_with_texts() -> None:
    """A tensor of strings is padded with its first string."""
    assert pad(Block(STRING, (1, 1), [b"a"]), [1, 2]).data == [b"a", b"a"]


@pytest.mark.parametrize("shape", [(), (1,) * 7])
def test_only_some_ranks_can_be_padded(shape: tuple[int, ...]) -> None:
    """A scalar and more than six dimensions are refused."""
    with pytest.raises(StatusError, match="rank from 1 to 6"):
        pad(shorts(shape, 1), shape)


def test_nothing_cannot_be_padded() -> None:
    """A block without elements has none to pad with."""
    with pytest.raises(StatusError, match="Got empty tensor"):
        pad(shorts((1, 0)), [1, 2])
