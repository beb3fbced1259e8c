"""Where the benchmarks find their material, and where they put what they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class NotHere(RuntimeError):
    """Material for a measurement is missing; the message says what and where it comes from."""


@dataclass(frozen=True)
class Places:
    """``shared`` reference data (may be absent), ``cache`` prepared heads and lesions."""

    shared: Path
    cache: Path

    @property
    def work(self) -> Path:
        """What the benchmarks keep between runs."""
        return self.cache / "bench"

    @property
    def ge_study(self) -> Path:
        """A real, tilted study of 28 slices."""
        return self.shared / "samples" / "ncct_ge_tilt"

    @property
    def demo_study(self) -> Path:
        """The simulated study of the repository."""
        return REPOSITORY / "demo" / "ncct_right_mca"

    @property
    def has_heads(self) -> bool:
        """Whether test cases can be simulated."""
        return (self.cache / "heads").is_dir() and (self.cache / "lesions_acute.npz").is_file()
