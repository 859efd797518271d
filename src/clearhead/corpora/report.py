"""The report of a corpus: one HTML file without scripts, heads by layers for each measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from clearhead.corpora.clusters import clusters, is_constant
from clearhead.corpora.exact import Numbers
from clearhead.corpora.measures import Measure
from clearhead.corpora.observer import typical_rows
from clearhead.corpora.result import Corpus, differences
from clearhead.errors import visible

CELL = 14
MAX_FAULTS, MAX_LISTED = 20, 10
MAX_EXAMPLES = 3
"""Heads for which examples are listed, of each measure."""

MAX_PAIRS = 5
"""Pairs of tokens that are listed of each head."""

REOPENED = (
    "Places are kept, not texts. In Python <code>clearhead.corpora.open_corpus(folder)</code> gives the corpus. "
    "Its methods <code>examples(measure, layer, head)</code> and <code>text(example)</code> read a text again, and "
    "<code>clearhead.load(checkpoint).trace(text).save(&quot;page.html&quot;)</code> shows it."
)
"""How to see a document that is listed, in HTML."""

ROUNDING = 1e-6
"""Differences below this part of the largest mean count as rounding: what a head's tokens receive is 1 on average."""

FAINTEST = 0.06
"""The opacity of the least head of a picture."""

STYLE = f"""
:root {{ color-scheme: light dark; --text: #1c1c1c; --quiet: #555; --page: #fff; --line: #ddd; --cell: #08306b;
  --notice: #fff3cd }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e6e6e6; --quiet: #a8a8a8; --page: #161616; --line: #3a3a3a;
  --cell: #9ecbff; --notice: #4a3c0a }} }}
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: var(--text);
  background: var(--page) }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.15rem; margin-top: 2rem }} h3 {{ font-size: 1rem; margin: 0 }}
.maps {{ display: flex; flex-wrap: wrap; gap: 1.5rem }} figure {{ margin: 0; max-width: 22rem }}
figcaption {{ font-size: .85rem; color: var(--quiet) }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td, th {{ padding: .15rem .6rem; text-align: left; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }}
th, .wide td {{ overflow-wrap: normal }} .notice {{ background: var(--notice); padding: .5rem .8rem }}
code {{ background: var(--line); border-radius: 3px; padding: 0 .2rem; white-space: pre-wrap; overflow-wrap: anywhere }}
rect {{ width: {CELL - 1}px; height: {CELL - 1}px; fill: var(--cell) }} text {{ font-size: 9px; fill: var(--quiet) }}
"""


TABLE, TABLE_END = '<div class="wide" tabindex="0"><table>', "</table></div>"
"""A table that is too wide scrolls, by the keyboard too."""

VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
END = "</main></body></html>\n"
"""The end of every report; with a comparison it has another section before that."""


def report(corpus: Corpus, against: Corpus | None = None) -> str:
    """A page on a corpus, and on its differences from another."""
    parts = [*_head(corpus), *_notices(corpus)]
    if not corpus.empty:
        parts += [*_maps(corpus), *_clusters(corpus), *_examples(corpus), *_pairs(corpus), *_cuts(corpus)]
        parts += [] if against is None or against.empty else _compared(corpus, against)
    title = escape(_words(corpus.plan.model))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{VIEWPORT}<title>{title}</title><style>{STYLE}</style>'
        f"<body><main>{''.join(parts)}{END}"
    )


def _words(text: str) -> str:
    return visible(text)


def _head(corpus: Corpus) -> Iterator[str]:
    documents, sequences, tokens = corpus.counts
    options = corpus.plan.options
    yield f"<h1>{escape(_words(corpus.plan.model))}</h1>"
    yield (
        f"<p>{documents:,} documents, {sequences:,} sequences of at most {options.length} tokens ({options.fit}), "
        f"{tokens:,} tokens. Every weight was computed, and none was stored. Layers and heads count from 0.</p>"
    )
    mean, low, high = corpus.loss()
    if not np.isnan(mean):
        yield f"<p>Next-token loss: {mean:.4f} nats ({low:.4f} to {high:.4f}).</p>"


def _notices(corpus: Corpus) -> Iterator[str]:
    plan = corpus.plan
    if corpus.missing:
        left = sum(shard.documents for shard in plan.shards if shard.name in set(corpus.missing))
        yield (
            f'<p class="notice">Partial: {len(corpus.missing):,} of {len(plan.shards):,} shards are missing, with '
            f"{left:,} of {plan.documents:,} documents. Run the same command to go on.</p>"
        )
    for note in corpus.notes:
        yield f'<p class="notice">{escape(note)}</p>'
    if len(corpus.tally["processor"]) > 1:
        kinds = escape(", ".join(map(_words, sorted(corpus.tally["processor"]))))
        yield f'<p class="notice">Computed on several kinds of processor ({kinds}), whose last bits may differ.</p>'
    if corpus.failed:
        yield f"<h2>Documents that could not be read</h2>{TABLE}<tr><th>why<th>how many<th>which</tr>"
        for fault, numbers in list(corpus.failed.items())[:MAX_FAULTS]:
            places = (plan.place(number) for number in numbers[:MAX_LISTED])
            which = ", ".join(f"{_words(file.path)}:{number}" for file, number in places)
            yield f"<tr><td>{escape(_words(fault))}<td>{len(numbers):,}<td>{escape(which)}</tr>"
        yield TABLE_END


def _maps(corpus: Corpus) -> Iterator[str]:
    yield "<h2>Heads and layers</h2><p>Each square is a head: its mean over all tokens, from faint (the least of the "
    yield 'picture) to full (the most). Point at one for its number and its 95 % interval.</p><div class="maps">'
    for row in corpus.measures:
        low, high = corpus.interval(row.name)
        numbers = corpus.mean(row.name)
        if np.any(numbers):
            yield _figure(row, numbers, [f"{a:.4g} to {b:.4g}" for a, b in zip(low.flat, high.flat, strict=True)])
    yield "</div>"


def _figure(row: Measure, numbers: Numbers, ranges: Sequence[str]) -> str:
    source = f" ({escape(row.source)})" if row.source else ""
    least, most = np.nanmin(numbers), np.nanmax(numbers)
    unit = "" if row.unit == "weight" else f" {row.unit}"
    span = f"{most:.3g}{unit} for every head" if is_constant(numbers) else f"From {least:.3g} to {most:.3g}{unit}"
    return (
        f"<figure><h3>{escape(row.name)}</h3>{_map(row.name, numbers, ranges)}"
        f"<figcaption>{escape(row.sentence)}{source} "
        f"{span}.</figcaption></figure>"
    )


def _map(name: str, numbers: Numbers, ranges: Sequence[str]) -> str:
    """Heads from left to right, layers from the top."""
    layers, heads = numbers.shape
    least, spread = np.nanmin(numbers), np.inf if is_constant(numbers) else np.nanmax(numbers) - np.nanmin(numbers)
    cells = []
    for place, value in enumerate(numbers.flat):
        layer, head = divmod(place, heads)
        shown = FAINTEST + (1 - FAINTEST) * (value - least) / spread
        cells.append(
            f'<rect x="{20 + head * CELL}" y="{layer * CELL}" opacity="{shown:.3f}">'
            f"<title>layer {layer}, head {head}: {value:.4g} ({ranges[place]})</title></rect>"
        )
    marks = "".join(f'<text x="0" y="{n * CELL + 10}">{n}</text>' for n in range(0, layers, max(1, layers // 6)))
    size = f'width="{24 + heads * CELL}" height="{layers * CELL + 4}"'
    label = f'role="img" aria-label="{escape(name)}: {layers} layers from the top, {heads} heads from the left"'
    return f"<svg {size} {label}>{marks}{''.join(cells)}</svg>"


def _clusters(corpus: Corpus) -> Iterator[str]:
    found = clusters(corpus)
    if not found:
        return
    yield "<h2>Heads that behave alike</h2><p>Clusters by average linkage of all measures, each scaled to its spread "
    yield "over heads. Beside each are the measures in which its mean lies farthest from that of all heads.</p>"
    yield f"{TABLE}<tr><th>heads<th>stands out by<th>layer.head</tr>"
    for each in found:
        words = ", ".join(f"{name} {deviation:+.1f} sd" for name, deviation in each.apart)
        listed = ", ".join(f"{layer}.{head}" for layer, head in each.heads)
        yield f"<tr><td>{len(each.heads)}<td>{escape(words)}<td>{listed}</tr>"
    yield TABLE_END


def _examples(corpus: Corpus) -> Iterator[str]:
    yield f"<h2>Documents that show a head</h2><p>{REOPENED}</p>"
    yield f"{TABLE}<tr><th>measure<th>head<th>mean<th>documents (file:number)</tr>"
    for name in (corpus.measures[row].name for row in typical_rows(corpus.measures)):
        means = corpus.mean(name)
        for place in np.argsort(-means, axis=None, kind="stable")[:MAX_EXAMPLES]:
            layer, head = divmod(int(place), corpus.plan.heads)
            found = (f"{_words(e.path)}:{e.number} ({e.value:.3g})" for e in corpus.examples(name, layer, head))
            yield f"<tr><td>{name}<td>{layer}.{head}<td>{means.flat[place]:.3g}<td>{escape(', '.join(found))}</tr>"
    yield TABLE_END


def _pairs(corpus: Corpus) -> Iterator[str]:
    """The strongest pairs of tokens of every head, folded up by layer."""
    found = {place: corpus.pairs(*place)[:MAX_PAIRS] for place in np.ndindex(corpus.plan.layers, corpus.plan.heads)}
    if not any(found.values()):
        return
    yield "<h2>Pairs of tokens that attract most</h2><p>The token that attends &rarr; the token that gets "
    yield "the largest of its weights, unless that is itself or one of the first four; and the sum of these weights "
    yield "in the sequence in which it is largest.</p>"
    for layer in range(corpus.plan.layers):
        yield f"<details><summary>Layer {layer}</summary>{TABLE}<tr><th>head<th>pairs</tr>"
        for head in range(corpus.plan.heads):
            words = (f"{_token(each.query)} &rarr; {_token(each.key)} {each.weight:.3g}" for each in found[layer, head])
            yield f"<tr><td>{layer}.{head}<td>{', '.join(words)}</tr>"
        yield f"{TABLE_END}</details>"


def _token(text: str) -> str:
    return f"<code>{escape(_words(text))}</code>"


def _cuts(corpus: Corpus) -> Iterator[str]:
    """How the mean over all heads depends on position and group."""
    for cut, heading in (("position", "first position of the bin"), ("group", "group")):
        labels = corpus.tally.labelled("counts", cut)
        if not labels:
            continue
        table = corpus.table(cut)  # type: ignore[arg-type]  # one of the two
        names = [row.name for row in corpus.measures if not row.name.startswith("distance_")]
        yield f"<h2>By {cut}</h2><p>Means over all heads.</p>{TABLE}<tr><th>{heading}<th>tokens"
        yield "".join(f"<th>{escape(name)}" for name in names) + "</tr>"
        columns = {name: np.asarray(table[name]) for name in ("measure", cut, "tokens", "mean")}
        for label in dict.fromkeys(columns[cut].tolist()):
            own = columns[cut] == label
            means = (columns["mean"][own & (columns["measure"] == name)].mean() for name in names)
            name = "<em>no value</em>" if label is None else escape(_words(str(label)))
            yield f"<tr><td>{name}<td>{columns['tokens'][own][0]:,}"
            yield "".join(f"<td>{mean:.3g}" for mean in means) + "</tr>"
        yield TABLE_END


def _compared(corpus: Corpus, other: Corpus) -> Iterator[str]:
    """The heads that differ, by measure."""
    files = [_words(each.path) for each in other.plan.files]
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    yield f"<h2>Against {escape(_words(other.plan.model))}</h2>"
    yield f"<p>That one: {other.counts[0]:,} documents of {escape(files[0])}{more}.</p>"
    if other.missing:
        count = len(other.plan.shards)
        yield f'<p class="notice">That one is partial: {len(other.missing):,} of {count:,} shards are missing.</p>'
    yield "<p>This less the other, with 95 % intervals. Listed are the heads whose interval does not hold 0, the "
    yield "largest differences first. What is less than a millionth of a measure's largest mean counts as rounding.</p>"
    yield f"{TABLE}<tr><th>measure<th>heads that differ<th>largest</tr>"
    for row in corpus.measures:
        if row.name in {each.name for each in other.measures}:
            yield _difference(corpus, other, row.name)
    yield TABLE_END


def _difference(corpus: Corpus, other: Corpus, name: str) -> str:
    """The row of a measure."""
    found = differences(other, corpus, name)
    size = abs(found["difference"])
    least = ROUNDING * max(abs(corpus.mean(name)).max(), abs(other.mean(name)).max())
    differ = ((found["low"] > 0) | (found["high"] < 0)) & (size > least)
    order = np.argsort(-np.where(differ, size, 0), axis=None, kind="stable")[:MAX_EXAMPLES]
    words = []
    for place in order[differ.flat[order]]:
        layer, head = divmod(int(place), corpus.plan.heads)
        low, middle, high = (found[each].flat[place] for each in ("low", "difference", "high"))
        words.append(f"{layer}.{head}: {middle:+.3g} ({low:+.3g} to {high:+.3g})")
    return f"<tr><td>{escape(name)}<td>{int(differ.sum())} of {differ.size}<td>{', '.join(words)}</tr>"
