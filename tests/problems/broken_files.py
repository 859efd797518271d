"""A good problem file, and ways to break its keys, its specs, its parts and its text."""

import codecs
import re

from clearhead.budgets import MAX_PROBLEM_BYTES

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
        "block.attention.bias": ('bias = ["query"]', (a_text, '["q"]', "[1]")),
        "block.attention.rotary.layout": ('layout = "half"', (a_number, "true", '"whole"')),
        "block.norm.gain": ("gain = true", (a_text, "1", a_list)),
        "block.mlp.activation": ('activation = "relu"', (a_number, "true", '"softsign"')),
        "block.positions.kind": ('kind = "given"', (a_number, '"learned"')),
        "claims[0].line": ('line = "weights@2"', (a_number, "true", a_list)),
        "claims[1].cell": ("cell = [1, 3]", (a_number, a_text, "[1.0, 3.0]", '["1", "3"]', "[true, true]", "{ }")),
        "claims[1].decimals": ("decimals = 2", (a_text, a_number, "true", "-1", "21", "[2]")),
        "claims[1].values": ("values = 0.25", ('"a"', "true", a_table, a_date, '"1/0"', '"1,250"', '""')),
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
        (put("heads = 2", 'heads = "2"'), r"heads expects a whole number, got '2'\. Write it as 2\.$"),
        (put("heads = 2", 'heads = "5/2"'), r"heads expects a whole number, .* digits alone"),
        (
            put("heads = 2", 'heads = 2\nscale = "1/sqrt(2)"'),
            r"scale expects a number.* Write it as 0\.707106781186547",
        ),
        (put('mask = "additive"', "mask = true"), "mask expects 'additive' or 'boolean', got true"),
        (
            GOOD.partition("[[claims]]")[0] + "[claims]",
            r"claims expects a list, got a table\. Write .*two brackets: \[\[claims\]\]",
        ),
        (
            put("[block.norm]\ngain = true\n", "").replace("[block]\n", "[block]\nnorm = true\n"),
            r"block.norm expects a table, got true\. Write a heading \[block.norm\]",
        ),
        (put("[arrays]\n", ""), "Given numbers stand below a heading .arrays.: is it missing above embedding"),
        (put("cell = [1, 3]", "cell = [0, 3]"), r"cell\[0\].*>= 1, got 0\. Cells are counted from 1"),
        (put("heads = 2\n", ""), "block.attention.heads is missing"),
        (put("heads = 2", 'heads = 2\n"a b" = 1'), "'a b'"),
        (put("heads = 2", 'heads = 2\n"" = 1'), "block.attention"),
        (put("heads = 2", 'heads = 2\n"x - at `$.y" = 1'), "block.attention"),
        (put("heads = 2", "heads = 2\ntokens = []"), "move it above the first heading"),
        (put("gain = true", "gian = true"), "block.norm has no key 'gian'"),
        (put('layout = "half"', "theta = 1"), "block.attention.rotary has no key 'theta'"),
        (put('activation = "relu"', "size = 3"), "block.mlp has no key 'size'"),
        (put('kind = "given"', "begin = 3"), "block.positions has no key 'begin'"),
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
        ("heads = 4611686018427387904", "Attention heads expects a finite number"),
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
        (put('bias = ["query"]', "bias = true"), "arrays lacks attention.key.bias"),
        (put('activation = "relu"', "bias = true"), "arrays lacks mlp.up.bias"),
        (put('kind = "given"', "start = 3"), "block.positions: positions with start=3 are computed"),
        (put('kind = "given"', 'kind = "sinusoidal"\nstart = 3'), "block.positions: positions with start=3"),
        (put("[block.mlp]", "[block.mpl]"), "block has no key 'mpl'. Did you mean mlp"),
    ]


EMBEDDING = "embedding = [[1, 0, 2, 1], [0, 1, 1, 0], [1, 1, 0, 3]]"


def wrong_parts():
    """Tokens, deviations and entries that do not fit the working."""
    tokens, deviations = 'tokens = ["a", "b", "c"]', 'deviations = ["softmax-over-queries"]'
    return [
        (set_key(tokens, '["a", "b"]'), "tokens expects 3 names"),
        (set_key(tokens, '["a", "b", "c", "d"]'), "tokens expects 3 names"),
        (set_key(tokens, '["a", ["b"], "c"]'), r"tokens\[1\] expects a text, got a list"),
        (set_key(deviations, '["softmax-over-keys"]'), r"deviations\[0\]: .*Did you mean softmax-over-heads or"),
        (set_key(deviations, '["softmax-over-queries", ""]'), r"deviations\[1\]"),
        (set_key(deviations, '["round"]'), r"deviations\[0\]: round expects line"),
        (set_key(deviations, '["round:line=weights"]'), r"deviations\[0\]: round expects line"),
        (set_key(deviations, '["round:line=weights,decimals=two"]'), r"deviations\[0\]: round expects decimals as int"),
        (set_key(deviations, '["round:line=weights,decimals=400"]'), r"deviations\[0\]: round expects decimals"),
        (set_key(deviations, '["round:line=weights,decimals=-1"]'), r"deviations\[0\]: round expects decimals"),
        (set_key(deviations, '["round:line=wieghts,decimals=2"]'), r"deviations\[0\]: .*no line 'wieghts'"),
        (set_key(deviations, '["round:line=weights@7,decimals=2"]'), r"deviations\[0\]: .*has heads 1 to 2, not 7"),
        (set_key(deviations, '["norm-over-matrix:eps=0"]'), r"deviations\[0\]: norm-over-matrix expects no parameters"),
        (set_key(deviations, '["softmax-over-queries", "softmax-over-queries"]'), r"deviations\[1\]: .*nothing"),
        (set_key(deviations, f'["{"x" * 20000}"]'), r"deviations\[0\]"),
        (put(tokens, f'{tokens}\ngiven = ["qurey"]'), "given: .*no line 'qurey'"),
        (put(tokens, f'{tokens}\ngiven = ["weights@1"]'), "given: .*no line 'weights@1'"),
        (put(tokens, f"{tokens}\ngiven = [1]"), r"given\[0\] expects a text, got 1"),
        (put(tokens, f'{tokens}\ngiven = "query"'), "given expects a list"),
        (put(tokens, f'{tokens}\ngiven = ["attention.weights"]'), "arrays has no use for"),
        (put(tokens, f'{tokens}\ngiven = ["mlp.norm"]'), "given leaves nothing to compute"),
        (put(tokens, f'{tokens}\ngiven = ["output"]'), "attention.output or mlp.output"),
    ]  # fmt: skip


def second(row):
    """The file with another second row of its embedding."""
    return put(EMBEDDING, EMBEDDING.replace("[0, 1, 1, 0]", row))


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
        (put("heads = 2", "heads = 02"), r"not TOML.*line 10.* Write 02 as 2\.$"),
        (put("heads = 2", "heads = 4/2"), r"not TOML.*line 10.* Write 4/2 as 2\.$"),
        (
            put(EMBEDDING, "embedding = [[1, 0, 2, 1], [0, 33%, 1, 0], [1, 1, 0, 3]]"),
            'not TOML.*Put the number in quotes: "33%"',
        ),
        (
            put(EMBEDDING, "embedding = [[1, 0, 2, 1], [0, 1, 2/3, 0], [1, 1, 0, 3]]"),
            'not TOML.*Put the number in quotes: "2/3"',
        ),
        (
            put(EMBEDDING, "embedding = [[1, 0, 2, 1], [0, 1, \u22121, 0], [1, 1, 0, 3]]"),
            'not TOML.*Put the number in quotes: "\u22121"',
        ),
        (second("[0., .5, 1, 0]"), r"not TOML.*Write 0\. as 0\.0"),
        (
            put(EMBEDDING, "embedding = [[1, 0, 2, 1], [0, 1, one, 0], [1, 1, 0, 3]]"),
            "not TOML.*every bracket is closed",
        ),
        (put("heads = 2", "heads = 2,"), "not TOML.*line 10"),
        (put("heads = 2", "heads: 2"), "not TOML.*line 10.* an equals sign"),
        (put('title = "Good"', "title = \u201cGood\u201d"), "not TOML.*line 2.* straight quotes"),
        (put("padding = true", "padding = False"), "not TOML.*line 12.* small letters"),
        (second("[0 1 1 0]"), "not TOML.* commas between numbers"),
        (put("embedding = [[1", "embedding = np.array([[1"), "not TOML.* lists of numbers alone"),
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
        (".".join("a" * 20000) + " = 1", "a key has more than"),
        ("[" + ".".join("a" * 20000) + "]", "a key has more than"),
        ('"a,".' * 200_000 + "a = 1", "a key has more than"),
        ("x = '''x''''\n" + "'a#' . " * 100_000 + "a = 1", "a key has more than"),
        ('x = """\n\\"""x"""""\n' + '"a=\\"" . ' * 100_000 + "a = 1", "a key has more than"),
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
        (good + b"#" * MAX_PROBLEM_BYTES, "at most 1048576 "),
        (b"\xff" * (MAX_PROBLEM_BYTES + 1), "at most 1048576 "),
    ]
