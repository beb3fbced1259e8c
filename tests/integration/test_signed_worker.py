"""A worker process and a bundle that nobody trusted has signed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from tests.toy_pipeline import write_toy_bundle
from willis_service.adapters.storage.database import migrate, open_database
from willis_service.adapters.storage.tables import WORKER


def test_it_ends_with_the_code_and_is_never_among_those_who_are_ready(
    tmp_path: Path, repository: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")} | {
        "WILLIS_DATA_DIR": str(tmp_path / "data"),
        "WILLIS_BUNDLE_ROOT": str(write_toy_bundle(tmp_path / "bundles")),
        "WILLIS_BROKER_URL": f"redis+socket://{tmp_path / 'nowhere'}",
    }
    command = [sys.executable, "-m", "tests.toy_worker", "0"]

    done = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, timeout=120
    )

    assert done.returncode != 0
    assert '"code": "SIGNATURE_MISSING"' in done.stderr
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'willis.sqlite'}")
    migrate(database)
    with database.read() as connection:
        assert connection.execute(select(WORKER)).all() == []
    database.close()
