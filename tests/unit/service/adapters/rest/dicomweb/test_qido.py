from __future__ import annotations

import pytest

from willis_service.adapters.rest.dicomweb.qido import LONGEST_ANSWER
from willis_service.domain.holdings import Level


def test_a_study_comes_with_counts_modalities_and_its_address(web):
    reply = web.get("/dicomweb/studies")

    [study] = reply.json()
    assert reply.headers["content-type"] == "application/dicom+json"
    assert study["0020000D"]["Value"] == ["1.2.3"]
    assert study["00080061"]["Value"] == ["CT", "SEG"]
    assert study["00201208"]["Value"] == [2]
    assert study["00081190"]["Value"] == ["http://testserver/dicomweb/studies/1.2.3"]


def test_names_are_utf_8_whatever_their_script(web):
    reply = web.get("/dicomweb/studies")

    assert "山田^太郎".encode() in reply.content


def test_keys_are_keywords_or_tags_and_an_empty_value_matches_all(web, room):
    web.get(
        "/dicomweb/studies?00100020=SYN-1&PatientName=Yam*&AccessionNumber=&StudyDate=20240115-"
    )

    assert dict(room.searches[0].match) == {
        "PatientID": "SYN-1",
        "PatientName": "Yam*",
        "StudyDate": "20240115-",
    }


@pytest.mark.parametrize(
    "query",
    [
        "Modality=CT",  # belongs to series
        "PatientWeight=70",
        "StudyDate=yesterday",
        "limit=0",
        "limit=many",
        "offset=-1",
    ],
)
def test_what_can_not_be_matched_is_refused_rather_than_left_out(web, query):
    assert web.get(f"/dicomweb/studies?{query}").status_code in (400, 422)


def test_what_a_viewer_adds_by_habit_is_accepted(web):
    reply = web.get("/dicomweb/studies?includefield=00081030,00080060&fuzzymatching=true&limit=25")

    assert reply.status_code == 200
    assert "fuzzymatching" in reply.headers["warning"]


def test_a_cut_answer_says_so_and_the_next_part_can_be_asked_for(web, room):
    first = web.get("/dicomweb/studies/1.2.3/instances?limit=1")
    whole = web.get("/dicomweb/studies/1.2.3/instances?limit=2&offset=0")

    assert (len(first.json()), len(whole.json())) == (1, 2)
    assert "additional results" in first.headers["warning"]
    assert "warning" not in whole.headers


def test_no_answer_is_longer_than_the_limit(web, room):
    web.get("/dicomweb/studies?limit=5000")

    assert room.searches[0].limit == LONGEST_ANSWER[Level.STUDIES] + 1


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/studies/1.2.3/series", {"StudyInstanceUID": "1.2.3"}),
        (
            "/studies/1.2.3/series/1.2.3.1/instances",
            {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"},
        ),
        ("/series?Modality=SEG", {"Modality": "SEG"}),
        ("/instances?SOPInstanceUID=1.2.3.1.1", {"SOPInstanceUID": "1.2.3.1.1"}),
    ],
)
def test_the_address_narrows_the_search(web, room, path, match):
    assert web.get(f"/dicomweb{path}").status_code == 200
    assert dict(room.searches[0].match) == match


def test_the_study_in_the_address_is_not_undone_by_a_key(web, room):
    web.get("/dicomweb/studies/1.2.3/series?StudyInstanceUID=1.9")

    assert room.searches[0].match["StudyInstanceUID"] == "1.2.3"


def test_series_of_all_studies_say_whose_they_are(web):
    [image, result] = web.get("/dicomweb/series").json()
    [within, _] = web.get("/dicomweb/studies/1.2.3/series").json()

    assert "00100010" in image and "00100010" not in within
    assert result["0020000E"]["Value"] == ["1.2.3.2"]


def test_an_instance_comes_with_what_was_asked_for(web):
    path = "/dicomweb/studies/1.2.3/series/1.2.3.1/instances"

    [plain] = web.get(path).json()
    [everything] = web.get(f"{path}?includefield=all").json()

    assert plain["00200013"]["Value"] == [1]
    assert "00100010" not in plain and "00100010" in everything
    assert plain["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


def test_a_study_that_is_not_held_is_an_empty_answer(web):
    reply = web.get("/dicomweb/studies?StudyInstanceUID=1.9")

    assert (reply.status_code, reply.json()) == (200, [])


def test_another_form_than_json_is_not_acceptable(web):
    reply = web.get("/dicomweb/studies", headers={"Accept": "application/dicom+xml"})

    assert (reply.status_code, reply.json()["code"]) == (406, "NOT_ACCEPTABLE")
