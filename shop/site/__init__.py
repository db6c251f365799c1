"""The page of the demo shop, Librairie Tournesol: an invented bookshop's front, with the chat widget and all one needs to try it.

Every text is in `strings/<language>.json`; a language is added by adding a file. What the window shows is what the demo
orders contain.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from babel.numbers import format_currency
from flask import Blueprint, render_template

from shop.demo import DEMO_EMAIL, DEMO_ORDER, DEMO_POSTCODE

_HERE = Path(__file__).resolve().parent
_FIRST_LANGUAGE = "fr"
DEMO_RETURN_ORDER = "CMD-2026-104000"
"""The demo customer's order that has arrived and may be sent back."""

__all__ = ["DEMO_RETURN_ORDER", "demo_shop_blueprint"]


def demo_shop_blueprint(*, desk_login: str, desk_password: str) -> Blueprint:
    """`/` in French and `/<language>/` in every other language that has strings; style under `/tournesol/`.

    `desk_login` and `desk_password` are shown to whoever visits: they belong to a demo and nowhere else.
    """
    site = Blueprint(
        "demo_shop", __name__, template_folder="templates", static_folder="static", static_url_path="/tournesol"
    )
    strings = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((_HERE / "strings").glob("*.json"))
    }
    window = json.loads((_HERE / "window.json").read_text(encoding="utf-8"))
    demo = {
        "order": DEMO_ORDER,
        "return_order": DEMO_RETURN_ORDER,
        "email": DEMO_EMAIL,
        "postcode": DEMO_POSTCODE,
        "login": desk_login,
        "password": desk_password,
    }

    def page(language: str) -> str:
        def price(cents: int) -> str:
            return str(format_currency(cents / 100, "EUR", locale=language))

        return render_template(
            "demo_shop/front.html",
            language=language,
            languages={code: (_address(code), texts["language"]) for code, texts in strings.items()},
            say=_filled(strings[language], demo),
            window=window,
            demo=demo,
            price=price,
        )

    for language in strings:
        site.add_url_rule(_address(language), f"front_{language}", lambda language=language: page(language))
    return site


def _address(language: str) -> str:
    return "/" if language == _FIRST_LANGUAGE else f"/{language}/"


def _filled(texts: Any, facts: dict[str, str]) -> Any:
    """`texts` with the demo's facts in their {places}."""
    if isinstance(texts, str):
        return texts.format_map(facts)
    if isinstance(texts, list):
        return [_filled(text, facts) for text in texts]
    return {key: _filled(text, facts) for key, text in texts.items()}
