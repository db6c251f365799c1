"""The demo shop's page."""

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop import DEMO_EMAIL, DEMO_ORDER, DEMO_POSTCODE
from shop.site import DEMO_RETURN_ORDER, demo_shop_blueprint

STRINGS = Path(__file__).resolve().parents[2] / "shop" / "site" / "strings"


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("demo")
    app.register_blueprint(demo_shop_blueprint(desk_login="lea", desk_password="pass-for-the-demo"))
    return app.test_client()


@pytest.mark.parametrize(("address", "language"), [("/", "fr"), ("/en/", "en")])
def test_the_page_carries_the_widget_and_all_that_one_needs_to_try_it(
    client: FlaskClient, address: str, language: str
) -> None:
    page = client.get(address).get_data(as_text=True)
    assert f'<html lang="{language}">' in page
    assert f'<script src="/widget/widget.js" data-language="{language}"' in page
    for needed in (
        DEMO_ORDER,
        DEMO_RETURN_ORDER,
        DEMO_EMAIL,
        DEMO_POSTCODE,
        "lea",
        "pass-for-the-demo",
        'href="/desk"',
    ):
        assert needed in page
    assert "{" not in page


def test_everything_comes_from_the_shop_itself(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page
    assert client.get("/tournesol/tournesol.css").mimetype == "text/css"


def test_every_language_has_the_same_strings() -> None:
    french = json.loads((STRINGS / "fr.json").read_text(encoding="utf-8"))
    for path in STRINGS.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8")).keys() == french.keys(), path.name
