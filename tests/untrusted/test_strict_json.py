"""JSON of files that somebody else made."""

import pytest

from clearhead.untrusted import strict_json


@pytest.mark.parametrize(
    "text",
    [
        b'{"a\xed\xa0\x80": 1}',
        b'["\\ud800"]',
        '["\ud800"]'.encode("utf-16", "surrogatepass"),
        '["\ud800"]'.encode("utf-32", "surrogatepass"),
        b'["\xff"]',
    ],
)
def test_half_characters_are_refused_however_they_are_written(text):
    """Half of a surrogate pair is no text, escaped or not, in any encoding; neither are bytes of no encoding."""
    with pytest.raises(ValueError, match=r"^it (is not utf-|holds half of a character)"):
        strict_json.loads(text, max_values=9)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_in_each_encoding_of_the_standard_is_read(encoding):
    """Characters beyond 16 bits are read, as themselves and as two escapes, in UTF-8, UTF-16 and UTF-32."""
    assert strict_json.loads('{"ä😀": "\\ud83d\\ude00"}'.encode(encoding), max_values=9) == {"ä😀": "😀"}
