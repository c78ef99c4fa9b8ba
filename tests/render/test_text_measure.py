"""Text is cut before it overflows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.render.text_measure import cut_end, cut_middle, is_measured, text_width

# Measured in Chromium with DejaVu Sans, in pixels, at a font size of 100.
IN_A_BROWSER = [
    ("t_identifyPlane", False, 739.2),
    ("t_identifyPlane", True, 847.5),
    ("KeyError", False, 425),
    ("WWW", True, 330.9),
]


@pytest.mark.parametrize(("text", "bold", "width"), IN_A_BROWSER)
def test_widths_are_those_of_a_browser_but_for_kerning(text: str, bold: bool, width: float):
    assert width <= text_width(text, 100, bold=bold) <= width * 1.04


@given(some.text(max_size=60), some.floats(30, 300), some.booleans())
def test_what_was_cut_fits(text: str, width: float, bold: bool):
    assert text_width(cut_end(text, width, 13, bold=bold), 13, bold=bold) <= width
    assert text_width(cut_middle(text, width, 13, bold=bold), 13, bold=bold) <= width


@given(some.text(max_size=60))
def test_what_fits_is_not_cut(text: str):
    width = text_width(text, 13)
    assert cut_end(text, width, 13) == cut_middle(text, width, 13) == text


def test_names_keep_their_ends():
    name = "t_aVeryLongNameOfATaskThatDoesNotFit#12"
    assert cut_middle(name, 150, 13).endswith("#12")
    assert cut_middle(name, 150, 13).startswith("t_aVery")


def test_a_joined_sequence_is_not_torn():
    family = "👩‍👩‍👧‍👦"
    for width in range(20, 200):
        cut = cut_end(f"ab{family * 3}", width, 13)
        assert cut.removesuffix("…").removeprefix("ab").replace(family, "") in ("", "a")
    assert cut_middle("e\u0301" * 60, 60, 13).count("e") == cut_middle("e\u0301" * 60, 60, 13).count("\u0301")


def test_only_ascii_is_measured_for_sure():
    assert is_measured("t_identifyPlane#0 · 2…")
    assert not is_measured("任务")
