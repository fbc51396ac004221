"""Chains as trees: rows for a text, and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from registrytool.models import _Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .collection_list import CollectionInfo


@dataclass(frozen=True, slots=True)
class TreeNode(_Model):
    """A collection in a tree.

    Attributes
    ----------
    name, type : `str`
        Its name and kind.
    depth : `int`
        How deep it is, 0 for a root.
    total : `int` or `None`
        Rows in it, if they were counted.
    last : `tuple` [`bool`, ...]
        For each of the ``depth`` levels above: whether the way down goes through the last child.
    """

    name: str
    type: str
    depth: int
    total: int | None
    last: tuple[bool, ...] = ()


def tree_nodes(
    roots: Iterable[CollectionInfo], known: Mapping[str, CollectionInfo], *, inverse: bool = False
) -> tuple[TreeNode, ...]:
    """Return collections and what is in them, as a tree that is read from top to bottom.

    Parameters
    ----------
    roots : `~collections.abc.Iterable` [`CollectionInfo`]
        What it begins with; a collection that is below another one is not repeated as a root.
    known : `~collections.abc.Mapping` [`str`, `CollectionInfo`]
        All collections by name.
    inverse : `bool`, optional
        Whether to go from children to parents.
    """
    found = list(roots)
    if not inverse:
        names = {c.name for c in found}
        below = {child for c in found for child in _reach(c, known) if child in names}
        found = [c for c in found if c.name not in below] or found
    return tuple(node for root in found for node in _walk(root, known, inverse=inverse))


def _reach(start: CollectionInfo, known: Mapping[str, CollectionInfo]) -> set[str]:
    seen: set[str] = set()
    stack = list(start.children)
    while stack:
        name = stack.pop()
        if name not in seen and name != start.name:
            seen.add(name)
            stack.extend(known[name].children)
    return seen


def _walk(
    info: CollectionInfo,
    known: Mapping[str, CollectionInfo],
    last: tuple[bool, ...] = (),
    above: frozenset[str] = frozenset(),
    *,
    inverse: bool,
) -> Iterator[TreeNode]:
    yield TreeNode(info.name, info.type, len(last), info.total, last)
    below = info.parents if inverse else info.children
    if info.name not in above:
        for i, name in enumerate(below):
            end = (*last, i == len(below) - 1)
            yield from _walk(known[name], known, end, above | {info.name}, inverse=inverse)


def branch(node: TreeNode) -> str:
    """Return the lines in front of a node in a text."""
    if not node.last:
        return ""
    above = "".join("   " if last else "│  " for last in node.last[:-1])
    return above + ("└─ " if node.last[-1] else "├─ ")


# -- the picture ------------------------------------------------------------------

#: Colours of border and background by kind; told apart by their text as well.
_COLOURS = {
    "RUN": ("#1f6f4a", "#e6f4ec"),
    "TAGGED": ("#8a5a00", "#fdf3dc"),
    "CHAINED": ("#1f4e8c", "#e5eefa"),
    "CALIBRATION": ("#7a2a6b", "#f8e8f5"),
}
_ROW, _HEIGHT, _INDENT, _MARGIN, _LETTER = 34, 24, 28, 16, 7.3


def tree_svg(nodes: Iterable[TreeNode], title: str) -> str:
    """Draw a tree.

    Parameters
    ----------
    nodes : `~collections.abc.Iterable` [`TreeNode`]
        The tree, from top to bottom.
    title : `str`
        Heading.

    Returns
    -------
    svg : `str`
        The picture, which needs nothing from elsewhere.
    """
    rows = list(nodes)
    top = _MARGIN + 58
    widths = [_LETTER * (_width(n.name) + _width(_label(n))) + 38 for n in rows]
    indents = [_MARGIN + _INDENT * n.depth for n in rows]
    legend = _MARGIN + sum(_LETTER * len(name) + 34 for name in _COLOURS)
    needed = (legend, _LETTER * 1.25 * _width(title), *(x + w for x, w in zip(indents, widths, strict=True)))
    width, height = max(needed) + _MARGIN, top + _ROW * len(rows) + _MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'viewBox="0 0 {width:.0f} {height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
            'font-size="12">'
        ),
        f"<title>{_text(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="{_MARGIN + 14}" font-size="15" font-weight="bold">{_text(title)}</text>',
        *_legend(),
        *_lines(rows, top),
    ]
    for i, node in enumerate(rows):
        border, background = _COLOURS[node.type]
        x, y = indents[i], top + _ROW * i
        parts += [
            (
                f'<rect x="{x}" y="{y}" width="{widths[i]:.1f}" height="{_HEIGHT}" rx="5" fill="{background}" '
                f'stroke="{border}"/>'
            ),
            f'<text x="{x + 10}" y="{y + 16}" fill="#1b1b1b">{_text(node.name)}</text>',
            (
                f'<text x="{x + widths[i] - 10:.1f}" y="{y + 16}" fill="{border}" text-anchor="end">'
                f"{_text(_label(node))}</text>"
            ),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _label(node: TreeNode) -> str:
    return node.type if node.total is None else f"{node.type} {node.total:,}"


def _legend() -> Iterator[str]:
    x = float(_MARGIN)
    for name, (border, background) in _COLOURS.items():
        square = f'x="{x:.1f}" y="{_MARGIN + 26}" width="14" height="14" rx="3"'
        yield f'<rect {square} fill="{background}" stroke="{border}"/>'
        yield f'<text x="{x + 20:.1f}" y="{_MARGIN + 37}" fill="{border}">{name}</text>'
        x += _LETTER * len(name) + 34


def _lines(rows: list[TreeNode], top: int) -> Iterator[str]:
    """Draw a line from each node to the one that it is in."""
    above: dict[int, int] = {}
    for i, node in enumerate(rows):
        if node.depth:
            x = _MARGIN + _INDENT * (node.depth - 1) + 12
            start, end = top + _ROW * above[node.depth - 1] + _HEIGHT, top + _ROW * i + _HEIGHT // 2
            yield (
                f'<path d="M{x} {start} V{end} H{_MARGIN + _INDENT * node.depth}" fill="none" stroke="#9aa3ad" '
                'stroke-width="1.2"/>'
            )
        above[node.depth] = i


def _width(text: str) -> int:
    """Return how many letters wide a text is; those of East Asia are twice as wide."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _text(text: str) -> str:
    # XML has no way to write control characters.
    return escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text))
