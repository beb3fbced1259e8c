"""Pages in ``docs`` that follow from the code; ``python -m willis_models.published docs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from willis_models.codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME, private_codes
from willis_models.errors import InputError, WillisError
from willis_models.findings import Findings

_INTRODUCTION = f"""# Private codes

Results use SNOMED CT and DCM where a standard code exists. Where none does, they use the scheme
`{PRIVATE_SCHEME}` ("{PRIVATE_SCHEME_NAME}"), declared in CodingSchemeIdentificationSequence
(0008,0110) of every object. A code keeps its meaning for ever; a new meaning gets a new code.

SCT 414722000 and 414723005 are arterial segments of the middle cerebral artery, not the ASPECTS
regions M1 and M2, and are not used.

This page is made from the code by `python -m willis_models.published docs`.
"""

_REASONS = """
## Reasons

Quality items and rejections carry their stable code as the value (LongCodeValue where it has more
than 16 characters). Pipelines add codes for their own checks; every input can be rejected with:

| Code | Meaning |
|---|---|
"""


def private_codes_page() -> str:
    """``private-codes.md``: every concept of the private scheme."""
    concepts = [f"| {code.value} | {code.meaning} |" for code in private_codes()]
    reasons = [f"| {e.code} | {_first_line(e)} |" for e in sorted(_leaves(InputError), key=_code)]
    table = "\n".join(("\n## Concepts\n\n| Code | Meaning |\n|---|---|", *concepts))
    return _INTRODUCTION + table + "\n" + _REASONS + "\n".join(reasons) + "\n"


def findings_schema() -> str:
    """``findings.schema.json``: the JSON schema of ``findings.json``."""
    return json.dumps(Findings.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


PAGES = {"private-codes.md": private_codes_page, "findings.schema.json": findings_schema}


def _leaves(error: type[WillisError]) -> Iterator[type[WillisError]]:
    """The errors that have a name of their own: private ones carry a quality item's code."""
    children = [kind for kind in error.__subclasses__() if not kind.__name__.startswith("_")]
    if not children:
        yield error
    for child in children:
        yield from _leaves(child)


def _code(error: type[WillisError]) -> str:
    return error.code


def _first_line(error: type[WillisError]) -> str:
    return (error.__doc__ or "").splitlines()[0]


def main(folder: Path) -> None:
    """Write every page into ``folder``."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
