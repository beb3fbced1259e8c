"""Databases for tests: SQLite ready made, PostgreSQL by Debian; and things that come at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from willis_service.adapters.storage.database import migrate, open_database


@cache
def _empty_sqlite() -> bytes:
    """A database file with all tables: migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "willis.sqlite"
        database = open_database(f"sqlite:///{path}")
        migrate(database)
        database.close()
        return path.read_bytes()


def put_empty_sqlite(path: Path) -> str:
    """An empty database at this place, unless there is one; its address."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_sqlite())
    return f"sqlite:///{path}"


def _postgres_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    binaries = _postgres_bin()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    data = folder / "pg"
    folder.chmod(0o755)
    data.mkdir()
    if as_user:
        shutil.chown(data, "postgres")

    def run(*command: str) -> None:
        full = [*as_user, *command]
        subprocess.run(full, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)

    run(str(binaries / "initdb"), "-D", str(data), "-U", "willis", "-A", "trust", "--no-sync")
    options = f"-k {data} -c listen_addresses='' -c fsync=off"
    control = (str(binaries / "pg_ctl"), "-D", str(data), "-w")
    run(*control, "-o", options, "-l", str(data / "log"), "start")
    try:
        yield f"postgresql+psycopg://willis@/postgres?host={data}"
    finally:
        run(*control, "-m", "immediate", "stop")


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
