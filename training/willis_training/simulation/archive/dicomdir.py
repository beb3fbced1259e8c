"""A DICOMDIR over files that lie in place already (PS3.3 annex F, PS3.10 section 8).

pydicom's FileSet copies every file twice and grows slow with their number; an archive has many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

_KEYS: Mapping[str, Sequence[str]] = {
    "PATIENT": ("PatientName", "PatientID"),
    "STUDY": ("StudyDate", "StudyTime", "StudyDescription", "StudyInstanceUID", "StudyID"),
    "SERIES": ("Modality", "SeriesInstanceUID", "SeriesNumber"),
    "IMAGE": ("InstanceNumber",),
}
_IDENTITY = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}


@dataclass
class _Node:
    record: Dataset
    children: dict[str, _Node] = field(default_factory=dict)


def write_dicomdir(folder: Path, files: Iterable[tuple[Path, Dataset]]) -> Path:
    """Write ``folder/DICOMDIR`` for files below ``folder``; each with its data set."""
    root = _Node(Dataset())
    for path, image in files:
        node = root
        for kind, identity in _IDENTITY.items():
            node = node.children.setdefault(str(image[identity].value), _Node(_record(kind, image)))
        node.children[str(image.SOPInstanceUID)] = _Node(_leaf(path.relative_to(folder), image))
    records: list[Dataset] = []
    _flatten(root, records)
    target = folder / "DICOMDIR"
    target.write_bytes(_linked(_directory(records), root, records))
    return target


def _record(kind: str, image: Dataset) -> Dataset:
    record = Dataset()
    # Filled in once every record's place in the file is known.
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    for keyword in _KEYS[kind]:
        setattr(record, keyword, image.get(keyword, ""))
    return record


def _leaf(path: Path, image: Dataset) -> Dataset:
    record = _record("IMAGE", image)
    if "Rows" not in image:
        record.DirectoryRecordType = "SR DOCUMENT"
        for keyword in ("CompletionFlag", "VerificationFlag", "ContentDate", "ContentTime"):
            setattr(record, keyword, image.get(keyword, ""))
        record.ConceptNameCodeSequence = image.ConceptNameCodeSequence
    record.ReferencedFileID = list(path.parts)
    record.ReferencedSOPClassUIDInFile = image.SOPClassUID
    record.ReferencedSOPInstanceUIDInFile = image.SOPInstanceUID
    record.ReferencedTransferSyntaxUIDInFile = image.file_meta.TransferSyntaxUID
    return record


def _flatten(node: _Node, records: list[Dataset]) -> None:
    for child in node.children.values():
        records.append(child.record)
        _flatten(child, records)


def _directory(records: list[Dataset]) -> Dataset:
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[str(record.get("ReferencedSOPInstanceUIDInFile", "")) for record in records]
    )
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.FileSetID = "ARCHIVE"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.FileSetConsistencyFlag = 0
    directory.DirectoryRecordSequence = records
    return directory


def _linked(directory: Dataset, root: _Node, records: list[Dataset]) -> bytes:
    """Offsets have a fixed width: written once, their places are known, and they are set."""
    written = dcmread(BytesIO(_bytes(directory)))
    found = [item.seq_item_tell for item in written.DirectoryRecordSequence]
    places = {id(record): place for record, place in zip(records, found, strict=True)}
    top = _link(root, places)
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = top[0]
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = top[-1]
    return _bytes(directory)


def _link(node: _Node, places: Mapping[int, int]) -> list[int]:
    """Chain the children of a node; returns their offsets."""
    children = list(node.children.values())
    offsets = [places[id(child.record)] for child in children]
    following_offsets = [*offsets, 0][1:]
    for child, following in zip(children, following_offsets, strict=True):
        child.record.OffsetOfTheNextDirectoryRecord = following
        below = _link(child, places)
        child.record.OffsetOfReferencedLowerLevelDirectoryEntity = below[0] if below else 0
    return offsets


def _bytes(directory: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, directory, enforce_file_format=True)
    return buffer.getvalue()
