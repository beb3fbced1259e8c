"""DICOM over TLS 1.2 or newer (PS3.15 B.12, the BCP 195 profile: no older version, no fallback)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


class TlsError(ValueError):
    """The certificates don't make a working TLS end; the message says which file and why."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: our certificate with its chain, its key, and the CAs that peers come from."""

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


def server_context(files: TlsFiles, verify_clients: bool) -> ssl.SSLContext:
    """For the end that listens. With ``verify_clients`` a peer without a certificate is refused.

    Raises TlsError.
    """
    if files.certificate is None:
        raise TlsError("DICOM over TLS needs a certificate: set WILLIS_TLS_CERTIFICATE.")
    if verify_clients and files.ca is None:
        raise TlsError("Verifying clients needs the CAs that they come from: set WILLIS_TLS_CA.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED if verify_clients else ssl.CERT_NONE
    return _loaded(context, files)


def client_context(files: TlsFiles, verify_host: bool = True) -> ssl.SSLContext:
    """For the end that calls; the system's CAs count where no ``ca`` is given.

    ``verify_host`` holds the certificate to the host name or address that was called. Hospital
    networks whose certificates carry none may turn it off; the certificate must still come from
    the CA. Raises TlsError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = verify_host
    if files.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _loaded(context, files)


def _loaded(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if files.certificate is not None:
            # Without a pass phrase at hand OpenSSL would ask the terminal and wait for ever.
            context.load_cert_chain(files.certificate, files.key or files.certificate, lambda: "")
        if files.ca is not None:
            context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(f) for f in (files.certificate, files.key, files.ca) if f is not None)
        reason = error.strerror or type(error).__name__
        raise TlsError(f"The TLS files can't be used ({names}): {reason}.") from error
    return context
