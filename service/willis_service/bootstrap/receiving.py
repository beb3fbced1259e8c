"""The DICOM receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from willis_service.adapters.dicom.acceptance import Acceptor
from willis_service.adapters.dicom.receiver import Door, Receiver, ReceiverLimits
from willis_service.adapters.dicom.tls import TlsError, TlsFiles, server_context
from willis_service.adapters.storage.folders import DataFolder
from willis_service.adapters.storage.journal import Record
from willis_service.adapters.storage.journaling import Journal
from willis_service.adapters.storage.lazy import flush, open_lazy
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.bootstrap.committing import commitment_of
from willis_service.bootstrap.core import Core
from willis_service.bootstrap.ledger import commitment_noter_of
from willis_service.settings import Settings, SettingsError


@contextmanager
def journaled(core: Core) -> Iterator[Core]:
    """The installation with an intake that goes through a journal, brought back after a crash."""
    settings = core.settings
    if not settings.journal_mb:
        yield core
        return
    lazy = open_lazy(settings.effective_database_url)
    journal = Journal(
        root=settings.data_dir,
        folder=settings.data_dir / "journal",
        segment_bytes=settings.journal_bytes // 2,
        reserve_bytes=settings.disk_reserve_bytes,
        flush=lambda: flush(core.database),
    )

    def restore(record: Record) -> None:
        core.intake.restore(record.instance, record.opens_study, record.content)

    journal.open(restore)
    folder = DataFolder(settings.data_dir, journal)
    try:
        index = SqlStudies(core.database, lazy)
        yield replace(core, intake=replace(core.intake, archive=folder, index=index))
    finally:
        folder.close()
        journal.close()
        lazy.close()


def receiver_of(core: Core) -> Receiver:
    """The DICOM receiver over an installation."""
    settings = core.settings
    request_commitment = commitment_of(core)
    acceptor = Acceptor(
        ae_title=settings.ae_title,
        senders=settings.senders,
        max_pdu_bytes=settings.max_pdu_bytes,
        has_room=core.intake.has_room,
        takes_private_classes=settings.accept_private_classes,
        takes_commitment_requests=request_commitment is not None,
        takes_commitment_reports=True,
    )
    limits = ReceiverLimits(
        max_pdu_bytes=settings.max_pdu_bytes,
        max_associations=settings.max_associations,
        max_object_bytes=settings.max_object_bytes,
        acse_timeout_s=settings.acse_timeout_s,
        dimse_timeout_s=settings.dimse_timeout_s,
        network_timeout_s=settings.network_timeout_s,
    )
    return Receiver(acceptor, limits, core.intake, request_commitment, commitment_noter_of(core))


def doors_of(settings: Settings) -> Iterator[Door]:
    """Where the receiver listens. Raises SettingsError where the TLS files can't be used."""
    is_shared = settings.receivers > 1
    if settings.dicom_port:
        yield Door(settings.dicom_bind, settings.dicom_port, None, is_shared)
    if settings.dicom_tls_port:
        files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_ca)
        try:
            tls = server_context(files, settings.verifies_tls_clients)
        except TlsError as error:
            raise SettingsError(str(error)) from error
        yield Door(settings.dicom_bind, settings.dicom_tls_port, tls, is_shared)
