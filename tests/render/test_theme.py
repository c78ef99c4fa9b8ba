"""Colours can be read, in both themes; style sheets reach only what is ours."""

from __future__ import annotations

import itertools
import re

import pytest

from triggers_nb.core.status import STATUSES
from triggers_nb.render.chips import chips, style_sheet
from triggers_nb.render.theme import DARK, LIGHT, STATUS_STYLES, paint, palette, style_of, variables


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_can_be_read(status: str, dark: bool):
    colours = palette([status], dark=dark)
    # In JupyterLab the background is #ffffff or #111111.
    for background in (colours["bg"], colours[f"{status}-tint"], "#111111" if dark else "#ffffff"):
        assert contrast(colours[f"{status}-text"], background) >= 4.5
        assert contrast(colours[status], background) >= 3
        assert contrast(colours["ink"], background) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_else_can_be_read(colours: dict[str, str]):
    for background in (colours["bg"], colours["raised"], "#111111" if colours is DARK else "#ffffff"):
        assert contrast(colours["ink"], background) >= 4.5
        assert contrast(colours["muted"], background) >= 4.5
        assert contrast(colours["line"], background) >= 3
    assert contrast(colours["faint"], colours["bg"]) >= 3


def test_statuses_differ_in_word_glyph_and_sign():
    assert set(STATUS_STYLES) == set(STATUSES)
    for one, other in itertools.combinations(STATUS_STYLES.values(), 2):
        assert one.word != other.word
        assert one.glyph != other.glyph
        assert one.sign != other.sign


def test_a_status_that_is_not_known_keeps_its_word():
    assert style_of("paused").word == "paused"
    assert style_of("paused").css in STATUS_STYLES


def test_the_page_decides_between_light_and_dark_and_says_so_louder_than_the_system():
    css = variables(".x", ["failed"])
    order = [
        css.index(part)
        for part in ("prefers-color-scheme:dark", '[data-jp-theme-light="true"]', '[data-jp-theme-light="false"]')
    ]
    assert order == sorted(order)
    assert "--tnb-bg:var(--jp-layout-color0,#ffffff)" in css
    assert "--tnb-ink:var(--jp-content-font-color1,#e6e9ed)" in css


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_fixed_theme_needs_no_variables(theme):
    css = paint(".x{fill:${failed-tint};stroke:${ink}}", theme, ".x", ["failed"])
    assert re.fullmatch(r"\.x\{fill:#[0-9a-f]{6};stroke:#[0-9a-f]{6}\}", css)


def test_a_theme_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="theme='blue': expected 'auto', 'light' or 'dark'"):
        paint("", "blue", ".x", [])  # type: ignore[arg-type]


def test_chips_show_what_occurs_with_glyph_word_and_number():
    html = chips({"finished": 1300, "failed": 2, "running": 0, "<b>": 1})
    assert re.findall(r">([^<>]+)</span>", html) == ["2 failed", "1,300 finished", "1 &lt;b&gt;"]
    assert html.count("<svg") == 3


def test_the_style_sheet_names_only_our_classes():
    selectors = re.findall(r"(?:^|\})([^{}@]+)\{", style_sheet().replace("@media (prefers-color-scheme:dark){", ""))
    assert selectors
    assert all(".tnb" in selector for selector in selectors)
