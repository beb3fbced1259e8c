"""The quick look at a header agrees with pydicom wherever it answers at all."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from willis_models.errors import DecodingError
from willis_service.adapters.dicom.header_scan import scan
from willis_service.adapters.dicom.incoming import identity_in_head, identity_in_stream
from willis_service.domain.instance import InstanceIdentity

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
EXPECTED = ("1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.2")


def header(**more: object) -> Dataset:
    data_set = Dataset()
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = EXPECTED[:2]
    data_set.SOPInstanceUID, data_set.SOPClassUID = EXPECTED[2:]
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.PatientName = "Müller^Jürgen"
    data_set.InstanceNumber = 7
    data_set.PixelData = b"\1\2" * 64
    data_set["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(data_set, keyword, value)
    return data_set


def nested(depth: int, is_undefined: bool) -> Sequence:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    item.StudyInstanceUID = "9.9.9"  # of something else: must not be taken for ours
    if depth:
        item.ReferencedSeriesSequence = nested(depth - 1, is_undefined)
        item["ReferencedSeriesSequence"].is_undefined_length = is_undefined
    item.is_undefined_length_sequence_item = is_undefined
    return Sequence([item, item])


def encoded(data_set: Dataset, syntax: str = EXPLICIT) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(stream, data_set)
    return stream.getvalue()


def quick(content: bytes, syntax: str = EXPLICIT) -> InstanceIdentity | None:
    return identity_in_head(memoryview(content), syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_identifiers_are_found_in_both_common_encodings(syntax):
    assert quick(encoded(header(), syntax), syntax) == InstanceIdentity(*EXPECTED, syntax)


@pytest.mark.parametrize("is_undefined", [True, False])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_sequences_before_the_identifiers_are_stepped_over(syntax, is_undefined):
    data_set = header(ReferencedStudySequence=nested(3, is_undefined))
    data_set["ReferencedStudySequence"].is_undefined_length = is_undefined

    assert quick(encoded(data_set, syntax), syntax) == InstanceIdentity(*EXPECTED, syntax)


def test_what_is_written_in_an_unusual_way_is_left_to_pydicom():
    assert quick(encoded(header(), BIG), BIG) is None
    assert identity_in_stream(BytesIO(encoded(header(), BIG)), BIG).sop_instance_uid == "1.2.3.4.5"


def test_a_header_longer_than_what_is_at_hand_is_left_to_pydicom():
    content = encoded(header(StudyDescription="x" * 64))

    assert quick(content[:100]) is None
    assert quick(content) is not None


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPClassUID"])
def test_a_missing_identifier_is_a_decoding_error(keyword):
    content = encoded(header(**{keyword: ""}))

    assert quick(content) is None
    with pytest.raises(DecodingError):
        identity_in_stream(BytesIO(content), EXPLICIT)


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_no_bytes_make_it_fail(content, syntax):
    scan(memoryview(content), syntax)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about the damage
@given(st.data(), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_damaged_headers_are_never_read_otherwise_than_pydicom_reads_them(data, syntax):
    content = bytearray(encoded(header(ReferencedStudySequence=nested(1, True)), syntax))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))

    found = quick(bytes(content), syntax)

    if found is not None:
        try:
            slow = identity_in_stream(BytesIO(content), syntax)
        except DecodingError:
            return  # pydicom is stricter with values that nobody here looks at
        assert found == slow
