from __future__ import annotations

from xml.etree import ElementTree

from willis_service.adapters.web.plots import Line, line_plot


def plot(*lines: Line, **given: float) -> ElementTree.Element:
    """The drawing, which must be well-formed."""
    return ElementTree.fromstring(str(line_plot(lines, "time, s", "HU", **given)))


def points(drawing: ElementTree.Element) -> list[tuple[float, float]]:
    line = drawing.find("polyline")
    assert line is not None
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_later_is_further_right_and_more_is_further_up():
    drawn = points(plot(Line("AIF", "aif", (0, 10, 20), (0, 100, 50))))

    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert drawn[1][1] < drawn[2][1] < drawn[0][1]


def test_the_axes_have_round_numbers_that_hold_the_curve():
    texts = [one.text for one in plot(Line("AIF", "aif", (0, 67.5), (-8, 233))).iter("text")]

    assert {"-50", "0", "50", "250", "20", "60"} <= set(texts)


def test_what_is_small_looks_small():
    curve = Line("displacement", "aif", (0, 10), (0, 0.01))

    (_, bottom), (_, end) = points(plot(curve, least_high=4.0))

    assert bottom - end < 2


def test_names_are_escaped():
    html = str(line_plot([Line("<script>", "aif", (0, 1), (0, 1))], "x", "y"))

    assert "<script>" not in html and "&lt;script&gt;" in html


def test_marked_points_have_a_ring():
    drawing = plot(Line("motion", "aif", (0, 1, 2), (0, 1, 0), (False, True, False)))

    assert len(drawing.findall("circle")) == 1


def test_a_curve_that_does_not_move_is_drawn():
    assert len(points(plot(Line("motion", "aif", (5, 5), (0, 0))))) == 2
