"""What people call things: the part of attention that the name of a variable speaks of."""

from __future__ import annotations

import re

_PARTS = {"q": "query", "k": "key", "v": "value", "o": "output"}
_RESULTS = {
    "query": re.compile(r"(q|quer(y|ie)s?|querys)"),
    "key": re.compile(r"(k|keys?)"),
    "value": re.compile(r"(v|values?|vals?)"),
    "scores": re.compile(r"((attn|attention|raw|dot)?(scores?|sims?|similarit(y|ies)|dots|wei|affinit(y|ies)))"),
    "input": re.compile(r"(x|inputs?|embeddings?|emb|words?|tokens?|encodings?(matrix)?|e)"),
}
_WEIGHT = re.compile(
    r"w(eights?)?(?P<after>q(uery)?|k(ey)?|v(alue)?|o(ut|utput)?)"
    r"|(?P<before>q(uery)?|k(ey)?|v(alue)?|o(ut|utput)?)(w|weights?|proj(ection)?)"
)


def role_of(name: str) -> tuple[str, int]:
    """The line that a variable seems to hold, ``""`` for none, and the head at the end of its name, 0 for none.

    >>> [role_of(name) for name in ("Q_1", "W_q2", "attn_scores", "W_0", "result")]
    [('query', 1), ('query.weight', 2), ('scores', 0), ('output.weight', 0), ('', 0)]
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("self."))
    letters, digits = re.fullmatch(r"(.*?)(\d*)", plain).groups()  # type: ignore[union-attr]
    if letters == "w" and digits in ("", "0"):
        return "output.weight", 0
    if found := _WEIGHT.fullmatch(letters):
        return f"{_PARTS[(found['after'] or found['before'])[0]]}.weight", int(digits or 0)
    role = next((role for role, pattern in _RESULTS.items() if pattern.fullmatch(letters)), "")
    return role, int(digits or 0)


def role_of_layer(parameter: str) -> tuple[str, int]:
    """The weight that a parameter of a layer holds, and its head; ``""`` for any other parameter.

    >>> [role_of_layer(name) for name in ("model.W_query.weight", "attn.q_proj.weight", "key.weight", "net.0.bias")]
    [('query.weight', 0), ('query.weight', 0), ('key.weight', 0), ('', 0)]
    """
    path, _, last = parameter.rpartition(".")
    role, head = role_of(path.rpartition(".")[2]) if last == "weight" else ("", 0)
    return (f"{role}.weight" if role in _RESULTS and role != "scores" else role, head) if role else ("", 0)
