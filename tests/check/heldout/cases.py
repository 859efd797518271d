"""All cases that the diagnosis is tested with, by what they are."""

from __future__ import annotations

from . import faults_inside, faults_of_blocks, faults_of_weights, outside, pairs_and_roundings, right

FAULTY = (*faults_inside.CASES, *faults_of_weights.CASES, *faults_of_blocks.CASES, *pairs_and_roundings.CASES)
RIGHT = tuple(right.CASES)
OUTSIDE = tuple(outside.CASES)
