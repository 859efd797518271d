"""The reference of all fields of a problem file, made from the specs and their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

import clearhead
from clearhead.spec.fields import words_of

HEADINGS = {
    "Attention": "[attention], [block.attention], [block.cross], [model.layers.attention]",
    "Rotary": "[attention.rotary]",
    "Relative": "[attention.relative]",
    "Disentangled": "[attention.disentangled]",
    "Growth": "[attention.growth]",
    "Extra": "[block.extra]",
    "Extras": "[model.embedding.extras]",
    "Block": "[block], [[model.layers]], [[model.encoder.layers]]",
    "Norm": "[block.norm], [model.norm], [attention.qk_norm]",
    "Mlp": "[block.mlp]",
    "Experts": "[block.mlp.experts]",
    "Latent": "[attention.latent]",
    "Delta": "[attention.delta]",
    "Positions": "[positions], [block.positions], [model.embedding.positions]",
    "Transformer": "[model]",
    "Embedding": "[model.embedding]",
    "Patches": '[model.embedding] with kind = "patches"',
    "Frames": '[model.embedding] with kind = "frames"',
    "Encoder": "[model.encoder]",
    "Head": "[model.head]",
    "Loss": "[model.loss], [backward.loss]",
    "Backward": "[backward]",
    "Optimizer": "[backward.optimizer]",
    **dict.fromkeys(
        ["Linear", "Llama3Scaling", "Yarn", "LongRope", "Dynamic", "Proportional", "Factors", "Frequencies"],
        "[attention.rotary.scaling]",
    ),
}
"""The headings below which the fields of each public spec stand."""

INTRODUCTION = """# All fields

What may stand below each heading of a [problem file](problems.md), made from the specs by `make docs`. Arrays are named
in the text with their axes: they go below `[arrays]`. Where a field is left out its default holds; "None" in the text
means that it is left out. From Python these are `clearhead.Attention` and so on, with the same fields.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [INTRODUCTION, *(_section(heading, getattr(clearhead, name)) for name, heading in HEADINGS.items())]
    )


def _section(heading: str, spec: type[Struct]) -> str:
    about, described = _described(spec)
    tag = spec.__struct_config__.tag
    rows = [f'| `{spec.__struct_config__.tag_field}` | "{tag}" | | names this kind |'] if tag else []
    rows += _rows(spec, described)
    table = ["| field | expects | default | what it is |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {spec.__name__}", "", f"`{heading}`", "", about, "", *table])


def _rows(spec: type[Struct], described: dict[str, str]) -> Iterator[str]:
    for field in fields(spec):
        default = "needed" if field.default is NODEFAULT else f"`{_written(field.default)}`"
        default = "left out" if field.default is None else default
        yield f"| `{field.name}` | {_expects(field.type)} | {default} | {_cell(described[field.name])} |"


def _expects(kind: object) -> str:
    words = words_of(kind).replace("True or False", "true or false")
    words = re.sub(r"(,| or) None(?=$| or)", "", words)
    return _cell(re.sub(r"a tuple of \((\w+\(\.\.\.\))\)", r"a list of \1", words).replace("a tuple of", "a list of"))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[]" if value == () else f'"{value}"' if isinstance(value, str) else f"{value}"


def _cell(text: str) -> str:
    """Text of a docstring for a cell of a table in Markdown."""
    return re.sub(r"``(.*?)``", r"`\1`", " ".join(text.split())).replace("|", r"\|")


def _described(spec: type[Struct]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the whole, and of each attribute."""
    about, _, attributes = inspect.getdoc(spec).partition("\nAttributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    return re.sub(r"``(.*?)``", r"`\1`", about.strip()), dict(found)
