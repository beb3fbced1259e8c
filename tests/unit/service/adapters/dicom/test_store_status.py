from __future__ import annotations

import pytest

from willis_service.adapters.dicom.store_status import outcome_of
from willis_service.domain.delivery import Postponed, Refused, Sent


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_success_warnings_and_duplicates_mean_that_it_is_there(status):
    assert isinstance(outcome_of(status), Sent)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213])
def test_what_may_pass_is_tried_again(status):
    outcome = outcome_of(status)

    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.may_be_there) == (f"0x{status:04X}", False)


@pytest.mark.parametrize(
    "status", [0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0117, 0x0122, 0x0124, 0x0211, 0x4711]
)
def test_what_will_not_change_is_not_tried_again(status):
    assert outcome_of(status) == Refused(f"0x{status:04X}", outcome_of(status).message)


def test_no_answer_is_neither_success_nor_failure():
    outcome = outcome_of(None)

    assert isinstance(outcome, Postponed) and outcome.may_be_there
