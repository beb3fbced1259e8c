"""API keys: on by default, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from willis_service.domain.clients import ApiClient

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)

KeyCheck = Callable[..., None]
SHARED_KEY = "api"
ANONYMOUS = "anonymous"


def key_check(api_keys: tuple[str, ...] | None, clients: Sequence[ApiClient] = ()) -> KeyCheck:
    """A dependency that answers 401 unless the request carries one of the keys.

    The key comes as ``X-API-Key`` or as a bearer token. None lets everybody in. The name of who
    asks is then ``request.state.client``.
    """
    known = [*(ApiClient(SHARED_KEY, key) for key in api_keys or ()), *clients]

    def check(
        request: Request,
        header_key: Annotated[str | None, Depends(_HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        offered = header_key or (bearer.credentials if bearer else "")
        name = _name_of(offered, known)
        if api_keys is not None and name is None:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "Send a valid key as X-API-Key or as a bearer token.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        request.state.client = name or ANONYMOUS

    return check


def client_of(request: Request) -> str:
    """The name of the client that asks; its key was checked before."""
    return str(request.state.client)


def _name_of(offered: str, known: Sequence[ApiClient]) -> str | None:
    # Every key is compared, so that the time says nothing about which one came close.
    names = [one.name for one in known if hmac.compare_digest(offered.encode(), one.key.encode())]
    return names[0] if offered and names else None
