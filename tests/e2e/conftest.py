"""One Chromium for all end-to-end tests; without one they are skipped, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from service.demo import DEMO_PASSWORD
from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as Debian ships it, or the one that CHROMIUM names."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("NOT TESTED IN A BROWSER: Chromium is missing; install it (apt install chromium) or set CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product, running; started once."""
    running = Stack(tmp_path_factory.mktemp("comptoir"))
    running.prepare()
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def shopper(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A shopper on the demo shop's page, with the widget open."""
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    page.goto(stack.url)
    page.get_by_role("button", name="Une question ?").click()
    yield page
    context.close()


@pytest.fixture
def agent(browser: Browser, stack: Stack) -> Iterator[Page]:
    """Léa at the desk."""
    yield from _agent(browser, stack, "lea")


@pytest.fixture
def colleague(browser: Browser, stack: Stack) -> Iterator[Page]:
    """Karim at the desk."""
    yield from _agent(browser, stack, "karim")


def _agent(browser: Browser, stack: Stack, login: str) -> Iterator[Page]:
    context = browser.new_context(locale="fr-FR", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{stack.url}/desk/")
    page.locator("#login").fill(login)
    page.locator("#password").fill(DEMO_PASSWORD)
    page.locator("form.card button.primary").click()
    page.wait_for_url("**/desk/")
    yield page
    context.close()
