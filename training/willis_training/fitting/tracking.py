"""Where a run's curves and pictures go: its own folder, TensorBoard, MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from willis_training.fitting.config import RunConfig
from willis_training.fitting.result import Validation
from willis_training.fitting.validation import Judged

HISTORY = "history.jsonl"
LOG_EVERY_STEPS = 10


class Ledger(Protocol):
    """A place that keeps numbers and pictures by step."""

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Numbers by name."""
        ...

    def picture(self, step: int, path: Path) -> None:
        """A PNG file."""
        ...

    def close(self) -> None:
        """Write what is still held."""
        ...


@dataclass(frozen=True)
class Tracker:
    """Passes a run's numbers to every ledger, and draws. Without a folder it keeps nothing."""

    folder: Path | None = None
    ledgers: tuple[Ledger, ...] = ()

    def step(self, step: int, loss: float, rate: float) -> None:
        """One optimiser step is done."""
        if step % LOG_EVERY_STEPS == 0 or step == 1:
            for ledger in self.ledgers:
                ledger.numbers(step, {"training/loss": loss, "training/learning_rate": rate})

    def validation(self, history: Sequence[Validation], examples: Sequence[Judged]) -> None:
        """One validation is done. ``examples`` are drawn; none where it did not improve."""
        if self.folder is None:
            return
        self._write(history)
        last = history[-1]
        known = {name: value for name, value in last.dice.items() if value is not None}
        for ledger in self.ledgers:
            ledger.numbers(last.step, {"validation/mean_dice": last.mean_dice})
            ledger.numbers(last.step, {f"validation/dice/{k}": v for k, v in known.items()})
        if last.is_best:
            self._draw(history, examples)

    def _write(self, history: Sequence[Validation]) -> None:
        assert self.folder is not None
        lines = [json.dumps(vars(line)) + "\n" for line in history]
        (self.folder / HISTORY).write_text("".join(lines))

    def _draw(self, history: Sequence[Validation], examples: Sequence[Judged]) -> None:
        from willis_training.fitting.pictures import draw_curves, draw_predictions

        assert self.folder is not None
        step = history[-1].step
        draw_curves(history, self.folder / "curves.png")
        if examples:
            path = self.folder / "pictures" / f"step_{step:07d}.png"
            draw_predictions(examples, step, path)
            for ledger in self.ledgers:
                ledger.picture(step, path)


@contextmanager
def open_tracker(config: RunConfig, first_step: int, is_first_process: bool) -> Iterator[Tracker]:
    """The tracker of a run that goes on at ``first_step``; silent but in the first process."""
    if not is_first_process:
        yield Tracker()
        return
    with ExitStack() as stack:
        ledgers: list[Ledger] = []
        if config.tracking.tensorboard:
            ledgers.append(_TensorBoard(config.folder / "tensorboard", first_step))
        if config.tracking.mlflow is not None:
            ledgers.append(_MLflow(config))
        for ledger in ledgers:
            stack.callback(ledger.close)
        yield Tracker(config.folder, tuple(ledgers))


class _TensorBoard:
    """Event files in the run's folder: ``tensorboard --logdir runs``."""

    def __init__(self, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Steps after the checkpoint are done again; their old numbers are hidden.
        purge = first_step + 1 if first_step else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image("validation/predictions", pixels, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    """One run of an MLflow experiment, found again by the note in the run's folder."""

    def __init__(self, config: RunConfig) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise ValueError(
                "tracking.mlflow is set, but MLflow is not installed: pip install 'willis[mlflow]'"
            ) from error
        self._client = MlflowClient(tracking_uri=config.tracking.mlflow)
        self._run = self._found_or_new(config)

    def _found_or_new(self, config: RunConfig) -> str:
        note = config.folder / "mlflow_run"
        if note.exists():
            return note.read_text()
        name = config.tracking.experiment
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        run = str(self._client.create_run(experiment, run_name=config.name).info.run_id)
        for key, value in _flat(config.model_dump(mode="json")):
            self._client.log_param(run, key, str(value)[:500])
        note.write_text(run)
        return run

    def numbers(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, name.replace("/", "."), value, step=step)

    def picture(self, step: int, path: Path) -> None:
        self._client.log_artifact(self._run, str(path), "pictures")

    def close(self) -> None:
        self._client.set_terminated(self._run)


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
