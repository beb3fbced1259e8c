"""What distinguishes a region from its mirror: the evidence for its state.

All in HU on the network's 2-mm grid. ``own`` is the region, ``mirror`` the same region of the
other side; differences are mirror minus own, so that a positive figure means "darker than the
other side".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.components import Mask
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import TissueParameters
from willis_models.pipelines.aspects.tissue import Tissue, classify, smooth_within

Values = NDArray[np.float64]

FEATURES: tuple[str, ...] = (
    "difference_hu",
    "median_difference_hu",
    "low_quantile_difference_hu",
    "lower_quartile_difference_hu",
    "upper_quartile_difference_hu",
    "ratio_deficit",
    "grey_white_loss_hu",
    "texture_loss_hu",
    "dark_share",
    "local_mean_hu",
    "local_upper_decile_hu",
    "local_share_over_1_hu",
    "local_share_over_2_hu",
    "csf_share_difference",
    "own_mean_below_brain_hu",
    "side_mean_hu",
    "side_largest_hu",
)
MIN_VOXELS = 20


@dataclass(frozen=True)
class RegionEvidence:
    """Voxels and means of one region and its mirror; ``features`` None where not assessable."""

    label: int
    voxels: int
    counted: int
    csf: int
    calcification: int
    old_infarct: int
    covered_share: float
    mean_hu: float | None
    mirror_mean_hu: float | None
    features: Values | None
    reason: str | None

    @property
    def difference_hu(self) -> float | None:
        """Mirror minus own mean."""
        if self.mean_hu is None or self.mirror_mean_hu is None:
            return None
        return self.mirror_mean_hu - self.mean_hu

    @property
    def ratio(self) -> float | None:
        """Own over mirror mean."""
        if self.mean_hu is None or not self.mirror_mean_hu:
            return None
        return self.mean_hu / self.mirror_mean_hu


def measure(
    head: HeadInTemplate, labels: NDArray[np.uint8], limits: TissueParameters
) -> list[RegionEvidence]:
    """Evidence for labels 1-20 of a label map on the head's grid."""
    spacing = head.grid.spacing_mm[0]
    tissue = classify(head.hu, head.brain, head.covered, labels > 0, head.grid.voxel_ml, limits)
    smooth = smooth_within(head.hu, tissue.counted, limits.smoothing_mm / spacing)
    asymmetry = smooth[..., ::-1] - smooth
    brain_mean = float(head.hu[tissue.counted].mean()) if tissue.counted.any() else 0.0
    bare = [
        _measure_one(n, head, labels, tissue, asymmetry, brain_mean, limits) for n in range(1, 21)
    ]
    return _with_side_context(bare)


def mirror_of(label: int) -> int:
    """The label of the same region on the other side."""
    return label + 10 if label <= 10 else label - 10


def _measure_one(
    label: int,
    head: HeadInTemplate,
    labels: NDArray[np.uint8],
    tissue: Tissue,
    asymmetry: NDArray[np.float32],
    brain_mean: float,
    limits: TissueParameters,
) -> RegionEvidence:
    region, mirror = labels == label, labels == mirror_of(label)
    own, other = head.hu[region & tissue.counted], head.hu[mirror & tissue.counted]
    voxels, mirrored = int(region.sum()), int(mirror.sum())
    covered = float(head.covered[region].mean()) if voxels else 0.0
    reason = (
        _why_not(voxels, own.size, mirrored, other.size, covered, head.grid.voxel_ml, limits)
        or _old_infarct("", region, tissue, limits)
        or _old_infarct(" on the other side", mirror, tissue, limits)
    )
    features = None
    if reason is None:
        local = asymmetry[region & tissue.counted]
        csf = _share(region, tissue.csf) - _share(mirror, tissue.csf)
        features = _features(own, other, local[np.isfinite(local)], csf, brain_mean)
    return RegionEvidence(
        label=label,
        voxels=voxels,
        counted=int(own.size),
        csf=int((region & tissue.csf).sum()),
        calcification=int((region & tissue.calcification).sum()),
        old_infarct=int((region & tissue.old_infarct).sum()),
        covered_share=covered,
        mean_hu=float(own.mean()) if own.size >= MIN_VOXELS else None,
        mirror_mean_hu=float(other.mean()) if other.size >= MIN_VOXELS else None,
        features=features,
        reason=reason,
    )


def _why_not(
    voxels: int,
    counted: int,
    mirrored: int,
    mirror_counted: int,
    covered: float,
    voxel_ml: float,
    limits: TissueParameters,
) -> str | None:
    """The reason why a region can't be assessed, or None."""
    if voxels == 0 or mirrored == 0:
        return "The region was not found on both sides."
    if covered < limits.min_covered_share:
        return "The scan does not cover the region."
    sides = (("", counted, voxels), (" on the other side", mirror_counted, mirrored))
    for name, number, total in sides:
        too_few = number * voxel_ml < limits.min_counted_ml or number < MIN_VOXELS
        if too_few or number < limits.min_counted_share * total:
            return f"Too little assessable tissue{name}: CSF, calcification or old infarct."
    return None


def _old_infarct(where: str, region: Mask, tissue: Tissue, limits: TissueParameters) -> str | None:
    """Around an old infarct lies gliosis, dark as fresh ischaemia: such a region is left open."""
    share = _share(region, tissue.old_infarct)
    if share <= limits.old_infarct_max_share:
        return None
    return f"An old infarct takes {share:.0%} of the region{where}."


def _share(region: Mask, mask: Mask) -> float:
    return float(mask[region].mean())


def _features(
    own: NDArray[np.float32],
    other: NDArray[np.float32],
    local: NDArray[np.float32],
    csf_difference: float,
    brain_mean: float,
) -> Values:
    low = np.quantile(own, [0.1, 0.25, 0.5, 0.75, 0.9])
    high = np.quantile(other, [0.1, 0.25, 0.5, 0.75, 0.9])
    dark = float((own < high[2] - 3.0).mean() - (other < high[2] - 3.0).mean())
    local = local if local.size else np.zeros(1, dtype=np.float32)
    return np.array(
        [
            other.mean() - own.mean(),
            high[2] - low[2],
            high[0] - low[0],
            high[1] - low[1],
            high[3] - low[3],
            1.0 - own.mean() / other.mean(),
            (high[4] - high[0]) - (low[4] - low[0]),
            other.std() - own.std(),
            dark,
            local.mean(),
            np.quantile(local, 0.9),
            (local > 1.0).mean(),
            (local > 2.0).mean(),
            csf_difference,
            brain_mean - own.mean(),
            0.0,
            0.0,
        ]
    )


def _with_side_context(evidence: list[RegionEvidence]) -> list[RegionEvidence]:
    """Fill in what the other regions of the same side show: infarcts rarely stop at one region."""
    mean_at = FEATURES.index("local_mean_hu")
    for item in evidence:
        if item.features is None:
            continue
        others = [
            float(e.features[mean_at])
            for e in evidence
            if e.features is not None and e.label != item.label and _same_side(e, item)
        ]
        item.features[-2:] = (np.mean(others), np.max(others)) if others else (0.0, 0.0)
    return evidence


def _same_side(a: RegionEvidence, b: RegionEvidence) -> bool:
    return (a.label <= 10) == (b.label <= 10)
