"""Pixels in every transfer syntax give the same Hounsfield units, or a named error."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import data_manager
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.synthetic_ct import write_ct_series
from willis_models.errors import ColourPixels, DecodingError, InputError, LossyPixels
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.pixels import check_pixels, is_lossy
from willis_service.adapters.dicom.reader import read_series

SHAPE = (10, 33, 32)
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
)


def _images_inside_pydicom() -> list[Path]:
    """Every image that lies inside the package; some are malformed on purpose."""
    root = Path(data_manager.DATA_ROOT)
    paths = [path for kind in ("test_files", "charset_files") for path in (root / kind).rglob("*")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listings = [scan([path])[0] for path in sorted(paths) if path.is_file()]
    return [
        listing.files[0]
        for listing in listings
        if listing.is_readable and headers.number(listing.headers[0], "Rows")
    ]


_IMAGE_FILES = _images_inside_pydicom()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_hounsfield_units_are_identical_in_every_lossless_transfer_syntax(
    tmp_path: Path, syntax: UID, signed: bool
) -> None:
    options: dict[str, Any] = {"shape": SHAPE, "signed": signed, "marker": True}
    plain = read_series(write_ct_series(tmp_path / "plain", **options))

    paths = write_ct_series(tmp_path / "coded", transfer_syntax=syntax, **options)
    coded = read_series(paths)

    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(coded.image.stack.voxels, plain.image.stack.voxels)
    assert np.ptp(coded.image.stack.voxels) > 1800


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.keyword,
)
def test_enhanced_objects_are_read_in_other_transfer_syntaxes_too(
    tmp_path: Path, syntax: UID
) -> None:
    plain = read_series(write_ct_series(tmp_path / "plain", shape=SHAPE, enhanced=True))

    coded = read_series(
        write_ct_series(tmp_path / "coded", shape=SHAPE, enhanced=True, transfer_syntax=syntax)
    )

    assert np.array_equal(coded.image.stack.voxels, plain.image.stack.voxels)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL], ids=lambda uid: uid.keyword)
def test_a_decoder_for_high_throughput_jpeg_2000_is_installed(syntax: UID) -> None:
    assert "pylibjpeg" in get_decoder(syntax).available_plugins


def test_pydicom_brings_a_file_of_each_kind() -> None:
    assert len(_IMAGE_FILES) > 90


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", _IMAGE_FILES, ids=lambda path: path.name)
def test_each_of_pydicoms_own_images_is_read_or_refused_by_name(path: Path) -> None:
    (listing,) = scan([path])

    try:
        series = read_series(listing)
    except InputError as error:
        assert error.message
        assert "^" not in error.message  # no patient's name
    else:
        header = listing.headers[0]
        assert series.image.stack.shape[1:] == (header.Rows, header.Columns)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MR_small.dcm", "MR_small_RLE.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
        ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
        ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
        ("rtdose_1frame.dcm", "rtdose_rle_1frame.dcm"),
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_of_one_image_in_two_transfer_syntaxes_agree(one: str, other: str) -> None:
    folder = Path(data_manager.DATA_ROOT) / "test_files"

    first, second = (read_series([folder / name]).image.stack for name in (one, other))

    assert np.array_equal(first.voxels, second.voxels)


LOSSY = ["JPEG-lossy.dcm", "JPEG2000.dcm", "JPEGLSNearLossless_16.dcm", "JPGExtended.dcm"]


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_transfer_syntax_is_refused_by_name(name: str) -> None:
    (listing,) = scan([Path(data_manager.DATA_ROOT) / "test_files" / name])

    with pytest.raises(LossyPixels, match="JPEG"):
        check_pixels(listing.headers)


@pytest.mark.parametrize(("stated", "lossy"), [(None, True), ("01", True), ("00", False)], ids=str)
def test_jpeg_2000_proper_counts_as_lossless_only_where_it_says_so(
    tmp_path: Path, stated: str | None, lossy: bool
) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, overrides={"LossyImageCompression": stated})
    (header, *_) = scan(paths)[0].headers
    header.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.91")

    assert is_lossy(header) is lossy


def test_a_colour_file_is_refused() -> None:
    (listing,) = scan([Path(data_manager.DATA_ROOT) / "test_files" / "SC_rgb_rle.dcm"])

    with pytest.raises(ColourPixels):
        check_pixels(listing.headers)


def test_compressed_pixels_that_are_damaged_are_a_decoding_error(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, transfer_syntax=JPEG2000Lossless)
    data = bytearray(paths[3].read_bytes())
    data[-400:] = bytes(400)
    paths[3].write_bytes(data)

    with pytest.raises(DecodingError, match="JPEG 2000"):
        read_series(paths)


@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.keyword,
)
@pytest.mark.parametrize("stated", [40, 500])
def test_fewer_pixels_than_stated_are_an_error_and_leave_the_process_alive(
    tmp_path: Path, syntax: UID, stated: int
) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, transfer_syntax=syntax)
    for path in paths:
        dataset = dcmread(path)
        dataset.Rows = stated
        dataset.save_as(path)

    with pytest.raises(DecodingError):
        read_series(paths)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.keyword,
)
def test_damaged_pixels_are_decoded_or_refused_but_never_a_crash(
    tmp_path: Path, syntax: UID, seed: int
) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, transfer_syntax=syntax)
    random = np.random.default_rng(seed)
    data = np.frombuffer(paths[0].read_bytes(), np.uint8).copy()
    pixels = data.tobytes().index(b"\xe0\x7f\x10\x00") + 20
    places = random.integers(pixels, len(data) if seed % 2 else pixels + 120, 8)
    data[places] = random.integers(0, 256, 8)
    paths[0].write_bytes(data.tobytes())

    try:
        stack = read_series(paths).image.stack
    except InputError as error:
        assert error.code == "DECODING_FAILED"
    else:
        assert stack.shape == SHAPE


def test_a_transfer_syntax_without_decoder_is_named(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, overrides={"LossyImageCompression": "00"})
    (listing,) = scan(paths)
    for header in listing.headers:
        header.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.51")

    with pytest.raises(DecodingError, match="no decoder for the transfer syntax JPEG Extended"):
        read_series(listing)
