"""Results of a NIfTI input: label maps and parametric maps on the input's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis_models.pipelines.base import Analysis
from willis_service.adapters.nifti.reader import write_like
from willis_service.domain.job import NIFTI_MAPS, ResultKind


def write_images(analysis: Analysis, folder: Path, source: Path) -> tuple[ResultKind, ...]:
    """Write what lies on the images; which files. A rejected study has none.

    Overlays are one volume for each layer. Maps keep NaN where they say nothing.
    """
    if analysis.labels is None:
        return ()
    files = {ResultKind.LABELS: analysis.labels}
    if analysis.overlays:
        layers = analysis.overlays
        files[ResultKind.OVERLAYS] = layers[0] if len(layers) == 1 else np.stack(layers)
    maps = {NIFTI_MAPS[one.key]: one.values for one in analysis.maps if one.is_own}
    for kind, values in (files | maps).items():
        write_like(folder / kind, values, source)
    return (*files, *maps)
