from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.toy_core import incoming
from willis_service.domain.instance import StoredInstance, safe_name, storage_path
from willis_service.domain.study import OpenStudy, Quietness, fingerprint

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
RULE = Quietness(quiet=timedelta(seconds=10), longest=timedelta(seconds=60))


def stored(sop: str, sha256: str = "a" * 64, sop_class: str = "1.2.840.10008.5.1.4.1.1.2"):
    return StoredInstance("1.2", "1.2.9", sop, sop_class, "1", sha256, "p", 1, "S", NOON)


def test_a_study_is_complete_when_nothing_came_for_the_quiet_period():
    study = OpenStudy("1.2", NOON, NOON + timedelta(seconds=20))

    assert not RULE.is_complete(study, NOON + timedelta(seconds=29.9))
    assert RULE.is_complete(study, NOON + timedelta(seconds=30))


def test_a_study_that_never_falls_quiet_is_taken_after_the_longest_wait():
    study = OpenStudy("1.2", NOON, NOON + timedelta(seconds=59))

    assert RULE.is_complete(study, NOON + timedelta(seconds=60))


@given(st.permutations(["1.2.1", "1.2.2", "1.2.3", "1.2.4"]))
def test_the_fingerprint_does_not_depend_on_the_order_of_arrival(sops):
    expected = fingerprint("1.2", [stored(sop) for sop in sorted(sops)])

    assert fingerprint("1.2", [stored(sop) for sop in sops]) == expected


def test_the_fingerprint_changes_with_content_instances_and_study():
    whole = fingerprint("1.2", [stored("1"), stored("2")])

    others = {
        fingerprint("1.2", [stored("1"), stored("2", "b" * 64)]),
        fingerprint("1.2", [stored("1")]),
        fingerprint("1.3", [stored("1"), stored("2")]),
        fingerprint("1.2", []),
        whole,
    }

    assert len(others) == 5


def test_reports_segmentations_and_presentation_states_are_no_input():
    classes = ("88.33", "66.4", "11.1", "104.1", "2", "4", "7", "66")
    held = [
        kind
        for kind in classes
        if stored("1", sop_class=f"1.2.840.10008.5.1.4.1.1.{kind}").may_hold_an_image
    ]

    assert held == ["2", "4", "7"]


@given(st.text(max_size=80))
def test_no_identifier_leads_out_of_the_data_folder(text):
    name = safe_name(text)

    assert name not in ("", ".", "..")
    assert not set(name) - set("0123456789.abcdefx")
    assert not name.startswith(".")


def test_other_bytes_of_the_same_instance_lie_beside_the_first():
    instance = incoming(sop="1.2.3.1", study="../../etc")

    first, second = storage_path(instance, "a" * 64), storage_path(instance, "b" * 64)

    assert first != second
    assert first.rsplit("/", 1)[0] == second.rsplit("/", 1)[0]
    assert ".." not in first


def test_the_content_digest_ignores_our_own_header_and_minds_the_encoding():
    instance = incoming()

    assert replace(instance, header=b"other").sha256() == instance.sha256()
    assert replace(instance, transfer_syntax_uid="1.2").sha256() != instance.sha256()
