"""Deviations in the residual, and in the placement of norms around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter, Tries
from clearhead.deviations.rewrites import ALL, Nothing, change_lines, is_called, reread, with_lines
from clearhead.line import Line, find, free_name
from clearhead.ops import Parameters
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working


def _is_residual(line: Line) -> bool:
    return line.operation.role == "sum" and is_called(line, "residual")


def _chosen(working: Working, line: str) -> tuple[str, ...]:
    names = tuple(each.name for each in working.lines if _is_residual(each))
    if not names:
        raise Nothing("no line of this working is a residual.")
    return names if line == ALL else (find(line, names, what="residual"),)


def _try_residuals(working: Working) -> tuple[Parameters, ...]:
    names = tuple(each.name for each in working.lines if _is_residual(each))
    return tuple((("line", name),) for name in (*((ALL,) if len(names) > 1 else ()), *names))


def _missing(working: Working, line: str) -> Working:
    chosen = _chosen(working, line)

    def change(each: Line) -> list[Line]:
        return [replace(each, operation=unchanged, operands=each.operands[1:])]

    return change_lines(working, lambda each: each.name in chosen, change, "a residual")


def _doubled(working: Working, line: str) -> Working:
    chosen = _chosen(working, line)

    def change(each: Line) -> list[Line]:
        once = replace(each, name=free_name(f"{each.name}.once", working.names))
        return [once, replace(each, operands=(each.operands[0], once.name))]

    return change_lines(working, lambda each: each.name in chosen, change, "a residual")


class _Half:
    """One half of a block: its residual, and the lines of the norm before or after it."""

    def __init__(self, working: Working, residual: Line) -> None:
        path = residual.name.removesuffix("residual")
        names = [line.name for line in working.lines]
        self.residual = residual
        self.norm = [line for line in working.lines if _is_norm(line.name, path)]
        self.output = f"{path}norm"
        self.source = residual.operands[0]
        self.before = bool(self.norm) and names.index(self.norm[0].name) < names.index(residual.name)


def _is_norm(name: str, path: str) -> bool:
    return name == f"{path}norm" or name.startswith(f"{path}norm.")


def _halves(working: Working) -> list[_Half]:
    found = [_Half(working, line) for line in working.lines if _is_residual(line)]
    normed = [half for half in found if half.norm]
    if not normed:
        raise Nothing("no residual of this working has a norm before or after it.")
    return normed


def _from_norm(working: Working) -> Working:
    """Makes residuals add the normed tokens instead of the tokens."""
    outputs = {half.residual.name: half.output for half in _halves(working) if half.before}

    def change(line: Line) -> list[Line]:
        return [replace(line, operands=(outputs[line.name], *line.operands[1:]))]

    return change_lines(working, lambda line: line.name in outputs, change, "a residual behind a norm")


def _norm_inside(working: Working) -> Working:
    """Makes x + norm(f(x)) of norm(x + f(x)): ``residual`` holds the sum, and ``norm`` the result of the half."""
    behind = [half for half in _halves(working) if not half.before]
    if not behind:
        raise Nothing("no norm of this working follows a residual.")
    for half in behind:
        working = working.rewrite(
            partial(_inside, half=half, inner=free_name(f"{half.output}.of-output", working.names))
        )
    return working


def _inside(line: Line, *, half: _Half, inner: str) -> list[Line]:
    if line == half.residual:
        steps = [reread(each, {line.name: line.operands[1]}) for each in half.norm]
        return [*steps[:-1], replace(steps[-1], name=inner), replace(line, operands=(half.source, inner))]
    if line in half.norm:
        given = Line(half.output, unchanged, (half.residual.name,), half.residual.axes)
        return [given] if line == half.norm[-1] else []
    return [line]


def _of_first_input(working: Working) -> Working:
    """Makes every later residual add what the first one adds."""
    found = [line for line in working.lines if _is_residual(line)]

    def change(line: Line) -> list[Line]:
        return [replace(line, operands=(found[0].operands[0], *line.operands[1:]))]

    return change_lines(working, lambda line: line in found[1:], change, "a second residual")


def _norm_elsewhere(working: Working) -> Working:
    """Moves the norm of each half to its other side; the half's last line holds the half's result."""
    for half in _halves(working):
        working = _to_the_end(working, half) if half.before else _to_the_front(working, half)
    return working


def _to_the_end(working: Working, half: _Half) -> Working:
    """Makes norm(x + f(x)) of x + f(norm(x)): ``residual`` holds the normed sum, the half's result."""
    total = replace(half.residual, name=free_name(f"{half.residual.name}.sum", working.names))
    moved = [reread(line, {half.source: total.name}) for line in half.norm]
    given = Line(half.residual.name, unchanged, (half.output,), half.residual.axes)

    def change(line: Line) -> list[Line]:
        if line in half.norm:
            return []
        return [total, *moved, given] if line == half.residual else [reread(line, {half.output: half.source})]

    return with_lines(working, _until(working, half, change))


def _to_the_front(working: Working, half: _Half) -> Working:
    """Makes x + f(norm(x)) of norm(x + f(x)): ``norm`` holds the sum, the half's result."""
    names = {line.name: free_name(_early(line.name, half.output), working.names) for line in half.norm}
    front = names[half.output]
    early = [
        replace(reread(line, {half.residual.name: half.source, **names}), name=names[line.name]) for line in half.norm
    ]
    given = Line(half.output, unchanged, (half.residual.name,), half.residual.axes)
    begun = False

    def change(line: Line) -> list[Line]:
        nonlocal begun
        if line in half.norm:
            return [given] if line == half.norm[-1] else []
        if half.source not in line.operands or line == half.residual:
            return [line]
        first, begun = not begun, True
        return [*(early if first else []), reread(line, {half.source: front})]

    return with_lines(working, _until(working, half, change))


def _early(name: str, output: str) -> str:
    return f"{output.removesuffix('norm')}prenorm{name.removeprefix(output)}"


def _until(working: Working, half: _Half, change: Callable[[Line], list[Line]]) -> list[Line]:
    """The lines with those of a half changed; what follows reads the half's result, by name."""
    ends = max(working.lines.index(line) for line in (*half.norm, half.residual))
    head, tail = working.lines[: ends + 1], working.lines[ends + 1 :]
    return [*(new for line in head for new in change(line)), *tail]


_LINE = (Parameter("line", str, "the residual, such as attention.residual, or all"),)
_TRIES: Tries = _try_residuals


def _from_memory(working: Working) -> Working:
    """Adds the memory instead of the input around attention; it runs where both have the same number of tokens."""
    if not any(each.name.split(".")[-1] == "memory" for each in working.givens):
        raise Nothing("this working has no memory.")
    memory = next(each.name for each in working.givens if each.name.split(".")[-1] == "memory")
    first = next((line for line in working.lines if _is_residual(line)), None)
    if first is None:
        raise Nothing("no line of this working is a residual.")
    changed = replace(first, operands=(memory, *first.operands[1:]))
    return working.rewrite(lambda line: [changed if line == first else line])


ROWS = (
    Deviation(
        id="residual-from-memory",
        kind="mistake",
        does="The residual around cross-attention adds the memory, not the tokens of the queries.",
        invisible="Where both are equal.",
        remedy="x + attention(x, memory), with x the decoder's own state.",
        seen="slp PR#26.",
        rewrite=_from_memory,
        catalogue=("G3", "B10"),
    ),
    Deviation(
        id="residual-missing",
        kind="mistake",
        does="The input is not added to the output: the residual is the output alone.",
        invisible="Where the input is 0.",
        remedy="x = x + attention(x).",
        seen="faster-trajectory-transformer#3, gluon-nlp PR#1488, OpenNMT-py#1689.",
        rewrite=_missing,
        parameters=_LINE,
        tries=_TRIES,
        catalogue=("G3",),
    ),
    Deviation(
        id="residual-doubled",
        kind="mistake",
        does="The input is added twice: 2 * x + attention(x).",
        invisible="Where the input is 0.",
        remedy="Add it in one place, inside the layer or around it.",
        seen="burn PR#1054, Compact-Transformers#25.",
        rewrite=_doubled,
        parameters=_LINE,
        tries=_TRIES,
        catalogue=("G3",),
    ),
    Deviation(
        id="residual-from-norm",
        kind="mistake",
        does="The residual adds the normed input, not the input itself.",
        invisible="Where the norm changes nothing, and where the norm follows the residual.",
        remedy="x = x + attention(norm(x)): keep x under its own name.",
        seen="pytorch#61165 (the first norm_first); BLOOM with apply_residual_connection_post_layernorm.",
        rewrite=_from_norm,
        catalogue=("G3",),
    ),
    Deviation(
        id="residual-of-first-input",
        kind="mistake",
        does="The residual of the MLP adds the input of the block, not the result of attention.",
        invisible="Where attention changes nothing.",
        remedy="residual = x again before the MLP, or x = x + mlp(norm(x)).",
        seen="The family of faster-trajectory-transformer#3 and pytorch#61165: residuals of another x.",
        rewrite=_of_first_input,
        catalogue=("G3",),
    ),
    Deviation(
        id="norm-inside-residual",
        kind="convention",
        does="The output is normed before it is added: x + norm(f(x)) instead of norm(x + f(x)).",
        invisible="Never on ordinary data.",
        remedy="Follow the model: Swin V2 and OLMo 2 norm inside the residual, the original and BERT after it.",
        seen="Swin V2 (res-post-norm); the family of annotated-transformer#92.",
        rewrite=_norm_inside,
        catalogue=("G4",),
    ),
    Deviation(
        id="norm-placement",
        kind="convention",
        does="The norms are on the other side: x + f(norm(x)), pre-norm, instead of norm(x + f(x)), post-norm, or "
        "the other way round. The last line of each half holds the result of the half.",
        invisible="Where the norm changes nothing.",
        remedy="Follow the model: norm_first=True for GPT-2, ViT and Llama, False for the original and BERT.",
        seen="annotated-transformer#92 and #110, hkproj#14, snowfall PR#184.",
        rewrite=_norm_elsewhere,
        catalogue=("G4",),
    ),
)
