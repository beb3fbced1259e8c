"""The destinations file: TOML to destinations, with errors that say where and what to write."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from willis_service.domain.destinations import (
    LONGEST_NAME,
    Auth,
    Basic,
    Bearer,
    DicomTarget,
    FolderTarget,
    ResultDestination,
    Secret,
    SegType,
    StowTarget,
    Wanted,
    WebhookBody,
    WebhookTarget,
    kinds_possible,
)
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.peers import Destination, checked_ae_title

_RESERVED = "WILLIS_"
_KINDS = {kind.name.lower(): kind for kind in ResultKind if kind is not ResultKind.RETRACTION}
_HINTS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "union_tag_not_found": 'needs a kind: write kind = "dicom", "stow", "webhook" or "folder"',
    "union_tag_invalid": 'has an unknown kind: write kind = "dicom", "stow", "webhook" or "folder"',
}


class DestinationsInvalid(ValueError):
    """The file can't be used as it is; the message says where and what to write."""


def _peer(text: str) -> str:
    Destination.parse(text)
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL such as https://vna.hospital.example/dicom-web")
    if parts.username or parts.password:
        raise ValueError("write no password into the URL: use the auth keys")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ValueError("write https: results and secrets don't travel unencrypted")
    return text


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _env_name(text: str) -> str:
    if text.startswith(_RESERVED):
        raise ValueError(f"choose a name that does not begin with {_RESERVED}: those are settings")
    return text


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise ValueError(f"write one of {', '.join(_KINDS)}")
    return text


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Peer = Annotated[str, AfterValidator(_peer)]
AeTitle = Annotated[str, AfterValidator(checked_ae_title)]
Url = Annotated[str, AfterValidator(_url)]
EnvName = Annotated[str, Field(min_length=1), AfterValidator(_env_name)]
KindName = Annotated[str, AfterValidator(_kind)]
Lookup = Callable[[str], Secret]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Only(_Strict):
    pipelines: tuple[str, ...] = ()
    states: tuple[Literal["succeeded", "rejected", "failed"], ...] = ()
    kinds: tuple[KindName, ...] = ()
    urgent: bool = False
    senders: tuple[AeTitle, ...] = ()

    def wanted(self) -> Wanted:
        states = {"states": tuple(JobState(s) for s in self.states)} if self.states else {}
        return Wanted(
            pipelines=self.pipelines,
            kinds=tuple(_KINDS[name] for name in self.kinds),
            urgent_only=self.urgent,
            senders=self.senders,
            **states,
        )


class _Common(_Strict):
    name: Name
    only: _Only = _Only()
    timeout_s: float = Field(default=60, gt=0, le=3600)


class _Dicom(_Common):
    kind: Literal["dicom"]
    address: Peer
    calling_ae_title: AeTitle | None = None
    tls: bool = False
    tls_verify_host: bool = True
    commitment: bool = False
    seg: SegType = SegType.BINARY

    def target(self, _secret: Lookup) -> DicomTarget:
        return DicomTarget(
            peer=Destination.parse(self.address),
            calling_ae_title=self.calling_ae_title,
            tls=self.tls,
            tls_verify_host=self.tls_verify_host,
            commitment=self.commitment,
        )


class _Stow(_Common):
    kind: Literal["stow"]
    url: Url
    user: str | None = None
    password_env: EnvName | None = None
    token_env: EnvName | None = None
    ca_file: Path | None = None
    seg: SegType = SegType.BINARY

    def target(self, secret: Lookup) -> StowTarget:
        return StowTarget(self.url, self._auth(secret), self.ca_file)

    def _auth(self, secret: Lookup) -> Auth | None:
        if self.token_env is not None:
            if self.user is not None or self.password_env is not None:
                raise DestinationsInvalid("write token_env, or user and password_env, not both")
            return Bearer(secret(self.token_env))
        if self.user is None and self.password_env is None:
            return None
        if self.user is None or self.password_env is None:
            raise DestinationsInvalid("basic authentication needs both: user and password_env")
        return Basic(self.user, secret(self.password_env))


class _Webhook(_Common):
    kind: Literal["webhook"]
    url: Url
    secret_env: EnvName
    body: WebhookBody = WebhookBody.FINDINGS
    ca_file: Path | None = None
    seg: Literal["binary"] = "binary"

    def target(self, secret: Lookup) -> WebhookTarget:
        return WebhookTarget(self.url, secret(self.secret_env), self.body, self.ca_file)


class _Folder(_Common):
    kind: Literal["folder"]
    path: Path
    seg: SegType = SegType.BINARY

    def target(self, _secret: Lookup) -> FolderTarget:
        if not self.path.is_absolute():
            raise DestinationsInvalid("write an absolute path")
        return FolderTarget(self.path)


_Entry = Annotated[_Dicom | _Stow | _Webhook | _Folder, Field(discriminator="kind")]
_ENTRY: TypeAdapter[_Dicom | _Stow | _Webhook | _Folder] = TypeAdapter(_Entry)


def read_destinations(text: str, environment: Mapping[str, str]) -> tuple[ResultDestination, ...]:
    """The destinations in a TOML text; secrets come from the environment by their names.

    Raises DestinationsInvalid with every problem that was found.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DestinationsInvalid(f"It is not valid TOML: {error}.") from error
    entries = document.get("destination", [])
    if set(document) - {"destination"} or not isinstance(entries, list):
        raise DestinationsInvalid("Begin each destination with [[destination]]; nothing else.")
    problems: list[str] = []
    found = [
        one
        for number, entry in enumerate(entries, start=1)
        if (one := _read(number, entry, partial(_secret, environment), problems)) is not None
    ]
    names = [one.name for one in found]
    problems += [f"Two destinations are named {n}." for n in sorted({*names}) if names.count(n) > 1]
    if problems:
        raise DestinationsInvalid("\n".join(problems))
    return tuple(found)


def _read(number: int, entry: Any, secret: Lookup, problems: list[str]) -> ResultDestination | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    where = f"destination {number}" + (f" ({name})" if isinstance(name, str) else "")
    try:
        read = _ENTRY.validate_python(entry)
        target = read.target(secret)
    except ValidationError as error:
        problems += [f"{where}: {_explained(one)}." for one in error.errors()]
        return None
    except DestinationsInvalid as error:
        problems.append(f"{where}: {error}.")
        return None
    possible = kinds_possible(target)
    if impossible := [kind for kind in read.only.wanted().kinds if kind not in possible]:
        names = ", ".join(kind.name.lower() for kind in possible)
        wrong = impossible[0].name.lower()
        problems.append(f"{where}: only.kinds: {wrong} can't go to a {read.kind}: write {names}.")
    seg = SegType(read.seg)
    return ResultDestination(read.name, target, read.only.wanted(), seg, read.timeout_s)


def _explained(error: Any) -> str:
    # The input is not repeated: somebody may have written a password where its name belongs.
    place = ".".join(str(part) for part in error["loc"][1:])
    said = _HINTS.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{place} {said}" if error["type"] in _HINTS else f"{place}: {said}"


def _secret(environment: Mapping[str, str], name: str) -> Secret:
    value = environment.get(name, "")
    if not value:
        raise DestinationsInvalid(f"the environment variable {name} is empty or not set")
    return Secret(value)
