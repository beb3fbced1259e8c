"""Storage commitment: requests in, reports out."""

from __future__ import annotations

import ssl
from datetime import timedelta

from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.commitment import CommitmentReporter
from willis_service.adapters.dicom.tls import TlsError, TlsFiles, client_context
from willis_service.adapters.storage.commitments import FileDigests, SqlCommitments
from willis_service.application.commitment import AnswerCommitments, Custody, TakeCommitment
from willis_service.bootstrap.core import Core, clock
from willis_service.domain.peers import Destination
from willis_service.settings import Settings, SettingsError


def commitment_of(core: Core) -> TakeCommitment | None:
    """What answers an N-ACTION; None where no requester is configured."""
    peers = _peers(core.settings)
    return TakeCommitment(SqlCommitments(core.database), peers, clock) if peers else None


def reports_of(core: Core) -> AnswerCommitments | None:
    """What sends the reports; None where no requester is configured. Raises SettingsError."""
    settings, book = core.settings, SqlCommitments(core.database)
    if not (peers := _peers(settings)):
        return None
    timeouts = Timeouts(
        settings.acse_timeout_s, settings.dimse_timeout_s, settings.network_timeout_s
    )
    send = CommitmentReporter(Requestor(settings.ae_title, timeouts, _tls_context(settings)))
    custody = Custody(book.versions, FileDigests(settings.data_dir))
    expires_after = timedelta(seconds=settings.commitment_expiry_s)
    return AnswerCommitments(book, custody, send, peers, expires_after, clock)


def _peers(settings: Settings) -> dict[str, Destination]:
    return {peer.ae_title: peer for peer in settings.commitment_peers}


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.commitment_tls:
        return None
    try:
        return client_context(TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_ca))
    except TlsError as error:
        raise SettingsError(f"WILLIS_COMMITMENT_TLS: {error}") from error
