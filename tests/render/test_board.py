"""Boards say the same in HTML and in text, and nothing of what they show acts."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.render.board import Board, Counts, Status, Table, Text, board_html, board_text

HOSTILE = '<script>alert("x")</script>\x1b[31m\u202e</td>&amp;"\''


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag not in ("path", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "circle"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data.split()


def full(text: str) -> Board:
    table = Table(
        caption=f"caption {text}",
        columns=("name", "status", "n", "at", f"odd {text}"),
        rows=[
            (f"t_{text}#0", Status("failed"), 3, datetime(2013, 2, 8, 6, 30, tzinfo=UTC), Counts({"finished": 2})),
            (text, Status(text), None, None, text),
        ],
        more=f"and 3 more: {text}",
    )
    return Board(
        title=text, about=f"session {text}", tag=text, counts={"failed": 1, "unstarted": 2}, said=(f"{text}.",),
        parts=(table, Text(caption="Kwargs", text=f'{{"a": "{text}"}}\nsecond line')),
    )  # fmt: skip


@given(st.text(max_size=30))
def test_both_say_the_same_words(text: str) -> None:
    board = full(text)
    said = re.sub(r"[✗▶◷○✓↻»⊘?]", " ", board_text(board)).replace("·", " ")
    shown = Seen(board_html(board)).words

    assert sorted(re.sub(r"[✗▶◷○✓↻»⊘?·]", " ", " ".join(shown)).split()) == sorted(said.split())


def test_hostile_text_is_shown_and_does_nothing() -> None:
    source = board_html(full(HOSTILE))
    seen = Seen(source)

    assert "script" not in seen.tags
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert seen.open == []
    assert "\x1b" not in source + board_text(full(HOSTILE))
    assert "\u202e" not in source + board_text(full(HOSTILE))
    assert html.escape('<script>alert("x")</script>') in source


def test_nothing_is_fetched() -> None:
    source = board_html(full("plain"))

    assert not re.search(r"https?:|url\(|@import|src=|href=", source)


def test_the_same_board_gives_the_same_bytes() -> None:
    assert board_html(full("x")) == board_html(full("x"))


def test_tables_without_rows_and_columns_without_values_are_left_out() -> None:
    empty = Table(caption="Nothing", columns=("a",), rows=[])
    half = Table(caption="Half", columns=("a", "b"), rows=[("x", ""), ("y", None)])
    board = Board(title="t", about="", parts=(empty, half))

    for shown in (board_text(board), board_html(board)):
        assert "Nothing" not in shown
    assert board_text(board).splitlines() == ["t", "Half", "  a", "  x", "  y"]
    assert ">b<" not in board_html(board)


def test_long_texts_are_cut_in_both() -> None:
    board = Board(title="t", about="", parts=(Table(caption="c", columns=("a",), rows=[("x" * 500,)]),))

    for shown in (board_text(board), board_html(board)):
        assert "x" * 159 + "…" in shown
        assert "x" * 160 not in shown


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_colour_is_defined_for_both_themes(theme: str) -> None:
    source = board_html(full("x"))
    used = set(re.findall(r"var\(--tnb-([\w-]+)\)", source))

    assert used
    for name in used:
        assert len(re.findall(rf"--tnb-{name}:", source)) >= 2, name
