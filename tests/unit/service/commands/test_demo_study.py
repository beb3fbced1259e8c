from __future__ import annotations

import pytest

from willis_models.errors import UnknownStudy
from willis_service.commands import demo_study as under_test
from willis_service.commands.demo_study import demo_study


def test_the_head_ct_is_the_shipped_one(repository):
    with demo_study("aspects") as folder:
        assert folder == repository / "demo" / "ncct_right_mca"


def test_a_simulator_that_fails_says_why_and_what_to_do(monkeypatch, capsys):
    broken = (*under_test._SIMULATOR[:1], "-c", "raise SystemExit('no phantom here')")
    monkeypatch.setattr(under_test, "_SIMULATOR", broken)

    with pytest.raises(UnknownStudy, match=r"no phantom here.*--study"), demo_study("infarct"):
        pass
