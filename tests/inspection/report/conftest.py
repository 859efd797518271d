"""What a small model does on tokens that nobody should trust."""

import pytest
from msgspec.structs import replace

from clearhead.models import load

from ...models.conftest import small  # noqa: F401 - a fixture

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "=1+2",
    "\u202egnirts",
    "a\nb",
    "\"&'",
    "a",
    "b",
    "c",
)


@pytest.fixture
def hostile(small):  # noqa: F811
    """A survey of nine tokens that look like markup, a formula, or what turns the direction of writing."""
    found = load(small).inspect([3, 16, 0, 7, 7, 11, 2, 9, 14])
    return replace(found, tokens=HOSTILE)
