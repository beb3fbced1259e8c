"""``python -m tests.chaos``: every scenario, again and again, with a seed for each round.

Prints a table of what was done and found; ends with 1 where an invariant broke.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.disks import NotPossible
from tests.chaos.invariants import Witness
from tests.chaos.rigs import plain_rig
from tests.chaos.scenarios import OWN, SHARED, witness_of


@dataclass
class Tally:
    """What became of one scenario over all rounds."""

    rounds: int = 0
    failed_seeds: list[str] = field(default_factory=list)
    not_possible: str = ""
    acknowledged: int = 0
    refused: int = 0
    studies: int = 0
    seconds: float = 0.0

    def add(self, witness: Witness) -> None:
        """Count what a witness saw."""
        answers = witness.ledger.answers
        self.acknowledged += len(witness.ledger.acknowledged)
        self.refused += sum(answers.values()) - answers["0x0000"]
        self.studies += len(witness.sent)

    def row(self) -> str:
        """Its line of the table."""
        outcome = self.not_possible or (
            f"FAILED with seeds {', '.join(self.failed_seeds)}" if self.failed_seeds else "held"
        )
        return (
            f"{self.rounds:>6} {self.studies:>8} {self.acknowledged:>13} {self.refused:>8} "
            f"{self.seconds:>8.0f}  {outcome}"
        )


def main() -> int:
    """Run, print, and say by the exit code whether everything held."""
    names = [*SHARED, *OWN]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", default=None, help="text; made up and printed when not given")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    chosen = parser.parse_args()
    seed = chosen.seed or f"{random.SystemRandom().randrange(10**6)}"
    print(f"Seed {seed}, {chosen.rounds} rounds of {', '.join(chosen.only)}.", flush=True)
    tallies = {name: Tally() for name in chosen.only}
    for number in range(1, chosen.rounds + 1):
        _round(tallies, f"{seed}-{number}" if chosen.rounds > 1 else seed)
    _print(tallies)
    return 1 if any(tally.failed_seeds for tally in tallies.values()) else 0


def _round(tallies: dict[str, Tally], seed: str) -> None:
    order = list(tallies)
    random.Random(seed).shuffle(order)
    shared = [name for name in order if name in SHARED]
    with TemporaryDirectory(prefix="willis-chaos-") as folder:
        if shared:
            _shared_round(tallies, shared, seed, Path(folder))
    for name in order:
        if name in OWN:
            with TemporaryDirectory(prefix="willis-chaos-") as folder:
                _own_round(tallies[name], name, seed, Path(folder))


def _shared_round(tallies: dict[str, Tally], names: list[str], seed: str, folder: Path) -> None:
    """Scenarios in a row on one service; a fresh one takes over after a failure."""
    waiting = list(names)
    while waiting:
        place = folder / str(len(waiting))
        place.mkdir()
        with plain_rig(place) as rig:
            witness = witness_of(rig, seed)
            while waiting:
                name = waiting.pop(0)
                witness.begin()
                with _counted(tallies[name], name, seed):
                    SHARED[name](witness, random.Random(f"{seed}-{name}"))
                tallies[name].add(witness)
                if seed in tallies[name].failed_seeds:
                    break


def _own_round(tally: Tally, name: str, seed: str, folder: Path) -> None:
    make_rig, scenario = OWN[name]
    try:
        with _counted(tally, name, seed), make_rig(folder) as rig:
            witness = witness_of(rig, seed)
            try:
                scenario(witness, random.Random(f"{seed}-{name}"))
            finally:
                tally.add(witness)
    except NotPossible as reason:
        tally.not_possible = f"not possible here: {reason}"


@contextmanager
def _counted(tally: Tally, name: str, seed: str) -> Iterator[None]:
    start = time.monotonic()
    try:
        yield
    except NotPossible:
        raise
    except Exception:
        # The edge of one scenario: shown in full, and the others still run.
        print(f"{name} FAILED with seed {seed}:", flush=True)
        traceback.print_exc()
        tally.failed_seeds.append(seed)
    finally:
        tally.rounds += 1
        tally.seconds += time.monotonic() - start
        print(f"{name}, seed {seed}: {time.monotonic() - start:.1f} s", flush=True)


def _print(tallies: dict[str, Tally]) -> None:
    width = max(map(len, tallies))
    print(f"\n{'scenario':<{width}} rounds  studies  acknowledged  refused  seconds  invariants")
    for name, tally in tallies.items():
        print(f"{name:<{width}} {tally.row()}")


if __name__ == "__main__":
    sys.exit(main())
