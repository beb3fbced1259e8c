"""Names that say nothing about a patient: keyed hashes of identifiers, days instead of dates.

Whoever holds the key can find the patient of a pseudonym again by hashing; nobody else can. The
key lies in the private folder and never in the data set.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from pathlib import Path

KEY_BYTES = 32
_SUBJECT_LETTERS, _SESSION_LETTERS, _SERIES_LETTERS = 10, 6, 6
AGE_BAND_YEARS = 5
OLDEST_BAND_FROM = 90
"""Ages from 90 on are one band: there are so few that an age names a person."""


class KeyUnusable(ValueError):
    """The key can't be used; the message says why."""


@dataclass(frozen=True)
class CaseName:
    """A series under its pseudonyms; the labels of BIDS entities."""

    subject: str
    session: str
    series: str

    @property
    def stem(self) -> str:
        """``sub-..._ses-..._acq-...``: the start of every file name of the series."""
        return f"sub-{self.subject}_ses-{self.session}_acq-{self.series}"

    @property
    def folder(self) -> str:
        """Where its files lie within a data set."""
        return f"sub-{self.subject}/ses-{self.session}/ct"


@dataclass(frozen=True)
class Pseudonyms:
    """Keyed hashing (HMAC-SHA-256) of identifiers."""

    key: bytes

    def __repr__(self) -> str:
        """Never shows the key."""
        return f"Pseudonyms({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without giving one away."""
        return self._hash("fingerprint", "", 8)

    def case(self, patient_id: str, study_uid: str, series_uid: str) -> CaseName:
        """The name of a series in the data set."""
        return CaseName(
            self._hash("patient", patient_id, _SUBJECT_LETTERS),
            self._hash("study", study_uid, _SESSION_LETTERS),
            self._hash("series", series_uid, _SERIES_LETTERS),
        )

    def _hash(self, kind: str, identifier: str, letters: int) -> str:
        digest = hmac.digest(self.key, f"{kind}\0{identifier}".encode(), "sha256")
        return b32encode(digest).decode().lower()[:letters]


def read_or_make_key(path: Path) -> Pseudonyms:
    """The key in a file, made there (readable by its owner only) where there is none.

    Raises KeyUnusable where the file holds no key.
    """
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(KEY_BYTES) + "\n")
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (ValueError, UnicodeDecodeError) as error:
        raise KeyUnusable(f"{path} holds no key: 64 hexadecimal digits are expected.") from error
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"{path} holds {len(key)} bytes; a key has {KEY_BYTES}.")
    return Pseudonyms(key)


def age_band(age_years: float | None) -> str:
    """Five years wide (``70-74``), ``90+`` at the top, ``n/a`` where the age is not known."""
    if age_years is None or age_years < 0:
        return "n/a"
    if age_years >= OLDEST_BAND_FROM:
        return f"{OLDEST_BAND_FROM}+"
    low = int(age_years // AGE_BAND_YEARS) * AGE_BAND_YEARS
    return f"{low}-{low + AGE_BAND_YEARS - 1}"
