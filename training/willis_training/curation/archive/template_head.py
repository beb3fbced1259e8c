"""The head that everything is carried to: the template and atlas of a published bundle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.resample import grid_points, lps_grid
from willis_models.pipelines.aspects.parameters import AspectsParameters, parameters_of
from willis_models.runtime.bundle import latest_bundle, load_bundle
from willis_models.volume import Grid, Volume
from willis_training.curation.label_transfer import SmoothRegions, smooth_regions

HIGH_HU = 80.0


@dataclass(frozen=True)
class TemplateHead:
    """Mean brain in HU (0 outside), its mask and the atlas 0-20, on one LPS-aligned grid."""

    hu: Volume
    brain: Volume
    atlas: Volume
    parameters: AspectsParameters
    digest: str

    @property
    def assets(self) -> dict[str, NDArray[Any]]:
        """As ``place_in_template`` wants them."""
        return {"template_hu": self.hu.voxels, "template_brain": self.brain.voxels}

    @cached_property
    def regions(self) -> SmoothRegions:
        """The atlas as smoothed one-hots."""
        return smooth_regions(self.atlas)

    def grid(self, spacing_mm: float) -> Grid:
        """A grid of another spacing over the same extent."""
        own = self.hu.grid
        extent = (np.array(own.shape) - 1) * np.array(own.spacing_mm)
        z, y, x = (int(n) for n in np.floor(extent / spacing_mm) + 1)
        return lps_grid((z, y, x), spacing_mm, own.affine_lps[:3, 3])

    def image(self, grid: Grid) -> Volume:
        """The brain, 0-1, on a grid over the same extent; smoothed first where that is coarser."""
        steps = np.array(grid.spacing_mm) / np.array(self.hu.grid.spacing_mm)
        smooth = ndimage.gaussian_filter(self.hu.voxels, np.maximum(steps - 1.0, 0.0) / 2)
        index = np.moveaxis(self.hu.grid.to_index(grid_points(grid)), -1, 0)
        values = ndimage.map_coordinates(smooth, index, order=1, output=np.float32)
        return Volume(np.clip(values / HIGH_HU, 0.0, 1.0), grid.affine_lps)


def load_template(bundle: Path | None = None) -> TemplateHead:
    """The template of a bundle folder; without one, of the newest shipped ASPECTS bundle."""
    chosen = latest_bundle("aspects") if bundle is None else load_bundle(bundle)
    parameters = parameters_of(chosen.manifest)
    hu = chosen.assets["template_hu"].astype(np.float32)
    affine = parameters.template_grid(hu.shape).affine_lps
    return TemplateHead(
        hu=Volume(hu, affine),
        brain=Volume(chosen.assets["template_brain"], affine),
        atlas=Volume(chosen.assets["atlas"], affine),
        parameters=parameters,
        digest=chosen.manifest.files_sha256["assets.npz"],
    )
