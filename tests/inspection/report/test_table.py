"""Tables of a survey: what is written is read back, number for number."""

import csv

import numpy as np
import pytest
from pyarrow import parquet

from clearhead.errors import UnknownName

from ..reference import EPS, rounding


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_is_read_back(hostile, tmp_path):
    """Every float32 of every head and token comes back as it was; texts are spelled out, and no formula runs."""
    hostile.save(tmp_path / "x.csv", by="token")
    rows = read(tmp_path / "x.csv")
    assert len(rows) == 2 * 6 * 9
    shape = 2, 6, 9
    for column, part in (
        ("entropy", "entropy"),
        ("received_total", "received_total"),
        ("received_max", "received_max"),
    ):
        written = np.array([row[column] for row in rows], dtype=np.float32).reshape(shape)
        np.testing.assert_array_equal(written, [getattr(hostile[layer], part) for layer in (0, 1)])
    top = np.array([[row[f"top{rank}_token"] for rank in (1, 2, 3, 4)] for row in rows], dtype=int).reshape(*shape, 4)
    np.testing.assert_array_equal(top, [hostile[layer].top_keys for layer in (0, 1)])
    assert [row["text"] for row in rows[2:5]] == ["'=1+2", "\\u202egnirts", "a\\nb"]


def test_parquet_is_the_same_table(hostile, tmp_path):
    """The summary by head, with the weight in each band of distance."""
    hostile.save(tmp_path / "x.csv")
    hostile.save(tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet").to_pydict()
    rows = read(tmp_path / "x.csv")
    assert list(table) == list(rows[0])
    assert list(table)[6:] == ["self_weight", "weight_0", "weight_1", "weight_2_3", "weight_4_7", "weight_8_on"]
    for column, values in table.items():
        np.testing.assert_array_equal(np.array([row[column] for row in rows], dtype=np.float32), np.float32(values))
    shares = sum(np.array(table[column]) for column in list(table)[7:])
    np.testing.assert_allclose(shares, 1, rtol=EPS * rounding(9))


@pytest.mark.parametrize(
    ("name", "by", "said"), [("x.txt", "head", ".html, .csv, .parquet"), ("x.csv", "word", "token")]
)
def test_what_cannot_be_written_is_refused(hostile, tmp_path, name, by, said):
    """The endings and rows that there are, are told, and nothing is written."""
    with pytest.raises(UnknownName, match=said):
        hostile.save(tmp_path / name, by=by)
    assert list(tmp_path.glob("x*")) == []
