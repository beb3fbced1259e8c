from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from willis_models.errors import DecodingError
from willis_training.curation.overlays import overlay_planes
from willis_training.simulation.archive.drawing import put_overlays

ROWS, COLUMNS = 12, 17


def image() -> Dataset:
    found = Dataset()
    found.Rows, found.Columns = ROWS, COLUMNS
    found.BitsAllocated, found.BitsStored, found.PixelRepresentation = 16, 12, 0
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return found


def add_plane(found: Dataset, group: int, bits: np.ndarray, origin: list[int]) -> None:
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    found.add_new(Tag(group, 0x0010), "US", bits.shape[-2])
    found.add_new(Tag(group, 0x0011), "US", bits.shape[-1])
    found.add_new(Tag(group, 0x0040), "CS", "R")
    found.add_new(Tag(group, 0x0050), "SS", origin)
    found.add_new(Tag(group, 0x0100), "US", 1)
    found.add_new(Tag(group, 0x0102), "US", 0)
    found.add_new(Tag(group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))


def test_several_planes_come_back_bit_for_bit_under_their_names() -> None:
    rng = np.random.default_rng(0)
    drawn = [(name, rng.random((ROWS, COLUMNS)) > 0.8) for name in ("M1 L", "IC R", "C L")]
    found = image()
    put_overlays(found, drawn)

    planes = overlay_planes(found)

    assert [(p.group, p.name, p.kind) for p in planes] == [
        (0x6000, "M1 L", "G"),
        (0x6002, "IC R", "G"),
        (0x6004, "C L", "G"),
    ]
    for plane, (_, mask) in zip(planes, drawn, strict=True):
        np.testing.assert_array_equal(plane.mask, mask)


def test_a_plane_lies_where_its_origin_says_and_is_cut_at_the_image() -> None:
    found = image()
    add_plane(found, 0x601E, np.ones((5, 5), dtype=bool), [-1, 15])

    (plane,) = overlay_planes(found)

    expected = np.zeros((ROWS, COLUMNS), dtype=bool)
    expected[0:3, 14:17] = True
    np.testing.assert_array_equal(plane.mask, expected)
    assert plane.kind == "R" and plane.name == ""


def test_a_plane_outside_the_image_is_empty() -> None:
    found = image()
    add_plane(found, 0x6000, np.ones((3, 3), dtype=bool), [40, 1])
    (plane,) = overlay_planes(found)
    assert not plane.mask.any()


def test_the_frames_of_a_plane_are_joined() -> None:
    bits = np.zeros((2, ROWS, COLUMNS), dtype=bool)
    bits[0, 1, 2] = bits[1, 3, 4] = True
    found = image()
    add_plane(found, 0x6000, bits, [1, 1])
    found.add_new(Tag(0x6000, 0x0015), "IS", 2)
    (plane,) = overlay_planes(found)
    assert np.argwhere(plane.mask).tolist() == [[1, 2], [3, 4]]


def test_a_retired_plane_in_the_high_bits_of_the_pixels_is_read() -> None:
    found = image()
    pixels = np.full((ROWS, COLUMNS), 1024, dtype="<u2")
    pixels[4, 5:9] |= 1 << 13
    found.PixelData = pixels.tobytes()
    found.add_new(Tag(0x6000, 0x0010), "US", ROWS)
    found.add_new(Tag(0x6000, 0x0100), "US", 16)
    found.add_new(Tag(0x6000, 0x0102), "US", 13)

    (plane,) = overlay_planes(found)

    assert np.argwhere(plane.mask).tolist() == [[4, n] for n in range(5, 9)]


def test_a_plane_without_its_bits_is_an_error_and_not_an_empty_outline() -> None:
    short = image()
    add_plane(short, 0x6000, np.ones((ROWS, COLUMNS), dtype=bool), [1, 1])
    short[0x6000, 0x3000].value = b"\xff\xff"
    compressed = image()
    compressed.add_new(Tag(0x6000, 0x0010), "US", ROWS)
    compressed.add_new(Tag(0x6000, 0x0100), "US", 16)
    compressed.file_meta.TransferSyntaxUID = JPEGLSLossless

    for broken in (short, compressed):
        with pytest.raises(DecodingError, match="Overlay 6000"):
            overlay_planes(broken)
