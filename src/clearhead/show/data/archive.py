"""A trace as a NumPy archive: an array file for each line, and the working as JSON."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from msgspec import json

from clearhead.errors import FileError
from clearhead.show.data.plain import FORMAT, backward_of, line_of, sound
from clearhead.show.view import View
from clearhead.trace import Trace, to_numpy

INDEX = "trace.json"
FLAGS = "flags/"
SUFFIX = ".npy"


def npz(trace: Trace, view: View) -> memoryview:
    """A trace as ``.npz``, exact to the bit: `clearhead.read_trace` reads it, and ``numpy.load`` gives lines by name.

    Nothing is compressed, so that what is read is never larger than the file.

    Raises:
        FileError: a line has a name that no archive can hold.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(INDEX), json.encode(_index(trace, view)))
        for name in trace:
            _add(archive, name, trace.numpy(name))
        for name, flag in trace.flags.items():
            _add(archive, FLAGS + name, to_numpy(flag))
    return content.getbuffer()


def _index(trace: Trace, view: View) -> dict[str, object]:
    """All of a trace but its numbers."""
    return {
        "format": FORMAT,
        "title": sound(view.title),
        "deviations": [str(each) for each in view.deviations],
        "first": trace.working.label_base,
        "tokens": None if trace.tokens is None else list(map(sound, trace.tokens)),
        **({} if trace.key_tokens is None else {"key_tokens": list(map(sound, trace.key_tokens))}),
        **backward_of(trace.working),
        "lines": [line_of(trace, name, name, values=False) for name in trace.working.names],
        "flags": {name: list(flag.shape) for name, flag in trace.flags.items()},
    }


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    try:
        with archive.open(_entry(name + SUFFIX), "w", force_zip64=array.nbytes > zipfile.ZIP64_LIMIT) as file:
            rows = np.asarray(array, order="C")
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(rows))
            file.write(rows.reshape(-1).view(np.uint8).data)
    except (ValueError, zipfile.LargeZipFile) as error:
        shown = name[:100].encode("ascii", "backslashreplace").decode()
        raise FileError(
            f"{shown} cannot be named in an archive: {error}. Give the line a shorter, plainer name."
        ) from None


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a date: the same trace gives the same file."""
    return zipfile.ZipInfo(name)
