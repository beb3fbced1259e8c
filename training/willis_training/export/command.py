"""``willis-train export``: a finished run as ONNX, behind the parity gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from willis_training.export.parity import Parity
    from willis_training.export.run import ExportedRun

_EXAMPLES = """Examples:

willis-train export runs/mine draft

willis-train export runs/mine draft --any-size --half --openvino

`draft` then needs manifest.json and evaluation.json before `willis-train publish draft`."""


def add_commands(app: typer.Typer) -> None:
    """Put the command into ``willis-train``."""
    app.command("export", epilog=_EXAMPLES)(export_command)


def export_command(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A run of `willis-train fit`.")
    ],
    target: Annotated[Path, typer.Argument(help="Folder for model.onnx and what goes with it.")],
    store: Annotated[
        Path | None, typer.Option(help="Prepared cases; those of the run if left out.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="On how many cases parity is proved.")] = 2,
    any_size: Annotated[
        bool, typer.Option(help="Images of any size instead of the run's patch alone.")
    ] = False,
    half: Annotated[
        bool, typer.Option(help="Also an fp16 variant, kept only if it passes the same gate.")
    ] = False,
    openvino: Annotated[bool, typer.Option(help="Also compare and time OpenVINO.")] = False,
) -> None:
    """Export a run's best weights to ONNX; fails where ONNX does not give what torch gives.

    Compared are probabilities, the Dice of every label and the change of its volume. Writes
    model.onnx, parity.json and golden.npz (a first case as input) into TARGET.
    """
    from willis_training.export.parity import ExportDrift
    from willis_training.export.run import export_run, load_run
    from willis_training.fitting.samples import CaseStore

    try:
        folder = store or load_run(run)[0].data.store
        if folder is None:
            raise typer.BadParameter("The run names no store: give one.", param_hint="--store")
        cases = CaseStore(folder)
        target.mkdir(parents=True, exist_ok=True)
        done = export_run(run, target, cases, cases.cases[:images], any_size)
    except (ExportDrift, FileNotFoundError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    _report(done, half, openvino)


def _report(done: ExportedRun, half: bool, openvino: bool) -> None:
    from willis_training.export.half import half_precision
    from willis_training.export.openvino_check import check_openvino

    path = done.report.path
    table = Table("", "largest difference", "lowest Dice", "volume change", "MB", "")
    megabytes = f"{done.report.size_bytes / 1e6:.2f}"
    table.add_row("ONNX Runtime, torch", *_cells(done.parity), megabytes, "passed")
    if half:
        target = path.with_name("model.fp16.onnx")
        variant = half_precision(path, target, done.images)
        verdict = "kept" if variant.path else "not kept: beyond the limits"
        megabytes = f"{variant.size_bytes / 1e6:.2f}"
        table.add_row("fp16, fp32", *_cells(variant.parity), megabytes, verdict)
    if openvino:
        check = check_openvino(path, done.images)
        times = f"{check.openvino_s:.3f} s against {check.onnxruntime_s:.3f} s, one thread"
        table.add_row("OpenVINO, ONNX Runtime", *_cells(check.parity), "", times)
    console = Console()
    console.print(table)
    shape = " x ".join(map(str, done.report.shape))
    console.print(f"{path}, input {shape}", markup=False, soft_wrap=True, highlight=False)


def _cells(parity: Parity) -> tuple[str, str, str]:
    return (
        f"{parity.largest_difference:.1e}",
        f"{parity.lowest_dice:.5f}",
        f"{parity.largest_volume_change:.2%}",
    )
