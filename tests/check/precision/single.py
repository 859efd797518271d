"""Numbers as somebody prints them whose code computes in single precision."""

import numpy as np

from clearhead import Claim


def in_single(problem, *lines):
    """Claims of lines of a problem, computed in float32 and printed to eight decimals: some of their digits differ."""
    arrays = {name: array.astype(np.float32) for name, array in problem.arrays.items()}
    trace = problem.working().run(arrays)
    return tuple(Claim(line, tuple(tuple(f"{x:.8f}" for x in row) for row in trace.numpy(line))) for line in lines)
