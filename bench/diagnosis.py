"""The search for causes: all sets of up to three deviations, on a block of the notebook's size.

The aim: at most one second. The claims are of a formula that no deviation gives, so nothing is found early; they are of
the last line alone, so no claim prunes on the way.
"""

from __future__ import annotations

import time

import numpy as np

from clearhead import Attention, Block, Claim, Norm, diagnose, read_problem

TOKENS, WIDTH, HEADS = 3, 2, 2


def run() -> None:
    """Prints seconds and the count of sets."""
    rng = np.random.default_rng(0)
    working = Block(Attention(HEADS), norm=Norm(gain=True)).working()
    depth = WIDTH // HEADS
    sizes = {"token": TOKENS, "model": WIDTH, "head": HEADS, "depth": depth, "head*depth": HEADS * depth}
    arrays = {given.name: rng.normal(size=[sizes[word] for word in given.axes]) for given in working.givens}
    unknown = [Claim.of("norm", rng.normal(size=(TOKENS, WIDTH)).round(6), decimals=6)]
    soccer = read_problem("soccer")
    given = {each.name: soccer.arrays[each.name] for each in soccer.textbook().givens}
    for name, claims, lines, numbers in (
        ("unexplained, last line claimed", unknown, working, arrays),
        ("soccer, twelve claims", soccer.claims, soccer.textbook(), given),
    ):
        diagnose(claims, lines, numbers)
        start = time.perf_counter()
        report = diagnose(claims, lines, numbers)
        seconds = time.perf_counter() - start
        print(f"{name:<34} {seconds:6.2f} s   {report.tried:>9,} sets of up to {report.largest}   {report.verdict}")
