"""No version replaces a better one unnoticed: both are held against the same frozen test set."""

from __future__ import annotations

from willis_models.manifest import AcceptedWorse, Judgement, Manifest


class WorseThanBefore(RuntimeError):
    """The version could not be shown to be as good as the one before it."""


def why_worse(manifest: Manifest, before: Manifest | None) -> str | None:
    """Why the version may be worse than the one before it; None where it is shown not to be.

    The first version has nothing to be worse than, nor has one after a version without judgement.
    """
    if before is None or before.judgement is None:
        return None
    if manifest.judgement is None:
        return f"{before.version} was judged on a frozen test set, this version was not"
    return _compared(manifest.judgement, before.judgement, before.version)


def pass_gate(
    manifest: Manifest, before: Manifest | None, accept_worse: str | None
) -> AcceptedWorse | None:
    """What the manifest has to say about the gate: nothing, or why a worse version goes out.

    Raises WorseThanBefore where it is closed and no reason is given.
    """
    fault = why_worse(manifest, before)
    if fault is None or before is None:
        return None
    if accept_worse is None or not accept_worse.strip():
        raise WorseThanBefore(
            f"{manifest.name} {manifest.version} is not published: {fault}. "
            'To publish it all the same, say why: --accept-worse "reason".'
        )
    return AcceptedWorse(than=before.version, why_worse=fault, reason=accept_worse.strip())


def _compared(new: Judgement, old: Judgement, version: str) -> str | None:
    if new.test_set_sha256 != old.test_set_sha256:
        return f"it was judged on another test set than {version}"
    faults = []
    for figure in old.figures:
        found = new.figure(figure.name)
        if found is None:
            faults.append(f"{figure.name} was not measured")
        elif found.is_worse_than(figure):
            faults.append(f"{figure.name} is {found.value:.4g}, {version} had {figure.value:.4g}")
    return "; ".join(faults) or None
