from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.archives import LABELMAP, SEG
from tests.aspects_findings import aspects_analysis
from tests.delivery_rig import EQUIPMENT, items_of, seg_and_sr, write_perfusion_results
from tests.hand_clock import START
from tests.plain_series import plain_series
from tests.synthetic_ct import SAGITTAL, write_ct_series
from willis_models.errors import ResultError, RoundTripMismatch
from willis_service.adapters.dicom.labelmap import (
    as_labelmap,
    labelmap_uid,
    renamed,
    verify_labelmap,
)
from willis_service.adapters.dicom.packing import ResultPacker
from willis_service.adapters.dicom.seg import write_seg
from willis_service.domain.delivery import ResultObject
from willis_service.domain.destinations import SegType
from willis_service.domain.job import Job, JobState, ResultKind


def reread(made: Dataset) -> Dataset:
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


@pytest.fixture
def seg() -> Dataset:
    return deepcopy(seg_and_sr()[0])


def of_series(folder: Path, **odd: object) -> Dataset:
    series = plain_series(write_ct_series(folder, shape=(10, 24, 24), **odd))
    made = write_seg(aspects_analysis(series.image.stack), series, EQUIPMENT, created=START)
    assert made is not None
    return reread(made)


@pytest.mark.parametrize(
    "odd", [{}, {"tilt_deg": 18.5}, {"orientation": SAGITTAL}, {"enhanced": True}]
)
def test_another_library_reads_the_same_voxels_of_every_segment(odd, tmp_path):
    seg = of_series(tmp_path, **odd)

    made = reread(as_labelmap(seg))

    verify_labelmap(made, seg)
    theirs, ours = hd.seg.Segmentation.from_dataset(made), hd.seg.Segmentation.from_dataset(seg)
    assert theirs.segmentation_type is hd.seg.SegmentationTypeValues.LABELMAP
    for number in ours.segment_numbers:
        masks = [voxels(one, number) for one in (theirs, ours)]
        assert np.array_equal(*masks)
    assert voxels(ours, 1).any()


def voxels(seg: hd.seg.Segmentation, number: int) -> np.ndarray:
    """One segment over the source images or frames, as highdicom finds them."""
    instances = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    uids = [str(one.ReferencedSOPInstanceUID) for one in instances]
    wanted = {"segment_numbers": [number], "assert_missing_frames_are_empty": True}
    if len(uids) > 1:
        found = seg.get_pixels_by_source_instance(uids, ignore_spatial_locations=True, **wanted)
    else:
        frames = range(1, 11)
        found = seg.get_pixels_by_source_frame(
            uids[0], frames, ignore_spatial_locations=True, **wanted
        )
    return np.asarray(found) > 0


def test_it_is_another_object_of_another_class_in_the_same_study(seg):
    made = as_labelmap(seg)

    assert (made.SOPClassUID, made.file_meta.MediaStorageSOPClassUID) == (LABELMAP, LABELMAP)
    assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID
    assert made.SOPInstanceUID == labelmap_uid(seg.SOPInstanceUID) != seg.SOPInstanceUID
    assert made.StudyInstanceUID == seg.StudyInstanceUID
    assert made.FrameOfReferenceUID == seg.FrameOfReferenceUID
    assert made.ContributingEquipmentSequence == seg.ContributingEquipmentSequence


def test_it_has_one_frame_a_slice_and_describes_its_background(seg):
    made = as_labelmap(seg)

    assert made.NumberOfFrames < seg.NumberOfFrames
    assert [int(item.SegmentNumber) for item in made.SegmentSequence][:3] == [0, 1, 2]
    assert made.ReferencedSeriesSequence == seg.ReferencedSeriesSequence


def test_the_report_names_the_label_map_and_no_other_reference_changes(seg):
    sr = seg_and_sr()[1]

    made = renamed(sr)

    before, after = references(sr), references(made)
    assert [cls for cls, _ in after].count(LABELMAP) == [cls for cls, _ in before].count(SEG) > 0
    assert {uid for cls, uid in after if cls == LABELMAP} == {labelmap_uid(seg.SOPInstanceUID)}
    assert [r for r in before if r[0] != SEG] == [r for r in after if r[0] != LABELMAP]
    assert made.SOPInstanceUID == labelmap_uid(sr.SOPInstanceUID)


def references(dataset: Dataset) -> list[tuple[str, str]]:
    return [
        (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in items_of(dataset)
        if "ReferencedSOPInstanceUID" in item
    ]


def test_the_evidence_names_the_series_that_the_label_map_is_in(seg):
    sr = renamed(seg_and_sr()[1])
    label_map = as_labelmap(seg)

    listed = {
        str(item.SeriesInstanceUID)
        for item in items_of(sr)
        if any(
            str(one.ReferencedSOPClassUID) == LABELMAP
            for one in item.get("ReferencedSOPSequence", ())
            if "SeriesInstanceUID" in item
        )
    }

    assert listed == {str(label_map.SeriesInstanceUID)}


def test_a_report_that_amends_another_names_it_as_the_archive_knows_it(seg):
    sr = deepcopy(seg_and_sr()[1])
    earlier, series = Dataset(), Dataset()
    earlier.ReferencedSOPClassUID, earlier.ReferencedSOPInstanceUID = sr.SOPClassUID, "1.2.3.4"
    series.SeriesInstanceUID, series.ReferencedSOPSequence = "1.2.3", [earlier]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = sr.StudyInstanceUID, [series]
    sr.PredecessorDocumentsSequence = [study]

    made = renamed(sr)

    named = made.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.SeriesInstanceUID == labelmap_uid("1.2.3")
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == labelmap_uid("1.2.3.4")


def test_segments_that_overlap_can_not_become_a_label_map(seg):
    frames = seg.pixel_array.copy()
    frames[:] = 1
    seg.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    seg["PixelData"].VR = "OB"

    with pytest.raises(ResultError, match="overlap"):
        as_labelmap(reread(seg))


@pytest.mark.parametrize("fault", ["flip", "shift", "extra"])
def test_a_label_map_that_is_flipped_shifted_or_adds_a_voxel_does_not_leave(seg, fault):
    made = as_labelmap(seg)
    labels = np.frombuffer(made.PixelData, np.uint8).copy()
    frames = labels[: made.NumberOfFrames * made.Rows * made.Columns].reshape(
        made.NumberOfFrames, made.Rows, made.Columns
    )
    if fault == "extra":
        frames[0][frames[0] == 0] = 1
    else:
        frames[:] = frames[:, :, ::-1] if fault == "flip" else np.roll(frames, 1, axis=1)
    made.PixelData = labels.tobytes()

    with pytest.raises(RoundTripMismatch):
        verify_labelmap(reread(made), seg)


@dataclass
class OneJobShelf:
    """The results of one job."""

    paths: dict[ResultKind, Path]

    def path(self, _job_id: str, kind: ResultKind) -> Path:
        return self.paths[kind]


def packed(folder: Path, kind: ResultKind, seg: SegType) -> tuple[ResultObject, Dataset]:
    paths = write_perfusion_results(folder)

    def keep(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    packer = ResultPacker(OneJobShelf(paths), folder / "outgoing", keep)  # type: ignore[arg-type]
    job = Job("job-1", "1.2.3", "infarct", "1", "a", "b", JobState.SUCCEEDED, START)
    described, path = packer.pack(replace(job, results=tuple(paths)), kind, seg)
    return described, dcmread(path)


def test_segments_that_overlap_stay_binary_under_the_uid_that_follows(tmp_path):
    described, made = packed(tmp_path, ResultKind.SEG, SegType.LABELMAP)
    source = dcmread(tmp_path / ResultKind.SEG)

    assert made.SegmentsOverlap == "YES"
    assert (described.sop_class_uid, described.object_id) == (SEG, made.SOPInstanceUID)
    assert (made.SOPClassUID, made.SegmentationType) == (SEG, "BINARY")
    assert made.SOPInstanceUID == labelmap_uid(source.SOPInstanceUID)
    assert np.array_equal(made.pixel_array, source.pixel_array)


def test_the_report_names_the_overlapping_segments_and_the_map_as_they_were_sent(tmp_path):
    _, sr = packed(tmp_path, ResultKind.SR, SegType.LABELMAP)
    seg, tmax = (dcmread(tmp_path / kind) for kind in (ResultKind.SEG, ResultKind.TMAX))
    named = set(references(sr))

    assert (SEG, labelmap_uid(seg.SOPInstanceUID)) in named
    assert (str(tmax.SOPClassUID), str(tmax.SOPInstanceUID)) in named
    assert LABELMAP not in {sop_class for sop_class, _ in named}


def test_a_map_is_the_same_object_for_every_receiver(tmp_path):
    described, made = packed(tmp_path, ResultKind.TMAX, SegType.LABELMAP)

    assert described.object_id == str(dcmread(tmp_path / ResultKind.TMAX).SOPInstanceUID)
    assert described.object_id == made.SOPInstanceUID
