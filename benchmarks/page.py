"""``docs/benchmarks.md``: one section for each part, each replaced alone when it is measured."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = """# Speed and memory

Made by `make bench` (all but `perfusion_accuracy` and `perfusion_motion`, about ten minutes) or
`python -m benchmarks PART`. Compare the rows of one table: they were measured in one run. Seconds
of two runs, or of two machines, compare badly.
"""
_SECTION = re.compile(r"<!-- part: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def markdown(self) -> str:
        """The table, numbers to the right."""
        lines = [f"**{self.title}**\n"] if self.title else []
        lines.append(_line(self.columns))
        lines.append(_line(["---", *["---:"] * (len(self.columns) - 1)]))
        return "\n".join([*lines, *map(_line, self.rows)]) + "\n"


@dataclass(frozen=True)
class Section:
    """What one part measured."""

    title: str
    text: str
    tables: Sequence[Table] = ()

    def markdown(self) -> str:
        """The section, its text filled to the width of the other pages."""
        text = textwrap.fill(" ".join(self.text.split()), 100, break_on_hyphens=False)
        tables = [table.markdown() for table in self.tables]
        return "\n".join([f"## {self.title}\n", text + "\n", *tables])


def write_page(path: Path, order: Sequence[str], measured: Mapping[str, str]) -> None:
    """Put measured sections (Markdown by part) into the page; the other sections stay."""
    known = dict(_SECTION.findall(path.read_text())) if path.exists() else {}
    sections = {**known, **measured}
    parts = [
        f"<!-- part: {name} -->\n{sections[name].strip()}\n<!-- end -->\n"
        for name in order
        if name in sections
    ]
    path.write_text("\n".join([HEADER, *parts]))


def seconds(value: float) -> str:
    """Two digits where they mean something."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
