"""Opens a checkpoint: finds its family, accounts for everything in it, locates its weights; reads no numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from clearhead.compiled.program import Engine
from clearhead.errors import CheckpointError
from clearhead.files import FilePath
from clearhead.models.account import check_arrays, check_config, check_outside, check_quantised
from clearhead.models.checkpoint import Checkpoint, open_checkpoint
from clearhead.models.families import FAMILIES
from clearhead.models.families.common import COMMON, FIXED
from clearhead.models.family import Family
from clearhead.models.model import Model
from clearhead.models.reading import Reading, read_spec, text_of
from clearhead.models.scaled import with_scales
from clearhead.models.sentences import vector_notes
from clearhead.models.weights import Place, locate


def load(
    path: FilePath, *, families: Sequence[Family] = (), ignore: Collection[str] = (), engine: Engine = "auto"
) -> Model:
    """Opens a checkpoint: a directory, a .safetensors or .gguf file, or a name in the local Hugging Face cache.

    Nothing is downloaded, and the numbers stay in the file until they are needed. Every entry of the config and every
    array is accounted for: one that is neither read nor known to be without effect is an error that names it.

    Args:
        path: its path, or its name.
        families: your own tables, tried before clearhead's.
        ignore: entries of the config and arrays (``*`` matches anything) that you know to change no number.
        engine: ``"auto"`` computes one text with compiled code, if Numba is installed and the model has a million
            numbers: it takes about half of the time, and 0.6 seconds to load when it is first needed. ``"array"`` does
            without, which is faster for a single short text; ``"compiled"`` insists.

    Raises:
        CheckpointError: there is none; it is damaged, pickled, quantised or of an unknown family; or it holds something
            that may change numbers and is not read.
    """
    checkpoint = open_checkpoint(path)
    try:
        family = _family(checkpoint, (*families, *FAMILIES))
        checkpoint, scaled = with_scales(checkpoint, ignore)
        checkpoint = text_of(family, checkpoint)
        reading, places = account_for(checkpoint, family, ignore)
        reading = replace(reading, notes=(*scaled, *reading.notes, *vector_notes(checkpoint)))
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}") from None
    return Model(checkpoint, family, reading, places, engine=engine)


def account_for(
    checkpoint: Checkpoint, family: Family, ignore: Collection[str] = ()
) -> tuple[Reading, dict[str, Place]]:
    """The spec of a model and the places of its weights, with everything in the checkpoint accounted for.

    Raises:
        CheckpointError: something is missing, does not fit, or may change numbers and is not read.
    """
    check_quantised(checkpoint, ignore)
    check_outside(family, checkpoint, ignore)
    checkpoint = text_of(family, checkpoint)
    others = elsewhere(family) if family in FAMILIES else frozenset()
    notes = check_config(family, checkpoint, others, ignore)
    own, reading = _read(family.of(checkpoint.architecture), checkpoint)
    working = reading.spec.working()
    places = locate(own, checkpoint, reading, working)
    used = {name for place in places.values() if place.tensor is not None for name in place.tensor.names}
    notes += check_arrays(family, checkpoint, used, reading.sizes.layers, ignore)
    return replace(reading, notes=(*notes, *reading.notes)), places


def _read(family: Family, checkpoint: Checkpoint) -> tuple[Family, Reading]:
    """The table and its reading, with the head that a tied head stands for where the decoder has other embeddings."""
    reading = read_spec(family, checkpoint)
    head, shared = reading.spec.head, family.with_shared_head(checkpoint.tensors) if family.tied_to else None
    return (
        (family, reading)
        if head is None or not head.tied or shared is None
        else (shared, read_spec(shared, checkpoint))
    )


def elsewhere(family: Family) -> frozenset[str]:
    """Entries of a config that other families read, and that Transformers does not read in this one."""
    if not family.transformers:
        return frozenset()
    read = (each.entries() for each in FAMILIES if each.transformers)
    names = frozenset(name for entries in read for name in entries if "." not in name)
    return names - family.entries() - family.without_effect.keys() - family.fixed.keys() - COMMON.keys() - FIXED.keys()


def _family(checkpoint: Checkpoint, families: Sequence[Family]) -> Family:
    for family in families:
        if checkpoint.architecture in family.architectures:
            return family
    nearest = max(families, key=lambda family: len(_found(checkpoint, family)) / len(_rows(family)))
    found = _found(checkpoint, nearest)
    rest = [name for name in checkpoint.tensors if name not in found][:3]
    raise CheckpointError(
        f"unknown family: there is no table for the architecture {checkpoint.architecture[:60]!r}. By its arrays the "
        f"nearest is {nearest.name}, whose table finds {len(found) / len(_rows(nearest)):.0%} of what it looks for"
        f"{'; other arrays are such as ' + ', '.join(rest) if rest else ''}. To add the family, copy that table, "
        f"change what differs, and give it to load(..., families=[...]); see clearhead.Family."
    )


def _rows(family: Family) -> list[str]:
    return [name.replace("{n}", "0") for name in family.arrays if family.listed(name) is None]


def _found(checkpoint: Checkpoint, family: Family) -> set[str]:
    """The arrays that a table finds, of the first layer and outside the layers."""
    found = (family.find(name, checkpoint.tensors) for name in _rows(family))
    return {name for each in found if each is not None for name in each[0].names}
