"""``CHANGELOG.md`` of a model: what came with each version, newest first."""

from __future__ import annotations

import os
import re
from pathlib import Path

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Figure, Judgement, Manifest

CHANGELOG = "CHANGELOG.md"


def note_version(root: Path, manifest: Manifest, before: Manifest | None, note: str | None) -> Path:
    """Put the entry of a version at the top, in place of an earlier entry of the same version."""
    path = root / manifest.name / CHANGELOG
    entries = _entries(path.read_text()) if path.is_file() else []
    heading = f"## {manifest.version} "
    others = [entry for entry in entries if not entry.startswith(heading)]
    parts = (_title(manifest.name), entry_of(manifest, before, note), *others)
    fresh = path.with_name(f".{CHANGELOG}.partial")
    fresh.write_text("\n".join(part.rstrip() + "\n" for part in parts))
    os.replace(fresh, path)
    return path


def entry_of(manifest: Manifest, before: Manifest | None, note: str | None) -> str:
    """What is said of one version."""
    lines = [f"## {manifest.version} ({manifest.created[:10]})"]
    lines += [f"- {note.strip()}"] if note else []
    lines += [_judged(manifest.judgement, before)]
    if (worse := manifest.accepted_worse) is not None:
        lines.append(f"- **May be worse than {worse.than}** ({worse.why_worse}): {worse.reason}")
    if (source := manifest.provenance) is not None:
        data = source.data_sha256[:12] if source.data_sha256 else "of unknown digest"
        lines.append(f"- Trained by {source.commit or 'unknown code'} on data {data}.")
    lines.append(f"- Weights {manifest.weights_sha256[:12]}.")
    return "\n".join(lines) + "\n"


def _judged(judgement: Judgement | None, before: Manifest | None) -> str:
    if judgement is None:
        return "- Not judged on a frozen test set."
    old = before.judgement if before is not None else None
    same = old is not None and old.test_set_sha256 == judgement.test_set_sha256
    figures = ", ".join(_figure(one, old if same else None, before) for one in judgement.figures)
    where = f"{judgement.cases} cases of the test set {judgement.test_set_sha256[:12]}"
    return f"- {figures} on {where}."


def _figure(figure: Figure, old: Judgement | None, before: Manifest | None) -> str:
    text = f"{figure.name} {figure.value:.4g}"
    earlier = old.figure(figure.name) if old is not None else None
    if earlier is None or before is None:
        return text
    return f"{text} ({before.version}: {earlier.value:.4g})"


def _title(name: str) -> str:
    return (
        f"# Changelog: {name}\n\n{INTENDED_USE_STATEMENT}\nPerformance on patients: not measured.\n"
    )


def _entries(text: str) -> list[str]:
    return [part for part in re.split(r"(?m)^(?=## )", text) if part.startswith("## ")]
