"""A hundred and more ways in which a checkpoint can be damaged, or made to harm: each spoils a sound small one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

Spoil = Callable[[Path], None]


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def parts(folder: Path) -> tuple[dict, bytes]:
    """The header and the numbers of the folder's weights."""
    data = weights(folder).read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write(folder: Path, header: dict | bytes, numbers: bytes, size: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    weights(folder).write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text + numbers)


def header(change: Callable[[dict], object]) -> Spoil:
    """Changes the header, leaving the numbers."""

    def spoil(folder: Path) -> None:
        found, numbers = parts(folder)
        change(found)
        write(folder, found, numbers)

    return spoil


FIRST, LAST = "lm_head.weight", "model.norm.weight"


def entry(key: str, value: object, name: str = FIRST) -> Spoil:
    """One thing that the header says of one array."""
    return header(lambda found: found[name].__setitem__(key, value))


def text(content: bytes) -> Spoil:
    """Other bytes in the place of the header."""
    return lambda folder: write(folder, content, parts(folder)[1])


def cut(file: str, keep: float | int) -> Spoil:
    """Only the beginning of a file."""

    def spoil(folder: Path) -> None:
        data = (folder / file).read_bytes()
        (folder / file).write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])

    return spoil


def config(**changes: object) -> Spoil:
    """Other entries in config.json; None takes one out."""

    def spoil(folder: Path) -> None:
        found = json.loads((folder / "config.json").read_text("utf-8")) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in found.items() if v is not None}))

    return spoil


def index(content: object) -> Spoil:
    """An index in the place of the single file, which becomes one of its shards."""

    def spoil(folder: Path) -> None:
        weights(folder).rename(folder / "one.safetensors")
        said = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / "model.safetensors.index.json").write_bytes(said)

    return spoil


def shard(name: str) -> Spoil:
    """An index that names another file."""
    return index({"weight_map": {FIRST: name}})


def link(file: str, target: str) -> Spoil:
    """A link in the place of a file."""

    def spoil(folder: Path) -> None:
        (folder / file).unlink()
        outside = folder.parent / "outside"
        outside.mkdir(exist_ok=True)
        (outside / "model.safetensors").write_bytes(b"secret" * 10)
        (outside / "config.json").write_text('{"secret": 1}')
        (folder / file).symlink_to(target)

    return spoil


def linked_shard(folder: Path) -> None:
    link("model.safetensors", "../outside/model.safetensors")(folder)
    weights(folder).rename(folder / "one.safetensors")
    said = {"weight_map": {FIRST: "one.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(said))


def without(name: str) -> Spoil:
    """One array less, sound otherwise."""

    def spoil(folder: Path) -> None:
        found, numbers = parts(folder)
        start, stop = found.pop(name)["data_offsets"]
        for each in found.values():
            if each.get("data_offsets", [0])[0] >= stop:
                each["data_offsets"] = [offset - (stop - start) for offset in each["data_offsets"]]
        write(folder, found, numbers[:start] + numbers[stop:])

    return spoil


def renamed(old: str, new: str) -> Spoil:
    return header(lambda found: found.__setitem__(new, found.pop(old)))


def pickled(folder: Path) -> None:
    weights(folder).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")


def two_gguf(folder: Path) -> None:
    weights(folder).unlink()
    (folder / "config.json").unlink()
    (folder / "a.gguf").write_bytes(b"GGUF")
    (folder / "b.gguf").write_bytes(b"GGUF")


SAFETENSORS: dict[str, Spoil] = {
    "empty": lambda folder: weights(folder).write_bytes(b""),
    **{f"only {n} bytes": cut("model.safetensors", n) for n in (1, 4, 7, 8, 9, 60)},
    **{f"only {share} of it": cut("model.safetensors", share) for share in (0.1, 0.3, 0.5, 0.9, 0.999)},
    "something behind": lambda folder: weights(folder).write_bytes(weights(folder).read_bytes() + b"x"),
    **{
        f"a header of {size} bytes": lambda folder, size=size: write(folder, *parts(folder), size)
        for size in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)
    },
    "no JSON": text(b"nonsense"),
    "half a JSON": text(b'{"a": {"dtype": "F32"'),
    "JSON that is a list": text(b"[1, 2]"),
    "JSON that is a number": text(b"7"),
    "JSON of another encoding": text('{"ü": 1}'.encode("latin-1")),
    "a nest": text(b"[" * 200_000),
    "a nest of objects": text(b'{"a":' * 100_000),
    "a long number": text(b'{"a": ' + b"9" * 100_000 + b"}"),
    "a name twice": text(b'{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}, "a": {}}'),
    "NaN as offset": text(b'{"a": {"dtype": "U8", "shape": [], "data_offsets": [NaN, 1]}}'),
    "an entry that is a list": header(lambda found: found.__setitem__(FIRST, [1])),
    "an entry that is null": header(lambda found: found.__setitem__(FIRST, None)),
    "an entry too many": entry("also", 1),
    "no dtype": header(lambda found: found[FIRST].pop("dtype")),
    "no shape": header(lambda found: found[FIRST].pop("shape")),
    "no offsets": header(lambda found: found[FIRST].pop("data_offsets")),
    **{f"dtype {kind!r}": entry("dtype", kind) for kind in ("F33", "", "f32", "PICKLE", 7, None, "I64", "F16", "F4")},
    **{
        f"shape {shape}": entry("shape", shape)
        for shape in (
            [-17, -12], [17, -12], [0, 12], [2**62, 4], [2**64, 2**64], [17.5, 12], "17", [17],
            [17, 12, 1, 1, 1, 1, 1, 1, 1], [12, 17], [17, 13], [[17, 12]], [10**400, 1],
        )
    },
    **{
        f"offsets {offsets}": entry("data_offsets", offsets)
        for offsets in (
            [-816, 0], [816, 0], [0, 2**63], [2**64, 2**64 + 816], [0.0, 816.5], [0], [0, 1, 2], "0", [1, 817],
            [0, 812], [-(2**70), 816],
        )
    },
    "all arrays in one place": header(
        lambda found: [each.__setitem__("data_offsets", [0, 48]) for each in found.values()]
    ),
    "two arrays that overlap": entry("data_offsets", [0, 48], LAST),
    "a gap": entry("data_offsets", [100_000, 100_048], LAST),
    "no arrays": lambda folder: write(folder, {}, b""),
    "an array less": without("model.layers.1.self_attn.k_proj.weight"),
    "no embedding": without("model.embed_tokens.weight"),
    "no norm": without(LAST),
    "another name": renamed(LAST, "model.narm.weight"),
    "a thousand names": header(
        lambda found: found.update({f"x{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 1]} for n in range(999)})
    ),
    "names of other models": header(
        lambda found: [found.__setitem__(f"{n}", found.pop(name)) for n, name in enumerate(list(found))]
    ),
}  # fmt: skip

FOLDERS: dict[str, Spoil] = {
    "index: no JSON": index(b"{"),
    "index: empty": index(b""),
    "index: no map": index({}),
    "index: a map of lists": index({"weight_map": {FIRST: ["one.safetensors"]}}),
    "index: a list": index([]),
    "index: a nest": index(b'{"weight_map":' * 50_000),
    "index: itself": shard("model.safetensors.index.json"),
    "index: a file that is missing": shard("two.safetensors"),
    "index: another array": index({"weight_map": {"other": "one.safetensors"}}),
    "index: up": shard("../outside/model.safetensors"),
    "index: far up": shard("../../../../../../etc/passwd"),
    "index: absolute": shard("/etc/passwd"),
    "index: absolute, named well": shard("/tmp/x.safetensors"),
    "index: a folder": shard("."),
    "index: nothing": shard(""),
    "index: a NUL": shard("one\0.safetensors"),
    "index: a long name": shard("x" * 5000 + ".safetensors"),
    "index: too few arrays": shard("one.safetensors"),
    "a shard that leads out": linked_shard,
    "weights that lead out": link("model.safetensors", "../outside/model.safetensors"),
    "config that leads out": link("config.json", "../outside/config.json"),
    "weights that lead in a circle": link("model.safetensors", "model.safetensors"),
    "weights that lead nowhere": link("model.safetensors", "nothing"),
    "pickled": pickled,
    "several GGUF files": two_gguf,
    "no weights": lambda folder: weights(folder).unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "config: empty": lambda folder: (folder / "config.json").write_bytes(b""),
    "config: no JSON": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe{}"),
    "config: a list": lambda folder: (folder / "config.json").write_text("[]"),
    "config: a nest": lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
    "config: no architecture": config(architectures=None),
    "config: no list of them": config(architectures="LlamaForCausalLM"),
    "config: an unknown one": config(architectures=["MambaForCausalLM"]),
    "config: no layers": config(num_hidden_layers=None),
    "config: 0 layers": config(num_hidden_layers=0),
    "config: more layers than weights": config(num_hidden_layers=3),
    "config: very many layers": config(num_hidden_layers=10**9),
    "config: layers in words": config(num_hidden_layers="two"),
    "config: heads that do not divide": config(num_attention_heads=5),
    "config: 0 heads": config(num_attention_heads=0),
    "config: more key heads": config(num_key_value_heads=12),
    "config: no key heads": config(num_key_value_heads=0),
    "config: another width": config(hidden_size=18),
    "config: a huge width": config(hidden_size=2**60),
    "config: a huge depth": config(head_dim=2**60),
    "config: another depth": config(head_dim=7),
    "config: an odd depth": config(head_dim=1),
    "config: a negative eps": config(rms_norm_eps=-1),
    "config: an activation": config(hidden_act="xielu"),
    "config: a base of 0": config(rope_theta=0),
    "config: biases that are not there": config(attention_bias=True),
    "config: longrope": config(rope_scaling={"rope_type": "longrope"}),
    "config: llama3 without a factor": config(rope_scaling={"rope_type": "llama3"}),
    "config: a head of no depth": config(head_dim=0),
}


def sound_gguf(path: Path) -> None:
    """A small GGUF file of a Llama without layers' weights."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in (("block_count", 1), ("embedding_length", 12), ("attention.head_count", 6)):
        writer.add_uint32(f"llama.{name}", value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("token_embd.weight", np.ones((4, 12), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(12, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def patched(*changes: tuple[int, str, object]) -> Spoil:
    """Numbers written over those at some bytes."""

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for place, code, value in changes:
            struct.pack_into("<" + code, data, place, value)
        path.write_bytes(data)

    return spoil


def beside(name: str, shift: int, code: str, value: object) -> Spoil:
    """A number written some bytes behind a name."""

    def spoil(path: Path) -> None:
        place = path.read_bytes().index(name.encode()) + len(name) + shift
        patched((place, code, value))(path)

    return spoil


EMBEDDING, NORM = "token_embd.weight", "output_norm.weight"

GGUF: dict[str, Spoil] = {
    "empty": lambda path: path.write_bytes(b""),
    **{
        f"only {n} bytes": lambda path, n=n: path.write_bytes(path.read_bytes()[:n])
        for n in (3, 4, 7, 8, 20, 24, 30, 60, 100, 150, 250, 300, 400)
    },
    "another magic": patched((0, "I", 7)),
    "big endian": patched((4, "I", 3 << 24)),
    "version 1": patched((4, "I", 1)),
    "many arrays": patched((8, "Q", 2**63)),
    "negative arrays": patched((8, "q", -1)),
    "an array more": patched((8, "Q", 3)),
    "many entries": patched((16, "Q", 2**40)),
    "an entry more": patched((16, "Q", 6)),
    "a long key": patched((24, "Q", 2**62)),
    "an unknown type": beside("llama.block_count", 0, "I", 99),
    "an array of arrays": beside("tokenizer.ggml.tokens", 4, "I", 9),
    "a long list": beside("tokenizer.ggml.tokens", 8, "Q", 2**61),
    "a long word": beside("tokenizer.ggml.tokens", 16, "Q", 2**61),
    "layers in words": beside("llama.block_count", 0, "I", 6),
    "many axes": beside(EMBEDDING, 0, "I", 2**31),
    "no columns": beside(EMBEDDING, 4, "Q", 0),
    "a huge axis": beside(EMBEDDING, 4, "Q", 2**63),
    "an unknown kind": beside(EMBEDDING, 20, "I", 99),
    "rows of no whole blocks": beside(EMBEDDING, 20, "I", 8),
    "an offset beyond the file": beside(EMBEDDING, 24, "Q", 2**40),
    "an offset that wraps": beside(EMBEDDING, 24, "Q", 2**64 - 32),
    "overlapping arrays": beside(NORM, 16, "Q", 0),
    "no layers' weights": lambda _path: None,
}
"""What is done to `sound_gguf`, which lacks the weights of its layer."""
