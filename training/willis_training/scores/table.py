"""All regions of all simulated studies as one table: features, truth, head and lesion.

Measuring a study takes seconds, so each is kept in a file of its own, named after everything that
determines it: the study's content, the bundle that labelled it and the list of features.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.manifest import sha256_of
from willis_models.pipelines.aspects.parameters import network_grid, parameters_of
from willis_models.pipelines.aspects.prepare import normalise
from willis_models.pipelines.aspects.states import apply_rule
from willis_models.pipelines.base import Predictor
from willis_models.runtime.bundle import Bundle
from willis_training.aspects.cases import TrainingCase, load_case
from willis_training.aspects.states_fit import RegionTable, as_head
from willis_training.scores.features import ALL_FEATURES, measure_regions

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]
LesionName = Callable[[str, int], str | None]

NO_LESION = ""


@dataclass(frozen=True)
class ScoreTable:
    """One row for each assessable region of each study.

    ``rows`` has the features in the order of ``names``, with the truth and the head; ``lesion``
    (n,) the name of the study's lesion, empty without one; ``rule`` (n,) what the deterministic
    rule says.
    """

    rows: RegionTable
    names: tuple[str, ...]
    lesion: NDArray[np.str_]
    rule: Rows

    def __len__(self) -> int:
        return len(self.lesion)

    def features(self, names: Sequence[str]) -> Floats:
        """The columns of a feature set, (n, len(names))."""
        place = {name: n for n, name in enumerate(self.names)}
        return self.rows.features[:, [place[name] for name in names]]

    def where(self, chosen: Rows) -> ScoreTable:
        """Some of the rows."""
        return ScoreTable(
            rows_where(self.rows, chosen), self.names, self.lesion[chosen], self.rule[chosen]
        )

    @cached_property
    def digest(self) -> str:
        """Changes with any value of the table."""
        found = hashlib.sha256(json.dumps(self.names).encode())
        for values in (*vars(self.rows).values(), self.lesion, self.rule):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()


def rows_where(rows: RegionTable, chosen: Rows) -> RegionTable:
    """Some rows of a table."""
    return RegionTable(**{field.name: getattr(rows, field.name)[chosen] for field in fields(rows)})


@dataclass(frozen=True)
class StudyReader:
    """Measures stored studies on the labels that a bundle's network gives them.

    ``lesion_name`` maps a head's name and a study's number to the lesion that was drawn.
    """

    bundle: Bundle
    predictor: Predictor
    lesion_name: LesionName
    folder: Path

    def read(self, study: Path) -> dict[str, NDArray[Any]]:
        """The rows of one study (``<head>_<number>.npz``), from the cache where it is there."""
        kept = self.folder / f"{study.stem}-{sha256_of(study)[:8]}-{self._key[:8]}.npz"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            head, number = study.stem.rsplit("_", 1)
            rows = self._measure(load_case(study), self.lesion_name(head, int(number)))
            partial = kept.with_suffix(".part.npz")
            np.savez(partial, **rows)
            os.replace(partial, kept)
        with np.load(kept) as stored:
            return {name: stored[name] for name in stored.files}

    @cached_property
    def _key(self) -> str:
        manifest = self.bundle.manifest
        parts = (manifest.weights_sha256, manifest.parameters, ALL_FEATURES)
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def _measure(self, case: TrainingCase, lesion: str | None) -> dict[str, Any]:
        manifest = self.bundle.manifest
        parameters = parameters_of(manifest)
        stripped = np.where(case.brain, case.hu, 0).astype(np.float32)
        image = normalise(stripped, manifest.inputs[0].intensity)
        labels = self.predictor(image[None]).argmax(axis=0).astype(np.uint8)
        head = as_head(case, network_grid(manifest))
        found = measure_regions(head, labels, parameters.tissue)
        index = np.array([item.label - 1 for item, _ in found], dtype=np.int64)
        features = [[named[name] for name in ALL_FEATURES] for _, named in found]
        says = [apply_rule(item, parameters.rule) == "affected" for item, _ in found]
        return {
            "features": np.array(features, dtype=np.float64).reshape(-1, len(ALL_FEATURES)),
            "region": index % 10,
            "left": index < 10,
            "covered": case.covered[index],
            "rule": np.array(says, dtype=bool),
            "head": case.head,
            "drop_hu": case.drop_hu,
            "lesion": lesion or NO_LESION,
        }


def join_studies(studies: Sequence[dict[str, NDArray[Any]]]) -> ScoreTable:
    """One table of the rows of all studies, in their order."""
    sizes = [len(study["region"]) for study in studies]

    def rows(name: str) -> NDArray[Any]:
        return np.concatenate([study[name] for study in studies])

    def repeated(name: str) -> NDArray[Any]:
        return np.repeat(np.array([study[name].item() for study in studies]), sizes)

    table = RegionTable(
        features=rows("features"),
        region=rows("region"),
        left=rows("left"),
        case=np.repeat(np.arange(len(studies)), sizes),
        head=repeated("head"),
        covered=rows("covered"),
        drop_hu=repeated("drop_hu"),
    )
    return ScoreTable(table, ALL_FEATURES, repeated("lesion"), rows("rule"))
