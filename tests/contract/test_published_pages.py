"""What the documentation promises to readers of the results is what the code writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aspects_findings import aspects_findings, rejected_findings
from willis_models.codes import private_codes
from willis_models.findings import Findings
from willis_models.published import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_in_docs_is_the_one_that_the_code_makes(repository: Path, name: str) -> None:
    written = (repository / "docs" / name).read_text(encoding="utf-8")

    assert written == PAGES[name](), "run: python -m willis_models.published docs"


def test_private_codes_fit_their_dicom_attributes_and_are_unique() -> None:
    values = [code.value for code in private_codes()]

    assert len(set(values)) == len(values)
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in private_codes())


@pytest.mark.parametrize("findings", [aspects_findings(), rejected_findings()])
def test_findings_survive_their_json(findings: Findings) -> None:
    assert Findings.model_validate_json(findings.model_dump_json()) == findings
