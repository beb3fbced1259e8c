"""A comparison that a laptop can run: simulated hemispheres, half as fine, regions in four groups.

Twenty regions on the network's own grid need a GPU and hours to tell architectures apart. Grouped
and coarse, the same studies do it in minutes; what they tell is how the architectures behave on
little data and a short budget, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS
from willis_models.manifest import IntensityTransform
from willis_models.pipelines.aspects.prepare import normalise
from willis_training.aspects import recipe
from willis_training.aspects.cases import TrainingCase, load_case
from willis_training.datasets.splits import Fold, save_folds
from willis_training.fitting.samples import INDEX, PreparedCase, StoreIndex, write_case

GROUPS: Mapping[str, tuple[str, ...]] = {
    "deep nuclei": ("C", "L", "IC"),
    "insula": ("I",),
    "ganglionic cortex": ("M1", "M2", "M3"),
    "supraganglionic cortex": ("M4", "M5", "M6"),
}
LABEL_NAMES: Mapping[int, str] = dict(enumerate(("background", *GROUPS)))
SHRINK = 2
DATA_SET = f"simulated hemispheres, {recipe.GRID_SPACING_MM * SHRINK:g} mm"
WIDTH = 32
"""Voxels along x: the hemisphere and a little beyond the midline."""
PATCH = (32, 64, 32)
"""Holds a whole hemisphere, and is the smallest that every architecture can halve as it needs."""
CASES_A_HEAD = {"train": 8, "validation": 4, "test": 4}

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "unet_se": {"kind": "unet_se", "widths": [8, 16, 32, 64]},
    "monai_unet": {"kind": "monai_unet", "widths": [8, 16, 32, 64], "residual_units": 2},
    "segresnet": {"kind": "segresnet", "initial_filters": 8, "blocks_down": [1, 2, 2]},
    "swinunetr": {"kind": "swinunetr", "feature_size": 12, "depths": [1, 1, 1, 1]},
    "unetr": {
        "kind": "unetr",
        "feature_size": 8,
        "hidden_size": 96,
        "token_heads": 4,
    },
}
RUN: Mapping[str, Any] = {
    "iterations": 200,
    "batch": 1,
    "validate_every": 50,
    "optimiser": {"learning_rate": 0.002},
    "schedule": {"warm_up": 20},
    "augmentation": {
        "linear_sd": 0.03,
        "shift_sd": 0.03,
        "contrast": 0.1,
        "zero_is_background": True,
    },
    "hardware": {"precision": "float32", "threads": 1},
}


@dataclass(frozen=True)
class Chosen:
    """One hemisphere of one stored study: its file, its side, and the case's id."""

    path: Path
    is_left: bool
    case: str


def write_example(cases: Path, folder: Path, fold_count: int = 2) -> Path:
    """Fill ``folder`` with store, folds and plan from the simulated studies; the plan's path.

    Heads are divided among the folds. Raises ValueError with fewer than three heads a fold.
    """
    by_head: dict[str, list[Path]] = {}
    for path in sorted(cases.glob("head_??_????.npz")):
        by_head.setdefault(path.stem.rsplit("_", 1)[0], []).append(path)
    if len(by_head) < 2 * fold_count:
        raise ValueError(
            f"{cases} holds studies of {len(by_head)} heads; {fold_count} folds need at least "
            f"{2 * fold_count}. Make them with `willis-train aspects simulate`."
        )
    parts = _parts(list(by_head), fold_count)
    chosen = {
        name: {part: _choose(by_head, heads, part) for part, heads in fold.items()}
        for name, fold in parts.items()
    }
    every = {c.case: c for fold in chosen.values() for part in fold.values() for c in part}
    write_store(every.values(), folder / "store")
    folds = [
        Fold(name, **{part: tuple(c.case for c in found) for part, found in fold.items()})
        for name, fold in chosen.items()
    ]
    save_folds(folds, folder / "folds.json", {"data_set": DATA_SET})
    plan = folder / "plan.yaml"
    plan.write_text(yaml.safe_dump(_plan(folder), sort_keys=False))
    return plan


def _parts(heads: Sequence[str], fold_count: int) -> dict[str, dict[str, list[str]]]:
    """Heads of each fold: every head tests once, one of the others chooses, the rest teach."""
    folds = {}
    for n in range(fold_count):
        test = list(heads[n::fold_count])
        others = [head for head in heads if head not in test]
        folds[f"fold_{n + 1}"] = {"train": others[1:], "validation": others[:1], "test": test}
    return folds


def _choose(by_head: Mapping[str, list[Path]], heads: Sequence[str], part: str) -> list[Chosen]:
    """A few studies of each head, left and right in turn."""
    found = []
    for head in heads:
        for n, path in enumerate(by_head[head][: CASES_A_HEAD[part]]):
            is_left = n % 2 == 0
            number = path.stem.rsplit("_", 1)[1]
            found.append(Chosen(path, is_left, f"{head}_ses-{number}{'L' if is_left else 'R'}"))
    return found


def write_store(chosen: Iterable[Chosen], folder: Path) -> None:
    """Prepared cases and their index, as ``willis-train prepare`` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = {
        one.case: write_case(hemisphere(load_case(one.path), one.is_left), one.case, folder, "")
        for one in sorted(chosen, key=lambda one: one.case)
    }
    index = StoreIndex(
        data_set=DATA_SET,
        label_names=LABEL_NAMES,
        preparation={"groups": {k: list(v) for k, v in GROUPS.items()}, "shrink": SHRINK},
        cases=cases,
    )
    (folder / INDEX).write_text(index.model_dump_json(indent=1))


def hemisphere(case: TrainingCase, is_left: bool) -> PreparedCase:
    """One side as the service prepares it, at half the resolution; a right one in the mirror."""
    image = normalise(
        np.where(case.brain, case.hu, 0).astype(np.float32), IntensityTransform(**recipe.INTENSITY)
    )
    labels = grouped(case.regions, is_left)
    if not is_left:
        image, labels = image[..., ::-1], labels[..., ::-1]
    small = _mean_of_blocks(image)[..., -WIDTH:]
    return PreparedCase(
        np.ascontiguousarray(small[None], dtype=np.float32),
        np.ascontiguousarray(_most_of_blocks(labels)[..., -WIDTH:]),
        (recipe.GRID_SPACING_MM * SHRINK,) * 3,
    )


def grouped(regions: NDArray[np.uint8], is_left: bool) -> NDArray[np.uint8]:
    """Labels 1-20 of one side to groups 1-4; the other side is background."""
    table = np.zeros(21, dtype=np.uint8)
    for group, members in enumerate(GROUPS.values(), start=1):
        for name in members:
            table[ASPECTS_REGIONS.index(name) + (1 if is_left else 11)] = group
    return table[regions]


def _blocks(values: NDArray[Any]) -> NDArray[Any]:
    """(z, y, x) to (z/2, y/2, x/2, 8)."""
    z, y, x = (size // SHRINK for size in values.shape)
    split = values.reshape(z, SHRINK, y, SHRINK, x, SHRINK)
    return split.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, SHRINK**3)


def _mean_of_blocks(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(_blocks(image).mean(axis=-1))


def _most_of_blocks(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The commonest label of each block; the lower one on a tie."""
    blocks = _blocks(labels)
    votes = np.stack([(blocks == n).sum(axis=-1) for n in range(len(LABEL_NAMES))])
    return np.asarray(votes.argmax(axis=0).astype(np.uint8))


def _plan(folder: Path) -> dict[str, Any]:
    return {
        "title": "Architectures compared, at a laptop's size",
        "folder": str(folder),
        "store": str(folder / "store"),
        "folds": str(folder / "folds.json"),
        "run": dict(RUN),
        "network": {"patch": list(PATCH), "classes": len(LABEL_NAMES)},
        "architectures": {name: dict(sizes) for name, sizes in ARCHITECTURES.items()},
    }
