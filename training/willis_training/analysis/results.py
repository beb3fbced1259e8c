"""A folder of results: what a model said of some cases, beside their truth.

::

    RESULTS/about.json              name of the model, meaning of the labels
    RESULTS/training_features.npz   features (n, f), names (f,), groups (n,): optional
    RESULTS/<case>.npz              one case, see ``SavedCase``

Whatever writes such a folder (``willis-train aspects results`` does) can be analysed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

ABOUT, TRAINING = "about.json", "training_features.npz"
Fact = float | str


class About(BaseModel):
    """``about.json``: which model on which cases; ``notes`` are printed on the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    label_names: Mapping[int, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """Another way to get an answer for the same case (an ensemble, averaged copies of the input).

    ``labels`` (z, y, x); ``confidence`` (z, y, x) of the chosen label; ``seconds`` it took.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.floating[Any]]
    seconds: float


@dataclass(frozen=True)
class SavedCase:
    """What a model said of one case.

    ``part`` is "validation" (what calibration may learn from), "test" (what is reported) or "odd"
    (input that the model was never made for). ``probabilities`` (classes, z, y, x), background
    first; ``truth`` and ``image`` (z, y, x), x towards the patient's left. ``facts`` are numbers
    and words to set the error against. ``features`` (f,) describe the input for the outlier score.
    """

    case_id: str
    part: str
    probabilities: NDArray[np.floating[Any]]
    truth: NDArray[np.uint8]
    image: NDArray[np.floating[Any]]
    spacing_mm: tuple[float, float, float]
    seconds: float
    facts: Mapping[str, Fact] = field(default_factory=dict)
    features: NDArray[np.float64] | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The label of each voxel: the most probable one."""
        return np.asarray(self.probabilities.argmax(axis=0), dtype=np.uint8)


@dataclass(frozen=True)
class TrainingFeatures:
    """The input features of what the model learnt from: values (n, f), names (f,), groups (n,)."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    groups: NDArray[np.str_]


def save_about(folder: Path, about: About) -> None:
    """Write ``about.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load_about(folder: Path) -> About:
    """Read ``about.json``. Raises FileNotFoundError where the folder holds no results."""
    path = folder / ABOUT
    if not path.exists():
        raise FileNotFoundError(
            f"{folder} holds no results: {ABOUT} is missing. `willis-train aspects results` writes "
            "such a folder; docs/training/analysis.md tells how to write one for another model."
        )
    return About.model_validate_json(path.read_text(encoding="utf-8"))


def case_path(folder: Path, case_id: str) -> Path:
    """Where a case is kept."""
    return folder / f"{case_id}.npz"


def save_case(folder: Path, case: SavedCase) -> None:
    """Write one case, complete or not at all. Probabilities are kept with half precision."""
    fields: dict[str, Any] = {
        "part": case.part,
        "probabilities": case.probabilities.astype(np.float16),
        "truth": case.truth,
        "image": case.image.astype(np.float16),
        "spacing_mm": case.spacing_mm,
        "seconds": case.seconds,
        "facts": json.dumps(dict(case.facts)),
    }
    if case.features is not None:
        fields["features"] = case.features
    for name, variant in case.variants.items():
        fields[f"labels/{name}"] = variant.labels
        fields[f"confidence/{name}"] = variant.confidence.astype(np.float16)
        fields[f"seconds/{name}"] = variant.seconds
    partial = case_path(folder, f".{case.case_id}.part")
    np.savez_compressed(partial, **fields)
    os.replace(partial, case_path(folder, case.case_id))


def load_case(path: Path) -> SavedCase:
    """Read a case as ``save_case`` wrote it."""
    with np.load(path) as stored:
        names = [key.partition("/")[2] for key in stored.files if key.startswith("labels/")]
        variants = {
            name: Variant(
                stored[f"labels/{name}"],
                stored[f"confidence/{name}"],
                float(stored[f"seconds/{name}"]),
            )
            for name in names
        }
        z, y, x = (float(v) for v in stored["spacing_mm"])
        return SavedCase(
            case_id=path.stem,
            part=str(stored["part"]),
            probabilities=stored["probabilities"].astype(np.float32),
            truth=stored["truth"],
            image=stored["image"].astype(np.float32),
            spacing_mm=(z, y, x),
            seconds=float(stored["seconds"]),
            facts=json.loads(str(stored["facts"])),
            features=stored["features"] if "features" in stored.files else None,
            variants=variants,
        )


def case_paths(folder: Path) -> list[Path]:
    """The files of all cases, sorted."""
    return [p for p in sorted(folder.glob("*.npz")) if p.name != TRAINING and p.name[0] != "."]


def load_cases(folder: Path, *parts: str) -> Iterator[SavedCase]:
    """The cases of some parts (all without any), one at a time: they are large."""
    for path in case_paths(folder):
        with np.load(path) as stored:
            wanted = not parts or str(stored["part"]) in parts
        if wanted:
            yield load_case(path)


def save_training_features(folder: Path, features: TrainingFeatures) -> None:
    """Write the features of the training inputs."""
    np.savez_compressed(
        folder / TRAINING,
        values=features.values,
        names=np.array(features.names),
        groups=features.groups,
    )


def load_training_features(folder: Path) -> TrainingFeatures | None:
    """Read the features of the training inputs; None where they were not written."""
    path = folder / TRAINING
    if not path.exists():
        return None
    with np.load(path) as stored:
        names = tuple(str(name) for name in stored["names"])
        return TrainingFeatures(stored["values"], names, stored["groups"])
