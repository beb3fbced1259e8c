"""``python -m tests.soak``: 1,500 studies at an accelerated pace, and a report page."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.rig import REPOSITORY
from tests.soak.measure import Order, soak
from tests.soak.page import write_page

A_DAY, A_MINUTE = 1500, 120.0


def main(arguments: list[str] | None = None) -> int:
    """Run it and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--studies", type=int, default=A_DAY)
    parser.add_argument("--per-minute", type=float, default=A_MINUTE, help="pace of the senders")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", default="soak")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "soak.md")
    parser.add_argument("--work", type=Path, default=None, help="folder whose disk is used")
    chosen = parser.parse_args(arguments)
    order = Order(chosen.studies, chosen.per_minute, chosen.workers, chosen.seed)
    minutes = order.studies / order.per_minute
    print(f"{order.studies} studies, sent in {minutes:.1f} minutes ...", flush=True)
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="willis-soak-", dir=chosen.work) as folder:
        measured = soak(Path(folder), order)
    write_page(measured, load, chosen.out)
    print(f"Nothing lost. {measured.total_s / 60:.1f} minutes. Written to {chosen.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
