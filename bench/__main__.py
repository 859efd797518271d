"""Runs the benchmarks named as arguments, or all."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from bench import (
    block,
    cold,
    corpus,
    corpus_cost,
    diagnosis,
    grade,
    kernels,
    memory,
    page,
    probing,
    startup,
    survey,
    targets,
)

BENCHMARKS = {
    "block": block.run,
    "cold": cold.run,
    "corpus": corpus.run,
    "corpus-cost": corpus_cost.run,
    "diagnosis": diagnosis.run,
    "grade": grade.run,
    "gradients": kernels.gradients,
    "kernels": kernels.run,
    "memory": memory.run,
    "models": targets.run,
    "page": page.run,
    "probing": probing.run,
    "startup": startup.run,
    "survey": survey.run,
}


def machine() -> str:
    """What the figures are of: the processor, its cores, and the BLAS of each library that is loaded."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("ascii", "replace").splitlines() if cpuinfo.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    libraries = [each for each in threadpool_info() if each["user_api"] == "blas"]
    products = ", ".join(f"{each['internal_api']} {each['version']} ({each.get('architecture')})" for each in libraries)
    return f"{name}, {os.cpu_count()} cores, NumPy {np.__version__}, {products}"


def main() -> None:
    """Runs them in order, under their names."""
    print(machine())
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"-- {name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
