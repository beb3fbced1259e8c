"""The OpenAPI document of the application, as it lies in ``openapi.yaml``.

``python -m tests.contract.openapi`` writes the file anew; ``make openapi`` calls it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.fake_desk import FakeDesk, an_app
from willis_service.adapters.rest.config import RestConfig

CONTRACT = Path(__file__).resolve().parents[2] / "openapi.yaml"
_HEADER = "# Made by `make openapi`. The contract test holds it equal to the application.\n"


def document() -> str:
    """The contract as YAML; no folder is touched to make it."""
    nowhere = Path("nowhere")
    app = an_app(FakeDesk(nowhere), RestConfig((), nowhere))
    return _HEADER + yaml.safe_dump(app.openapi(), sort_keys=False, allow_unicode=True, width=100)


if __name__ == "__main__":
    CONTRACT.write_text(document(), encoding="utf-8")
    sys.stdout.write(f"{CONTRACT.name} written\n")
