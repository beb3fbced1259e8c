"""Every setting of the service: one frozen object, built in an entry point and passed down.

A setting ``quiet_period_s`` comes from the environment variable ``WILLIS_QUIET_PERIOD_S``. Nothing
here changes a clinical result: what does is in the manifest of a bundle.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from willis_models.runtime.bundle import SHIPPED_BUNDLES, SHIPPED_KEYS
from willis_service.domain.clients import ApiClient
from willis_service.domain.peers import AllowedSender, Destination, SenderList, checked_ae_title

PREFIX = "WILLIS_"
FOR_TESTS_ONLY = frozenset({"WILLIS_SHARED"})
FOR_TRAINING_ONLY = frozenset({"WILLIS_SIGNING_KEY"})
DEFAULT_CALLING_AE_TITLE = "WILLIS-SCU"
_MEBIBYTE = 1024 * 1024
_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux

Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
OptionalPort = Annotated[int, Field(ge=0, le=65535)]


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _senders(value: Any) -> Any:
    return tuple(AllowedSender.parse(p) if isinstance(p, str) else p for p in _split(value))


def _destinations(value: Any) -> Any:
    return tuple(Destination.parse(p) if isinstance(p, str) else p for p in _split(value))


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "willis"


def _clients(value: Any) -> Any:
    return tuple(ApiClient.parse(p) if isinstance(p, str) else p for p in _split(value))


AeTitle = Annotated[str, AfterValidator(checked_ae_title)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Senders = Annotated[tuple[AllowedSender, ...], NoDecode, BeforeValidator(_senders)]
Clients = Annotated[tuple[ApiClient, ...], NoDecode, BeforeValidator(_clients)]
Destinations = Annotated[tuple[Destination, ...], NoDecode, BeforeValidator(_destinations)]


class Settings(BaseSettings):
    """The settings of one installation. Lists are written with commas."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True
    )

    # Where things are kept
    data_dir: Path = Field(default_factory=_default_data_dir)
    """Studies, results, the database and the key; on a disk that keeps what it was told."""
    database_url: str | None = None
    """SQLAlchemy URL; SQLite in ``data_dir`` when not set."""
    database_busy_s: float = Field(default=30, gt=0)
    """How long a writer waits for another one before it gives up (SQLite)."""
    broker_url: str | None = None
    """Redis URL of the queue; an embedded Redis in ``data_dir`` when not set."""
    bundle_root: Path = SHIPPED_BUNDLES
    """Folder of ``<pipeline>/<version>`` bundles; the highest version of each is live by itself."""
    trusted_keys: Path = SHIPPED_KEYS
    """File of the public keys whose bundles may run, one a line; the project's own when not set."""
    require_signature: bool = True
    """Whether a bundle that nobody trusted has signed is refused."""
    disk_reserve_mb: int = Field(default=1024, ge=0)
    """Nothing is accepted when less than this is free."""

    # Receiving over DICOM
    ae_title: AeTitle = "WILLIS"
    dicom_bind: str = "127.0.0.1"
    dicom_port: OptionalPort = 11112
    """0 takes nothing in the clear; then ``dicom_tls_port`` is needed."""
    dicom_tls_port: OptionalPort = 0
    """DICOM over TLS 1.2 or newer on a port of its own; 0 is off."""
    tls_certificate: Path | None = None
    """PEM file with our certificate and the chain up to its CA."""
    tls_key: Path | None = None
    """PEM file with the certificate's key, without a pass phrase."""
    tls_ca: Path | None = None
    """PEM file with the CAs that peers must come from; where it is given, clients need one too."""
    tls_verify_clients: bool | None = None
    """Whether a client needs a certificate; when not set, it does where ``tls_ca`` is given."""
    allowed_ae_titles: Senders = (AllowedSender(DEFAULT_CALLING_AE_TITLE),)
    """Who may send: ``AET`` or ``AET@address``, with commas; ``*`` lets anybody in."""
    accept_private_classes: bool = False
    """Whether objects of private SOP classes are stored too."""
    journal_mb: int = Field(default=128, ge=0)
    """Disk space, for each receiver, of the journal that makes instances durable; 0 is none."""
    receivers: int = Field(default=1, ge=1, le=64)
    """Receiver processes that share the port."""
    max_object_mb: int = Field(default=1024, ge=1)
    max_study_instances: int = Field(default=20_000, ge=1)
    max_study_mb: int = Field(default=32_768, ge=1)
    max_pdu_bytes: int = Field(default=131_072, ge=4096, le=16_777_216)
    max_associations: int = Field(default=32, ge=1, le=1024)
    """At one time, in each receiver process."""
    acse_timeout_s: PositiveSeconds = 30
    """A connection has this long to ask for an association."""
    dimse_timeout_s: PositiveSeconds = 60
    """Longest pause within a message."""
    network_timeout_s: PositiveSeconds = 60
    """An association on which nothing happens for this long is aborted."""

    # When a study counts as complete, and what it is routed to
    settle_period_s: Seconds = 2
    """A series that is complete by its protocol is taken when it did not grow for this long."""
    quiet_period_s: Seconds = 10
    """Any other study is taken as it is when nothing new came for this long."""
    longest_wait_s: Seconds = 900
    """A study that never falls quiet is taken as it is after this long."""
    rules_file: Path | None = None
    """Which series goes to which pipeline (TOML); the shipped rules when not set."""
    poll_interval_s: float = Field(default=0.5, gt=0)

    # REST
    http_bind: str = "127.0.0.1"
    http_port: Port = 8080
    api_key: SecretStr | None = None
    """Made on first start and kept in ``data_dir/api-key`` when not set."""
    api_clients: Clients = Field(default=(), repr=False)
    """Further keys with a name each: ``name:key``, with commas; the name is the sender."""
    cors_origins: Names = ()
    """Web pages that may ask from a browser: ``https://viewer.example``, with commas."""
    public_url: str | None = Field(default=None, pattern=r"^https?://")
    """How clients reach REST, for addresses in answers; as they called us when not set."""
    sync_wait_limit_s: Seconds = 60
    max_upload_mb: int = Field(default=2048, ge=1)
    max_upload_files: int = Field(default=20_000, ge=1)

    # Storage commitment
    commitment_peers: Destinations = ()
    """Where reports go: ``AET@host:port`` for each requester, with commas; none is off."""
    commitment_tls: bool = False
    """Whether reports go out over TLS, with the certificate and the CAs of the receiver."""
    commitment_expiry_s: float = Field(default=86_400, gt=0)
    """A report that could not be sent for this long is given up."""

    # Analysis
    pipelines: Names = ()
    """The pipelines to run; all for which there is a bundle when empty."""
    execution_provider: str = "CPUExecutionProvider"
    threads: int = Field(default=0, ge=0)
    """Threads of one network run; 0 uses every core."""
    workers: int = Field(default=1, ge=1)
    """Worker processes under the supervisor; each runs one job at a time."""
    gpus: Names = ()
    """The GPUs that the workers under the supervisor take in turn, such as ``0,1``."""
    deadline_s: float = Field(default=600, gt=0)
    """Longest time for one analysis."""
    attempts_limit: int = Field(default=3, ge=1)
    """A job whose attempts all ended their worker, or failed in passing, is not tried again."""
    retry_pause_s: Seconds = 10
    """Pause before a job that failed in passing is tried again; it grows with each attempt."""
    worker_lost_after_s: float = Field(default=60, gt=0)
    """A running job without a sign of life for this long lost its worker."""
    worker_stalled_after_s: float = Field(default=45, gt=0)
    """An idle worker that no message reaches for this long is replaced by a fresh one."""
    drain_s: Seconds | None = None
    """After SIGTERM a worker may go on with its job for so long; ``deadline_s`` when not set."""
    objective_s: float = Field(default=900, gt=0)
    """Requests are refused while the jobs that wait would need longer than this."""
    urgent_allowance: float = Field(default=3, ge=1)
    """Urgent requests are taken until the urgent lane is this many times as long."""
    no_result_after_s: float = Field(default=1800, gt=0)
    """A job without result for this long raises an alarm, and its study gets a notice."""
    worker_memory_limit_mb: int = Field(default=4096, ge=256)
    """A worker whose memory stays above this after a job is replaced by a fresh one."""

    # Results
    result_destinations: Destinations = ()
    """Where SEG and SR are sent: ``AET@host:port``, with commas."""
    destinations_file: Path | None = None
    """TOML file of destinations of every kind; see ``docs/delivery.md``."""
    delivery_first_retry_s: float = Field(default=5, gt=0)
    """Pause after a first failure; it doubles with each, at random below that."""
    delivery_longest_retry_s: float = Field(default=300, gt=0)
    """No pause is longer. There is no limit on how long a delivery is tried."""
    commitment_patience_s: float = Field(default=3600, gt=0)
    """A destination that did not report on a request for storage commitment is asked again."""
    retention_instances_days: Seconds = 0
    """Received images are removed this long after delivery; 0 keeps them."""
    retention_results_days: Seconds = 0
    """Results are removed this long after delivery; 0 keeps them."""
    retention_free_mb: int = Field(default=0, ge=0)
    """Images go earlier, the oldest delivered first, while less than this is free; 0 is off."""
    retention_every_s: float = Field(default=300, gt=0)
    """Pause between two rounds of retention."""

    # Logs
    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("dicom_tls_port")
    @classmethod
    def _there_is_a_way_in(cls, value: int, known: ValidationInfo) -> int:
        if value == known.data.get("dicom_port"):
            raise ValueError("equals WILLIS_DICOM_PORT: give two ports; one may be 0 (off).")
        return value

    @field_validator("tls_certificate")
    @classmethod
    def _tls_has_a_certificate(cls, value: Path | None, known: ValidationInfo) -> Path | None:
        if value is None and known.data.get("dicom_tls_port"):
            raise ValueError("needed for WILLIS_DICOM_TLS_PORT: a PEM file.")
        return value

    @property
    def senders(self) -> SenderList:
        """Who may open an association."""
        return SenderList(self.allowed_ae_titles)

    @property
    def max_object_bytes(self) -> int:
        """Largest object that is taken."""
        return self.max_object_mb * _MEBIBYTE

    @property
    def journal_bytes(self) -> int:
        """Size of a receiver's journal."""
        return self.journal_mb * _MEBIBYTE

    @property
    def max_study_bytes(self) -> int:
        """Most bytes that a study may have."""
        return self.max_study_mb * _MEBIBYTE

    @property
    def verifies_tls_clients(self) -> bool:
        """Whether a peer on the TLS port needs a certificate."""
        if self.tls_verify_clients is None:
            return self.tls_ca is not None
        return self.tls_verify_clients

    @property
    def disk_reserve_bytes(self) -> int:
        """Space that has to stay free."""
        return self.disk_reserve_mb * _MEBIBYTE

    @property
    def effective_database_url(self) -> str:
        """The configured database, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'willis.sqlite'}"

    @property
    def added_bundles(self) -> Path:
        """Where bundles lie that were added to this installation: live only once promoted."""
        return self.data_dir / "bundles"

    @property
    def uses_embedded_broker(self) -> bool:
        """Whether the supervisor brings its own Redis."""
        return self.broker_url is None

    @property
    def redis_socket(self) -> Path:
        """Unix socket of the embedded Redis: in the data folder, unless that path is too long."""
        inside = self.data_dir.absolute() / "redis.sock"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"willis-{os.getuid()}" / f"{digest}.sock"

    @property
    def effective_broker_url(self) -> str:
        """The configured queue, or the embedded Redis on its unix socket."""
        return self.broker_url or f"redis+socket://{self.redis_socket}"

    @property
    def effective_drain_s(self) -> float:
        """How long a worker may go on after SIGTERM."""
        return self.deadline_s if self.drain_s is None else self.drain_s

    @property
    def visibility_timeout_s(self) -> int:
        """Celery gives a message to another worker after this: well above the longest run (R15)."""
        return int(self.deadline_s * 4 + 3600)


class SettingsError(ValueError):
    """The settings don't make sense; the message names each one and says what to write."""


def load_settings(environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """The settings from the environment, with ``given`` ones first.

    An unknown ``WILLIS_`` variable is an error: a misspelt one must not become a silent default.
    Raises SettingsError.
    """
    of_others = FOR_TESTS_ONLY | FOR_TRAINING_ONLY
    known = {PREFIX + name.upper() for name in Settings.model_fields} | of_others
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"Unknown settings: {', '.join(unknown)}. Known: {_names(known)}.")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _names(known: set[str]) -> str:
    return ", ".join(sorted(known - FOR_TESTS_ONLY - FOR_TRAINING_ONLY))


def _explain(error: ValidationError) -> str:
    # Neither the value nor the input is repeated: it may be the key.
    lines = (f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
    return "; ".join(lines)


def api_key_path(settings: Settings) -> Path:
    """Where the generated API key lies."""
    return settings.data_dir / "api-key"


def ensure_api_key(settings: Settings) -> SecretStr:
    """The API key: the configured one, else the one in ``data_dir``, made when missing (0600)."""
    if settings.api_key is not None:
        return settings.api_key
    return SecretStr(_ensure_file(api_key_path(settings), secrets.token_urlsafe(32)))


def ensure_serial_number(settings: Settings) -> str:
    """DeviceSerialNumber (0018,1000) of this installation, made on first start."""
    return _ensure_file(settings.data_dir / "serial-number", f"WILLIS-{secrets.token_hex(6)}")


def _ensure_file(path: Path, fresh_text: str) -> str:
    """The text in the file, which is made (0600, durably) when it is missing or empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Processes that start together agree on one.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not path.exists() or not path.read_text().strip():
            fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(fresh_text + "\n")
                stream.flush()
                # Without this a power failure leaves a file without a key.
                os.fsync(descriptor)
            fresh.replace(path)
            os.fsync(folder)
    finally:
        os.close(folder)
    return path.read_text().strip()
