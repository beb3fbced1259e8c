"""The page keeps what was measured before and replaces what was measured anew."""

from __future__ import annotations

from benchmarks.page import Section, Table, write_page

ORDER = ["first", "second"]


def test_a_part_replaces_its_own_section_and_leaves_the_others(tmp_path):
    page = tmp_path / "benchmarks.md"
    write_page(page, ORDER, {"first": "old first", "second": "old second"})

    write_page(page, ORDER, {"first": "new first"})

    text = page.read_text()
    assert "old first" not in text
    assert text.index("new first") < text.index("old second")


def test_writing_the_same_again_changes_nothing(tmp_path):
    page = tmp_path / "benchmarks.md"
    write_page(page, ORDER, {"second": "a | b"})
    before = page.read_text()

    write_page(page, ORDER, {"second": "a | b"})

    assert page.read_text() == before


def test_sections_stand_in_the_order_of_the_parts_whatever_came_first(tmp_path):
    page = tmp_path / "benchmarks.md"
    write_page(page, ORDER, {"second": "two"})

    write_page(page, ORDER, {"first": "one"})

    assert page.read_text().index("one") < page.read_text().index("two")


def test_a_table_has_one_line_a_row_with_numbers_to_the_right():
    table = Table(["runtime", "s"], [["ONNX Runtime", "0.40"], ["torch", "0.64"]])

    lines = Section("Network", "What was done.", [table]).markdown().splitlines()

    assert "| --- | ---: |" in lines
    assert lines[-2:] == ["| ONNX Runtime | 0.40 |", "| torch | 0.64 |"]
