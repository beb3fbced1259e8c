"""What a client accepts (RFC 9110 12.5.1, PS3.18 8.7), and what it can be given of that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ANY_SYNTAX = "*"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
RELATED = "multipart/related"
_LISTED = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;]*))')

# PS3.18 table 8.7.3-5: what a compressed frame is called.
FRAME_TYPES: Mapping[str, str] = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header; ``inner`` is what the parts of a multipart type are."""

    media_type: str
    inner: str
    syntax: str | None
    quality: float

    def covers(self, media_type: str) -> bool:
        """Whether this media type is meant."""
        own, _, sub = self.media_type.partition("/")
        return (
            self.media_type in ("*/*", media_type)
            or (sub == "*" and media_type.startswith(f"{own}/"))
        )  # fmt: skip


def accepted(request: Request) -> Sequence[MediaRange]:
    """What the request accepts, the most wanted first; anything where it does not say."""
    header = ",".join(request.headers.getlist("accept")) or "*/*"
    ranges = [_range(text.strip()) for text in _LISTED.findall(header)]
    return sorted((one for one in ranges if one.quality > 0), key=lambda one: -one.quality)


def not_acceptable(offered: str) -> HTTPException:
    """The answer where nothing that is accepted can be given."""
    return HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"This is given out as {offered}.")


def require(request: Request, *media_types: str) -> str:
    """The media type that the client wants most among these. Raises 406."""
    for wanted in accepted(request):
        for media_type in media_types:
            if wanted.covers(media_type):
                return media_type
    raise not_acceptable(" or ".join(media_types))


@dataclass(frozen=True)
class Form:
    """How objects are given out: in parts or alone, and in which transfer syntaxes."""

    is_multipart: bool
    syntaxes: frozenset[str]

    def takes_as_stored(self, syntax: str) -> bool:
        """Whether an object in this transfer syntax may leave as it is."""
        return ANY_SYNTAX in self.syntaxes or syntax in self.syntaxes

    @property
    def takes_plain(self) -> bool:
        """Whether an object may leave in Explicit VR Little Endian."""
        return EXPLICIT_VR_LITTLE_ENDIAN in self.syntaxes


def instance_form(request: Request, count: int) -> Form:
    """How ``count`` objects are given to this client. Raises 406.

    Without a transfer syntax Explicit VR Little Endian is meant (PS3.18 8.7.3.5); a client that
    takes anything gets the objects as they are stored.
    """
    multipart: list[str] = []
    single: list[str] = []
    for wanted in accepted(request):
        if wanted.media_type == "*/*":
            multipart.append(wanted.syntax or ANY_SYNTAX)
        elif wanted.covers(RELATED) and wanted.inner in ("", "*/*", DICOM):
            multipart.append(wanted.syntax or EXPLICIT_VR_LITTLE_ENDIAN)
        elif wanted.covers(DICOM) and count == 1:
            single.append(wanted.syntax or EXPLICIT_VR_LITTLE_ENDIAN)
    if not multipart and not single:
        raise not_acceptable(f'{RELATED}; type="{DICOM}"')
    return Form(bool(multipart), frozenset(multipart or single))


def takes_frame_as_stored(request: Request, syntax: str) -> bool:
    """Whether frames leave in this compressed syntax, rather than decoded. Raises 406.

    A compressed frame needs a client that names its type, or any transfer syntax.
    """
    image_type = FRAME_TYPES.get(syntax)
    for wanted in accepted(request):
        inner = wanted.inner or wanted.media_type
        if image_type and inner == image_type and wanted.syntax in (None, ANY_SYNTAX, syntax):
            return True
        if wanted.media_type == "*/*":
            return False
        if inner in (OCTETS, "*/*", RELATED):
            if image_type and wanted.syntax in (ANY_SYNTAX, syntax):
                return True
            if wanted.syntax in (None, ANY_SYNTAX, EXPLICIT_VR_LITTLE_ENDIAN):
                return False
    raise not_acceptable(f'{RELATED}; type="{OCTETS}"')


def _range(text: str) -> MediaRange:
    media_type, _, rest = text.partition(";")
    given = {
        name.lower(): (quoted or plain).strip()
        for name, quoted, plain in _PARAMETER.findall(";" + rest)
    }
    return MediaRange(
        media_type=media_type.strip().lower(),
        inner=given.get("type", "").lower(),
        syntax=given.get("transfer-syntax") or None,
        quality=_quality(given.get("q", "1")),
    )


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
