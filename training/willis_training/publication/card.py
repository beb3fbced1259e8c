"""The model card: what the model is, what it learnt from, what was measured and what was not."""

from __future__ import annotations

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Figure, Manifest


def render_card(manifest: Manifest, about: str = "") -> str:
    """CARD.md of any model; ``about`` is a paragraph on what it is."""
    title = f"# Model card: {manifest.name} {manifest.version}"
    parts = (
        title,
        f"**{INTENDED_USE_STATEMENT}**",
        about.strip(),
        "## What it learnt from\n" + _sources(manifest),
        "## How it was trained\n" + _training(manifest),
        "## What was measured\n" + _measured(manifest),
        "## Limits\n" + "\n".join(f"- {limit}" for limit in manifest.limits),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _sources(manifest: Manifest) -> str:
    rows = [f"| {one.name} | {one.licence} | {one.source} |" for one in manifest.learnt_from]
    return "\n".join(("| material | licence | source |", "|---|---|---|", *rows))


def _training(manifest: Manifest) -> str:
    lines = [f"- {key}: {value}" for key, value in manifest.training.items()]
    if (source := manifest.provenance) is not None:
        lines += [f"- commit: {source.commit}", f"- data_sha256: {source.data_sha256}"]
    return "\n".join(lines) or "Not said."


def _measured(manifest: Manifest) -> str:
    judgement = manifest.judgement
    if judgement is None:
        return "Not judged on a frozen test set. `evaluation.json` holds what there is."
    rows = [_figure_row(one) for one in judgement.figures]
    head = f"{judgement.cases} cases of the test set {judgement.test_set_sha256[:12]}."
    table = "\n".join(("| figure | value | better is |", "|---|---|---|", *rows))
    return f"{head} Case by case: `evaluation.json`.\n\n{table}"


def _figure_row(figure: Figure) -> str:
    return (
        f"| {figure.name} | {figure.value:.4g} | {'more' if figure.higher_is_better else 'less'} |"
    )
