"""A results folder of a made-up model whose faults are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from willis_training.analysis.outliers import FEATURES, image_features
from willis_training.analysis.results import (
    About,
    SavedCase,
    TrainingFeatures,
    Variant,
    save_about,
    save_case,
    save_training_features,
)

SHAPE = (12, 16, 16)
TEMPERATURE = 2.5
"""The made-up model is surer of itself than it is right: by this temperature."""
NAMES = {0: "background", 1: "core", 2: "rim"}


def truth() -> NDArray[np.uint8]:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:9, 4:12, 4:12] = 2
    labels[4:8, 6:10, 6:10] = 1
    return labels


def probabilities(noise: float, seed: int) -> NDArray[np.float32]:
    """What follows from a noisy view of the truth, sharpened: the more noise, the more errors."""
    rng = np.random.default_rng(seed)
    held = np.arange(3)[:, None, None, None] == truth()
    view = 2.0 * held + noise * rng.standard_normal((3, *SHAPE))
    # Bayes' rule for that view: honest. The sharpening makes it too sure of itself.
    logs = 2.0 * view / noise**2 + np.log(held.mean(axis=(1, 2, 3)))[:, None, None, None]
    powers = np.exp(TEMPERATURE * (logs - logs.max(axis=0)))
    return (powers / powers.sum(axis=0)).astype(np.float32)


def image(seed: int, level: float = 0.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.4 + 0.1 * truth() + level + 0.02 * rng.standard_normal(SHAPE)).astype(np.float32)


def case(number: int, part: str = "test", noise: float = 1.0, level: float = 0.0) -> SavedCase:
    found = probabilities(noise, number)
    averaged = np.mean([probabilities(noise, number + 1000 * n) for n in range(4)], axis=0)
    picture = image(number, level)
    facts: dict[str, float | str] = {"noise_hu": noise, "number": float(number % 5), "site": "R001"}
    if part == "odd":
        facts["oddity"] = "too bright"
    return SavedCase(
        case_id=f"{part}_{number:02d}",
        part=part,
        probabilities=found,
        truth=truth(),
        image=picture,
        spacing_mm=(3.0, 1.0, 1.0),
        seconds=0.5,
        facts=facts,
        features=image_features(picture, truth() > 0),
        variants={
            "ensemble of 4": Variant(
                averaged.argmax(axis=0).astype(np.uint8), averaged.max(axis=0), 2.0
            )
        },
    )


def training_features(count: int = 60) -> TrainingFeatures:
    levels = np.random.default_rng(5).normal(0.0, 0.01, count)
    rows = [image_features(image(500 + n, levels[n]), truth() > 0) for n in range(count)]
    groups = np.array([f"head_{n % 6}" for n in range(count)])
    return TrainingFeatures(np.array(rows), FEATURES, groups)


def write_folder(folder: Path, tested: int = 10) -> Path:
    """Validation, test (noise rising with the number) and odd cases."""
    save_about(folder, About(model="made-up 1.0", label_names=NAMES, notes=("Made up.",)))
    for number in range(3):
        save_case(folder, case(100 + number, "validation"))
    for number in range(tested):
        save_case(folder, case(number, noise=0.6 + 0.1 * number))
    save_case(folder, case(50, "odd", level=0.3))
    save_training_features(folder, training_features())
    return folder
