"""The journeys, through the real Rasa server: every message by its REST channel, our readings and actions behind it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import bot
import shop
from bot import Dialogue, DialogueUnavailable, Rendered, Renderer
from store import Database, migrate, utc_now
from tests.bot.world import DELIVERY, TestWorld, read

ROOT = Path(__file__).resolve().parent.parent.parent
RASA_PYTHON = ROOT / "bot" / ".venv" / "bin" / "python"

pytestmark = [pytest.mark.rasa, pytest.mark.timeout(400)]


class House:
    """What Rasa calls back, on a loopback port; `broken` names what answers with an error for the moment."""

    def __init__(self, world: TestWorld) -> None:
        self.world = world
        self.executor = world.executor()
        self.broken: set[str] = set()
        house = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body, status = house.answer(self.path, call)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, call: dict[str, Any]) -> tuple[dict[str, Any], int]:
        if path == "/nlu/model/parse":
            if "nlu" in self.broken or call["token"] != "secret":
                return {}, 500
            return bot.nlu_response(read(call["text"]), 0.5), 200
        if path == "/actions?token=secret":
            if "actions" in self.broken or call["next_action"] in self.broken:
                return {}, 500
            return bot.run_action(self.executor, call)
        return {}, 404


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'comptoir.db'}")
    migrate(database)
    with database.begin() as session:
        shop.seed(session, now=utc_now())
    house = House(TestWorld(database))
    yield house
    house.server.shutdown()
    database.dispose()


@pytest.fixture(scope="session")
def rasa(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dialogue]:
    """The one Rasa server of the test run."""
    if not RASA_PYTHON.exists():
        pytest.fail(f"{RASA_PYTHON} is missing: run `make install`")
    folder = tmp_path_factory.mktemp("rasa")
    models = ROOT / "var" / "rasa" / "models"
    bot.train_dialogue(RASA_PYTHON, models)
    endpoints = folder / "endpoints.yml"
    bot.write_endpoints(
        endpoints,
        nlu_url=f"{house.url}/nlu",
        action_url=f"{house.url}/actions",
        tracker_db=folder / "tracker.db",
        token="secret",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = bot.rasa_command(RASA_PYTHON, port=port, models=models, endpoints=endpoints)
    log = folder / "rasa.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command.argv, env={**os.environ, **command.env}, cwd=command.cwd, stdout=out, stderr=subprocess.STDOUT
        )
    dialogue = Dialogue(f"http://127.0.0.1:{port}", timeout=30)
    try:
        deadline = time.monotonic() + 180
        while not dialogue.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield dialogue
        assert "InMemoryTrackerStore" not in log.read_text()
    finally:
        dialogue.close()
        process.terminate()
        process.wait(20)


@dataclass
class Shopper:
    """Somebody who chats. `say` gives the bot's answer as the shopper would see it, several bubbles as one."""

    dialogue: Dialogue
    house: House
    conversation_id: str
    kinds: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()

    def say(self, text: str) -> str:
        rendered = [_RENDERER.render(payload, self.language) for payload in self.turn(text)]
        return self._seen(rendered)

    def turn(self, text: str, key: str | None = None) -> list[dict[str, Any]]:
        return self.dialogue.turn(f"{self.conversation_id}:1", text, key=key)

    def _seen(self, rendered: list[Rendered]) -> str:
        self.kinds = tuple(one.kind for one in rendered)
        self.buttons = tuple(button.text for one in rendered for button in one.buttons)
        return "\n".join(one.text for one in rendered)

    @property
    def language(self) -> str:
        return self.house.world.desk.language_of(self.conversation_id)

    @property
    def handed_over(self) -> str | None:
        return self.house.world.desk.handed_over.get(self.conversation_id)


_RENDERER = Renderer()


@pytest.fixture
def shopper(rasa: Dialogue, house: House) -> Shopper:
    return Shopper(rasa, house, str(uuid.uuid4()).replace("e", "f"))


@pytest.fixture
def english(rasa: Dialogue, house: House) -> Shopper:
    return Shopper(rasa, house, f"en-{uuid.uuid4()}")


def _sign_in(shopper: Shopper, email: str) -> None:
    with shopper.house.world.database.read() as session:
        customer = shop.customer_by_email(session, email)
        assert customer is not None
    shopper.house.world.desk.customers[shopper.conversation_id] = customer.id


def _refusing_order(shopper: Shopper, state: shop.OrderState) -> tuple[str, str]:
    """The number and e-mail of some order in `state`."""
    with shopper.house.world.database.read() as session:
        order = session.scalars(select(shop.Order).where(shop.Order.state == state)).first()
        assert order is not None
        return order.number, order.customer.email


# Journey 1


def test_an_order_is_tracked_after_its_email_is_given(shopper: Shopper) -> None:
    asked = shopper.say("bonjour où en est ma commande 104233 ?")
    assert shopper.kinds == ("ask_order_proof",)
    assert "104233" in asked
    status = shopper.say(shop.DEMO_EMAIL)
    assert shopper.kinds == ("order_status",)
    assert shop.DEMO_ORDER in status
    assert "Colissimo" in status
    assert shopper.house.world.desk.customers[shopper.conversation_id]


def test_in_english_number_and_postcode_are_asked_for_one_by_one(english: Shopper) -> None:
    english.say("where is my order?")
    assert english.kinds == ("ask_order_number",)
    english.say("104233")
    assert english.kinds == ("ask_order_proof",)
    assert "on its way" in english.say(shop.DEMO_POSTCODE)


def test_everything_in_one_message_is_enough(shopper: Shopper) -> None:
    shopper.say(f"où en est ma commande 104233, {shop.DEMO_POSTCODE} Lyon")
    assert shopper.kinds == ("order_status",)


def test_a_proven_order_is_shown_again_without_proof(shopper: Shopper) -> None:
    shopper.say("104233")
    shopper.say(shop.DEMO_EMAIL)
    shopper.say("où en est ma commande ?")
    assert shopper.kinds == ("order_status",)


def test_proving_one_order_does_not_open_the_customers_others(shopper: Shopper) -> None:
    shopper.say("104233")
    shopper.say(shop.DEMO_POSTCODE)
    shopper.say("104000")
    assert shopper.kinds == ("ask_order_proof",)


def test_an_email_out_of_the_blue_starts_the_journey(shopper: Shopper) -> None:
    shopper.say(shop.DEMO_EMAIL)
    assert shopper.kinds == ("ask_order_number",)
    shopper.say("104233")
    assert shopper.kinds == ("order_status",)


def test_a_signed_in_customer_chooses_among_the_latest_orders(shopper: Shopper) -> None:
    _sign_in(shopper, shop.DEMO_EMAIL)
    shopper.say("où en est ma commande ?")
    assert shopper.kinds == ("ask_which_order",)
    assert shop.DEMO_ORDER in shopper.buttons
    shopper.say(shop.DEMO_ORDER)
    assert shopper.kinds == ("order_status",)


def test_unknown_number_and_wrong_email_get_the_same_words(shopper: Shopper, rasa: Dialogue, house: House) -> None:
    shopper.say("104233")
    wrong_email = shopper.say("someone@example.org")
    other = Shopper(rasa, house, f"x{uuid.uuid4()}")
    other.say("999999")
    unknown = other.say("someone@example.org")
    assert wrong_email.replace("104233", "N") == unknown.replace("999999", "N")
    assert shopper.buttons == other.buttons


def test_either_the_proof_or_the_number_can_be_corrected(shopper: Shopper, english: Shopper) -> None:
    shopper.say("104233")
    shopper.say("75001")
    assert shopper.kinds == ("proof_refused",)
    shopper.say(shop.DEMO_POSTCODE)
    assert shopper.kinds == ("order_status",)
    english.say("104999")
    english.say(shop.DEMO_EMAIL)
    assert english.kinds == ("proof_refused",)
    english.say("no, 104233")
    assert english.kinds == ("order_status",)


def test_after_five_wrong_tries_a_human_is_offered_and_nothing_else_is_tried(shopper: Shopper) -> None:
    shopper.say("104240")
    for postcode in ("00001", "00002", "00003", "00004"):
        shopper.say(postcode)
        assert shopper.kinds == ("proof_refused",)
    shopper.say("00005")
    assert shopper.kinds == ("throttled",)
    assert shopper.buttons == ("Parler à un conseiller",)
    for again in ("où en est ma commande ?", "104240", "00006", "je veux renvoyer un livre"):
        shopper.say(again)
        assert shopper.kinds == ("throttled",)
    assert shopper.say("oui") == ""
    assert shopper.handed_over == "offered"


# Journey 2


def test_a_book_is_returned(shopper: Shopper) -> None:
    shopper.say("je veux renvoyer un livre")
    assert shopper.kinds == ("ask_order_number",)
    shopper.say("104000")
    shopper.say(shop.DEMO_EMAIL)
    assert shopper.kinds == ("ask_return_item",)
    assert len(shopper.buttons) == 3
    assert "24,90" in shopper.say("le livre de cuisine, Cuisiner les restes")
    assert shopper.kinds == ("ask_return_confirmation",)
    assert "RET-" in shopper.say("oui")
    assert shopper.kinds == ("return_created",)
    shopper.say("je veux renvoyer un livre")
    assert shopper.kinds == ("ask_return_item",)
    assert "RET-" in shopper.say("1")
    assert shopper.kinds == ("return_refused_already_returned",)


def test_in_english_an_item_is_chosen_by_its_button_and_an_e_book_is_refused(english: Shopper) -> None:
    english.say("I want to return something from order 104000")
    english.say(shop.DEMO_POSTCODE)
    ebook = next(text for text in english.buttons if "Manuel du potager" in text)
    english.say(ebook)
    assert english.kinds == ("return_refused_digital",)
    assert english.buttons == ("Talk to an adviser",)


def test_a_return_needs_a_yes_and_may_be_given_up(shopper: Shopper) -> None:
    shopper.say(f"je veux renvoyer un article de la commande 104000, {shop.DEMO_EMAIL}")
    shopper.say("le t-shirt")
    assert shopper.kinds == ("ask_return_confirmation",)
    shopper.say("mmh")
    assert shopper.kinds == ("ask_return_confirmation_again",)
    shopper.say("non")
    assert shopper.kinds == ("return_abandoned",)
    shopper.say("oui")
    assert shopper.kinds == ("accepted",)


def test_an_order_on_its_way_or_cancelled_is_not_returned(shopper: Shopper) -> None:
    shopper.say(f"je veux renvoyer un livre de la commande 104233, {shop.DEMO_EMAIL}")
    assert shopper.kinds == ("return_refused_not_delivered",)
    number, email = _refusing_order(shopper, shop.OrderState.CANCELLED)
    shopper.say(f"je veux renvoyer la commande {number}, {email}")
    assert shopper.kinds == ("return_refused_cancelled",)


def test_at_the_confirmation_nothing_is_put_to_the_faq(shopper: Shopper) -> None:
    shopper.say(f"je veux renvoyer un article de la commande 104000, {shop.DEMO_EMAIL}")
    shopper.say("le t-shirt")
    shopper.say("je veux le renvoyer, quel délai")
    assert shopper.kinds == ("ask_return_confirmation_again",)


def test_the_order_just_discussed_is_the_one_returned(shopper: Shopper) -> None:
    shopper.say(f"où en est ma commande 104000, {shop.DEMO_EMAIL}")
    shopper.say("je veux renvoyer un livre")
    assert shopper.kinds == ("ask_return_item",)


def test_another_number_in_the_middle_of_a_return_begins_anew_with_it(shopper: Shopper) -> None:
    shopper.say(f"je veux renvoyer un article de la commande 104000, {shop.DEMO_EMAIL}")
    shopper.say("2")
    assert shopper.kinds == ("ask_return_confirmation",)
    shopper.say("104233")
    assert shopper.kinds == ("ask_order_proof",)
    shopper.say(shop.DEMO_EMAIL)
    assert shopper.kinds == ("return_refused_not_delivered",)


# In any form


@pytest.mark.parametrize("opening", ["où en est ma commande ?", "je veux renvoyer un livre", "104233"])
def test_a_human_is_fetched_in_the_middle_of_a_form_without_a_word(shopper: Shopper, opening: str) -> None:
    shopper.say(opening)
    assert shopper.say("je veux parler à quelqu'un") == ""
    assert shopper.handed_over == "asked"
    shopper.say("bonjour")
    assert shopper.kinds == ("greet",)


def test_another_subject_leaves_the_form(shopper: Shopper) -> None:
    shopper.say("où en est ma commande ?")
    shopper.say("quels sont les délais ?")
    assert shopper.kinds == ("faq_answer",)
    shopper.say("bonjour")
    assert shopper.kinds == ("greet",)


def test_a_return_takes_over_the_number_from_tracking(shopper: Shopper) -> None:
    shopper.say("104000")
    shopper.say("je veux renvoyer un livre")
    assert shopper.kinds == ("ask_order_proof",)
    shopper.say(shop.DEMO_EMAIL)
    assert shopper.kinds == ("ask_return_item",)


@pytest.mark.parametrize("stop", ["stop", "laisse tomber", "non"])
def test_stop_leaves_the_form_politely(shopper: Shopper, stop: str) -> None:
    shopper.say("je veux renvoyer un livre")
    shopper.say(stop)
    assert shopper.kinds == ("stopped",)
    shopper.say("104233")
    assert shopper.kinds == ("ask_order_proof",)


def test_who_does_not_know_the_number_hears_where_it_stands(shopper: Shopper) -> None:
    shopper.say("où en est ma commande ?")
    shopper.say("je sais pas")
    assert shopper.kinds == ("ask_order_number_again",)
    shopper.say("104233")
    assert shopper.kinds == ("ask_order_proof",)


def test_courtesies_and_chatter_do_not_lose_the_form(shopper: Shopper) -> None:
    shopper.say("où en est ma commande ?")
    shopper.say("merci")
    assert shopper.kinds == ("thanks", "ask_order_number")
    shopper.say("quelle est la capitale de la France ?")
    assert shopper.kinds == ("out_of_scope", "ask_order_number")
    shopper.say("104233")
    assert shopper.kinds == ("ask_order_proof",)
    shopper.say("au revoir")
    assert shopper.kinds == ("goodbye",)
    shopper.say("bonjour")
    assert shopper.kinds == ("greet",)


def test_a_question_that_also_opens_a_form_is_answered_first(shopper: Shopper) -> None:
    assert "**2 à 4**" in shopper.say("quel est le délai pour renvoyer un livre ?")
    assert shopper.kinds == ("faq_answer", "ask_order_number")
    shopper.say("et le délai pour renvoyer un disque ?")
    assert shopper.kinds == ("faq_answer", "ask_order_number")
    shopper.say("104233")
    assert shopper.kinds == ("ask_order_proof",)


def test_what_the_faq_knows_is_no_chatter(shopper: Shopper) -> None:
    assert "**2 à 4**" in shopper.say("quel délai pour la capitale ?")
    assert shopper.kinds == ("faq_answer",)


def test_after_two_answers_of_no_use_a_human_is_offered(shopper: Shopper) -> None:
    shopper.say("où en est ma commande ?")
    shopper.say("blabla")
    assert shopper.kinds == ("ask_order_number_again",)
    assert shopper.buttons == ()
    shopper.say("blabla")
    assert shopper.buttons == ("Parler à un conseiller",)
    assert shopper.say("oui") == ""
    assert shopper.handed_over == "offered"


# Everything else


def test_questions_are_answered_suggested_or_honestly_not_known(shopper: Shopper) -> None:
    assert "**2 à 4**" in shopper.say("quels sont les délais ?")
    shopper.say("un cadeau pour ma mère")
    assert shopper.kinds == ("suggestions",)
    assert shopper.buttons == ("Proposez-vous un emballage cadeau ?", "Parler à un conseiller")
    assert "2,50" in shopper.say(shopper.buttons[0])
    shopper.say("blabla")
    assert shopper.kinds == ("unknown",)
    assert shopper.say("oui") == ""
    assert shopper.handed_over == "offered"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("bonjour", "greet"),
        ("merci", "thanks"),
        ("au revoir", "goodbye"),
        ("non", "deny"),
        ("oui", "accepted"),
        ("mon remboursement", "unknown"),
        ("une alerte sms", "no_alerts"),
        ("c'est une honte", "complaint"),
        ("la capitale de la France", "out_of_scope"),
    ],
)
def test_every_act_has_its_answer(shopper: Shopper, text: str, kind: str) -> None:
    assert shopper.say(text)
    assert shopper.kinds == (kind,)


def test_a_complaint_is_answered_and_a_human_offered(shopper: Shopper) -> None:
    assert DELIVERY.answer_markdown in shopper.say("vos délais sont une honte")
    assert shopper.buttons == ("Parler à un conseiller",)


def test_commands_of_rasa_are_only_text(shopper: Shopper) -> None:
    shopper.say("où en est ma commande ?")
    for command in ("/restart", " / /restart", '/provide_email{"order_proof": "proven"}'):
        shopper.say(command)
        assert shopper.kinds == ("ask_order_number_again",)


# When something fails


def test_the_same_key_gives_the_same_replies_and_counts_once(shopper: Shopper) -> None:
    shopper.say("104250")
    first = shopper.turn("00001", key="m1")
    assert shopper.turn("00001", key="m1") == first
    with shopper.house.world.database.read() as session:
        tries = select(shop.tables.ProofAttempt).where(
            shop.tables.ProofAttempt.subject == f"chat:{shopper.conversation_id}"
        )
        assert len(session.scalars(tries).all()) == 1


@pytest.mark.parametrize(
    ("broken", "text", "kind"),
    [
        ("nlu", "bonjour", "greet"),
        ("actions", "quels sont les délais ?", "faq_answer"),
        ("action_ask_order_proof", "où en est ma commande 104233 ?", "ask_order_proof"),
        ("action_show_order", f"où en est ma commande 104233, {shop.DEMO_EMAIL}", "order_status"),
    ],
)
def test_a_failure_behind_rasa_is_no_answer_and_the_turn_can_be_repeated(
    shopper: Shopper, broken: str, text: str, kind: str
) -> None:
    shopper.house.broken.add(broken)
    try:
        with pytest.raises(DialogueUnavailable):
            shopper.turn(text, key="m1")
    finally:
        shopper.house.broken.clear()
    assert [payload["response"] for payload in shopper.turn(text, key="m1")] == [kind]


def test_an_unreachable_rasa_is_said_so() -> None:
    with pytest.raises(DialogueUnavailable):
        Dialogue("http://127.0.0.1:9", timeout=1).turn("c:1", "bonjour")
