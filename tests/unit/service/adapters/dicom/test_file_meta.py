from io import BytesIO

from pydicom import dcmread

from willis_service.adapters.dicom.file_meta import IMPLEMENTATION_UID, file_meta


def test_pydicom_reads_the_header_that_a_received_object_gets():
    header = file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", "CT_1")

    meta = dcmread(BytesIO(header)).file_meta

    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.3",
    )
    assert (meta.TransferSyntaxUID, meta.ImplementationClassUID) == (
        "1.2.840.10008.1.2.1",
        IMPLEMENTATION_UID,
    )
    assert meta.SourceApplicationEntityTitle == "CT_1"
    assert 144 + meta.FileMetaInformationGroupLength == len(header)
