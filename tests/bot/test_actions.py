"""Actions by themselves, with hand-made trackers and a real shop; the journeys through Rasa stand in test_rasa.py."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

import bot
import shop
from bot.forms import FORM_SLOTS, ReadReturnAnswer, ReadTrackingAnswer
from faq_kb import load_content
from service.settings import ROOT
from store import Database
from tests.bot.world import Faq, Found, Hit, TestWorld, custom, read

ALONE = "one-conversation"


@pytest.fixture
def world(demo_shop: Database) -> TestWorld:
    return TestWorld(demo_shop)


def _call(
    action: str,
    text: str,
    slots: dict[str, Any] | None = None,
    *,
    opens: str | None = None,
    before: tuple[Any, ...] = (),
) -> dict[str, Any]:
    """An action call as Rasa makes it; with `opens` the message has just opened that form."""
    message = bot.nlu_response(read(text), 0.5)
    events = [*before, {"event": "user", "text": text, "parse_data": message}]
    if opens:
        events.append({"event": "active_loop", "name": opens})
    tracker = {
        "sender_id": f"{ALONE}:1",
        "slots": {**dict.fromkeys((*FORM_SLOTS, "last_order", "requested_slot")), **(slots or {})},
        "latest_message": message,
        "events": events,
        "paused": False,
        "active_loop": {"name": opens} if opens else {},
    }
    return {"next_action": action, "sender_id": tracker["sender_id"], "tracker": tracker, "version": "3.6.21"}


def _run(world: TestWorld, call: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The payloads and the slots that an action sets."""
    body, status = bot.run_action(world.executor(), call)
    assert status == 200
    return custom(body), {event["name"]: event["value"] for event in body["events"] if event["event"] == "slot"}


def test_an_unknown_action_is_not_found(world: TestWorld) -> None:
    body, status = bot.run_action(world.executor(), _call("action_nonsense", "x"))
    assert (status, body["action_name"]) == (404, "action_nonsense")


@pytest.mark.parametrize("slots", [{}, {"order_number": "104233"}, {"order_number": "104233", "order_proof": "proven"}])
def test_no_slot_opens_an_order_that_was_not_proved(world: TestWorld, slots: dict[str, Any]) -> None:
    call = _call("action_show_order", "x", slots)
    if "order_proof" in slots:
        with pytest.raises(LookupError):
            bot.run_action(world.executor(), call)
    else:
        assert _run(world, call)[0] == []


def test_a_proof_is_tried_once_and_links_the_conversation(world: TestWorld) -> None:
    said, slots = _run(world, _call("validate_order_form", f"où en est 104233, {shop.DEMO_EMAIL}", opens="order_form"))
    assert said == []
    assert (slots["order_number"], slots["order_proof"], slots["given_contact"]) == ("104233", "proven", None)
    assert list(world.desk.customers) == [ALONE]
    with world.database.read() as session:
        assert session.scalar(select(func.count()).select_from(shop.tables.ProofAttempt)) == 1


def test_a_signed_in_customer_who_proves_a_friends_order_stays_who_they_are(world: TestWorld) -> None:
    with world.database.read() as session:
        own = session.scalars(select(shop.Customer).where(shop.Customer.email != shop.DEMO_EMAIL)).first()
        assert own is not None
    world.desk.customers[ALONE] = own.id
    _run(world, _call("validate_order_form", f"où en est 104233, {shop.DEMO_EMAIL}", opens="order_form"))
    assert world.desk.customers[ALONE] == own.id


def test_a_customer_known_by_one_proof_is_not_shown_a_list_of_orders(world: TestWorld) -> None:
    _run(world, _call("validate_order_form", f"où en est 104233, {shop.DEMO_POSTCODE}", opens="order_form"))
    assert world.desk.customers[ALONE]
    [asked], _ = _run(world, _call("action_ask_order_number", "où en est ma commande ?"))
    assert asked == {"response": "ask_order_number"}


def test_a_form_starts_clean_whatever_was_left_in_the_slots(world: TestWorld) -> None:
    stale = {
        "order_proof": "proven",
        "return_line": 3,
        "return_confirmed": True,
        "missed": 5,
        "given_contact": "x@y.zz",
    }
    _, slots = _run(world, _call("validate_return_form", "je veux renvoyer un livre", stale, opens="return_form"))
    assert slots == dict.fromkeys(FORM_SLOTS)


@pytest.mark.parametrize("text", ["renvoyer un livre", "quel délai pour renvoyer 104233 ?"])
def test_a_form_opens_without_an_answer_where_it_is_one_itself_or_the_order_is_named(
    world: TestWorld, text: str
) -> None:
    class Knowing(Faq):
        def search(self, text: str, language: str, k: int = 3) -> Found:
            if "délai" in text:
                return super().search(text, language, k)
            return Found(True, "return-how", (Hit("return-how", 0.99, "Comment retourner ?", "..."),))

    world.faq = Knowing()
    said, _ = _run(world, _call("validate_return_form", text, opens="return_form"))
    assert said == []


def test_forms_and_chatter_need_no_faq(world: TestWorld) -> None:
    class Broken(Faq):
        def search(self, text: str, language: str, k: int = 3) -> Found:
            raise RuntimeError("no index")

    world.faq = Broken()
    said, slots = _run(world, _call("validate_order_form", "où en est ma commande ?", opens="order_form"))
    assert said == []
    assert slots["order_number"] is None
    [said], _ = _run(world, _call("action_answer_outsider", "quelle est la capitale ?"))
    assert said["response"] == "out_of_scope"


def test_the_entries_that_a_form_stands_for_are_in_the_faq() -> None:
    slugs = {slug for _, slug in load_content(ROOT / "faq_kb" / "content").entries}
    assert ReadTrackingAnswer.does | ReadReturnAnswer.does <= slugs


def test_another_subject_is_given_back_to_rasa(world: TestWorld) -> None:
    asking = {"requested_slot": "order_number"}
    for text in ("mon remboursement", "un conseiller", "je veux renvoyer un livre", "bonjour"):
        assert _run(world, _call("validate_order_form", text, asking)) == ([], {})


def test_five_digits_instead_of_an_order_number_are_not_taken_for_a_postcode(world: TestWorld) -> None:
    _, slots = _run(world, _call("validate_order_form", "10423", {"requested_slot": "order_number"}))
    assert (slots["given_contact"], slots["missed"]) == (None, 1)
    _, slots = _run(world, _call("validate_order_form", "code postal 69003", {"requested_slot": "order_number"}))
    assert slots["given_contact"] == "69003"


@pytest.mark.parametrize(
    ("text", "number"),
    [("it's 104 233", "104233"), ("104.871.265 je crois", "104871265"), ("06 12 34 56 78", None), ("12345678", None)],
)
def test_digits_need_no_other_sign_where_an_order_number_was_asked(
    world: TestWorld, text: str, number: str | None
) -> None:
    call = _call("validate_order_form", text, {"requested_slot": "order_number"})
    call["tracker"]["latest_message"]["entities"] = []
    assert _run(world, call)[1]["order_number"] == number


@pytest.mark.parametrize("postcode", ["1000", "D-80331", "EC1A 1BB"])
def test_any_countrys_postcode_is_tried_where_a_proof_was_asked(world: TestWorld, postcode: str) -> None:
    asking = {"requested_slot": "order_proof", "order_number": "104233"}
    _, slots = _run(world, _call("validate_order_form", postcode, asking))
    assert slots["proof_refused"] is True


def test_no_no_but_this_number_corrects_and_no_alone_stops(world: TestWorld) -> None:
    asking = {"requested_slot": "order_proof", "order_number": "104233"}
    _, slots = _run(world, _call("validate_order_form", "non, 104250", asking))
    assert slots["order_number"] == "104250"
    [parting], slots = _run(world, _call("validate_order_form", "non", asking))
    assert parting["response"] == "stopped"
    assert slots["requested_slot"] is None


def test_every_refusal_of_the_shop_has_its_words(world: TestWorld) -> None:
    renderer = bot.Renderer()
    for refusal in shop.Refusal:
        facts = {"order_number": "N", "title": None, "days": 30, "known": None}
        assert renderer.render({"response": f"return_refused_{refusal.value}", **facts}, "fr").text


@pytest.mark.parametrize(("text", "intent"), [("annuler", "cancel_order"), ("stop", "newsletter_unsubscribe")])
def test_a_lone_cancel_in_a_form_means_the_form(world: TestWorld, text: str, intent: str) -> None:
    call = _call("validate_return_form", text, {"requested_slot": "order_number"})
    call["tracker"]["latest_message"]["intent"]["name"] = intent
    [parting], _ = _run(world, call)
    assert parting["response"] == "stopped"
    call["tracker"]["latest_message"]["text"] = f"{text} mon abonnement ou ma commande"
    assert _run(world, call) == ([], {})


def test_an_order_that_nobody_named_does_not_end_a_return(world: TestWorld) -> None:
    """The last order spoken of cannot go back; perhaps another is meant, so the number is asked for."""
    _, slots = _run(world, _call("validate_order_form", f"où en est 104233, {shop.DEMO_EMAIL}", opens="order_form"))
    last = {"last_order": "104233"}
    said, slots = _run(world, _call("validate_return_form", "je veux renvoyer un livre", last, opens="return_form"))
    assert [each["response"] for each in said] == ["return_refused_not_delivered"]
    assert slots["order_number"] is None
    assert "requested_slot" not in slots
    going_on = {**slots, "requested_slot": "order_number"}
    said, slots = _run(world, _call("validate_return_form", "104000", going_on))
    assert slots["order_number"] == "104000"

    said, slots = _run(world, _call("validate_return_form", "je veux renvoyer 104233", last, opens="return_form"))
    assert [each["response"] for each in said] == ["return_refused_not_delivered"]
    assert slots["requested_slot"] is None, "the order was named: the form ends"


def test_creating_a_return_again_gives_the_same_one(world: TestWorld) -> None:
    _run(world, _call("validate_order_form", f"où en est 104000, {shop.DEMO_EMAIL}", opens="order_form"))
    with world.database.read() as session:
        order = shop.find_order(session, "104000")
        assert order is not None
        line = order.lines[0].id
    slots = {"order_number": "104000", "order_proof": "proven", "return_line": line, "return_confirmed": True}
    [first], _ = _run(world, _call("action_create_return", "oui", slots))
    [second], _ = _run(world, _call("action_create_return", "oui", slots))
    assert first == second
    assert first["response"] == "return_created"


def test_yes_fetches_a_human_only_when_one_was_just_offered(world: TestWorld) -> None:
    offer = {"event": "bot", "data": {"custom": {"response": "unknown", "offers_human": True}}}
    other = {"event": "bot", "data": {"custom": {"response": "greet"}}}
    earlier = {"event": "user", "text": "x"}
    [said], _ = _run(world, _call("action_accept", "oui", before=(earlier, offer, earlier, other)))
    assert said == {"response": "accepted"}
    assert world.desk.handed_over == {}
    [said], _ = _run(world, _call("action_accept", "oui", before=(earlier, other, earlier, offer)))
    assert said == {"response": "handed_over"}
    assert world.desk.handed_over == {ALONE: "offered"}


def test_a_human_is_asked_for_and_every_form_is_left(world: TestWorld) -> None:
    body, _ = bot.run_action(world.executor(), _call("action_request_human", "un conseiller"))
    assert world.desk.handed_over == {ALONE: "asked"}
    assert {"event": "active_loop", "timestamp": None, "name": None} in body["events"]


def test_the_faq_is_asked_in_the_conversations_language(world: TestWorld) -> None:
    _run(world, _call("action_answer_question", "un cadeau"))
    assert world.faq.asked == [("un cadeau", "fr")]


def test_an_answer_that_the_search_does_not_trust_is_not_given(world: TestWorld) -> None:
    class Doubtful(Faq):
        def search(self, text: str, language: str, k: int = 3) -> Found:
            found = super().search("délai", language, k)
            return Found(False, None, found.top)

    world.faq = Doubtful()
    [said], _ = _run(world, _call("action_answer_question", "quels sont les délais"))
    assert said["response"] == "suggestions"
    assert said["offers_human"] is True
    [said], _ = _run(world, _call("action_comfort", "c'est une honte"))
    assert (said["response"], said["answer"]) == ("complaint", None)
