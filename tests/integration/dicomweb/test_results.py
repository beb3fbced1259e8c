"""What a viewer does: it finds the study, its images and the results in it, and fetches them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import update

from tests.synthetic_ct import write_ct_series
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import JobState, ResultKind

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
SEG, SR = ResultKind.SEG, ResultKind.SR


def study_of(files: list[Path]) -> str:
    return str(dcmread(files[0]).StudyInstanceUID)


def values(found: list[dict], tag: str) -> list:
    return [one[tag]["Value"][0] for one in found]


@pytest.fixture
def analysed(site, head):
    site.store(head)
    return site.analyse(study_of(head))


def test_a_viewer_finds_images_and_results_in_one_study_and_fetches_both(site, head, analysed):
    study = study_of(head)

    found = site.client.search_for_studies()
    series = site.client.search_for_series(study)
    fetched = site.client.retrieve_study(study)

    assert values(found, "0020000D") == [study]
    assert found[0]["00080061"]["Value"] == ["CT", "SEG", "SR"]
    assert (found[0]["00201206"]["Value"], found[0]["00201208"]["Value"]) == ([3], [len(head) + 2])
    assert values(series, "00080060")[0] == "CT"
    assert sorted(values(series, "00080060")) == ["CT", "SEG", "SR"]
    assert len(fetched) == len(head) + 2
    assert {str(one.StudyInstanceUID) for one in fetched} == {study}


def test_what_is_fetched_is_what_was_made_and_what_was_received(site, head, analysed):
    fetched = {str(one.SOPInstanceUID): one for one in site.client.retrieve_study(study_of(head))}

    made = [dcmread(site.toy.core.results.path(analysed.id, kind)) for kind in (SEG, SR)]
    for original in (*made, *(dcmread(path) for path in head)):
        assert fetched[str(original.SOPInstanceUID)] == original


def test_a_result_names_images_that_can_be_fetched(site, head, analysed):
    """OHIF shows a SEG over the series that it references (R36)."""
    study = study_of(head)
    [result] = site.client.search_for_series(study, search_filters={"Modality": "SEG"})
    [header] = site.client.retrieve_series_metadata(study, result["0020000E"]["Value"][0])
    assert header.pop("7FE00010")["BulkDataURI"]
    seg = Dataset.from_json(header)

    source = seg.ReferencedSeriesSequence[0]
    image = source.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    fetched = site.client.retrieve_instance(study, source.SeriesInstanceUID, image)

    assert fetched.SOPInstanceUID == image
    assert seg.SegmentSequence[0].SegmentLabel


def test_the_report_can_be_read_from_its_header_alone(site, head, analysed):
    study = study_of(head)
    [series] = site.client.search_for_series(study, search_filters={"Modality": "SR"})

    [header] = site.client.retrieve_series_metadata(study, series["0020000E"]["Value"][0])

    assert Dataset.from_json(header).ContentSequence


def test_the_segments_come_frame_by_frame(site, head, analysed):
    seg = dcmread(site.toy.core.results.path(analysed.id, SEG))
    uids = (seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)

    frames = site.client.retrieve_instance_frames(*uids, frame_numbers=[2, 1])

    bits = [np.unpackbits(np.frombuffer(one, np.uint8), bitorder="little") for one in frames]
    pixels = seg.pixel_array.reshape(int(seg.NumberOfFrames), -1)
    assert [np.array_equal(one, pixels[k]) for one, k in zip(bits, (1, 0), strict=True)] == [
        True
    ] * 2


def put(site, job_id: str, **changes: object) -> None:
    with site.toy.core.database.write() as connection:
        connection.execute(update(JOB).where(JOB.c.id == job_id).values(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": JobState.SUPERSEDED},
        {"retracted_at": "now"},
        {"results_purged_at": "now"},
    ],
)
def test_a_result_that_does_not_count_any_more_is_not_shown(site, head, analysed, changes):
    study, now = study_of(head), site.toy.clock()
    assert len(site.client.search_for_series(study)) == 3
    [result] = site.client.search_for_series(study, search_filters={"Modality": "SR"})

    put(site, analysed.id, **{key: now if one == "now" else one for key, one in changes.items()})

    [study_now] = site.client.search_for_studies()
    gone = f"/dicomweb/studies/{study}/series/{result['0020000E']['Value'][0]}"
    assert study_now["00080061"]["Value"] == ["CT"]
    assert values(site.client.search_for_series(study), "00080060") == ["CT"]
    assert site.get(gone).status_code == 404
    assert len(site.client.retrieve_study(study)) == len(head)


def test_a_rejected_study_shows_its_report(site, tmp_path):
    files = write_ct_series(tmp_path / "gap", shape=(12, 32, 32), missing=(5, 6))
    site.store(files)

    job = site.analyse(study_of(files))

    assert job.state is JobState.REJECTED
    found = site.client.search_for_series(study_of(files))
    assert sorted(values(found, "00080060")) == ["CT", "SR"]


def test_an_amended_result_takes_the_place_of_the_one_before(site, head, tmp_path):
    study = study_of(head)
    site.store(head[1:])
    first = site.analyse(study)
    site.store(head[:1])

    second = site.analyse(study)

    assert site.toy.core.jobs.get(first.id).state is JobState.SUPERSEDED
    shown = site.client.search_for_series(study, search_filters={"Modality": "SR"})
    [report] = site.client.retrieve_series(study, values(shown, "0020000E")[0])
    assert report == dcmread(site.toy.core.results.path(second.id, SR))
