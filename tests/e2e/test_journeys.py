"""The journeys of a shopper, an editor, an agent and a mail, in a real browser, through the real Rasa."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from desk import Event, EventKind
from shop import DEMO_EMAIL, DEMO_POSTCODE
from store import Job, JobState
from tests.e2e.stack import ROOT, Stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

ANSWER_MS = 20_000
QUEUE_MS = 2_000
"""From the shopper's word to the desk's queue."""


def say(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name=re.compile("Votre message|Your message"))
    box.fill(text)
    box.press("Enter")


def bot_says(page: Page, pattern: str) -> str:
    """Wait until the newest thing said by the bot or the service matches."""
    last = page.locator(".item:not(.customer):not(.typing)").last
    expect(last).to_contain_text(re.compile(pattern, re.IGNORECASE | re.DOTALL), timeout=ANSWER_MS)
    return last.inner_text()


def conversation_id(page: Page) -> str:
    found = page.evaluate("Object.values(localStorage).join(' ')")
    return re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", found)[0]  # type: ignore[index]


def choose(page: Page, agent_id: str) -> None:
    page.locator(f'a.row[data-id="{agent_id}"]').click()


# 1. The shopper


def test_where_is_my_order(shopper: Page) -> None:
    say(shopper, "bonjour où en est ma commande 104233 ?")
    bot_says(shopper, "e-mail|code postal")
    say(shopper, "personne@example.org")
    wrong = bot_says(shopper, "ne correspond|trouve pas|pas trouvé|aucune commande|vérifi")
    assert "Colissimo" not in wrong
    say(shopper, DEMO_EMAIL)
    shown = bot_says(shopper, "Colissimo")
    assert "CMD-2026-104233" in shown
    assert re.search(r"6A\d+", shown), "the tracking numbers"


def test_unknown_number_and_wrong_email_get_the_same_words(shopper: Page, browser: object, stack: Stack) -> None:
    say(shopper, "où en est ma commande CMD-2026-104233 ?")
    bot_says(shopper, "e-mail|code postal")
    say(shopper, "quelquun@example.org")
    bot_says(shopper, "ne correspond|trouve pas|pas trouvé|aucune commande|vérifi")
    wrong = shopper.locator(".item.bot .bubble").last.inner_text()
    page = shopper.context.browser.new_context(locale="fr-FR").new_page()  # type: ignore[union-attr]
    page.goto(stack.url)
    page.get_by_role("button", name="Une question ?").click()
    say(page, "où en est ma commande CMD-2026-104999 ?")
    bot_says(page, "e-mail|code postal")
    say(page, "quelquun@example.org")
    bot_says(page, "ne correspond|trouve pas|pas trouvé|aucune commande|vérifi")
    unknown = page.locator(".item.bot .bubble").last.inner_text()
    page.context.close()
    assert wrong.replace("104233", "N") == unknown.replace("104999", "N")


def test_after_five_wrong_tries_a_human_is_offered(shopper: Page) -> None:
    say(shopper, "suivi de la commande CMD-2026-104233")
    bot_says(shopper, "e-mail|code postal")
    for attempt in range(5):
        shown = shopper.locator(".item.bot").count()
        say(shopper, f"essai{attempt}@example.org")
        wait_for(lambda shown=shown: shopper.locator(".item.bot:not(.typing)").count() > shown, 20, "an answer")
    bot_says(shopper, "conseiller")
    say(shopper, DEMO_EMAIL)
    time.sleep(3)
    assert "Colissimo" not in shopper.locator(".log").inner_text()


def test_a_return(shopper: Page) -> None:
    say(shopper, "je veux renvoyer un livre")
    bot_says(shopper, "numéro")
    say(shopper, "CMD-2026-104000")
    bot_says(shopper, "e-mail|code postal")
    say(shopper, DEMO_POSTCODE)
    bot_says(shopper, "article|retourner|renvoyer")
    say(shopper, "le manuel du potager")
    bot_says(shopper, "numérique")
    say(shopper, "je veux renvoyer un article de ma commande CMD-2026-104000")
    bot_says(shopper, "article|retourner|renvoyer")
    say(shopper, "Cuisiner les restes")
    bot_says(shopper, "confirm|oui|crée")
    say(shopper, "oui")
    done = bot_says(shopper, r"RET-\d{4}-\d+")
    assert "24,90" in done


def test_in_english(browser: object, stack: Stack, shopper: Page) -> None:
    page = shopper.context.browser.new_context(locale="en-GB").new_page()  # type: ignore[union-attr]
    page.goto(f"{stack.url}/en/")
    page.locator("button.launcher").click()
    say(page, "hi, where is my order CMD-2026-104233?")
    bot_says(page, "e-?mail|postcode")
    say(page, DEMO_EMAIL)
    bot_says(page, "Colissimo")
    say(page, "how long does standard delivery take?")
    bot_says(page, "working days")
    say(page, "can I speak to a real person please")
    bot_says(page, "advis|queue|team")
    page.context.close()


def test_a_return_in_english(stack: Stack, shopper: Page) -> None:
    page = shopper.context.browser.new_context(locale="en-GB").new_page()  # type: ignore[union-attr]
    page.goto(f"{stack.url}/en/")
    page.locator("button.launcher").click()
    say(page, "I'd like to send an item back")
    bot_says(page, "number")
    say(page, "CMD-2026-104000")
    bot_says(page, "e-?mail|postcode")
    say(page, DEMO_EMAIL)
    bot_says(page, "item|return")
    say(page, "the e-book, manuel du potager")
    bot_says(page, "e-book.*download")
    say(page, "I want to return something from order CMD-2026-104000")
    bot_says(page, "which item")
    say(page, "T-shirt Je lis donc je suis, taille M")
    bot_says(page, "confirm|shall I|yes")
    say(page, "yes please")
    done = bot_says(page, r"RET-\d{4}-\d+")
    assert "22.00" in done
    page.context.close()


def test_a_reload_and_a_lost_network_lose_nothing(shopper: Page) -> None:
    say(shopper, "quels sont les délais de livraison ?")
    bot_says(shopper, "jours ouvrés")
    before = shopper.locator(".item .bubble").all_inner_texts()
    shopper.reload()
    wait_for(lambda: shopper.locator(".item .bubble").all_inner_texts() == before, 10, "the same transcript")
    shopper.context.set_offline(True)
    say(shopper, "et en express ?")
    time.sleep(2)
    shopper.context.set_offline(False)
    expect(shopper.locator(".item.customer .bubble").last).to_have_text("et en express ?")
    bot_says(shopper, "Chronopost|express")
    assert shopper.locator(".item.customer .bubble").count() == 2


def test_a_slash_is_no_command(shopper: Page, stack: Stack) -> None:
    say(shopper, "où en est ma commande CMD-2026-104233 ?")
    bot_says(shopper, "e-mail|code postal")
    say(shopper, "/restart")
    time.sleep(2)
    say(shopper, DEMO_EMAIL)
    bot_says(shopper, "Colissimo")


# 2. and 3. The FAQ and its editor


def test_an_honest_word_when_nothing_is_known(shopper: Page) -> None:
    say(shopper, "quelle est la capitale de la Mongolie ?")
    bot_says(shopper, "sais pas|pas la réponse|ne peux pas|pas de réponse|compris|aider")
    assert shopper.get_by_role("button", name=re.compile("conseiller")).count() > 0


def test_saving_a_file_changes_the_answer_within_two_seconds(stack: Stack) -> None:
    file = stack.content / "fr" / "livraison.md"
    original = file.read_text(encoding="utf-8")

    def answer() -> str:
        query = {"q": "Quels sont les délais de livraison ?", "lang": "fr"}
        return str(httpx.get(f"{stack.url}/api/v1/faq/search", params=query).json()["top"][0]["answer_markdown"])

    assert "2 à 4 jours" in answer()
    file.write_text(original.replace("2 à 4 jours", "3 à 5 jours"), encoding="utf-8")
    started = time.monotonic()
    wait_for(lambda: "3 à 5 jours" in answer(), 2.0, "the new answer")
    assert time.monotonic() - started < 2.0
    file.write_text(original, encoding="utf-8")
    wait_for(lambda: "2 à 4 jours" in answer(), 2.0, "the old answer")


def test_a_broken_file_changes_nothing_and_the_desk_names_the_line(stack: Stack, agent: Page) -> None:
    file = stack.content / "fr" / "paiement.md"
    original = file.read_text(encoding="utf-8")
    file.write_text(original.replace("***", "", 1), encoding="utf-8")
    try:
        time.sleep(1.5)
        query = {"q": "Quels moyens de paiement acceptez-vous ?", "lang": "fr"}
        found = httpx.get(f"{stack.url}/api/v1/faq/search", params=query).json()
        assert found["slug"] == "payment-methods"
        assert "PayPal" in found["top"][0]["answer_markdown"]
        agent.reload()
        agent.locator("#notices summary").click()
        expect(agent.get_by_text(re.compile(r"paiement\.md")).first).to_be_visible()
        log = (stack.folder / "var" / "log" / "web.log").read_text(encoding="utf-8")
        assert re.search(r"paiement\.md:\d+", log)
    finally:
        file.write_text(original, encoding="utf-8")


# 4. The human


@pytest.mark.parametrize("words", ["je veux parler à quelqu'un", "I would like to talk to someone"])
def test_asking_in_the_middle_of_the_form_reaches_an_agent_who_answers(shopper: Page, agent: Page, words: str) -> None:
    say(shopper, "où en est ma commande CMD-2026-104233 ?")
    bot_says(shopper, "e-mail|code postal")
    row = agent.locator(f'a.row[data-id="{conversation_id(shopper)}"]')
    expect(row).to_have_count(0)
    asked = time.monotonic()
    say(shopper, words)
    expect(row).to_be_visible(timeout=QUEUE_MS)
    assert time.monotonic() - asked < QUEUE_MS / 1000
    expect(shopper.locator(".item.notice, .item.system").last).to_contain_text(re.compile("conseiller|advis"))
    row.click()
    expect(agent.get_by_text("où en est ma commande CMD-2026-104233 ?").last).to_be_visible()
    agent.locator('[data-act="claim"]').first.click()
    agent.locator("#reply-text").fill("Bonjour, ici Léa, je regarde.")
    agent.keyboard.press("Control+Enter")
    expect(shopper.get_by_text("Bonjour, ici Léa, je regarde.")).to_be_visible(timeout=5_000)
    say(shopper, "merci Léa")
    expect(agent.locator("article.message.customer").last).to_contain_text("merci Léa", timeout=5_000)
    time.sleep(2)
    assert shopper.locator(".item.bot .bubble").count() == 2, "the bot is silent while a human is there"
    agent.locator('[data-act="close"]').first.click()
    time.sleep(1)
    say(shopper, "quels sont les délais de livraison ?")
    bot_says(shopper, "jours ouvrés|working days")


def test_the_button_while_rasa_is_stopped(shopper: Page, stack: Stack) -> None:
    stack.supervisor.stopProcess("rasa")
    try:
        assert not stack.rasa_answers()
        shopper.locator("button.human").click()
        expect(shopper.locator(".human-state")).to_be_visible(timeout=QUEUE_MS)
        other = shopper.context.browser.new_context(locale="fr-FR").new_page()  # type: ignore[union-attr]
        other.goto(stack.url)
        other.get_by_role("button", name="Une question ?").click()
        say(other, "quelqu'un peut m'aider svp, un vrai conseiller")
        expect(other.locator(".human-state")).to_be_visible(timeout=QUEUE_MS)
        other.context.close()
        said = wait_for(lambda: re.findall("rasa has stopped.*", stack.printed), 10, "the console names Rasa")
        assert len(said) == 1
        assert re.search(r"restarted\. See .*/rasa\.log", said[0])
    finally:
        stack.supervisor.startProcess("rasa", False)
    wait_for(stack.rasa_answers, 120, "Rasa is back")
    wait_for(lambda: "rasa is back" in stack.printed, 10, "the console says so")


def test_of_two_agents_who_claim_one_gets_it(shopper: Page, agent: Page, colleague: Page, stack: Stack) -> None:
    shopper.locator("button.human").click()
    expect(shopper.locator(".human-state")).to_be_visible()
    conversation = conversation_id(shopper)
    for page in (agent, colleague):
        page.goto(f"{stack.url}/desk/")
        page.locator(f'a.row[data-id="{conversation}"]').click()
        expect(page.locator('[data-act="claim"]').first).to_be_visible()
    agent.locator('[data-act="claim"]').first.dispatch_event("click")
    colleague.locator('[data-act="claim"]').first.dispatch_event("click")
    time.sleep(2)
    assert sorted([agent.locator("#reply-text").count(), colleague.locator("#reply-text").count()]) == [0, 1]
    with stack.database().read() as session:
        claims = select(func.count()).where(Event.conversation_id == conversation, Event.kind == EventKind.CLAIMED)
        assert session.scalar(claims) == 1


# 5. The mail


def test_a_mail_is_sorted_drafted_answered_and_seen_in_the_sink(agent: Page, stack: Stack) -> None:
    mail = EmailMessage()
    mail["From"] = f"Camille Martin <{DEMO_EMAIL}>"
    mail["To"] = "contact@librairie-tournesol.example"
    mail["Subject"] = "Colis toujours pas arrivé"
    mail["Message-ID"] = "<e2e-1@example.org>"
    mail.set_content(
        "Bonjour,\n\nma commande CMD-2026-104233 devait arriver la semaine dernière et je n'ai toujours rien reçu. "
        "Pouvez-vous faire une réclamation auprès du transporteur ?\n\nCamille Martin"
    )
    with smtplib.SMTP("127.0.0.1", stack.smtp_port) as client:
        client.send_message(mail)
    row = agent.locator("a.row", has_text="Colis toujours pas arrivé")
    expect(row).to_be_visible(timeout=15_000)
    row.click()
    side = agent.locator("#side")
    expect(side).to_contain_text("CMD-2026-104233")
    expect(side).to_contain_text(re.compile("livraison|commande", re.IGNORECASE))
    agent.locator('[data-act="claim"]').first.click()
    draft = agent.locator("#reply-text")
    expect(draft).not_to_have_value("")
    draft.fill("Bonjour Camille,\n\nNous ouvrons une enquête auprès de Colissimo.\n\nLéa")
    agent.keyboard.press("Control+Enter")
    expect(agent.locator(".leaving")).to_be_visible()

    def sent() -> list[bytes]:
        folder = stack.folder / "var" / "mail" / "sent"
        return [path.read_bytes() for path in folder.glob("*.eml")]

    raw = wait_for(sent, 15, "the mail in the sink")
    assert len(raw) == 1
    assert b"In-Reply-To: <e2e-1@example.org>" in raw[0]
    agent.goto(f"{stack.url}/desk/sent")
    expect(agent.get_by_text("Re: Colis toujours pas arrivé").first).to_be_visible()


# The accident


def test_kill_9_of_the_web_process_loses_nothing_and_answers_once(stack: Stack) -> None:
    opened = httpx.post(f"{stack.url}/api/v1/chat/conversations", json={"language": "fr"}).json()
    headers = {"Authorization": f"Bearer {opened['token']}"}
    base = f"{stack.url}/api/v1/chat/conversations/{opened['id']}"
    questions = ["quels sont les délais de livraison ?", "combien coûte la livraison ?", "où sont vos magasins ?"]
    for index, text in enumerate(questions):
        body = {"client_id": f"00000000-0000-4000-8000-00000000000{index}", "text": text}
        assert httpx.post(f"{base}/messages", json=body, headers=headers).status_code == 201
    pid = stack.supervisor.getProcessInfo("web")["pid"]
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    wait_for(stack.web_answers, 120, "the web process is back")

    def all_done() -> bool:
        with stack.database().read() as session:
            open_jobs = (
                select(func.count())
                .select_from(Job)
                .where(Job.lane == opened["id"], Job.state.in_((JobState.WAITING, JobState.RUNNING)))
            )
            return session.scalar(open_jobs) == 0

    wait_for(all_done, 150, "every turn is answered")
    events = httpx.get(f"{base}/events", headers=headers).json()["events"]
    assert [event["text"] for event in events if event["from"] == "customer"] == questions
    replies = [event["text"] for event in events if event["from"] == "bot"][1:]
    assert len(replies) == len(set(replies))
    assert any("jours ouvrés" in text for text in replies)
    assert any("Nantes" in text for text in replies)


# The start


@pytest.mark.parametrize(
    ("setting", "pattern"),
    [
        ({}, r"Port \d+ on 127\.0\.0\.1 cannot be used .*: stop what uses it, or choose another with COMPTOIR_PORT="),
        ({"COMPTOIR_RASA_PYTHON": "/nowhere/python"}, r"Rasa's environment is missing .*: run `make install`"),
        (
            {"COMPTOIR_RASA_PYTHON": sys.executable},
            r"Rasa needs Python 3\.10, but .*: remove bot/\.venv and run `make i",
        ),
    ],
)
def test_a_start_that_cannot_be_says_why_in_one_line(
    stack: Stack, tmp_path: Path, setting: dict[str, str], pattern: str
) -> None:
    env = {**stack.env, "COMPTOIR_DATA_DIR": str(tmp_path), **setting}
    command = [sys.executable, "-m", "service.cli", "serve"]
    second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    printed = (second.stdout + second.stderr).strip()
    assert re.search(pattern, printed), printed
    assert len(printed.splitlines()) == 1
