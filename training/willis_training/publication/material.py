"""What the published weights learnt from, each with its licence; manifests and cards list it."""

from __future__ import annotations

from willis_models.manifest import LearntFrom

HEADS = LearntFrom(
    name="SynthSeg head label maps (12 heads for training, 1 for selection)",
    licence="Apache-2.0",
    source="BBillot/SynthSeg",
)
ACUTE_LESIONS = LearntFrom(
    name="Acute infarct masks in MNI space (training part)",
    licence="BSD-2-Clause",
    source="neurolabusc/StrokeOutcomeOptimizationProjectDemo",
)
CHRONIC_LESIONS = LearntFrom(
    name="Chronic lesion masks in MNI space (training part, as mimics)",
    licence="Apache-2.0",
    source="dorianps/LESYMAP",
)
ASPECTS_REGIONS = LearntFrom(
    name="ASPECTS regions in MNI space", licence="MIT", source="AnotherMak/aspects-on-cta"
)
TERRITORIES = LearntFrom(
    name="Arterial territories in MNI space (Tatu 1998), as bounds of the penumbra",
    licence="CC BY 4.0",
    source="Tatu et al., Neurology 1998;50:1699, digital map",
)
MNI_TEMPLATE = LearntFrom(
    name="MNI152 T1 template (ICBM 2009, as shipped with nilearn)",
    licence="permissive, see the nilearn package",
    source="nilearn",
)
