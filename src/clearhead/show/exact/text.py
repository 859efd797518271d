"""Exact numbers as text, in the grammar in which problem files and claims are written."""

from __future__ import annotations

from typing import Any

from clearhead.extras import need


def exact_text(expr: Any) -> str:
    """An expression of SymPy as text: ``e^2/(1 + 2*e^2)``, ``sqrt(2)/2``, ``-7/6``."""
    printing = need("sympy.printing.str", "exact")

    class Printer(printing.StrPrinter):  # type: ignore[misc, name-defined]
        """SymPy's own, with the words of our grammar."""

        def _print_exp(self, expr: Any) -> str:
            exponent = expr.args[0]
            plain = exponent.is_Integer and exponent > 0
            return f"e^{exponent}" if plain else f"e^({self._print(exponent)})"

        def _print_Exp1(self, _: Any) -> str:  # noqa: N802 - SymPy's name
            return "e"

        def _print_Infinity(self, _: Any) -> str:  # noqa: N802 - SymPy's name
            return "inf"

        def _print_NegativeInfinity(self, _: Any) -> str:  # noqa: N802 - SymPy's name
            return "-inf"

        def _print_Abs(self, expr: Any) -> str:  # noqa: N802 - SymPy's name
            return f"abs({self._print(expr.args[0])})"

        def _print_log(self, expr: Any) -> str:
            return f"ln({self._print(expr.args[0])})"

    return str(Printer({"order": "grlex"}).doprint(expr)).replace("**", "^")
