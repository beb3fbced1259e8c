"""The archive that ``willis-train curate`` writes: a BIDS data set with three labelled variants."""

from __future__ import annotations

from pathlib import Path

from willis_training.datasets.bids_derivative import BidsDerivative, open_bids_derivative

VARIANTS = ("stripped", "raw", "registered")
"""As scanned, brain only, and brain only on the template's grid; brain only by default."""


def open_curated(root: Path) -> BidsDerivative:
    """Open a curated archive, or one of its variants (``ROOT/derivatives/raw``).

    Raises FileNotFoundError where it holds no labelled variant.
    """
    candidates = [root / "derivatives" / variant for variant in VARIANTS]
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None and root.parent.name == "derivatives" and root.name in VARIANTS:
        found = root
    if found is None:
        raise FileNotFoundError(
            f"{root} is no curated archive: derivatives/{VARIANTS[0]} is missing. Make one with "
            "`willis-train curate SOURCE OUT` and give OUT."
        )
    return open_bids_derivative(found)
