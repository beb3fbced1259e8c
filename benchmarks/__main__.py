"""``python -m benchmarks [PART ...]``: measure, print the tables, and write them into the docs."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    network,
    perfusion,
    perfusion_accuracy,
    perfusion_motion,
    receive,
    stages,
    stages_perfusion,
    syn,
)
from benchmarks.machine import describe
from benchmarks.page import Section, write_page
from benchmarks.places import REPOSITORY, NotHere, Places

PARTS: Mapping[str, tuple[str, Callable[[Places], Section]]] = {
    "stages": (stages.TITLE, stages.measure),
    "stages_perfusion": (stages_perfusion.TITLE, stages_perfusion.measure),
    "syn": (syn.TITLE, syn.measure),
    "network": (network.TITLE, network.measure),
    "receive": (receive.TITLE, receive.measure),
    "perfusion": (perfusion.TITLE, perfusion.measure),
    "perfusion_accuracy": (perfusion_accuracy.TITLE, perfusion_accuracy.measure),
    "perfusion_motion": (perfusion_motion.TITLE, perfusion_motion.measure),
}

ON_REQUEST = frozenset({"perfusion_accuracy", "perfusion_motion"})
"""Parts that are measured only where they are named: they take minutes and time nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that were asked for; 1 where one failed, whose old section then stays."""
    chosen = _parser().parse_args(arguments)
    places = Places(chosen.shared, chosen.cache)
    places.work.mkdir(parents=True, exist_ok=True)
    failed = [name for name in chosen.parts or _usual() if not _measure(name, places, chosen.out)]
    print(f"Failed: {', '.join(failed)}." if failed else f"Written to {chosen.out}.")
    return 1 if failed else 0


def _usual() -> list[str]:
    return [name for name in PARTS if name not in ON_REQUEST]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        choices=[[], *PARTS],
        help=f"all but {', '.join(ON_REQUEST)} when none is named",
    )
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".cache")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "benchmarks.md")
    return parser


def _measure(name: str, places: Places, page: Path) -> bool:
    """Measure one part and write its section at once, so that a later part can't lose it."""
    title, measure = PARTS[name]
    load, start = os.getloadavg()[0], time.perf_counter()
    print(f"{title} ...", file=sys.stderr, flush=True)
    try:
        section = measure(places).markdown()
    except NotHere as reason:
        print(f"{title}: left out. {reason}")
        return True
    except Exception:
        # The edge of one part: what is wrong is shown in full, and the other parts go on.
        traceback.print_exc()
        return False
    print(f"{section}\n({time.perf_counter() - start:.0f} s)\n", flush=True)
    write_page(page, list(PARTS), {name: f"{section}\n{describe(load)}"})
    return True


if __name__ == "__main__":
    sys.exit(main())
