"""Parts that tables of families share."""

from clearhead.models.families.parts import FULL, SLIDING, every


def test_the_last_layer_of_a_pattern_is_full():
    """Counted from 0, a pattern of three has windows in layers 0 and 1 and none in layer 2, and so on."""
    assert [every(layer, 3) for layer in range(6)] == [SLIDING, SLIDING, FULL] * 2
    assert [every(layer, 1) for layer in range(2)] == [FULL, FULL]
