"""The training loop: numbered samples in, averaged weights out; a stop resumes to the same bits."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import torch
from lightning.fabric import Fabric

from willis_training.fitting.config import RunConfig, write_config
from willis_training.fitting.hardware import (
    must_launch,
    open_fabric,
    processes_here,
    settings_of,
)
from willis_training.fitting.launching import launch
from willis_training.fitting.lesson import Batch, Lesson
from willis_training.fitting.listener import Lines, Listener
from willis_training.fitting.loading import Shares, batches, shares_of
from willis_training.fitting.rates import Clock
from willis_training.fitting.result import RESULT, FitResult, Validation, read_result, write_result
from willis_training.fitting.schedule import has_stalled, learning_rate
from willis_training.fitting.state import (
    BEST,
    RunState,
    fresh_state,
    keep,
    plain_average,
    resume,
)
from willis_training.fitting.streams import Stream, torch_seed
from willis_training.fitting.tracking import Tracker, open_tracker
from willis_training.fitting.validation import Verdict, validate
from willis_training.losses import Loss, build_loss


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


def train(config: RunConfig, lesson: Lesson, listener: Listener | None = None) -> FitResult:
    """Train to the last step, or until validation stalls; goes on where the folder stopped.

    Starts a process for each device where nobody else did. Raises RunChanged, TrainingDiverged,
    or ValueError for a configuration that this machine can't run.
    """
    listener = listener or Lines()
    if must_launch(config.hardware):
        work = partial(train_here, config, lesson)
        launch(work, processes_here(config.hardware), listener)
    else:
        train_here(config, lesson, listener)
    return read_result(config.folder)


def train_here(config: RunConfig, lesson: Lesson, listener: Listener) -> None:
    """This process's part of a run; all processes of it call this at once."""
    with settings_of(config.hardware):
        fabric = open_fabric(config.hardware)
        state = fresh_state(config, fabric)
        resume(state, fabric, lesson.digest)
        shares = shares_of(config, fabric.global_rank, fabric.world_size)
        config.folder.mkdir(parents=True, exist_ok=True)
        clock = Clock(fabric.device)
        if not _is_over(state) or not (config.folder / RESULT).exists():
            if fabric.is_global_zero:
                write_config(config, config.folder / "run.yaml")
            with open_tracker(config, state.step, fabric.is_global_zero) as tracker:
                _go_on(state, lesson, shares, fabric, clock, tracker, listener)
            _conclude(state, fabric, lesson, clock, listener)
        fabric.barrier()


def _is_over(state: RunState) -> bool:
    dices = [line.mean_dice for line in state.history]
    return state.step >= state.config.iterations or has_stalled(dices, state.config.early_stopping)


def _go_on(
    state: RunState,
    lesson: Lesson,
    shares: Shares,
    fabric: Fabric,
    clock: Clock,
    tracker: Tracker,
    listener: Listener,
) -> None:
    config = state.config
    loss_of = build_loss(config.loss, config.network.classes)
    stream = batches(lesson, config, shares, state.step, fabric.device.type == "cuda")
    began, earlier = time.monotonic(), state.seconds
    losses: list[float] = []
    while not _is_over(state):
        losses.append(_step(state, lesson, stream, shares, fabric, clock, loss_of))
        tracker.step(state.step, losses[-1], learning_rate(config, state.step - 1))
        listener.step(state.step, config.iterations, losses[-1])
        if state.step % config.validate_every == 0 or state.step == config.iterations:
            verdict = validate(plain_average(state), lesson, fabric, config.tracking.pictures)
            state.seconds = earlier + time.monotonic() - began
            _note(state, sum(losses) / len(losses), verdict, tracker)
            losses.clear()
            keep(state, fabric, lesson.digest)
            listener.line(_summary(state, clock))


def _step(
    state: RunState,
    lesson: Lesson,
    stream: Iterator[Batch],
    shares: Shares,
    fabric: Fabric,
    clock: Clock,
    loss_of: Loss,
) -> float:
    """One optimiser step; its randomness depends on the seed and its number alone."""
    config = state.config
    torch.manual_seed(torch_seed(config.seed, Stream.STEP, state.step, shares.rank))
    state.network.train()
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, state.step)
    state.optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=fabric.device)
    for n in range(shares.passes):
        with clock.time("reading"):
            batch = next(stream).to(fabric.device)
        with clock.time("changing"), torch.no_grad():
            images, labels = lesson.change(batch)
            images = images.contiguous(memory_format=torch.channels_last_3d)
        waits = n < shares.passes - 1
        with clock.time("learning"), fabric.no_backward_sync(state.forward, enabled=waits):
            loss = loss_of(state.forward(images).float(), labels) / shares.passes
            fabric.backward(loss)
            total += loss.detach()
    with clock.time("learning"):
        if config.optimiser.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.optimiser.clip_norm)
        state.optimiser.step()
        state.blend()
    state.step += 1
    clock.count(config.batch)
    mean = cast(torch.Tensor, fabric.all_reduce(total))
    return _finite(float(mean), state.step)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"The loss is {loss} at step {step}. Lower optimiser.learning_rate, raise "
            "schedule.warm_up, or set hardware.precision=float32; then start in an empty folder."
        )
    return loss


def _note(state: RunState, loss: float, verdict: Verdict, tracker: Tracker) -> None:
    is_best = verdict.mean_dice > state.best_dice
    rate = learning_rate(state.config, state.step - 1)
    line = Validation(state.step, loss, rate, verdict.dice, verdict.mean_dice, is_best)
    state.history.append(line)
    tracker.validation(state.history, verdict.examples if is_best else ())


def _summary(state: RunState, clock: Clock) -> str:
    line, rates = state.history[-1], clock.rates()
    held = [value for value in line.dice.values() if value is not None]
    return (
        f"step {line.step} loss {line.loss:.3f} validation Dice {line.mean_dice:.3f} lowest "
        f"{min(held, default=0.0):.3f}{' (best)' if line.is_best else ''}; samples/s: generator "
        f"{rates.generator_per_s:.1f}, network {rates.network_per_s:.1f}; "
        f"{state.seconds / 60:.1f} min"
    )


def _conclude(
    state: RunState, fabric: Fabric, lesson: Lesson, clock: Clock, listener: Listener
) -> None:
    folder = state.config.folder
    if fabric.is_global_zero:
        write_result(
            FitResult(
                folder=folder,
                best_weights=folder / BEST,
                best_dice=state.best_dice,
                steps=state.step,
                seconds=round(state.seconds, 2),
                history=tuple(state.history),
                rates=clock.rates(),
                stopped_early=state.step < state.config.iterations,
                data_digest=lesson.digest,
                weights_sha256=digest_of_weights(torch.load(folder / BEST, weights_only=True)),
                device=_device_name(fabric.device),
                processes=fabric.world_size,
            )
        )
        listener.line(f"best validation Dice {state.best_dice:.3f}; weights in {folder / BEST}")


def digest_of_weights(weights: dict[str, torch.Tensor]) -> str:
    """Of the values under their names, independent of how the file was written."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} of {os.cpu_count()} threads"
