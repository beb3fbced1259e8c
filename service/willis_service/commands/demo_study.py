"""The study of a demo: the shipped head CT, or a perfusion study that is made on the spot."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from willis_models.errors import UnknownStudy
from willis_service.commands.console import err

STUDY_NAME = "ncct_right_mca"
# A process of its own: the service knows nothing of the simulator.
_SIMULATOR = (sys.executable, "-m", "willis_training.simulation.ctp.study")
_SIMULATED = frozenset({"infarct"})
_LIMIT_S = 600.0
_PACKAGE = Path(__file__).resolve().parent.parent
# Inside the package, or beside it in a working tree.
_PLACES = (_PACKAGE / "demo", _PACKAGE.parent.parent / "demo")


@contextmanager
def demo_study(pipeline: str) -> Iterator[Path]:
    """A folder with one simulated study for this pipeline. Raises UnknownStudy without one."""
    if pipeline not in _SIMULATED:
        yield find_demo_study()
        return
    with tempfile.TemporaryDirectory(prefix="willis-demo-study-") as name:
        with err().status("Simulating a CT perfusion study"):
            _simulate(Path(name))
        yield Path(name)


def find_demo_study() -> Path:
    """The shipped, simulated head CT. Raises UnknownStudy where this installation has none."""
    found = next((place / STUDY_NAME for place in _PLACES if (place / STUDY_NAME).is_dir()), None)
    if found is None:
        raise UnknownStudy("This installation ships no demo study: use --study FOLDER.")
    return found


def _simulate(folder: Path) -> None:
    command = (*_SIMULATOR, "--out", str(folder))
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UnknownStudy(f"No study could be simulated ({last}): use --study FOLDER.")
    err().print(done.stdout.strip().splitlines()[-1], markup=False, soft_wrap=True)
