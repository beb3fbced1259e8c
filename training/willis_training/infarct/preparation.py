"""Cases of a data set made into network input by the very function that the service runs.

Simulated and real cases meet here: images by role and the true infarct on the slices of one of them
become one prepared case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import ManifestInvalid
from willis_models.imaging.resample import grid_points, sample_stack, shrink
from willis_models.manifest import Manifest
from willis_models.pipelines.base import NOTHING_ASKED, Case, raise_first_reject
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_models.pipelines.infarct.prepare import OnGrid
from willis_models.runtime.bundle import latest_bundle
from willis_models.volume import Grid, SliceStack
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.images import load_case
from willis_training.fitting.samples import PreparedCase, parameters_digest
from willis_training.infarct.contract import draft_manifest

METHOD = "infarct 1"
"""Changes with the code whenever the same parameters would give other bits."""
_HALF = 0.5


@dataclass(frozen=True)
class InfarctPreparation:
    """Perfusion maps, alignment and intensities as a manifest says; the infarct carried along."""

    manifest: Manifest

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Everything of the manifest that changes the network's input."""
        return {
            "method": METHOD,
            "inputs": [entry.model_dump(mode="json") for entry in self.manifest.inputs],
            "parameters": {
                name: self.manifest.parameters[name]
                for name in ("check", "perfusion", "alignment", "ready_maps")
            },
        }

    @cached_property
    def digest(self) -> str:
        """Of the description."""
        return parameters_digest(self.description)

    def __call__(self, subject: Subject) -> PreparedCase:
        """Raises InputError where the service would reject the study."""
        case, infarct = load_case(subject)
        stack = next(iter(case.values())).stack
        return prepared_case(case, infarct, stack, self.manifest)[0]


def newest_manifest(bundles: Path) -> Manifest:
    """The newest infarct bundle's manifest; before any is published, the one to begin with."""
    try:
        return latest_bundle("infarct", bundles).manifest
    except ManifestInvalid:
        return draft_manifest()


def prepared_case(
    case: Case, infarct: NDArray[Any], stack: SliceStack, manifest: Manifest
) -> tuple[PreparedCase, OnGrid]:
    """Images by role and the true infarct (z, y, x) on the slices of ``stack``, prepared; and what
    the pipeline measured on the way.

    Raises InputError where the service would reject the study.
    """
    raise_first_reject(INFARCT.check(case, manifest))
    prepared = INFARCT.prepare(case, manifest, {}, NOTHING_ASKED)
    raise_first_reject(prepared.quality)
    context: OnGrid = prepared.context
    labels = truth_on_grid(infarct, stack, context.grid)
    return PreparedCase(prepared.network_input, labels, context.grid.spacing_mm), context


def truth_on_grid(infarct: NDArray[Any], stack: SliceStack, grid: Grid) -> NDArray[np.uint8]:
    """The infarct on the network's lattice: voxels of which it fills at least half."""
    share = stack.with_voxels((np.asarray(infarct) > 0).astype(np.float32))
    averaged = shrink(share, min(grid.spacing_mm))
    return (sample_stack(averaged, grid_points(grid), fill=0.0) >= _HALF).astype(np.uint8)
