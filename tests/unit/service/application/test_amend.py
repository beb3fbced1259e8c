"""A result that takes the place of an earlier one says what that one said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.aspects_findings import aspects_findings
from tests.infarct_findings import infarct_findings
from willis_models.findings import Findings
from willis_models.pipelines.base import Analysis, Case, Role
from willis_service.application.amend import write_results
from willis_service.application.ports import Amended
from willis_service.domain.job import ResultKind


@dataclass
class KeptInput:
    """An input that keeps what it was told to write."""

    written: list[Findings] = field(default_factory=list)

    def read(self, roles: Sequence[Role], needs: Sequence[frozenset[str]] = ()) -> Case:
        return {}

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        self.written.append(analysis.findings)
        return ()


def amended_text(earlier: Findings, later: Findings, folder: Path) -> str:
    source = KeptInput()
    amended = Amended("job-1", earlier, None)
    write_results(source, Analysis(later), amended, folder, datetime(2026, 1, 5, tzinfo=UTC))
    (written,) = source.written
    assert written.amends is not None
    return written.amends.text


def test_of_a_perfusion_study_the_earlier_volumes_are_named(tmp_path):
    text = amended_text(infarct_findings(core_ml=12.5), infarct_findings(), tmp_path)

    assert text == (
        "Amended result: it replaces an earlier one, which gave core 12.5 mL, penumbra 51.0 mL, "
        "predicted infarct 24.4 mL."
    )


def test_of_aspects_the_earlier_scores_are_named(tmp_path):
    text = amended_text(aspects_findings(), aspects_findings(), tmp_path)

    assert text.endswith("which gave the score left 8, right 10.")
