"""Draws the rooms of the house from the imports: docs/pictures/house.svg."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from textwrap import shorten, wrap
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parents[1] / "src" / "clearhead"

DOOR = "doors"
"""The one file that reaches upward, when a method is called; it has no place in the order."""

BOX, GAP, LINE, ROW = 190, 16, 13, 40
"""The width of a room, the space beside it, the height of a line of its text, and the space below a row."""

STYLE = """
text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: #333 }
.name { font-weight: 600; font-size: 13px; fill: #111 }
.inside { fill: #666; font-size: 10px }
rect { fill: #f6f8fa; stroke: #8aa0b8 }
path { fill: none; stroke: #8aa0b8 }
.page { fill: #fff; stroke: none }
"""


class Room(NamedTuple):
    """A folder or file at the top of the package: what it is for, and the folders inside."""

    name: str
    purpose: str
    inside: tuple[str, ...]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines of text in its box, each with its style."""
        inside = wrap(", ".join(self.inside), 34)
        return [("name", self.name), *(("", each) for each in wrap(self.purpose, 29)), *(("inside", x) for x in inside)]


def rooms() -> dict[str, Room]:
    """The rooms by name."""
    found = {}
    for path in sorted(SOURCE.iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            folders = sorted(each.name for each in path.iterdir() if each.is_dir() and list(each.glob("*.py")))
            found[path.name] = Room(path.name, _purpose(path / "__init__.py"), tuple(folders))
        elif path.suffix == ".py" and not path.stem.startswith("__") and path.stem != DOOR:
            found[path.stem] = Room(path.stem, _purpose(path), ())
    return found


def _purpose(path: Path) -> str:
    """The first sentence of a module's docstring, without the name that a colon may end."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    sentence = text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")
    name, colon, rest = sentence.partition(": ")
    purpose = rest if colon and len(name.split()) <= 3 else sentence
    return shorten(purpose[:1].upper() + purpose[1:], 84, placeholder=" ...")


def imports(names: Iterable[str]) -> dict[str, set[str]]:
    """Which rooms each room imports, in functions too."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room in found:
            found[room] |= {each for each in _imported(path) if each in found and each != room}
    return found


def _imported(path: Path) -> set[str]:
    """The rooms that a module imports, but for those that only type checkers read."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    unread = {id(each) for node in ast.walk(tree) if _is_for_types(node) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in unread and (node.module or "").startswith("clearhead"):
            parts = str(node.module).split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
    return found


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def nearest(imported: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The imports that no chain of others implies."""
    reached: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in reached:
            reached[name] = set().union(*({each} | reach(each) for each in imported[name]))
        return reached[name]

    return {
        name: {each for each in wanted if not any(each in reach(other) for other in wanted - {each})}
        for name, wanted in imported.items()
    }


def rows(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Rooms in rows: each stands above all that it imports, near the middle of those."""
    height: dict[str, int] = {}

    def rise(name: str) -> int:
        if name not in height:
            height[name] = 1 + max(map(rise, edges[name]), default=-1)
        return height[name]

    ordered: list[list[str]] = [[] for _ in range(1 + max(map(rise, edges)))]
    place: dict[str, float] = {}
    for name in sorted(edges, key=lambda name: (height[name], name)):
        ordered[height[name]].append(name)
    for row in ordered:
        row.sort(key=lambda name: sum(place[each] for each in edges[name]) / len(edges[name]) if edges[name] else 0.0)
        place |= {name: index - (len(row) - 1) / 2 for index, name in enumerate(row)}
    return ordered[::-1]


def picture() -> str:
    """The whole picture as SVG."""
    found = rooms()
    edges = nearest(imports(found))
    order = rows(edges)
    width = max(map(len, order)) * (BOX + GAP) + GAP
    boxes, y = {}, GAP
    for row in order:
        tall = max(len(found[name].lines) for name in row) * LINE + 14
        for index, name in enumerate(row):
            boxes[name] = ((width - len(row) * (BOX + GAP) + GAP) // 2 + index * (BOX + GAP), y, tall)
        y += tall + ROW
    arrows = [_arrow(boxes[a], boxes[b]) for a in boxes for b in sorted(edges[a])]
    drawn = [_box(found[name], *boxes[name]) for name in boxes]
    parts = [f'<rect class="page" width="{width}" height="{y}"/>', *arrows, *drawn]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def _arrow(above: tuple[int, int, int], below: tuple[int, int, int]) -> str:
    (x1, y1, tall), (x2, y2, _) = above, below
    x1, y1, x2 = x1 + BOX // 2, y1 + tall, x2 + BOX // 2
    bend = min(60, (y2 - y1) // 2)
    return f'<path d="M{x1},{y1} C{x1},{y1 + bend} {x2},{y2 - bend} {x2},{y2}"/>'


def _box(room: Room, x: int, y: int, tall: int) -> str:
    text = "".join(
        f'<text class="{style}" x="{x + 9}" y="{y + 17 + index * LINE}">{escape(line)}</text>'
        for index, (style, line) in enumerate(room.lines)
    )
    return f'<rect x="{x}" y="{y}" width="{BOX}" height="{tall}" rx="5"/>{text}'
