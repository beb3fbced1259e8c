"""The courier and what it stands on: destinations, their carriers, the ledger."""

from __future__ import annotations

import os
import random
import socket
import ssl
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

from willis_service.adapters.delivery.destination_file import (
    DestinationsInvalid,
    read_destinations,
)
from willis_service.adapters.delivery.folder import FolderCarrier
from willis_service.adapters.delivery.stow import StowCarrier
from willis_service.adapters.delivery.webhook import WebhookCarrier
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.carrier import DicomCarrier
from willis_service.adapters.dicom.commitment_scu import CommitmentScu
from willis_service.adapters.dicom.packing import ResultPacker
from willis_service.adapters.dicom.retraction import WriteRetraction
from willis_service.adapters.dicom.store_status import outcome_of
from willis_service.adapters.dicom.tls import TlsError, TlsFiles, client_context
from willis_service.adapters.storage.deliveries import SqlOutbox
from willis_service.adapters.storage.delivery_book import SqlDeliveryBook
from willis_service.adapters.storage.files import keep_file
from willis_service.adapters.storage.retention import SqlHoldings
from willis_service.adapters.storage.workers import DELIVERING, SqlWorkers
from willis_service.application.delivery.commitments import AskCommitment
from willis_service.application.delivery.courier import Courier, Round
from willis_service.application.delivery.desk import LedgerDesk
from willis_service.application.delivery.lane import Lane
from willis_service.application.delivery.plan import PlanDeliveries
from willis_service.application.ports.delivering import Carrier
from willis_service.application.retention import Retain
from willis_service.bootstrap.core import Core, clock
from willis_service.bootstrap.ledger import LEASE, commitment_noter_of, outbox_of
from willis_service.bootstrap.working import equipment_of
from willis_service.domain.delivery import Backoff
from willis_service.domain.destinations import (
    LONGEST_NAME,
    DicomTarget,
    FolderTarget,
    ResultDestination,
    StowTarget,
)
from willis_service.domain.retention import Policy
from willis_service.settings import Settings, SettingsError

_DRAIN_S = 10.0
_MEBIBYTE = 1024 * 1024


def destinations_of(
    settings: Settings, environment: Mapping[str, str] = os.environ
) -> tuple[ResultDestination, ...]:
    """Every configured destination, of the file and of the short form. Raises SettingsError."""
    listed: tuple[ResultDestination, ...] = ()
    if settings.destinations_file is not None:
        try:
            text = settings.destinations_file.read_text(encoding="utf-8")
            listed = read_destinations(text, environment)
        except (OSError, UnicodeDecodeError, DestinationsInvalid) as error:
            name = f"WILLIS_DESTINATIONS_FILE, {settings.destinations_file}"
            raise SettingsError(f"{name}:\n{error}") from error
    short = tuple(ResultDestination.of_peer(peer) for peer in settings.result_destinations)
    names = [one.name for one in (*listed, *short)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"Two destinations are named {', '.join(twice)}.")
    if long := [name for name in names if len(name) > LONGEST_NAME]:
        raise SettingsError(f"{long[0]} is too long: list it in WILLIS_DESTINATIONS_FILE, named.")
    return (*listed, *short)


def courier_of(core: Core) -> Courier:
    """Sends results to every destination of an installation. Raises SettingsError."""
    settings, destinations = core.settings, destinations_of(core.settings)
    outbox, packer = outbox_of(core), packer_of(core)
    identity = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    return Courier(
        id=identity,
        plan=PlanDeliveries(outbox, packer, destinations, clock),
        lanes=[(one.name, _rounds(core, one, outbox, packer, identity)) for one in destinations],
        outbox=outbox,
        presence=SqlWorkers(core.database, DELIVERING),
        lease=LEASE,
        clock=clock,
        poll_s=settings.poll_interval_s,
        drain_s=_DRAIN_S,
    )


def packer_of(core: Core) -> ResultPacker:
    """Finds the files to send, and makes those that a destination wants in another form."""
    return ResultPacker(core.results, core.settings.data_dir / "outgoing", keep_file)


def delivery_desk_of(core: Core) -> LedgerDesk:
    """The ledger for REST and the command line. Raises SettingsError."""
    return LedgerDesk(
        book=SqlDeliveryBook(core.database),
        jobs=core.jobs,
        packer=packer_of(core),
        write_retraction=WriteRetraction(core.results, equipment_of(core.settings), keep_file),
        configured={one.name: one for one in destinations_of(core.settings)},
        clock=clock,
    )


def retention_of(core: Core) -> Retain:
    """Lets go of what was delivered, as the settings say."""
    settings = core.settings
    policy = Policy(
        instances_after=_days(settings.retention_instances_days),
        results_after=_days(settings.retention_results_days),
        free_bytes=settings.retention_free_mb * _MEBIBYTE,
    )
    holdings = SqlHoldings(core.database, settings.data_dir)
    return Retain(holdings, policy, core.folder.free_bytes, clock)


def _days(days: float) -> timedelta | None:
    return timedelta(days=days) if days else None


def _rounds(
    core: Core,
    destination: ResultDestination,
    outbox: SqlOutbox,
    packer: ResultPacker,
    courier: str,
) -> Sequence[Round]:
    settings = core.settings
    backoff = Backoff(
        first=timedelta(seconds=settings.delivery_first_retry_s),
        longest=timedelta(seconds=settings.delivery_longest_retry_s),
    )
    lane = Lane(
        destination=destination,
        outbox=outbox,
        jobs=core.jobs,
        packer=packer,
        carry=_carrier(destination, settings),
        courier=courier,
        lease=LEASE,
        backoff=backoff,
        clock=clock,
        chance=random.random,
    )
    target = destination.target
    if not isinstance(target, DicomTarget) or not target.commitment:
        return [lane]
    ask = AskCommitment(
        destination=destination.name,
        book=outbox,
        ask=CommitmentScu(target.peer, _requestor(destination, target, settings)),
        note=commitment_noter_of(core),
        patience=timedelta(seconds=settings.commitment_patience_s),
        backoff=backoff,
        clock=clock,
        chance=random.random,
    )
    return [lane, ask]


def _carrier(destination: ResultDestination, settings: Settings) -> Carrier:
    target, timeout_s = destination.target, destination.timeout_s
    if isinstance(target, DicomTarget):
        return DicomCarrier(target.peer, _requestor(destination, target, settings))
    if isinstance(target, StowTarget):
        return StowCarrier(target, timeout_s, outcome_of)
    if isinstance(target, FolderTarget):
        return FolderCarrier(target.path)
    return WebhookCarrier(target, timeout_s, clock)


def _requestor(
    destination: ResultDestination, target: DicomTarget, settings: Settings
) -> Requestor:
    title = target.calling_ae_title or settings.ae_title
    timeout_s = destination.timeout_s
    timeouts = Timeouts(min(timeout_s, settings.acse_timeout_s), timeout_s, timeout_s)
    return Requestor(title, timeouts, _tls_context(destination.name, target, settings))


def _tls_context(name: str, target: DicomTarget, settings: Settings) -> ssl.SSLContext | None:
    if not target.tls:
        return None
    files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_ca)
    try:
        return client_context(files, target.tls_verify_host)
    except TlsError as error:
        raise SettingsError(f"destination {name}: {error}") from error
