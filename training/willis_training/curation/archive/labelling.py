"""Label transfer over all cases: align each, average what was drawn, carry the atlas back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.errors import InputError
from willis_models.imaging.resample import AIR_HU, grid_points
from willis_models.volume import Array, SliceStack, Volume
from willis_training.curation.archive.alignment import align, load_alignment, save_alignment
from willis_training.curation.archive.bids import VARIANTS, Layout, write_variant_roots, write_whole
from willis_training.curation.archive.case_pictures import draw_case
from willis_training.curation.archive.convert import load_areas
from willis_training.curation.archive.index import ArchiveIndex
from willis_training.curation.archive.mean_overlay import (
    FittedAtlas,
    average,
    carry,
    fit_atlas,
    in_fitted_atlas,
    labels_at,
    load_carried,
    load_fitted,
    save_carried,
    save_fitted,
    unfitted,
)
from willis_training.curation.archive.native_labels import (
    native_labels,
    overlap,
    registered,
    stripped,
    with_own_outlines,
)
from willis_training.curation.archive.pseudonyms import CaseName
from willis_training.curation.archive.rules import LabelRules
from willis_training.curation.archive.template_head import TemplateHead, load_template
from willis_training.curation.archive.workers import in_parallel
from willis_training.curation.nifti import encode_nifti, read_nifti

VERSION = 1
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Workplace:
    """Where label transfer reads and writes. ``template`` is a bundle's folder, or the shipped."""

    root: Path
    private: Path
    template: Path | None
    rules: LabelRules

    def areas(self, name: CaseName) -> Path:
        """A case's filled outlines."""
        return self.private / "areas" / f"{name.stem}.npz"

    def alignment(self, name: CaseName) -> Path:
        """A case's way to the template."""
        return self.private / "aligned" / f"{name.stem}.npz"

    def carried(self, name: CaseName) -> Path:
        """A case's areas on the template."""
        return self.private / "aligned" / f"{name.stem}_carried.npz"

    @property
    def fitted(self) -> Path:
        """The atlas after the second registration."""
        return self.private / "fitted_atlas.npz"


@dataclass(frozen=True)
class CaseToLabel:
    """A converted case, and a digest of what it was made from."""

    name: CaseName
    digest: str
    has_outlines: bool


@dataclass(frozen=True)
class LabelResult:
    """How each case went, by its stem, and how well the atlas met the mean overlay."""

    cases: dict[str, dict[str, Any]]
    fitted: FittedAtlas | None


Task = tuple[Workplace, CaseToLabel]


def label_cases(
    place: Workplace,
    cases: Sequence[CaseToLabel],
    index: ArchiveIndex,
    workers: int,
    advance: Callable[[str, int, int], None],
) -> LabelResult:
    """Label every case, or set it aside with its reasons. What was done before is kept."""
    if not cases:
        return LabelResult({}, None)
    base = _digest(place.rules.registration.model_dump_json(), load_template(place.template).digest)
    aligned = _resumed(
        "align",
        place,
        cases,
        lambda case: _digest(base, case.digest),
        align_case,
        index,
        workers,
        lambda done: advance("align", done, len(cases)),
    )
    usable = [case for case in cases if not aligned[case.name.stem]["reasons"]]
    drawn = [case for case in usable if case.has_outlines]
    mean_digest = _digest(base, *sorted(case.digest for case in drawn))
    advance("fit", 0, 1)
    fitted = _fitted(place, drawn, index, mean_digest)
    advance("fit", 1, 1)
    limits = place.rules.model_dump_json(include={"limits", "own_outlines_win"})
    labelled = _resumed(
        "label",
        place,
        usable,
        lambda case: _digest(mean_digest, case.digest, limits),
        label_case,
        index,
        workers,
        lambda done: advance("label", done, len(usable)),
    )
    _withdraw(place, [case for case in cases if case.name.stem not in labelled])
    write_variant_roots(Layout(place.root))
    return LabelResult(aligned | labelled, fitted)


def _digest(*parts: str) -> str:
    return sha256("\n".join((str(VERSION), *parts)).encode()).hexdigest()


def _resumed(
    stage: str,
    place: Workplace,
    cases: Sequence[CaseToLabel],
    digest_of: Callable[[CaseToLabel], str],
    work: Callable[[Task], tuple[str, dict[str, Any]]],
    index: ArchiveIndex,
    workers: int,
    advance: Advance,
) -> dict[str, dict[str, Any]]:
    """Outcome of each case by stem: from the index, or done now and stored as each one ends."""
    digests = {case.name.stem: digest_of(case) for case in cases}
    stored = {stem: index.outcome(stage, stem, digest) for stem, digest in digests.items()}
    outcomes = {stem: outcome for stem, outcome in stored.items() if outcome is not None}
    advance(len(outcomes))
    tasks = [(place, case) for case in cases if case.name.stem not in outcomes]
    for stem, outcome in in_parallel(work, tasks, workers):
        index.finish(stage, stem, digests[stem], outcome)
        outcomes[stem] = outcome
        advance(len(outcomes))
    return outcomes


@lru_cache(maxsize=1)
def _template(folder: Path | None) -> TemplateHead:
    return load_template(folder)


def align_case(task: Task) -> tuple[str, dict[str, Any]]:
    """Align one case and carry its outlines along."""
    place, case = task
    template = _template(place.template)
    image = read_nifti(Layout(place.root).image(case.name))
    try:
        alignment = align(SliceStack.from_volume(image), template, place.rules.registration)
    except InputError as error:
        reason = error.code.lower().replace("_", "-")
        return case.name.stem, {"reasons": [reason]}
    save_alignment(alignment, place.alignment(case.name))
    if case.has_outlines:
        areas = load_areas(place.areas(case.name))
        save_carried(carry(areas, alignment, template), place.carried(case.name))
    reasons = list(alignment.quality.failures(place.rules.limits))
    return case.name.stem, {"reasons": reasons, **vars(alignment.quality)}


def _fitted(
    place: Workplace, drawn: Sequence[CaseToLabel], index: ArchiveIndex, digest: str
) -> FittedAtlas:
    if index.outcome("fit", "atlas", digest) is None or not place.fitted.exists():
        template = _template(place.template)
        fitted = unfitted(template)
        if drawn:
            mean, count = average((load_carried(place.carried(c.name)) for c in drawn), template)
            fitted = fit_atlas(mean, count, template, place.rules.registration)
        save_fitted(fitted, place.fitted)
        _write_atlases(Layout(place.root), fitted, template)
        index.finish("fit", "atlas", digest, {"cases": fitted.cases})
    return load_fitted(place.fitted)


def _write_atlases(layout: Layout, fitted: FittedAtlas, template: TemplateHead) -> None:
    """The mean overlay and the fitted atlas on the template's grid, to look at."""
    grid = template.atlas.grid
    atlas = labels_at(template, in_fitted_atlas(fitted, template, grid_points(grid)))
    named: dict[str, Array] = {
        "template_ct": template.hu.voxels.astype(np.int16),
        "mean-overlay_dseg": fitted.mean_overlay,
        "fitted-atlas_dseg": atlas,
    }
    for name, voxels in named.items():
        path = layout.reports / f"{name}.nii.gz"
        write_whole(path, encode_nifti(Volume(voxels, grid.affine_lps)))


def label_case(task: Task) -> tuple[str, dict[str, Any]]:
    """Carry the fitted atlas to one case, compare, draw, and write its variants if it is good."""
    place, case = task
    template, fitted = _template(place.template), load_fitted(place.fitted)
    alignment = load_alignment(place.alignment(case.name))
    image = read_nifti(Layout(place.root).image(case.name))
    labels, brain = native_labels(image.grid, alignment, fitted, template)
    areas = load_areas(place.areas(case.name)) if case.has_outlines else None
    overlaps = {} if areas is None else overlap(areas, labels, image.grid, alignment)
    mean = float(np.mean(list(overlaps.values()))) if overlaps else None
    reasons = _reasons(place.rules, case, overlaps, mean)
    if areas is not None and place.rules.own_outlines_win:
        labels = with_own_outlines(labels, image.grid, areas, alignment)
    draw_case(
        image, labels, areas, Layout(place.root).reports / "pictures" / f"{case.name.stem}.png"
    )
    if reasons:
        _withdraw(place, [case])
    else:
        own = image.with_voxels(labels)
        bare = stripped(image, brain, template.parameters.brain.bone_hu)
        kept = bare.voxels > AIR_HU
        on_template = registered(image, kept, own, alignment, template.atlas.grid)
        _write_variants(
            place,
            case.name,
            ((image, own), (bare, own), (on_template.image, on_template.labels)),
        )
    return case.name.stem, {
        **vars(alignment.quality),
        "reasons": reasons,
        "overlap": mean,
        "overlap_by_label": {str(label): value for label, value in overlaps.items()},
    }


def _reasons(
    rules: LabelRules, case: CaseToLabel, overlaps: dict[int, float], mean: float | None
) -> list[str]:
    if not case.has_outlines:
        return []
    if mean is None or len(overlaps) < rules.limits.min_regions_compared:
        return ["too-few-regions-to-compare"]
    return ["labels-miss-the-outlines"] if mean < rules.limits.min_overlap else []


def _write_variants(
    place: Workplace, name: CaseName, variants: Iterable[tuple[Volume, Volume]]
) -> None:
    layout = Layout(place.root)
    for variant, (image, labels) in zip(VARIANTS, variants, strict=True):
        write_whole(layout.variant_image(variant, name), encode_nifti(image))
        write_whole(layout.variant_labels(variant, name), encode_nifti(labels))


def _withdraw(place: Workplace, cases: Iterable[CaseToLabel]) -> None:
    """Remove what an earlier run wrote of cases that are set aside now."""
    for path in _written(Layout(place.root), cases):
        path.unlink(missing_ok=True)


def _written(layout: Layout, cases: Iterable[CaseToLabel]) -> Iterator[Path]:
    for case in cases:
        for variant in VARIANTS:
            yield layout.variant_image(variant, case.name)
            yield layout.variant_labels(variant, case.name)
