"""The series of a job, each read in its role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from willis_models.errors import DecodingError, InputError, NoSuitableSeries
from willis_models.findings import QualityItem
from willis_models.pipelines.base import Role, RoleKind
from willis_service.adapters.dicom.dynamic_reader import read_dynamic
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.map_reader import read_map
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.series_groups import merged
from willis_service.adapters.dicom.series_selection import select_series

RoleFiles = Mapping[str, Sequence[Path]]
"""The files that were ordered for each role."""

_READERS: Mapping[RoleKind, Callable[[SeriesListing], DicomSeries]] = {
    "volume": read_series,
    "dynamic": read_dynamic,
    "map": read_map,
}


def read_case(
    files: Sequence[Path],
    ordered: RoleFiles,
    roles: Sequence[Role],
    needs: Sequence[frozenset[str]] = (),
) -> dict[str, DicomSeries]:
    """The series by role: those that were ordered, else those that suit best. Raises InputError.

    A series that the pipeline can do without is left out where it can't be read; a quality item of
    the first one says so.
    """
    listings = _ordered(ordered, roles) if ordered else _chosen(files, roles, needs)
    needed = frozenset().union(*needs) | {role.name for role in roles if role.required}
    series: dict[str, DicomSeries] = {}
    items: list[QualityItem] = []
    for role in (role for role in roles if role.name in listings):
        try:
            series[role.name] = _READERS[role.kind](listings[role.name])
        except InputError as error:
            if role.name in needed or not needs:
                raise
            items.append(_left_out(role, error))
    return _with_items(series, items)


def _chosen(
    files: Sequence[Path], roles: Sequence[Role], needs: Sequence[frozenset[str]]
) -> dict[str, SeriesListing]:
    selection = select_series(scan(files), roles, needs)
    return {role: chosen.listing for role, chosen in selection.chosen.items()}


def _ordered(ordered: RoleFiles, roles: Sequence[Role]) -> dict[str, SeriesListing]:
    found: dict[str, SeriesListing] = {}
    for role in (role for role in roles if ordered.get(role.name)):
        readable = [one for one in scan(ordered[role.name]) if one.is_readable]
        if not readable:
            raise DecodingError(f"The files of the {role.title} can't be read any more.")
        found[role.name] = merged(readable)
    if not found:
        raise NoSuitableSeries("None of the files has a role in this pipeline.")
    return found


def _left_out(role: Role, error: InputError) -> QualityItem:
    return QualityItem(
        code="OPTIONAL_SERIES_LEFT_OUT",
        outcome="warn",
        message=f"The {role.title} was left out: {error.message}",
    )


def _with_items(
    series: dict[str, DicomSeries], items: Sequence[QualityItem]
) -> dict[str, DicomSeries]:
    if not items or not series:
        return series
    name, first = next(iter(series.items()))
    acquisition = first.image.acquisition
    told = replace(acquisition, source_items=(*acquisition.source_items, *items))
    return {**series, name: replace(first, image=replace(first.image, acquisition=told))}
