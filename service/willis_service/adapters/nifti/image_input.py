"""Uploaded NIfTI images as the input of a job: results go back onto the grid of one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from willis_models.errors import NoSuitableSeries
from willis_models.pipelines.base import Analysis, Case, InputImage, Role
from willis_service.adapters.nifti.image_results import write_images
from willis_service.adapters.nifti.reader import read_nifti
from willis_service.adapters.nifti.series import is_in_time, read_nifti_dynamic, read_nifti_map
from willis_service.application.image_roles import by_role, is_nifti
from willis_service.application.ports import OrderedInput, ReportWriter
from willis_service.domain.job import ResultKind
from willis_service.domain.study_facts import StudyFacts


@dataclass
class NiftiInput:
    """NIfTI files. They have no study, so there is neither SEG nor SR."""

    ordered: OrderedInput
    write_report: ReportWriter
    _files: dict[str, Path] = field(default_factory=dict, init=False)
    _images: dict[str, InputImage] = field(default_factory=dict, init=False)

    def read(self, roles: Sequence[Role], needs: Sequence[frozenset[str]] = ()) -> Case:
        """Decode the image of each role. Raises InputError."""
        named = self.ordered.roles or self._by_name(roles)
        by_name = {role.name: role for role in roles}
        for name in (role.name for role in roles if named.get(role.name)):
            self._files[name], *sidecars = named[name]
            self._images[name] = self._read(by_name[name], self._files[name], sidecars)
        missing = _lacking(self._images.keys(), roles, needs)
        if missing:
            lacking = ", ".join(f"{by_name[name].title} (_{name})" for name in missing)
            raise NoSuitableSeries(
                f"No file shows: {lacking}. Send it too; what a file shows is told by the end of "
                f"its name: {', '.join(f'_{name}' for name in by_name)}."
            )
        return dict(self._images)

    def _by_name(self, roles: Sequence[Role]) -> Mapping[str, Sequence[Path]]:
        """By the names of the files; a single one may be called as it likes."""
        images = [path for path in self.ordered.files if is_nifti(path)]
        required = [role for role in roles if role.required]
        if len(images) == 1 and len(required) == 1:
            return {required[0].name: images}
        named = by_role(self.ordered.files, roles)
        if named or len(images) != 1 or not is_in_time(images[0]):
            return named
        return {role.name: images for role in roles if role.kind == "dynamic"}

    def _read(self, role: Role, path: Path, sidecars: Sequence[Path]) -> InputImage:
        if role.kind == "dynamic":
            sidecar = sidecars[0] if sidecars else None
            return read_nifti_dynamic(path, sidecar, self.ordered.frame_times_s)
        return read_nifti_map(path, role.name) if role.kind == "map" else read_nifti(path)

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        """Write label maps, parametric maps and report."""
        role = analysis.reference_role or next(iter(self._images), "")
        report = self.write_report(analysis, self._images.get(role), StudyFacts(), folder)
        if role not in self._files:
            return report
        return (*write_images(analysis, folder, self._files[role]), *report)


def nifti_opener(write_report: ReportWriter) -> Callable[[OrderedInput], NiftiInput]:
    """Opens the NIfTI files of a job."""

    def open_input(ordered: OrderedInput) -> NiftiInput:
        return NiftiInput(ordered, write_report)

    return open_input


def _lacking(
    found: Collection[str], roles: Sequence[Role], needs: Sequence[frozenset[str]]
) -> list[str]:
    """The roles that are missing of the nearest set of roles that suffices."""
    sets = needs or (frozenset(role.name for role in roles if role.required),)
    nearest = min(sets, key=lambda need: len(need - set(found)) / max(1, len(need)))
    return sorted(nearest - set(found))
