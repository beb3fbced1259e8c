"""Where the steps of the infarct network keep what they make, unless they are told otherwise."""

from __future__ import annotations

from pathlib import Path

STORE = Path(".cache/infarct_cases")
RUNS = Path(".cache/infarct_runs")
COMPARISON = Path(".cache/infarct_comparison")
EVALUATION = Path(".cache/infarct_evaluation")
FOLDS = "folds.json"
"""The file of five folds, within the store."""
