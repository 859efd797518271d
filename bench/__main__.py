"""Runs the benchmarks named as arguments, or all."""

from __future__ import annotations

import sys

from bench import block, corpus, corpus_cost, diagnosis, grade, kernels, models, probing, startup, survey

BENCHMARKS = {
    "block": block.run,
    "corpus": corpus.run,
    "corpus-cost": corpus_cost.run,
    "diagnosis": diagnosis.run,
    "grade": grade.run,
    "kernels": kernels.run,
    "models": models.run,
    "probing": probing.run,
    "startup": startup.run,
    "survey": survey.run,
}


def main() -> None:
    """Runs them in order, under their names."""
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"-- {name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
