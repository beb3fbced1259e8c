"""Training of the region network: resumable, time-limited, judged on a head of its own."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from willis_models.manifest import IntensityTransform
from willis_training.aspects.regions_data import CasePool, draw_sample, service_input
from willis_training.losses import dice_ce
from willis_training.networks.unet import BothSides, RegionUNet, UNetShape


@dataclass(frozen=True)
class FitPlan:
    """How to train. ``iterations`` fixes the learning-rate schedule; a stop in between resumes."""

    widths: tuple[int, ...] = (16, 32, 64, 128)
    iterations: int = 4000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    warm_up: int = 100
    ema: float = 0.995
    validate_every: int = 250
    batch: int = 1
    threads: int = 1
    seed: int = 7
    start_from: str | None = None
    """Weights to begin with, of the same widths; a file written by an earlier run."""
    device: str = "cpu"
    """Where torch computes: ``cpu`` or ``cuda``; ``best_device`` chooses."""


def best_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class FitState:
    """Everything that a checkpoint holds."""

    network: RegionUNet
    average: RegionUNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = 0.0


def fit(
    plan: FitPlan,
    training: CasePool,
    validation: CasePool,
    intensity: IntensityTransform,
    folder: Path,
    report: Callable[[str], None],
) -> Path:
    """Train until ``plan.iterations``, resuming from ``folder``; the path of the best weights."""
    torch.set_num_threads(plan.threads)
    state = _start(plan, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1))
    began = time.monotonic()
    while state.step < plan.iterations:
        loss = _step(state, plan, training, intensity)
        state.step += 1
        if state.step % plan.validate_every == 0 or state.step == plan.iterations:
            dice = validate(state.average, validation, intensity)
            report(
                f"step {state.step} loss {loss:.3f} validation Dice {np.nanmean(dice):.3f} "
                f"lowest {np.nanmin(dice):.3f} cases {training.refresh()} "
                f"{(time.monotonic() - began) / 60:.1f} min"
            )
            _keep(state, dice, folder)
    return folder / "best.pt"


def _start(plan: FitPlan, folder: Path) -> FitState:
    torch.manual_seed(plan.seed)
    network = RegionUNet(UNetShape(1, 11, plan.widths))
    if plan.start_from is not None:
        network.load_state_dict(torch.load(plan.start_from, weights_only=True))
    # torch's type hints leave memory_format out; the call works in place.
    network.to(plan.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(
        network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay
    )
    state = FitState(network, average, optimiser)
    if (folder / "last.pt").exists():
        stored: dict[str, Any] = torch.load(
            folder / "last.pt", weights_only=True, map_location=plan.device
        )
        network.load_state_dict(stored["network"])
        average.load_state_dict(stored["average"])
        optimiser.load_state_dict(stored["optimiser"])
        state.step, state.best = stored["step"], stored["best"]
    return state


def _step(
    state: FitState, plan: FitPlan, training: CasePool, intensity: IntensityTransform
) -> float:
    """One optimiser step; the randomness depends on the step alone, so that a resume repeats it."""
    rng = np.random.default_rng((plan.seed, state.step))
    samples = [
        draw_sample(training.draw(rng), intensity, rng, plan.device) for _ in range(plan.batch)
    ]
    for group in state.optimiser.param_groups:
        group["lr"] = _learning_rate(plan, state.step)
    images = torch.stack([image for image, _ in samples])
    labels = torch.stack([labels for _, labels in samples])
    with torch.autocast(plan.device, torch.bfloat16):
        logits = state.network(images.contiguous(memory_format=torch.channels_last_3d))
    loss = dice_ce(logits.float(), labels)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 2.0)
    state.optimiser.step()
    _average(state, plan)
    return float(loss.detach())


def _learning_rate(plan: FitPlan, step: int) -> float:
    """Linear warm-up, then cosine to 1%."""
    if step < plan.warm_up:
        return plan.learning_rate * (step + 1) / plan.warm_up
    done = min((step - plan.warm_up) / max(plan.iterations - plan.warm_up, 1), 1.0)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * done))))


def _average(state: FitState, plan: FitPlan) -> None:
    """Exponential moving average of the weights, young at first."""
    keep = min(plan.ema, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for mean, now in zip(state.average.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)


def predict(network: RegionUNet, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Labels (z, y, x) for a prepared image (z, y, x)."""
    device = next(network.parameters()).device
    batch = torch.from_numpy(image)[None, None].to(device)
    batch = batch.contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        classes = BothSides(network)(batch)[0].argmax(0)
    labels: NDArray[np.uint8] = classes.to(torch.uint8).cpu().numpy()
    return labels


def validate(
    network: RegionUNet, pool: CasePool, intensity: IntensityTransform, limit: int = 16
) -> NDArray[np.float64]:
    """Mean Dice of each region (20,) over the pool's first cases, on the network's grid."""
    scores = []
    for case in list(pool)[:limit]:
        found = predict(network, service_input(case, intensity))
        scores.append([_dice(found == n, case.regions == n) for n in range(1, 21)])
    return np.asarray(np.nanmean(scores, axis=0))


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")


def _keep(state: FitState, dice: NDArray[np.float64], folder: Path) -> None:
    """Write the resumable checkpoint, and the averaged weights where they are the best so far."""
    mean = float(np.nanmean(dice))
    if mean >= state.best:
        state.best = mean
        _save(state.average.state_dict(), folder / "best.pt")
    _save(
        {
            "network": state.network.state_dict(),
            "average": state.average.state_dict(),
            "optimiser": state.optimiser.state_dict(),
            "step": state.step,
            "best": state.best,
        },
        folder / "last.pt",
    )
    with (folder / "validation.jsonl").open("a") as log:
        log.write(json.dumps({"step": state.step, "dice": [round(float(d), 4) for d in dice]}))
        log.write("\n")


def _save(content: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(".part")
    torch.save(content, partial)
    os.replace(partial, path)
