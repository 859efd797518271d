import json
import math
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clearhead.show import View, as_json, render, to_data
from clearhead.show.data.plain import values_of


def _strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_form_is_the_documented_one(trace):
    """Title, deviations, lines, notes and what it takes to read it back; given arrays first; each line's fields."""
    data = _strict(render(trace, "json", View("Chaky", deviations=("softmax-over-queries",))))
    assert list(data) == ["format", "title", "deviations", "first", "tokens", "lines", "notes", "flags"]
    assert data["title"] == "Chaky"
    assert data["deviations"] == ["softmax-over-queries"]
    assert [line["name"] for line in data["lines"]] == list(trace)
    assert data["lines"][0] == {
        "name": "embedding", "operation": "given", "operands": [], "formula": None, "sizes": {},
        "axes": ["token", "model"], "dtype": "float64", "shape": [3, 2], "values": [[0, 1], [1, 1], [-1, 0]],
    }  # fmt: skip
    weights = next(line for line in data["lines"] if line["name"] == "weights")
    assert weights["operation"] == "softmax"
    assert weights["operands"] == ["scaled"]
    assert weights["formula"] == "weights[i,j] = exp(scaled[i,j])/(sum_k exp(scaled[i,k]))"
    assert weights["axes"] == ["head", "query", "key"]
    assert weights["shape"] == [2, 3, 3]
    assert weights["values"][0][0] == [1 / 3, 1 / 3, 1 / 3]


def test_nan_is_null_and_noted(trace):
    """The row that the notebook's norm cannot compute is null, and the notes say why."""
    data = to_data(trace, View())
    assert data["lines"][-1]["values"][2] == [None, None]
    assert data["notes"] == [str(note) for note in trace.notes]
    assert "soccer" in data["notes"][0]


def _back(value):
    return {None: math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value)


@given(arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=st.floats()))
def test_every_float64_reads_back_to_the_bit(array):
    """Strictly valid JSON gives back every float64 bit for bit, infinities by their names and NaN as null."""
    read = _strict(as_json(values_of(array)))
    flat = np.array(read, dtype=object).reshape(-1)
    for written, value in zip(flat, array.flat, strict=True):
        back = float(_back(written))
        assert struct.pack("d", back) == struct.pack("d", value) or (math.isnan(back) and math.isnan(value))


def test_booleans_stay_booleans(big):
    """A mask is true and false."""
    (line,) = to_data(big, View(address="attention.mask"))["lines"]
    assert all(type(value) is bool for row in line["values"] for value in row)


def test_an_address_leaves_one_line(trace):
    """With the address of a head there is that head alone, without its axis."""
    data = to_data(trace, View(address="weights@2"))
    (line,) = data["lines"]
    assert line["name"] == "weights@2"
    assert line["axes"] == ["query", "key"]
    assert line["shape"] == [3, 3]
    assert line["values"] == trace["weights@2"].tolist()
    assert data["notes"] == []


def test_a_cell_is_explained(trace):
    """With a cell comes its formula, its numbers, its value and the steps before it."""
    data = _strict(render(trace, "json", View(address="head@2", cell=(1, 1))))
    explanation = data["explanation"]
    assert explanation["cell"] == "head@2[1,1]"
    assert explanation["formula"] == "head[i,d] = sum_j weights[i,j]*value[j,d]"
    e, factors = math.e, [float(n) for n in re.findall(r"-?\d[.\d]*", explanation["numbers"])]
    assert factors == pytest.approx([1 / (2 + e), -1, e / (2 + e), 1, 1 / (2 + e), -2], rel=1e-15)
    assert explanation["value"] == trace["head"][1, 0, 0]
    assert explanation["steps"] == []
    steps = to_data(trace, View(address="norm", cell=(2, 1)))["explanation"]["steps"]
    assert [step["name"] for step in steps] == ["mean", "variance"]
    assert steps[0]["value"] == pytest.approx(trace["residual"][1].mean(), rel=1e-15)


def test_hostile_names_are_data(make_trace, hostile):
    """Any title and any token comes back as it went in; half a surrogate pair, which UTF-8 lacks, is spelled out."""
    for name in hostile:
        data = _strict(render(make_trace(tokens=["a", "b", name]), "json", View(name)))
        expected = name.replace("\ud800", "\\ud800")
        assert data["title"] == expected
        assert f"({expected})" in data["notes"][0]
