r"""What is compared, on what, and for how long: one frozen value read from one YAML file.

::

    folder: runs/comparison            # where runs and results are kept
    store: runs/comparison/store       # cases prepared by `willis-train prepare`
    folds: runs/comparison/folds.json  # as `willis-train data split` writes them
    run: {iterations: 4000, batch: 2, loss: {name: dice_ce}}   # a run's settings, shared by all
    network: {patch: [96, 96, 96], classes: 2}                 # a network's settings, shared by all
    architectures:
      unet_se: {kind: unet_se, widths: [16, 32, 64, 128]}
      segresnet: {kind: segresnet}
    only_folds: [fold_1]                                       # where time is short
    person: '(.+)_\d+'                                         # whose case an id is
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from willis_training.datasets.splits import Fold, load_folds
from willis_training.fitting.config import RunConfig

OWNED = frozenset({"folder", "name", "network"})
OWNED_DATA = frozenset({"store", "split", "fold", "train", "validation"})
"""Parts of a run that the comparison sets itself, so that every architecture gets the same."""


class ComparisonPlan(BaseModel):
    """One comparison. Paths are relative to the working folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = "Architectures compared"
    folder: Path
    store: Path
    folds: Path
    run: Mapping[str, Any]
    network: Mapping[str, Any] = {}
    architectures: Mapping[str, Mapping[str, Any]] = Field(min_length=2)
    only_folds: tuple[str, ...] = ()
    """The folds that are run, where the budget is not enough for all of them."""
    person: str = r"(.+?)(_ses-.*)?"
    """A regular expression for the ids of cases, whose first group is whose case it is: cases of
    one person are not independent. Simulated studies of one head are of one person."""
    latency_repeats: int = Field(default=10, ge=3)
    """Timed runs of each exported network; the median counts."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of the timed runs."""

    @model_validator(mode="after")
    def _run_is_shared(self) -> ComparisonPlan:
        owned = sorted(OWNED & set(self.run))
        owned += [f"data.{name}" for name in sorted(OWNED_DATA & set(self.run.get("data", {})))]
        if owned:
            raise ValueError(f"run.{owned[0]} is set by the comparison; leave it out.")
        return self

    def read_folds(self) -> tuple[Fold, ...]:
        """The folds to run. Raises ValueError where one of them is missing or has an empty part,
        where a case is tested twice, and where ``person`` does not fit a case."""
        folds = self._chosen_folds()
        for fold in folds:
            if not (fold.train and fold.validation and fold.test):
                raise ValueError(f"{self.folds}: a part of the fold {fold.name} is empty.")
        tested = [case for fold in folds for case in fold.test]
        if not folds or len(set(tested)) < len(tested):
            raise ValueError(f"{self.folds}: every case may be tested once, in one fold.")
        for case in tested:
            self.person_of(case)
        return folds

    def _chosen_folds(self) -> tuple[Fold, ...]:
        folds = {fold.name: fold for fold in load_folds(self.folds)}
        unknown = [name for name in self.only_folds if name not in folds]
        if unknown:
            raise ValueError(f"only_folds: {self.folds} has {', '.join(folds)}, not {unknown[0]}.")
        return tuple(folds[name] for name in self.only_folds or folds)

    def person_of(self, case: str) -> str:
        """Whose case it is. Raises ValueError where ``person`` does not fit the case's id."""
        found = re.fullmatch(self.person, case)
        if found is None or not found.groups() or found[1] is None:
            raise ValueError(f"person: {self.person} tells no person of the case {case}.")
        return found[1]

    def run_config(self, architecture: str, fold: Fold) -> RunConfig:
        """The run of one architecture on one fold."""
        shared: dict[str, Any] = {"tracking": {"tensorboard": False, "pictures": 0}, **self.run}
        return RunConfig.model_validate(
            {
                **shared,
                "name": f"{architecture}-{fold.name}",
                "folder": self.folder / "runs" / architecture / fold.name,
                "network": {**self.network, **self.architectures[architecture]},
            }
        )


def read_plan(path: Path) -> ComparisonPlan:
    """Read and check a plan. Raises ValueError for anything that does not fit."""
    stored = yaml.safe_load(path.read_text())
    if not isinstance(stored, dict):
        raise ValueError(f"{path} holds no mapping.")
    plan = ComparisonPlan.model_validate(stored)
    for fold in plan.read_folds()[:1]:
        for name in plan.architectures:
            plan.run_config(name, fold)
    return plan
