"""API keys: on by default, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)

KeyCheck = Callable[..., None]


def key_check(api_keys: tuple[str, ...] | None) -> KeyCheck:
    """A dependency that answers 401 unless the request carries one of the keys.

    The key comes as ``X-API-Key`` or as a bearer token. None lets everybody in.
    """

    def check(
        header_key: Annotated[str | None, Depends(_HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        offered = header_key or (bearer.credentials if bearer else "")
        if api_keys is not None and not _is_known(offered, api_keys):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "Send a valid key as X-API-Key or as a bearer token.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check


def _is_known(offered: str, api_keys: tuple[str, ...]) -> bool:
    # Every key is compared, so that the time says nothing about which one came close.
    matches = [hmac.compare_digest(offered.encode(), key.encode()) for key in api_keys]
    return bool(offered) and any(matches)
