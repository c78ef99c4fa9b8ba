"""Untrusted text, and numbers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.render.wording import duration, escaped, listing, plural, printable, short, shown_name


@given(some.text(some.characters(codec=None), max_size=40))
def test_any_text_becomes_valid_xml_that_says_it(text: str):
    element = ET.fromstring(f'<a t="{escaped(text)}">{escaped(text)}</a>'.encode())
    assert (element.text or "") == printable(text)
    assert element.get("t") == printable(text)


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "\ud800", "\ufffe", "\U000e0041", "\u3164"]
)
def test_what_is_invisible_is_made_visible(hidden: str):
    assert printable(f"a{hidden}b") == "a�b"


def test_control_characters_are_shown_as_pictures():
    assert printable("a\x00\n\x1b[31m\x7f\x85") == "a␀␊␛[31m␡�"


@pytest.mark.parametrize("text", ["任务", "שלום", "👩‍👩‍👧", "é", "مرحبا"])
def test_other_scripts_and_emoji_stay(text: str):
    assert printable(text) == text


def test_names_of_spaces_are_quoted():
    assert shown_name("  ") == '"  "'
    assert shown_name("") == '""'


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(0), "0 ms"),
        (timedelta(microseconds=400), "0.4 ms"),
        (timedelta(milliseconds=999), "999 ms"),
        (timedelta(milliseconds=999.9), "1.0 s"),
        (timedelta(seconds=59.96), "1 min"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=25), "1 d 1 h"),
        (timedelta(days=400), "400 d"),
        (timedelta(seconds=-2), "−2.0 s"),
    ],
)
def test_durations(span: timedelta, said: str):
    assert duration(span) == said


def test_numbers():
    assert [short(n) for n in (0, 9999, 10_000, 999_999, 12_345_678)] == ["0", "9,999", "10 k", "999 k", "12.3 M"]
    assert plural(0, "task") == "0 tasks"
    assert listing(["a"]) == "a"
    assert listing([]) == ""
