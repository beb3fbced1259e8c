"""A draft: the folder that becomes a bundle. Whatever made the network, it is published like this.

========================  =======================================================================
``manifest.json``         everything of a manifest but ``created``, ``files_sha256`` and, where
                          the next one is meant, ``version``
``model.onnx``            the exported network
``parity.json``           how far it is from torch; ``willis-train export`` writes it beside
``golden.npz``            ``input``: an image (c, z, y, x) as ``prepare`` gives it
``evaluation.json``       what was measured, case by case
``assets.npz``            optional: arrays that preprocessing and interpretation need
``CARD.md``               optional: a plain card is written where there is none
========================  =======================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_training.export.parity import read_parity
from willis_training.publication.bundle import BundleContent, NotPublishable, next_version
from willis_training.publication.provenance import training_commit

_REQUIRED = ("manifest.json", "model.onnx", "parity.json", "golden.npz", "evaluation.json")
_NOT_GIVEN = ("created", "files_sha256", "accepted_worse")


@dataclass(frozen=True)
class Draft:
    """The network's file and everything else of the bundle to be."""

    model: Path
    content: BundleContent


def read_draft(folder: Path, root: Path) -> Draft:
    """Read a draft that is to be published below ``root``.

    Raises NotPublishable where a file is missing.
    """
    if missing := [name for name in _REQUIRED if not (folder / name).is_file()]:
        raise NotPublishable(
            f"{folder} lacks {', '.join(missing)}: docs/training/publishing.md says what a draft "
            "holds and which command makes each file."
        )
    card = folder / "CARD.md"
    content = BundleContent(
        manifest=_completed(json.loads((folder / "manifest.json").read_text()), root),
        assets=_arrays(folder / "assets.npz"),
        golden_input=_arrays(folder / "golden.npz")["input"].astype(np.float32),
        evaluation=json.loads((folder / "evaluation.json").read_text()),
        parity=read_parity(folder / "parity.json"),
        card=card.read_text() if card.is_file() else None,
    )
    return Draft(folder / "model.onnx", content)


def _completed(document: dict[str, Any], root: Path) -> dict[str, Any]:
    """With the next version and the commit of this code, unless the draft names them."""
    given = {key: value for key, value in document.items() if key not in _NOT_GIVEN}
    given.setdefault("version", next_version(str(given.get("name")), root))
    source = given.get("provenance") or {"data_sha256": None}
    return {**given, "provenance": {"commit": training_commit(), **source}}


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
