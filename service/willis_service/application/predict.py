"""Analyse files on the spot: the same reading, analysis and checked results, and no job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import UnknownPipeline
from willis_models.findings import Findings
from willis_models.pipelines.base import Pipeline, Request
from willis_service.application.analyse import analysis_of
from willis_service.application.ordered import checked_options, frame_times_of, pipeline_options
from willis_service.application.ports import (
    BundleCatalogue,
    Clock,
    InputOpener,
    ModelShelf,
    OrderedInput,
)
from willis_service.domain.job import Options, ResultKind


@dataclass(frozen=True)
class Prediction:
    """What was found, and where it was written."""

    findings: Findings
    files: tuple[Path, ...]


@dataclass(frozen=True)
class PredictNow:
    """What ``willis predict`` does: no database, no queue, no service."""

    pipelines: Mapping[str, Pipeline]
    bundles: BundleCatalogue
    models: ModelShelf
    open_input: InputOpener
    clock: Clock

    def __call__(
        self,
        files: Sequence[Path],
        pipeline: str,
        folder: Path,
        progress: Callable[[str], None],
        options: Options | None = None,
    ) -> Prediction:
        """Analyse the files and write the results into ``folder``.

        Raises BundleError, UnknownPipeline, BadOption, ResultError, and InputError where not even
        a report of the rejection can be written.
        """
        if pipeline not in self.pipelines:
            known = ", ".join(sorted(self.pipelines)) or "none"
            raise UnknownPipeline(f"There is no pipeline {pipeline}. Known: {known}.")
        options = checked_options(self.pipelines[pipeline], options)
        progress("load")
        model = self.models.take(pipeline, self.bundles.current(pipeline))
        source = self.open_input(OrderedInput(files, frame_times_s=frame_times_of(options)))
        analysis = analysis_of(model, source, Request(pipeline_options(options), progress))
        progress("write")
        folder.mkdir(parents=True, exist_ok=True)
        written = source.write(analysis, folder, self.clock())
        text = analysis.findings.model_dump_json(indent=2)
        (folder / ResultKind.FINDINGS).write_text(text + "\n", encoding="utf-8")
        kinds = (ResultKind.FINDINGS, *written)
        return Prediction(analysis.findings, tuple(folder / kind for kind in kinds))
