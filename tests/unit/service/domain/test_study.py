from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.toy_core import incoming
from willis_service.domain.completeness import Basis
from willis_service.domain.instance import (
    StoredInstance,
    content_digest,
    safe_name,
    storage_path,
)
from willis_service.domain.study import Decision, OutcomeCode, fingerprint, outcome_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def stored(sop: str, sha256: str = "a" * 64, sop_class: str = "1.2.840.10008.5.1.4.1.1.2"):
    return StoredInstance("1.2", "1.2.9", sop, sop_class, "1", sha256, "p", 1, "S", NOON)


def test_an_outcome_says_what_runs_or_why_nothing_does():
    ran = Decision("aspects", "job-1", Basis.CONTIGUOUS_SLICES, ("Head CT",), ("Series 2: best",))
    not_run = Decision("infarct", None, None, (), ("Series 2: no perfusion",))

    routed = outcome_of("1.2", (ran, not_run), NOON)
    not_routed = outcome_of("1.2", (not_run,), NOON)

    assert (routed.code, routed.reason) == (OutcomeCode.ROUTED, "Analysed by aspects.")
    assert routed.basis_of("job-1") is Basis.CONTIGUOUS_SLICES
    assert routed.basis_of("asked for by name") is None
    assert not_routed.code is OutcomeCode.NO_RULE
    assert "infarct: Series 2: no perfusion" in not_routed.reason
    assert outcome_of("1.2", (), NOON).code is OutcomeCode.NO_IMAGES


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


def test_the_content_digest_minds_the_encoding():
    assert content_digest("1.2").hexdigest() != content_digest("1.3").hexdigest()
