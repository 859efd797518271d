"""Ways to break the numbers of a good problem file: its arrays and its claims."""

from .broken_files import EMBEDDING, GOOD, put, set_key

KEYS = "key.weight = [[[1, 0], [0, 1], [1, 1], [2, 0]], [[1, 0], [0, 1], [1, 1], [0, 2]]]"
MASK = "mask = [[0, -inf, 0], [0, 0, -1], [0, 0, 0]]"
PADDING = "padding = [true, true, false]"
ARRAY_LINES = [line for line in GOOD.partition("[arrays]")[2].partition("[[claims]]")[0].split("\n") if " = " in line]


VALUES = 'values = [[0.5, 0.25, 0.25], [1, 0, 0], ["?", "1/2", 0.5]]'


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
        ('[[1, 0, 2, 1], [0, "one", 1, 0], [1, 1, 0, 3]]', r"arrays.embedding\[1\]\[1\]: A number such as 2.425"),
        ('[[1, 0, 2, 1], [0, "?", 1, 0], [1, 1, 0, 3]]', r"arrays.embedding\[1\]\[1\]: Every cell of a given array"),
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
        (set_key(MASK, "[[0, inf, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\] expects a finite"),
        (set_key(MASK, "[[0, nan, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\]"),
        (set_key(MASK, "[[0, -1e400, 0], [0, 0, -1], [0, 0, 0]]"), r"arrays.attention.mask\[0\]\[1\]"),
        (set_key(MASK, "[[true, true, true]]"), "arrays.attention.mask expects numbers, got booleans"),
        (set_key(MASK, "[[0, 0], [0, 0]]"), "arrays: .*attention.mask expects query=3"),
        (set_key(KEYS, "[[[1, 0], [0, 1], [1, 1], [2, 0]]]"), r"arrays: attention.key.weight expects \(head=2"),
        (set_key(KEYS, "[[[1], [0], [1], [2]], [[1], [0], [1], [0]]]"), "arrays: attention.key.rotated: "),
        (set_key(KEYS, "[[[1, 0]], [[1, 0]]]"), "arrays: attention.key: attention.key.weight expects model=4"),
        (set_key(KEYS, "[[[1, 0], [0, 1]], [[1, 0]]]"), r"arrays.attention.key.weight\[1\] expects 2 entries"),
        (put(EMBEDDING, f'{EMBEDDING}\n"attention.sink" = [[1]]'), "To use it, write sink = true below .block.att"),
        (put(EMBEDDING, f'{EMBEDDING}\n"attention.key.bias" = [[1]]'), 'write bias = ..query., .key.. below .block'),
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
        (f"weights@{'9' * 100}", "after @"),
        (f"weights@{'9' * 5000}", "expects a text of length <= 200"),
        ("wieghts@2", "no line 'wieghts'"),
        ("norm", "attention.norm or mlp.norm"),
        ("attention.norm@1", "no heads"),
        ("", "no line"),
        ("x" * 200, "no line"),
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
