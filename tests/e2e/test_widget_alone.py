"""The chat widget in a real browser, against a small server with the chat API's shape whose faults can be chosen.

The shop's page and the chat API have different origins here, as they have at a merchant's.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, Response, abort, request
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from bot.widget import STATIC, widget_blueprint

PAGE = """<!doctype html><html lang="{language}"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shop</title><h1>Shop</h1><p><a href="#here">A link of the shop</a></p>
<script src="{api}/widget/widget.js" data-colour="#f2b01e" {attributes} async></script></html>"""


@dataclass
class Conversation:
    token: str
    facts: dict[str, Any]
    owner: str = "bot"
    agent: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


class TinyService:
    """The chat API in memory. Faults: status codes to give once (`post_faults`) or for good (`stream_status`, `status`)."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.changed = threading.Condition()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.post_faults: list[int] = []
        self.lose_next_confirmation = False
        self.status: int | None = None
        self.stream_status: int | None = None
        self.twice = False
        self.mute = False
        self.generation = 0
        self.api = ""
        self.page = ""
        self.attributes = 'data-language="fr"'

    @property
    def only(self) -> Conversation:
        assert len(self.conversations) == 1
        return next(iter(self.conversations.values()))

    @property
    def newest(self) -> Conversation:
        return list(self.conversations.values())[-1]

    def said_by_customer(self, conversation: Conversation | None = None) -> list[str]:
        return [event["text"] for event in (conversation or self.only).events if event["from"] == "customer"]

    def add(self, conversation: Conversation, text: str, sender: str, **more: Any) -> dict[str, Any]:
        with self.changed:
            event = {
                "number": len(conversation.events) + 1,
                "at": datetime.now(UTC).isoformat(),
                "kind": "message",
                "name": "message",
                "from": sender,
                "text": text,
                "buttons": [],
                "client_id": None,
                "agent": conversation.agent if sender == "agent" else None,
                **more,
            }
            conversation.events.append(event)
            self.changed.notify_all()
            return event

    def notice(self, conversation: Conversation, name: str, owner: str, text: str, agent: str | None = None) -> None:
        with self.changed:
            conversation.owner, conversation.agent = owner, agent
            sender = "system" if name == "escalated" else "agent"
            self.add(conversation, text, sender, kind="notice", name=name, html=f"<p>{text}</p>", agent=agent)

    def break_streams(self) -> None:
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def answer(self, conversation: Conversation, text: str) -> None:
        """What the assistant says to `text`."""
        if self.mute or conversation.owner != "bot":
            return
        if "retour" in text:
            buttons = [{"title": "Oui", "text": "oui, je le renvoie"}, {"title": "Non", "text": "non merci"}]
            self.add(
                conversation, "Le renvoyer ?", "bot", html="<p>Le <strong>renvoyer</strong> ?</p>", buttons=buttons
            )
        elif "piège" in text:
            html = (
                '<p onclick="window.hurt=1">Bonjour<script>window.hurt=1</script><img src=x onerror="window.hurt=1">'
                '<a href="javascript:window.hurt=1">mauvais</a> <a href="https://example.org/suivi">bon</a></p>'
            )
            self.add(conversation, "piège", "bot", html=html)
        else:
            self.add(conversation, f"Compris : {text}", "bot", html=f"<p>Compris : {text}</p>")

    def app(self) -> Flask:
        app = Flask("tiny")
        app.register_blueprint(widget_blueprint())
        root = "/api/v1/chat/conversations"

        @app.get("/shop")
        def shop() -> str:
            return PAGE.format(language="fr", api=self.api, attributes=self.attributes)

        @app.before_request
        def faults() -> Response | None:
            if not request.path.startswith(root):
                return None
            if request.method == "OPTIONS":
                return Response(status=204)
            self.requests.append((request.method, request.full_path, dict(request.headers)))
            if self.status:
                return Response("{}", status=self.status, mimetype="application/json")
            if request.path.endswith("/messages") and self.post_faults:
                return Response("{}", status=self.post_faults.pop(0), mimetype="application/json")
            return None

        @app.after_request
        def cors(response: Response) -> Response:
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
            return response

        @app.post(root)
        def open_conversation() -> tuple[dict[str, Any], int]:
            identifier, conversation = str(uuid4()), Conversation(str(uuid4()), request.get_json())
            if conversation.facts.get("identity_token") == "expired":
                abort(401)
            self.conversations[identifier] = conversation
            self.add(conversation, "Bonjour !", "bot", html="<p>Bonjour ! Que puis-je faire ?</p>")
            return {"id": identifier, "token": conversation.token, "language": "fr"}, 201

        def enter(identifier: str) -> Conversation:
            conversation = self.conversations.get(identifier)
            if conversation is None or request.headers.get("Authorization") != f"Bearer {conversation.token}":
                abort(401)
            return conversation

        @app.post(f"{root}/<identifier>/messages")
        def message(identifier: str) -> tuple[dict[str, Any], int]:
            conversation, sent = enter(identifier), request.get_json()
            known = [event for event in conversation.events if event["client_id"] == sent["client_id"]]
            event = known[0] if known else self.add(conversation, sent["text"], "customer", client_id=sent["client_id"])
            if not known:
                threading.Timer(0.05, self.answer, (conversation, sent["text"])).start()
            if self.lose_next_confirmation:
                self.lose_next_confirmation = False
                abort(500)
            return {"number": event["number"], "client_id": sent["client_id"], "at": event["at"]}, 201

        @app.post(f"{root}/<identifier>/human")
        def human(identifier: str) -> tuple[dict[str, Any], int]:
            conversation = enter(identifier)
            if conversation.owner == "bot":
                self.notice(conversation, "escalated", "queue", "Vous êtes en position 1.")
            return {"owner": conversation.owner, "position": 1, "wait_minutes": 4, "opens_at": None}, 202

        @app.get(f"{root}/<identifier>/events")
        def events(identifier: str) -> Response | dict[str, Any]:
            conversation = enter(identifier)
            after = int(request.headers.get("Last-Event-ID") or request.args["after"])
            if "text/event-stream" not in request.headers.get("Accept", ""):
                news = conversation.events[after:]
                return {"events": news, "last": max(after, len(conversation.events)), "owner": conversation.owner}
            if self.stream_status:
                abort(self.stream_status)
            return Response(self.stream(conversation, after), mimetype="text/event-stream")

        return app

    def stream(self, conversation: Conversation, after: int) -> Iterator[str]:
        generation = self.generation
        yield "retry: 1500\n\n"
        while generation == self.generation:
            with self.changed:
                news = conversation.events[after:]
                if not news:
                    self.changed.wait(0.5)
                    continue
                owner = conversation.owner
            for event in news * (2 if self.twice else 1):
                yield f"id: {event['number']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
            after = news[-1]["number"]
            yield f"id: {after}\nevent: owner\ndata: {json.dumps({'owner': owner})}\n\n"


@pytest.fixture
def service() -> Iterator[TinyService]:
    tiny = TinyService()
    server = make_server("127.0.0.1", 0, tiny.app(), threaded=True)
    server.daemon_threads = True
    tiny.api, tiny.page = f"http://127.0.0.1:{server.port}", f"http://localhost:{server.port}/shop"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield tiny
    tiny.break_streams()
    server.shutdown()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1100, "height": 800}, locale="fr-FR", reduced_motion="reduce")
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, service: TinyService) -> Page:
    return visit(context, service)


def visit(context: BrowserContext, service: TinyService) -> Page:
    page = context.new_page()
    page.goto(service.page)
    return page


def open_chat(page: Page) -> None:
    page.get_by_role("button", name="Une question ?").click()
    expect(page.get_by_text("Bonjour ! Que puis-je faire ?")).to_be_visible()


def say(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Votre message")
    box.fill(text)
    box.press("Enter")


def bubbles(page: Page, sender: str) -> list[str]:
    return page.locator(f".item.{sender} .bubble").all_inner_texts()


def wait_until(condition: Callable[[], bool], seconds: float = 12) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


def expect_said(page: Page, *texts: str) -> None:
    expect(page.locator(".item.customer .bubble")).to_have_text(list(texts))


def test_a_shopper_writes_and_is_answered(page: Page, service: TinyService) -> None:
    open_chat(page)
    say(page, "où est ma commande ?")
    expect(page.get_by_text("Compris : où est ma commande ?")).to_be_visible()
    expect_said(page, "où est ma commande ?")
    expect(page.locator(".typing")).to_have_count(0)
    assert service.only.facts == {"language": "fr"}


def test_the_token_stands_in_no_address(page: Page, service: TinyService) -> None:
    open_chat(page)
    say(page, "bonjour")
    expect(page.get_by_text("Compris : bonjour")).to_be_visible()
    assert not [path for _, path, _ in service.requests if service.only.token in path]


def test_shift_enter_is_a_new_line_and_html_of_a_shopper_is_text(page: Page, service: TinyService) -> None:
    open_chat(page)
    box = page.get_by_role("textbox", name="Votre message")
    box.fill("<b>un</b>")
    box.press("Shift+Enter")
    box.press_sequentially("deux")
    box.press("Enter")
    wait_until(lambda: service.said_by_customer() == ["<b>un</b>\ndeux"])
    assert bubbles(page, "customer") == ["<b>un</b>\ndeux"]


def test_a_suggested_answer_is_sent_and_disappears(page: Page, service: TinyService) -> None:
    open_chat(page)
    say(page, "un retour")
    page.get_by_role("button", name="Oui", exact=True).click()
    wait_until(lambda: service.said_by_customer() == ["un retour", "oui, je le renvoie"])
    expect(page.get_by_role("button", name="Oui", exact=True)).to_have_count(0)


def test_html_that_should_never_come_does_no_harm(page: Page) -> None:
    open_chat(page)
    say(page, "piège")
    link = page.get_by_role("link", name="bon (nouvel onglet)")
    expect(link).to_have_attribute("href", "https://example.org/suivi")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(page.locator(".bubble script, .bubble img, .bubble [onclick]")).to_have_count(0)
    expect(page.get_by_role("link", name="mauvais")).to_have_count(0)
    assert page.evaluate("window.hurt") is None


def test_a_reload_brings_the_whole_transcript_back(page: Page, service: TinyService) -> None:
    open_chat(page)
    for text in ("un", "deux", "trois"):
        say(page, text)
        expect(page.get_by_text(f"Compris : {text}")).to_be_visible()
    page.get_by_role("textbox", name="Votre message").fill("à moitié écr")
    page.reload()
    expect_said(page, "un", "deux", "trois")
    expect(page.locator(".item.bot .bubble")).to_have_count(4)
    expect(page.get_by_role("textbox", name="Votre message")).to_have_value("à moitié écr")
    assert service.only


def test_a_lost_network_loses_no_message_and_no_order(
    page: Page, context: BrowserContext, service: TinyService
) -> None:
    open_chat(page)
    context.set_offline(True)
    for text in ("un", "deux", "trois"):
        say(page, text)
    expect_said(page, "un", "deux", "trois")
    expect(page.get_by_text("Connexion interrompue.")).to_be_visible()
    service.break_streams()
    service.add(service.only, "pendant ce temps", "bot", html="<p>pendant ce temps</p>")
    time.sleep(1)
    assert service.said_by_customer() == []
    context.set_offline(False)
    wait_until(lambda: service.said_by_customer() == ["un", "deux", "trois"])
    expect(page.get_by_text("pendant ce temps")).to_be_visible()
    expect(page.get_by_text("Compris : trois")).to_be_visible()
    expect_said(page, "un", "deux", "trois")
    expect(page.get_by_text("Connexion interrompue.")).to_have_count(0)


def test_a_lost_confirmation_stores_and_shows_the_message_once(page: Page, service: TinyService) -> None:
    open_chat(page)
    service.lose_next_confirmation = True
    say(page, "une seule fois")
    say(page, "ensuite")
    wait_until(lambda: service.said_by_customer() == ["une seule fois", "ensuite"])
    expect(page.get_by_text("Compris : ensuite")).to_be_visible()
    expect_said(page, "une seule fois", "ensuite")


def test_what_was_not_sent_is_sent_after_a_reload(page: Page, service: TinyService) -> None:
    open_chat(page)
    service.post_faults = [500] * 50
    say(page, "gardé")
    say(page, "gardé aussi")
    wait_until(lambda: len(service.post_faults) < 50)
    page.reload()
    expect_said(page, "gardé", "gardé aussi")
    service.post_faults = []
    wait_until(lambda: service.said_by_customer() == ["gardé", "gardé aussi"])
    expect(page.get_by_text("Compris : gardé aussi")).to_be_visible()
    page.reload()
    expect_said(page, "gardé", "gardé aussi")


def test_a_message_written_before_the_service_can_be_reached_opens_the_conversation_later(
    page: Page, service: TinyService
) -> None:
    service.status = 503
    page.get_by_role("button", name="Une question ?").click()
    say(page, "il y a quelqu'un ?")
    expect(page.get_by_text("Connexion interrompue.")).to_be_visible()
    assert not service.conversations
    service.status = None
    wait_until(lambda: bool(service.conversations) and service.said_by_customer() == ["il y a quelqu'un ?"])


def test_a_refused_message_says_so_and_holds_up_no_other(page: Page, service: TinyService) -> None:
    open_chat(page)
    service.post_faults = [422]
    say(page, "refusé")
    expect(page.get_by_text("Non envoyé")).to_be_visible()
    say(page, "accepté")
    wait_until(lambda: service.said_by_customer() == ["accepté"])
    page.get_by_role("button", name="Réessayer").click()
    wait_until(lambda: service.said_by_customer() == ["accepté", "refusé"])
    expect(page.get_by_text("Non envoyé")).to_have_count(0)


@pytest.mark.parametrize("status", [408, 429])
def test_a_passing_trouble_is_tried_again(page: Page, service: TinyService, status: int) -> None:
    open_chat(page)
    service.post_faults = [status]
    say(page, "encore")
    wait_until(lambda: service.said_by_customer() == ["encore"])
    expect(page.get_by_text("Non envoyé")).to_have_count(0)


def test_without_a_free_stream_it_polls(page: Page, service: TinyService) -> None:
    service.stream_status = 503
    open_chat(page)
    say(page, "sans flux")
    expect(page.get_by_text("Compris : sans flux")).to_be_visible()
    streams = [headers for _, path, headers in service.requests if "event-stream" in headers.get("Accept", "")]
    assert len(streams) == 1


def test_events_that_come_twice_are_shown_once(page: Page, service: TinyService) -> None:
    service.twice = True
    open_chat(page)
    say(page, "double")
    expect(page.get_by_text("Compris : double")).to_have_count(1)
    expect_said(page, "double")
    expect(page.locator(".item.bot .bubble")).to_have_count(2)


def test_a_broken_stream_resumes_where_it_was(page: Page, service: TinyService) -> None:
    open_chat(page)
    say(page, "avant")
    expect(page.get_by_text("Compris : avant")).to_be_visible()
    service.break_streams()
    service.add(service.only, "entre deux", "bot", html="<p>entre deux</p>")
    expect(page.get_by_text("entre deux")).to_have_count(1)
    assert "3" in [headers.get("Last-Event-Id") for _, _, headers in service.requests]


def test_a_token_that_no_longer_opens_begins_a_new_conversation_and_keeps_what_was_typed(
    page: Page, service: TinyService
) -> None:
    open_chat(page)
    say(page, "avant")
    expect(page.get_by_text("Compris : avant")).to_be_visible()
    page.get_by_role("textbox", name="Votre message").fill("en cours")
    service.only.token = "changed"
    service.post_faults = [500]
    page.get_by_role("textbox", name="Votre message").press("Enter")
    expect(page.get_by_text("Votre conversation précédente n’est plus accessible")).to_be_visible()
    wait_until(lambda: service.said_by_customer(service.newest) == ["en cours"])
    expect(page.get_by_text("Compris : en cours")).to_be_visible()
    assert len(service.conversations) == 2
    page.reload()
    expect_said(page, "en cours")


def test_a_conversation_that_ended_while_away_is_replaced_on_the_next_visit(page: Page, service: TinyService) -> None:
    open_chat(page)
    page.keyboard.press("Escape")
    service.only.token = "changed"
    page.reload()
    page.get_by_role("button", name="Une question ?").click()
    expect(page.get_by_text("Votre conversation précédente n’est plus accessible")).to_have_count(1)
    expect(page.get_by_text("Bonjour ! Que puis-je faire ?")).to_be_visible()


def test_a_human_is_asked_for_comes_and_goes(page: Page, service: TinyService) -> None:
    open_chat(page)
    page.get_by_role("button", name="Parler à un conseiller").click()
    expect(page.get_by_text("Vous êtes en position 1.")).to_be_visible()
    expect(page.locator(".state")).to_have_text("En attente d’un conseiller")
    expect(page.get_by_role("button", name="Parler à un conseiller")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Votre message")).to_be_focused()
    say(page, "vous êtes là ?")
    wait_until(lambda: service.said_by_customer() == ["vous êtes là ?"])
    expect(page.locator(".typing")).to_have_count(0)
    service.notice(service.only, "claimed", "agent", "Léa a rejoint la conversation.", agent="Léa")
    expect(page.locator(".state")).to_have_text("Léa vous répond")
    service.add(service.only, "Oui <3 voyez https://example.org/a.", "agent")
    expect(page.get_by_role("link", name="https://example.org/a (nouvel onglet)")).to_be_visible()
    assert bubbles(page, "agent")[0].startswith("Oui <3 voyez https://example.org/a")
    service.notice(service.only, "closed", "bot", "Léa a terminé la conversation.")
    expect(page.get_by_role("button", name="Parler à un conseiller")).to_be_visible()


def test_the_wish_for_a_human_survives_trouble_and_a_reload(page: Page, service: TinyService) -> None:
    open_chat(page)
    service.status = 500
    page.get_by_role("button", name="Parler à un conseiller").click()
    expect(page.get_by_text("Nous prévenons un conseiller…")).to_be_visible()
    page.reload()
    service.status = None
    wait_until(lambda: service.only.owner == "queue")
    expect(page.locator(".state")).to_have_text("En attente d’un conseiller")


def test_news_while_closed_are_counted_on_the_launcher(page: Page, service: TinyService) -> None:
    open_chat(page)
    page.get_by_role("button", name="Parler à un conseiller").click()
    expect(page.get_by_text("Vous êtes en position 1.")).to_be_visible()
    page.keyboard.press("Escape")
    service.notice(service.only, "claimed", "agent", "Léa a rejoint la conversation.", agent="Léa")
    service.add(service.only, "Bonjour, Léa à l'appareil.", "agent")
    launcher = page.get_by_role("button", name="Une question ? 2 nouveaux messages")
    expect(launcher).to_be_visible()
    page.reload()
    launcher.click()
    expect(page.get_by_text("Bonjour, Léa à l'appareil.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("nouveaux messages")).to_have_count(0)


def test_two_tabs_are_one_conversation(page: Page, context: BrowserContext, service: TinyService) -> None:
    open_chat(page)
    other = visit(context, service)
    other.get_by_role("button", name="Une question ?").click()
    say(page, "du premier")
    expect(other.get_by_text("Compris : du premier")).to_be_visible()
    say(other, "du second")
    expect(page.get_by_text("Compris : du second")).to_be_visible()
    expect_said(page, "du premier", "du second")
    expect_said(other, "du premier", "du second")
    assert len(service.conversations) == 1


def test_escape_closes_and_the_focus_goes_back(page: Page) -> None:
    open_chat(page)
    expect(page.get_by_role("dialog", name="Service client")).to_be_visible()
    expect(page.get_by_role("log", name="Messages de la conversation")).to_have_attribute("aria-live", "polite")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Une question ?")).to_be_focused()


def test_too_long_a_message_is_not_sent_but_kept(page: Page, service: TinyService) -> None:
    open_chat(page)
    say(page, "x" * 4001)
    expect(page.get_by_text("4001 caractères sur 4000")).to_be_visible()
    expect(page.get_by_role("textbox", name="Votre message")).to_have_value("x" * 4001)
    assert service.said_by_customer() == []


def test_on_a_phone_it_fills_the_screen_and_keeps_the_focus(browser: Browser, service: TinyService) -> None:
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = visit(context, service)
    page.get_by_role("button", name="Une question ?").tap()
    panel = page.get_by_role("dialog")
    assert panel.bounding_box() == {"x": 0, "y": 0, "width": 320, "height": 640}
    expect(panel).to_have_attribute("aria-modal", "true")
    say(page, "mot" * 60)
    expect(page.get_by_text("Compris : motmot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.localName") == "comptoir-widget"
    context.close()


def test_a_customer_known_to_the_shop_is_passed_on_and_not_mixed_up(
    context: BrowserContext, service: TinyService
) -> None:
    service.attributes = 'data-language="fr" data-identity-token="camille"'
    page = visit(context, service)
    open_chat(page)
    assert service.only.facts == {"language": "fr", "identity_token": "camille"}
    service.attributes = 'data-language="fr"'
    page.reload()
    wait_until(lambda: len(service.conversations) == 2)
    assert service.newest.facts == {"language": "fr"}


def test_a_bad_identity_token_keeps_nobody_outside(context: BrowserContext, service: TinyService) -> None:
    service.attributes = 'data-language="fr" data-identity-token="expired"'
    page = visit(context, service)
    open_chat(page)
    assert service.only.facts == {"language": "fr"}


def test_a_language_without_strings_is_answered_in_english(context: BrowserContext, service: TinyService) -> None:
    service.attributes = 'data-language="pt-BR"'
    page = visit(context, service)
    expect(page.get_by_role("button", name="Any questions?")).to_be_visible()


def test_every_language_has_the_same_strings() -> None:
    french = json.loads((STATIC / "strings" / "fr.json").read_text(encoding="utf-8"))
    for path in (STATIC / "strings").glob("*.json"):
        strings = json.loads(path.read_text(encoding="utf-8"))
        assert strings.keys() == french.keys(), path.name
        assert all(strings.values()), path.name


def test_the_widget_is_small_cached_and_open_to_every_shop(service: TinyService) -> None:
    client = service.app().test_client()
    sizes = {}
    for name in ("widget.js", "strings/fr.json"):
        answer = client.get(f"/widget/{name}", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Vary"] == "Accept-Encoding"
        plain = client.get(f"/widget/{name}")
        assert gzip.decompress(answer.data) == plain.data
        again = client.get(f"/widget/{name}", headers={"If-None-Match": plain.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        sizes[name] = len(answer.data)
    assert sizes["widget.js"] < 15_000
    assert sizes["strings/fr.json"] < 1_000
    assert client.get("/widget/strings/..%2ffr.json").status_code == 404
    assert client.get("/widget/view.js").status_code == 404
