"""A short soak: the same traffic and the same page as the long one (``make soak``)."""

from __future__ import annotations

import shutil

import pytest

from tests.soak.__main__ import main
from tests.soak.page import percentile
from tests.soak.watch import ends

needs_dcmtk = pytest.mark.skipif(
    shutil.which("echoscu") is None, reason="dcmtk is not installed (apt-get install dcmtk)"
)


@pytest.mark.slow
@needs_dcmtk
def test_a_short_soak_loses_nothing_and_writes_its_page(tmp_path, capsys):
    page = tmp_path / "soak.md"

    code = main(["--studies", "16", "--per-minute", "60", "--workers", "1", "--out", str(page)])

    assert code == 0
    assert "Nothing lost" in capsys.readouterr().out
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in rows}
    assert cells["studies sent"] == "16"
    assert cells["**acknowledged images lost**"] == "**0**"
    assert cells["objects delivered twice"] == "0"
    assert (tmp_path / "images" / "soak.svg").stat().st_size > 1000


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile(range(1, 101), 95) == 95
    assert percentile([7.0], 95) == 7.0


def test_growth_is_seen_between_the_ends_of_a_run():
    assert ends([100.0] * 10 + [300.0] * 10) == (100.0, 300.0)
