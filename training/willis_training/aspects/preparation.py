"""One's own head CTs with region labels, prepared by the very function that the service runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from willis_models.imaging.register import apply_affine, inverse_of
from willis_models.imaging.resample import grid_points, sample_labels
from willis_models.manifest import sha256_of
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.prepare import ROLE
from willis_models.pipelines.base import NOTHING_ASKED, InputImage, raise_first_reject
from willis_models.pipelines.registry import PIPELINES
from willis_models.runtime.bundle import Bundle
from willis_models.volume import SliceStack
from willis_training.datasets.base import Subject
from willis_training.datasets.loading import load_pair
from willis_training.fitting.samples import PreparedCase, parameters_digest

PIPELINE = PIPELINES["aspects"]


@dataclass(frozen=True)
class AspectsPreparation:
    """Brain, registration and intensities as a bundle's manifest says; labels carried along."""

    bundle: Bundle

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Everything of the bundle that changes the network's input."""
        manifest = self.bundle.manifest
        return {
            "method": "aspects 1",
            "inputs": [entry.model_dump(mode="json") for entry in manifest.inputs],
            "parameters": {
                name: manifest.parameters[name] for name in ("check", "brain", "registration")
            },
            "assets_sha256": sha256_of(self.bundle.folder / "assets.npz"),
        }

    @cached_property
    def digest(self) -> str:
        """Of the description."""
        return parameters_digest(self.description)

    def __call__(self, subject: Subject) -> PreparedCase:
        """Raises InputError where the service would reject the study."""
        image, labels = load_pair(subject, ROLE)
        case = {ROLE: InputImage(SliceStack.from_volume(image))}
        manifest = self.bundle.manifest
        raise_first_reject(PIPELINE.check(case, manifest))
        prepared = PIPELINE.prepare(case, manifest, self.bundle.assets, NOTHING_ASKED)
        raise_first_reject(prepared.quality)
        head: HeadInTemplate = prepared.context
        points = apply_affine(inverse_of(head.registration.to_template), grid_points(head.grid))
        found = sample_labels(labels.voxels, labels.grid, points)
        return PreparedCase(prepared.network_input, found, head.grid.spacing_mm)
