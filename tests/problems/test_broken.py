"""Files that are no problem: each gets an error that names the place on less than a screen, never another exception."""

import codecs
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clearhead.errors import ClearheadError, ProblemError
from clearhead.problems import STARTER, bundled, format_problem, parse_problem, read_claims, read_problem
from clearhead.problems.toml import MOST_BYTES

GOOD = """\
format = 1
title = "Good"
about = "Three tokens, two heads, four features."
tokens = ["a", "b", "c"]
deviations = ["softmax-over-queries"]

[block]
placement = "post"
[block.attention]
heads = 2
mask = "additive"
padding = true
bias = ["query"]
[block.attention.rotary]
layout = "half"
[block.norm]
gain = true
[block.mlp]
activation = "relu"
[block.positions]
kind = "given"

[arrays]
embedding = [[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]
position = [[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]
[arrays.attention]
query.weight = [[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1], [0, 2]]]
query.bias = [[1, 0], [0, 1]]
key.weight = [[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1], [0, 2]]]
value.weight = [[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1], [0, 2]]]
mask = [[0, -inf, 0], [0, 0, -1], [0, 0, 0]]
padding = [true, true, false]
output.weight = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
norm.gain = [1, 1, 1, 1]
norm.bias = [0, 0, 0, 0]
[arrays.mlp]
up.weight = [[1, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
output.weight = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
norm.gain = [1, 1, 1, 1]
norm.bias = [0, 0, 0, 0]

[[claims]]
line = "weights@2"
values = [[0.5, 0.25, 0.25], [1, 0, 0], ["?", "1/2", 0.5]]

[[claims]]
line = "weights@1"
cell = [1, 3]
decimals = 2
values = 0.25
"""
"""A file that is a problem, with every kind of part; each broken file differs from it in one place."""


def put(old, new):
    """The good file with one piece of it replaced."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def set_key(line, value):
    """The good file with another value for the key of this whole line."""
    return put(f"\n{line}\n", f"\n{line.partition(' = ')[0]} = {value}\n")


def wrong_types():
    """Each key with values that are not of its type: the place is the key's own path."""
    a_text, a_number, a_list, a_table, a_date = '"x"', "1.5", "[1, 2]", "{ a = 1 }", "2026-01-31"
    keys = {
        "title": ('title = "Good"', (a_number, "true", a_list, a_table, a_date)),
        "about": ('about = "Three tokens, two heads, four features."', (a_number, "true", a_list, a_table)),
        "tokens": ('tokens = ["a", "b", "c"]', (a_number, a_text, a_table, "[1, 2, 3]", '["a", "b", true]')),
        "deviations": ('deviations = ["softmax-over-queries"]', (a_number, a_text, a_table, "[1]", "[[]]")),
        "block.placement": ('placement = "post"', (a_number, a_list, a_table, a_date, '"middle"')),
        "block.attention.heads": ("heads = 2", (a_text, a_number, a_list, a_table, "true", "2.0", "nan")),
        "block.attention.mask": ('mask = "additive"', (a_number, "true", a_list, '"bool"')),
        "block.attention.padding": ("padding = true", (a_text, "1", a_list, "0.0")),
        "block.attention.bias": ('bias = ["query"]', (a_text, "true", '["q"]', "[1]")),
        "block.attention.rotary.layout": ('layout = "half"', (a_number, "true", '"whole"')),
        "block.norm.gain": ("gain = true", (a_text, "1", a_list)),
        "block.mlp.activation": ('activation = "relu"', (a_number, "true", '"tanh"')),
        "block.positions.kind": ('kind = "given"', (a_number, '"learned"')),
        "claims[0].line": ('line = "weights@2"', (a_number, "true", a_list)),
        "claims[1].cell": ("cell = [1, 3]", (a_number, a_text, "[1.0, 3.0]", '["1", "3"]', "[true, true]", "{ }")),
        "claims[1].decimals": ("decimals = 2", (a_text, a_number, "true", "-1", "21", "[2]")),
        "claims[1].values": ("values = 0.25", ('"a"', "true", a_table, a_date, '"1/0"', '"1,5"', '""')),
    }
    return [(set_key(line, value), re.escape(path)) for path, (line, values) in keys.items() for value in values]


def wrong_keys():
    """Unknown keys at each level, and missing ones."""
    return [
        (put('title = "Good"', 'titel = "Good"'), "titel"),
        (put('title = "Good"\n', ""), "title is missing"),
        (put("format = 1\n", ""), "format is missing"),
        (put("format = 1", "format = 2"), "format expects 1, got 2"),
        (put("format = 1", "format = 0"), "format expects 1, got 0"),
        (put("format = 1", 'format = "1"'), "format expects 1"),
        (put("format = 1", "format = 1.0"), "format expects 1"),
        (put("format = 1", "format = true"), "format expects 1, got true"),
        (put("format = 1", "format = [1]"), "format expects 1"),
        (put("format = 1", "format = 0x" + "f" * 5000), "format expects 1"),
        (put("[block]", "[blok]"), r"block|blok"),
        (put("heads = 2", "hedas = 2"), "Did you mean heads"),
        (put("heads = 2\n", ""), "block.attention.heads is missing"),
        (put("heads = 2", 'heads = 2\n"a b" = 1'), "'a b'"),
        (put("heads = 2", 'heads = 2\n"" = 1'), "block.attention"),
        (put("heads = 2", 'heads = 2\n"x - at `$.y" = 1'), "block.attention"),
        (put("heads = 2", "heads = 2\ntokens = []"), "move it above the first heading"),
        (put("gain = true", "gian = true"), "block.norm has no key 'gian'"),
        (put('layout = "half"', "theta = 1"), "block.attention.rotary has no key 'theta'"),
        (put('activation = "relu"', "size = 3"), "block.mlp has no key 'size'"),
        (put('kind = "given"', "start = 3"), "block.positions has no key 'start'"),
        (put("decimals = 2", "decimal = 2"), r"claims\[1\] has no key 'decimal'. Did you mean decimals"),
        (put('line = "weights@2"\n', ""), r"claims\[0\].line is missing"),
        (put("values = 0.25\n", ""), r"claims\[1\].values is missing"),
        (put("[block]", "[attention]\nheads = 1\n[block]"), "attention and block"),
        ("format = 1\ntitle = 'x'\n[arrays]\n", "block is missing"),
        ("format = 1\ntitle = 'x'\n[block]\n[arrays]\n", "block.attention is missing"),
        ("format = 1\ntitle = 'x'\n[attention]\nheads = 1\n", "arrays is missing"),
        ("format = 1\ntitle = 'x'\nattention = 1\n[arrays]\n", "attention expects a table, got 1"),
        ("format = 1\ntitle = 'x'\nblock = []\n[arrays]\n", "block expects a table, got a list"),
        ("format = 1\ntitle = 'x'\narrays = [1]\n[attention]\nheads = 1\n", "arrays expects a table"),
        ("format = 1\ntitle = 'x'\nclaims = 3\n[attention]\nheads = 1\n[arrays]\n", "claims expects a list, got 3"),
        ("format = 1\ntitle = 'x'\nclaims = [3]\n[attention]\nheads = 1\n[arrays]\n", r"claims\[0\] expects a table"),
        ("format = 1\ntitle = 'x'\n[claims]\n[attention]\nheads = 1\n[arrays]\n", "claims expects a list, got a table"),
    ]


def wrong_specs():
    """Specs that contradict themselves or hold numbers that mean nothing."""
    attention = [
        ("heads = 0", "heads expects 1 or more"),
        ("heads = -2", "heads expects 1 or more"),
        ("heads = 2\nkv_heads = 3", "kv_heads expects a divisor"),
        ("heads = 2\nkv_heads = 0", "kv_heads"),
        ("heads = 2\nkv_heads = -1", "kv_heads"),
        ("heads = 2\nscale = nan", "block.attention.scale expects a finite number, got nan"),
        ("heads = 2\nscale = inf", "block.attention.scale"),
        ("heads = 2\nscale = 1e999", "block.attention.scale"),
        ('heads = 2\nscale = "1/2"', "block.attention.scale"),
        ("heads = 2\nsoftcap = 0", "softcap"),
        ("heads = 2\nsoftcap = -1.5", "softcap"),
        ("heads = 2\nwindow = 0", "window"),
        ("heads = 2\nwindow = 2.5", "block.attention.window expects a whole number, got 2.5"),
        ("heads = 2\nmemory = true", "memory"),
        ("heads = 2\noutput = false", r"arrays has no use for 'attention.output.weight'"),
        ("heads = 3", "arrays: attention.query.weight expects"),
        ("heads = 4611686018427387904", "attention.query.weight expects"),
        ("heads = 9223372036854775808", "block.attention.heads expects a whole number of at most 64 bits"),
        (f"heads = 0x{'f' * 5000}", "block.attention.heads"),
        ("heads = 2\nkv_heads = 1", "arrays: attention.key.weight expects"),
        ("heads = 2\ncache = true", "arrays lacks attention.past.key"),
        ("heads = 2\nqk_norm = 3", "block.attention.qk_norm expects a table"),
        ("heads = 2\nqk_norm = { eps = -1 }", "block.attention.qk_norm"),
    ]
    return [(put("heads = 2", new), place) for new, place in attention] + [
        (put('layout = "half"', "width = 3"), "block.attention.rotary: rotary width"),
        (put('layout = "half"', "width = 0"), "block.attention.rotary"),
        (put('layout = "half"', "width = 8"), "arrays: "),
        (put('layout = "half"', "base = 0"), "block.attention.rotary: rotary base"),
        (put('layout = "half"', "base = nan"), "block.attention.rotary.base expects a finite number"),
        (put('layout = "half"', "offset = -inf"), "block.attention.rotary.offset"),
        (put("gain = true", "eps = -1"), "block.norm: norm eps"),
        (put("gain = true", "eps = nan"), "block.norm.eps expects a finite number"),
        (put("gain = true", "gain = false\nbias = true"), "block.norm: norm bias"),
        (put("gain = true", 'kind = "batch"'), "block.norm.kind expects layer or rms, got 'batch'"),
        (put('bias = ["query"]', 'bias = ["query", "q"]'), r"block.attention.bias\[1\] expects query or key"),
        (put('bias = ["query"]', "bias = []"), "arrays has no use for 'attention.query.bias'"),
        (put('activation = "relu"', "bias = true"), "arrays lacks mlp.up.bias"),
        (put("[block.mlp]", "[block.mpl]"), "block has no key 'mpl'. Did you mean mlp"),
    ]


EMBEDDING = "embedding = [[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]"
KEYS = "key.weight = [[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1], [0, 2]]]"
MASK = "mask = [[0, -inf, 0], [0, 0, -1], [0, 0, 0]]"
PADDING = "padding = [true, true, false]"
ARRAY_LINES = [line for line in GOOD.partition("[arrays]")[2].partition("[[claims]]")[0].split("\n") if " = " in line]


def wrong_arrays():
    """Arrays that are missing, of the wrong shape or kind, or hold what no number is."""
    embedding = [
        ("1", "arrays.embedding expects lists of numbers, got 1"),
        ('"1 0 2 1"', "arrays.embedding expects lists of numbers"),
        ("true", "arrays.embedding expects lists of numbers, got true"),
        ("2026-01-31", "arrays.embedding expects lists of numbers, got the date"),
        ("[]", "arrays.embedding is an empty list"),
        ("[[]]", r"arrays.embedding\[0\] is an empty list"),
        ("[[], [], []]", r"arrays.embedding\[0\] is an empty list"),
        ("[1, 0, 2, 1]", "arrays.embedding expects 2 axes"),
        ("[[[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]]", "arrays.embedding expects 2 axes"),
        ("[[1, 0, 2, 1], [0, 1, 1], [1, 1, 0, 3]]", r"arrays.embedding\[1\] expects 4 entries, .* got 3"),
        ("[[1, 0, 2, 1], 4, [1, 1, 0, 3]]", r"arrays.embedding\[1\] expects a list of 4, .* got 4"),
        ("[[1, 0, 2, 1], [0, [1], 1, 0], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[1\] expects a number"),
        ("[[1, 0, 2, 1], [], [1, 1, 0, 3]]", r"arrays.embedding\[1\] expects 4 entries, .* got 0"),
        ('[[1, 0, 2, 1], [0, "1", 1, 0], [1, 1, 0, 3]]', r"arrays.embedding\[1\]\[1\] expects a number, got '1'"),
        ("[[1, 0, 2, 1], [0, true, 1, 0], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[1\] expects a number, got true"),
        ("[[1, 0, 2, 1], [0, {}, 1, 0], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[1\] expects a number, got a table"),
        ("[[true, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]", r"arrays.embedding\[0\]\[1\] expects true or false"),
        ("[[true, true], [true, false], [false, false]]", "arrays.embedding expects numbers, got booleans"),
        ("[[1, 0, 2, 1], [0, nan, 1, 0], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[1\] expects a finite number"),
        ("[[1, 0, 2, 1], [0, 1, inf, 0], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[2\] expects a finite number"),
        ("[[1, 0, 2, 1], [0, 1, 1, -inf], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[3\] expects a finite number"),
        ("[[1, 0, 2, 1], [0, 1, 1, 1e400], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[3\] expects a number below"),
        (f"[[1, 0, 2, 1], [0, 1, 1, {'9' * 400}], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[3\] expects a whole number"),
        (f"[[1, 0, 2, 1], [0, 1, 1, {'9' * 5000}], [1, 1, 0, 3]]", "not TOML"),
        (f"[[1, 0, 2, 1], [0, 1, 1, 0x{'9' * 5000}], [1, 1, 0, 3]]", r"arrays.embedding\[1\]\[3\]"),
        ("[[1, 0, 2], [0, 1, 1], [1, 1, 0]]", "arrays: input: position expects model=3, as embedding has"),
        ("[[1, 0, 2, 1], [0, 1, 1, 0]]", "arrays: input: position expects token=2, as embedding has"),
        ("[" * 9 + "1" + "]" * 9, "arrays.embedding is nested 9 lists deep"),
        ("[" * 200 + "1" + "]" * 200, "arrays.embedding is nested 200 lists deep"),
        ("[" * 20000 + "1" + "]" * 20000, "nested too deeply"),
        (
            "[[1, 0, 2, 1], [0, 1, 1, 1979-05-27], [1, 1, 0, 3]]",
            r"arrays.embedding\[1\]\[3\] expects a number, got the date",
        ),
        ("{ weight = [[1]] }", "arrays has no use for 'embedding.weight'"),
        ("{}", "arrays lacks embedding"),
    ]
    others = [
        (set_key(PADDING, "[1, 1, 0]"), "arrays.attention.padding expects booleans, got numbers"),
        (set_key(PADDING, "[true, true, 0]"), r"arrays.attention.padding\[2\] expects true or false"),
        (set_key(PADDING, "[true, true]"), "arrays: attention.masked: attention.padding expects key=3"),
        (set_key(PADDING, "[[true, true, false]]"), "arrays.attention.padding expects 1 axes"),
        (set_key(PADDING, "true"), "arrays.attention.padding expects lists"),
        (set_key(MASK, "[[0, inf, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\] expects a finite number"),
        (set_key(MASK, "[[0, nan, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\]"),
        (set_key(MASK, "[[0, -1e400, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\]"),
        (set_key(MASK, "[[true, true, true], [true, true, true], [true, true, true]]"), "arrays.attention.mask expects numbers"),
        (set_key(MASK, "[[0, 0], [0, 0]]"), "arrays: .*attention.mask expects query=3"),
        (set_key(KEYS, "[[[1, 0], [0, 1], [1, 1], [2, 0]]]"), r"arrays: attention.key.weight expects \(head=2"),
        (set_key(KEYS, "[[[1], [0], [1], [2]], [[1], [0], [1], [0]]]"), "arrays: attention.key.rotated: "),
        (set_key(KEYS, "[[[1, 0]], [[1, 0]]]"), "arrays: attention.key: attention.key.weight expects model=4"),
        (set_key(KEYS, "[[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1]]]"), r"arrays.attention.key.weight\[1\] expects 4"),
        (put(EMBEDDING, f"{EMBEDDING}\nembeding = [[1]]"), "arrays has no use for 'embeding'. Did you mean embedding"),
        (put(EMBEDDING, f'{EMBEDDING}\n"" = [[1]]'), "arrays has no use for ''"),
        (put(EMBEDDING, f"{EMBEDDING}\n{'long' * 5000} = [[1]]"), "arrays has no use for"),
        (put(EMBEDDING, f"{EMBEDDING}\n{EMBEDDING}"), "not TOML"),
        (put(EMBEDDING, f'{EMBEDDING}\n"attention.mask" = [[1]]'), "arrays.attention.mask is given twice"),
    ]  # fmt: skip
    missing = [
        (put(f"\n{line}\n", "\n"), "arrays lacks") for line in set(ARRAY_LINES) if GOOD.count(f"\n{line}\n") == 1
    ]
    return [(set_key(EMBEDDING, value), place) for value, place in embedding] + others + missing


VALUES = 'values = [[0.5, 0.25, 0.25], [1, 0, 0], ["?", "1/2", 0.5]]'


def wrong_claims():
    """Claims for what is not there, of the wrong shape, or that are no numbers."""
    lines = [
        ("weights@3", "head"),
        ("weights@0", "head"),
        ("weights@-1", "after @"),
        ("weights@", "after @"),
        ("weights@x", "after @"),
        ("weights@1@2", "after @"),
        ("weights@9999999999", "after @"),
        (f"weights@{'9' * 5000}", "after @"),
        ("wieghts@2", "no line 'wieghts'"),
        ("norm", "attention.norm or mlp.norm"),
        ("attention.norm@1", "no heads"),
        ("", "no line"),
        ("x" * 20000, "no line"),
        ("\\u0000", "no line"),
        ("weights", "expects"),
        ("attention.norm", "expects"),
        ("embedding", "expects"),
    ]
    values = [
        ("[[0.5, 0.25], [1, 0], [0, 1]]", r"claims\[0\].values expects \(query=3, key=3\)"),
        ("[[0.5, 0.25, 0.25], [1, 0, 0]]", r"claims\[0\].values expects \(query=3, key=3\)"),
        ("[0.5, 0.25, 0.25]", r"claims\[0\].values expects \(query=3, key=3\)"),
        ("0.5", r"claims\[0\].values expects \(query=3, key=3\)"),
        ("[]", r"claims\[0\].values is an empty list"),
        ("[[], [], []]", r"claims\[0\].values\[0\] is an empty list"),
        ("[[0.5, 0.25, 0.25], [1, 0], [0, 1, 0]]", r"claims\[0\].values\[1\] expects 3 entries"),
        ("[[0.5, 0.25, 0.25], [1, 0, [0]], [0, 1, 0]]", r"claims\[0\].values\[1\]\[2\] expects a number"),
        ("[[0.5, 0.25, 0.25], 1, [0, 1, 0]]", r"claims\[0\].values\[1\] expects a list of 3"),
        ('[[0.5, 0.25, 0.25], [1, 0, "half"], [0, 1, 0]]', r"claims\[0\].values\[1\]\[2\]: .*'half'"),
        ('[[0.5, 0.25, 0.25], [1, 0, "1/0"], [0, 1, 0]]', r"claims\[0\].values\[1\]\[2\]: .*divides by 0"),
        ("[[0.5, 0.25, 0.25], [1, 0, true], [0, 1, 0]]", r"claims\[0\].values\[1\]\[2\] expects a number, got true"),
        ("[[0.5, 0.25, 0.25], [1, 0, {}], [0, 1, 0]]", r"claims\[0\].values\[1\]\[2\] expects a number, got a table"),
        (
            "[[0.5, 0.25, 0.25], [1, 0, 07:32:00], [0, 1, 0]]",
            r"claims\[0\].values\[1\]\[2\] expects a number, got the date",
        ),
        (f"[[0.5, 0.25, 0.25], [1, 0, 0.{'1' * 100}], [0, 1, 0]]", r"claims\[0\].values\[1\]\[2\] expects at most"),
        (f'[[0.5, 0.25, 0.25], [1, 0, "{"1" * 5000}"], [0, 1, 0]]', r"claims\[0\].values\[1\]\[2\] expects at most"),
        (
            f"[[0.5, 0.25, 0.25], [1, 0, 0x{'f' * 5000}], [0, 1, 0]]",
            r"claims\[0\].values\[1\]\[2\] expects a whole number",
        ),
        (f"[[0.5, 0.25, 0.25], [1, 0, 1e-{'9' * 50}], [0, 1, 0]]", r"claims\[0\].values\[1\]\[2\]"),
        ("[" * 30 + "1" + "]" * 30, r"claims\[0\].values is nested 30 lists deep"),
    ]
    cells = [
        ("[0, 1]", r"claims\[1\].cell"),
        ("[4, 1]", r"claims\[1\].cell: weights@1 has query 1 to 3, not 4"),
        ("[1, 4]", r"claims\[1\].cell: weights@1 has key 1 to 3, not 4"),
        ("[-1, 1]", r"claims\[1\].cell"),
        ("[1]", r"claims\[1\].cell expects a number for each of query, key"),
        ("[]", r"claims\[1\].cell expects a number for each of query, key"),
        ("[1, 1, 1]", r"claims\[1\].cell expects a number for each of query, key"),
        ("[1, 9223372036854775807]", r"claims\[1\].cell"),
        ("[1, 99999999999999999999]", r"claims\[1\].cell\[1\]"),
    ]
    return [
        *((set_key('line = "weights@2"', f'"{line}"'), rf"claims\[0\].*{place}") for line, place in lines),
        *((set_key(VALUES, value), place) for value, place in values),
        *((set_key("cell = [1, 3]", cell), place) for cell, place in cells),
        (put("values = 0.25", "values = [0.25]"), r"claims\[1\].values expects one number"),
        (put("values = 0.25", "values = [[0.25]]"), r"claims\[1\].values expects one number"),
        (put("values = 0.25", "values = 0.25\n[[claims]]"), r"claims\[2\].line is missing"),
        (GOOD + "[[claims]]\nline = 'embedding'\nvalues = 1\n" * 1001, "claims expects a list of length <= 1000"),
        (put("title", "claims = []\ntitle"), "not TOML"),
        (put('[[claims]]\nline = "weights@1"', '[claims]\nline = "weights@1"'), "not TOML"),
    ]


def wrong_parts():
    """Tokens, deviations and entries that do not fit the working."""
    tokens, deviations = 'tokens = ["a", "b", "c"]', 'deviations = ["softmax-over-queries"]'
    return [
        (set_key(tokens, '["a", "b"]'), "tokens expects 3 names"),
        (set_key(tokens, '["a", "b", "c", "d"]'), "tokens expects 3 names"),
        (set_key(tokens, '["a", ["b"], "c"]'), r"tokens\[1\] expects a text, got a list"),
        (set_key(deviations, '["softmax-over-keys"]'), r"deviations\[0\]: .*Did you mean softmax-over-queries"),
        (set_key(deviations, '["softmax-over-queries", ""]'), r"deviations\[1\]"),
        (set_key(deviations, '["round"]'), r"deviations\[0\]: round expects line"),
        (set_key(deviations, '["round:line=weights"]'), r"deviations\[0\]: round expects line"),
        (set_key(deviations, '["round:line=weights,decimals=two"]'), r"deviations\[0\]: round expects decimals as int"),
        (set_key(deviations, '["round:line=weights,decimals=400"]'), r"deviations\[0\]: round expects decimals from 0"),
        (set_key(deviations, '["round:line=weights,decimals=-1"]'), r"deviations\[0\]: round expects decimals from 0"),
        (set_key(deviations, '["round:line=wieghts,decimals=2"]'), r"deviations\[0\]: .*no line 'wieghts'"),
        (set_key(deviations, '["round:line=weights@7,decimals=2"]'), r"deviations\[0\]: .*has heads 1 to 2, not 7"),
        (set_key(deviations, '["norm-over-matrix:eps=0"]'), r"deviations\[0\]: norm-over-matrix expects no parameters"),
        (set_key(deviations, '["softmax-over-queries", "softmax-over-queries"]'), r"deviations\[1\]: .*nothing to rewrite"),
        (set_key(deviations, f'["{"x" * 20000}"]'), r"deviations\[0\]"),
        (put(tokens, f'{tokens}\ngiven = ["qurey"]'), "given: .*no line 'qurey'"),
        (put(tokens, f'{tokens}\ngiven = ["weights@1"]'), "given: .*no line 'weights@1'"),
        (put(tokens, f"{tokens}\ngiven = [1]"), r"given\[0\] expects a text, got 1"),
        (put(tokens, f'{tokens}\ngiven = "query"'), "given expects a list"),
        (put(tokens, f'{tokens}\ngiven = ["attention.weights"]'), "arrays has no use for"),
        (put(tokens, f'{tokens}\ngiven = ["mlp.norm"]'), "given leaves nothing to work out"),
        (put(tokens, f'{tokens}\ngiven = ["output"]'), "attention.output or mlp.output"),
    ]  # fmt: skip


def not_toml():
    """Texts that are no TOML: the line is named."""
    return [
        (put('title = "Good"', 'title = "Good'), "not TOML.*line 2"),
        (put('title = "Good"', "title = Good"), "not TOML.*line 2"),
        (put('title = "Good"', "title"), "not TOML.*line 2"),
        (put('title = "Good"', "title = "), "not TOML.*line 2"),
        (put('title = "Good"', 'title: "Good"'), "not TOML.*line 2"),
        (put('title = "Good"', '"title = "Good"'), "not TOML.*line 2"),
        (put('title = "Good"', 'title = "Good" "Better"'), "not TOML.*line 2"),
        (put('title = "Good"', 'title = "\\q"'), "not TOML.*line 2"),
        (put('title = "Good"', 'title = "\\ud800"'), "not TOML.*line 2"),
        (put('title = "Good"', 'title = "a\0b"'), "not TOML.*line 2"),
        (put('title = "Good"', 'title = "a\x7fb"'), "not TOML.*line 2"),
        (put('title = "Good"', "title = '''Good"), "not TOML"),
        (put('title = "Good"', 'title = "Good"\ntitle = "Better"'), "not TOML.*line 3"),
        (put("padding = true", "padding = True"), "not TOML.*line 12"),
        (put("padding = true", "padding = yes"), "not TOML.*line 12"),
        (put("heads = 2", "heads = 02"), "not TOML.*line 10"),
        (put("heads = 2", "heads = 2,"), "not TOML.*line 10"),
        (put("[block.norm]", "[block.norm"), "not TOML.*line 16"),
        (put("[block.norm]", "[block]"), "not TOML.*line 16"),
        (put("[block.norm]", "[block.]"), "not TOML.*line 16"),
        (put('[[claims]]\nline = "weights@2"', '[[claims]\nline = "weights@2"'), "not TOML"),
        (set_key(EMBEDDING, "[[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]"), "not TOML"),
        (set_key(EMBEDDING, "[[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]]"), "not TOML"),
        (set_key(EMBEDDING, "[[1 0 2 1], [0 1 1 0], [1 1 0 3]]"), "not TOML"),
        (set_key(EMBEDDING, "[[1, 0, 2, .5], [0, 1, 1, 0], [1, 1, 0, 3]]"), "not TOML"),
        (set_key(EMBEDDING, "[[1, 0, 2, 1/2], [0, 1, 1, 0], [1, 1, 0, 3]]"), "not TOML"),
        (set_key(EMBEDDING, "np.array([[1, 0]])"), "not TOML"),
        ('{"format": 1, "title": "JSON"}', "not TOML.*line 1"),
        ("format: 1\ntitle: YAML\n", "not TOML.*line 1"),
        ("import numpy as np\nX = np.eye(3)\n", "not TOML.*line 1"),
        ("format = 1\r", "not TOML"),
        ("x" * 100_000, "not TOML"),
        ("a = " + "{a = " * 5000 + "1" + "}" * 5000, "nested too deeply|not TOML"),
        (".".join("a" * 20000) + " = 1", "line 1: a key has more than"),
        ("[" + ".".join("a" * 20000) + "]", "line 1: a key has more than"),
        (GOOD.replace("=", "==", 1), "not TOML.*line 1"),
    ]


def not_text():
    """Files that are empty, too large, or not UTF-8."""
    good = GOOD.encode()
    return [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (b"# only a comment\n", "format is missing"),
        (GOOD.encode("utf-16"), "line 1: the file is not UTF-8"),
        (GOOD.encode("utf-32"), "line 1: the file is not UTF-8|not TOML"),
        (GOOD.encode("utf-16-le"), "not TOML.*line 1"),
        (put("Good", "Übung").encode("latin-1"), "line 2: the file is not UTF-8"),
        (put("Good", "“Good”").encode("cp1252"), "line 2: the file is not UTF-8"),
        (good.replace(b"Good", b"\xed\xa0\x80"), "line 2: the file is not UTF-8"),
        (good.replace(b"Good", b"\xff"), "line 2: the file is not UTF-8"),
        (good + b"\xc3", "line [0-9]+: the file is not UTF-8"),
        (b"\0" * 100, "not TOML"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not UTF-8"),
        (b"PK\x03\x04\x14\0\0\0", "not TOML"),
        (bytes(range(256)), "not"),
        (good + b"#" * MOST_BYTES, "a problem has at most"),
        (b"\xff" * (MOST_BYTES + 1), "a problem has at most"),
    ]


BIG = """format = 1
title = "Big"
[attention]
heads = 1
output = false
[arrays]
query.weight = [[[1]]]
key.weight = [[[1]]]
value.weight = [[[1]]]
input = ["""
"""A small file whose scores would fill gigabytes."""

BROKEN = [
    *wrong_types(), *wrong_keys(), *wrong_specs(), *wrong_arrays(), *wrong_claims(), *wrong_parts(), *not_toml(), *not_text(),
    (BIG + "[1]," * 60_000 + "]", "arrays: the lines would have more than"),
]  # fmt: skip


def refuse(content, read=parse_problem, **options):
    """The message with which some content is refused, which must fit on a screen."""
    with pytest.raises(ProblemError) as caught:
        read(content, **options)
    message = str(caught.value)
    assert len(message) <= 1100
    assert message.count("\n") < 20
    assert message.isprintable() or "\n" in message
    return message


def test_the_good_file_is_good():
    """What the broken files are made from is a problem, so that each is broken by its one change alone."""
    assert parse_problem(GOOD).trace().numpy("weights").shape == (2, 3, 3)


def test_there_are_more_than_two_hundred_broken_files():
    """Two hundred different ways to break a file are tried, and more."""
    assert len({content for content, _ in BROKEN}) > 300


@pytest.mark.parametrize(("content", "place"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_refused_with_its_place(content, place, tmp_path):
    """A broken file raises ProblemError with the file, the place, and a message of one screen; nothing else."""
    file = tmp_path / "broken.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    message = refuse(file, read=read_problem)
    assert message.startswith(f"{file}: ")
    assert re.search(place, message, re.DOTALL), message


@pytest.mark.parametrize("place", ["claims[0].values[1][2]", "arrays.embedding[1][1]", "block.attention.heads"])
def test_the_message_begins_with_file_and_path(place):
    """The file comes first and the path of the key right after it, written as TOML users write paths."""
    text = {
        "claims[0].values[1][2]": set_key(VALUES, "[[0.5, 0.25, 0.25], [1, 0, true], [0, 1, 0]]"),
        "arrays.embedding[1][1]": set_key(EMBEDDING, '[[1, 0, 2, 1], [0, "1", 1, 0], [1, 1, 0, 3]]'),
        "block.attention.heads": set_key("heads = 2", '"two"'),
    }[place]
    assert refuse(text, source="mine.toml").startswith(f"mine.toml: {place} expects ")


def test_what_is_said_is_what_a_reader_needs():
    """The whole of a message: the file, the path, what was expected, what came, and what to do."""
    assert refuse(set_key("heads = 2", '"two"'), source="mine.toml") == (
        "mine.toml: block.attention.heads expects a whole number, got 'two'. "
        "Write it with digits alone, without quotes or a decimal point."
    )


@pytest.mark.parametrize(("content", "place"), [
    ("format = 1\n", "claims is missing"),
    ("format = 1\nclaims = []\n", "claims"),
    ("[[claims]]\nline = 'head'\nvalues = 1\n", "format is missing"),
    ("format = 1\n[[claims]]\nline = 'head'\nvalues = [[1, 2], [3]]\n", r"claims\[0\].values\[1\] expects 2"),
    ("format = 1\n[[claims]]\nline = 'head'\nvalue = 1\n", r"claims\[0\] has no key 'value'"),
    ("format = 1\ntitle = 'x'\n[[claims]]\nline = 'head'\nvalues = 1\n", "the file has no key 'title'"),
    (GOOD[: GOOD.index("[[claims]]")], "claims is empty"),
    (put("heads = 2", "heads = 3"), "arrays"),
    ("", "empty"),
    (b"\xff", "not UTF-8"),
])  # fmt: skip
def test_a_broken_file_of_claims_is_refused(content, place, tmp_path):
    """A file that is to hold claims and does not is refused like a broken problem."""
    file = tmp_path / "claims.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    assert re.search(place, refuse(file, read=read_claims))


NASTY = st.sampled_from([
    "nan", "-inf", "1e999", "[", "]", "[]", "[[]]", "{}", '"', '"""', "'", "=", ".", ",", "#", "\n", "\0", "true", "0x10",
    "-0.0", "99999999999999999999", "1_000", "2026-01-31", "[block]", "[[claims]]", "[arrays]", "@", '"?"', '"7/6"', "é", "\ud7ff",
    "heads", "claims", "values", "scale = 1e308", "cell = [1]", "given = ['query']", "1e308", "-1", "0", "12",
])  # fmt: skip
TEXTS = [GOOD, STARTER, *(format_problem(read_problem(name)) for name in bundled())]
PLACE = st.floats(0, 1)


@st.composite
def mutated(draw):
    """The text of a good problem with a few pieces cut out, doubled, moved or replaced."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start, stop = sorted(int(draw(PLACE) * len(text)) for _ in range(2))
        stop = min(stop, start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(NASTY, st.just(""), st.just(text[start:stop] * 2), st.text(max_size=5)))
        text = text[:start] + piece + text[stop:]
    return text


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
@example(GOOD)
def test_a_mutated_file_is_a_problem_or_is_refused(text):
    """Whatever is done to a good file, it is a problem that can be worked out and written, or raises ProblemError."""
    content = text.encode("utf-8", "surrogatepass")
    try:
        problem = parse_problem(content)
    except ProblemError:
        refuse(content)
    else:
        problem.trace()
        assert parse_problem(format_problem(problem)) == problem


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_bytes_are_refused_as_a_problem(content):
    """Bytes that nobody wrote as a problem raise ProblemError and nothing else."""
    refuse(content)


def test_a_nested_file_is_refused_however_deep_the_caller_is():
    """A recursion that is too deep is told as one, even where little of the stack is left."""

    def deeper(levels):
        return deeper(levels - 1) if levels else parse_problem(set_key(EMBEDDING, "[" * 100 + "1" + "]" * 100))

    with pytest.raises(ClearheadError, match="nested"):
        deeper(600)
