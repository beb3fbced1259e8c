"""What an HTTP answer means for a delivery: done, try again, or don't (R42)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx

from willis_service.domain.delivery import UNREACHABLE, Outcome, Postponed, Refused, Sent
from willis_service.domain.destinations import Auth, Basic

_TRANSIENT = frozenset({408, 425, 429})


def open_client(
    timeout_s: float, ca_file: Path | None = None, auth: Auth | None = None
) -> httpx.Client:
    """A client that verifies certificates and follows no redirect: it could lead anywhere."""
    verify = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    headers, basic = {}, None
    if isinstance(auth, Basic):
        basic = httpx.BasicAuth(auth.user, auth.password.value)
    elif auth is not None:
        headers["Authorization"] = f"Bearer {auth.token.value}"
    return httpx.Client(timeout=timeout_s, verify=verify, auth=basic, headers=headers)


def outcome_of_post(post: Callable[[], httpx.Response]) -> tuple[Outcome, httpx.Response | None]:
    """Post, and say what the answer, or its absence, means."""
    try:
        response = post()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        message = f"The server can't be reached ({type(error).__name__})."
        return Postponed(UNREACHABLE, message, is_away=True), None
    except httpx.TransportError as error:
        message = f"No answer came ({type(error).__name__})."
        return Postponed("NO_ANSWER", message, may_be_there=True, is_away=True), None
    return _outcome_of_status(response), response


def _outcome_of_status(response: httpx.Response) -> Outcome:
    status = response.status_code
    code, message = f"HTTP_{status}", f"The server answered {status}."
    if 200 <= status < 300:
        return Sent()
    if status in _TRANSIENT or status >= 500:
        return Postponed(code, message, retry_after_s=_retry_after_s(response))
    if 300 <= status < 400:
        return Refused(code, message + " Redirects are not followed: name the final address.")
    return Refused(code, message)


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
