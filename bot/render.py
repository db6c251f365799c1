"""Turns payloads of the dialogue into text and buttons, in the shopper's language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency
from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.replies import Reply

RESPONSES = Path(__file__).parent / "responses"
REFERENCE = "fr"
"""The language that is always there: others are checked against it and fall back to it."""

_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class Button:
    """A quick reply: `title` is shown, `text` is sent as the shopper's message when it is clicked."""

    title: str
    text: str


@dataclass(frozen=True)
class Rendered:
    """`text` is Markdown; `kind` is the response's name."""

    text: str
    buttons: tuple[Button, ...]
    kind: str


class BrokenResponses(ValueError):
    """A response file cannot be used; the message names file, text and remedy."""


class _Markdown(str):
    """Text that is Markdown already and is not escaped."""

    __slots__ = ()


@dataclass(frozen=True)
class _ButtonTemplate:
    title: Template
    text: Template
    each: str | None


@dataclass(frozen=True)
class _Response:
    text: Template
    buttons: tuple[_ButtonTemplate, ...]
    facts: frozenset[str]


@dataclass(frozen=True)
class _Language:
    human_button: str
    words: Mapping[str, Mapping[str, str]]
    responses: Mapping[str, _Response]


class Renderer:
    """Every response in every language, read and checked once.

    Args:
        folder: `<language>.yml` files; `fr.yml` is the reference.
        zone: the shop's time zone, in which times of day are told.

    Raises:
        BrokenResponses: a response is missing, unknown, does not parse, or uses a fact that the reference does not have.
    """

    def __init__(self, folder: Path = RESPONSES, zone: ZoneInfo | None = None) -> None:
        self._zone = zone or ZoneInfo("Europe/Paris")
        files = sorted(folder.glob("*.yml"))
        if not any(file.stem == REFERENCE for file in files):
            raise BrokenResponses(f"{folder}: {REFERENCE}.yml is missing; every other language falls back to it")
        self._languages = {file.stem: self._read(file) for file in files}
        for file in files:
            self._compare(file)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._languages)

    def render(self, payload: Mapping[str, Any], language: str) -> Rendered:
        """The text and buttons of `payload` (`response`, its facts, perhaps `offers_human`) in `language`, else in French.

        Raises KeyError for a response that does not exist, jinja2.UndefinedError when a fact is missing.
        """
        speech = self._languages.get(language, self._languages[REFERENCE])
        response = speech.responses[str(payload["response"])]
        facts = {"offers_human": False, **payload, "words": speech.words}
        buttons = [
            Button(button.title.render(one).strip(), button.text.render(one).strip())
            for button in response.buttons
            for one in ([facts] if button.each is None else [{**facts, "item": item} for item in facts[button.each]])
        ]
        if facts["offers_human"]:
            buttons.append(Button(speech.human_button, speech.human_button))
        text = re.sub(r"\n{3,}", "\n\n", response.text.render(facts).strip())
        return Rendered(text, tuple(buttons), str(payload["response"]))

    def _read(self, file: Path) -> _Language:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            locale = Locale.parse(content["locale"])
            human_button, words, texts = content["human_button"], content["words"], content["texts"]
        except (yaml.YAMLError, KeyError, TypeError, ValueError, UnknownLocaleError) as error:
            raise BrokenResponses(
                f"{file}: not readable ({error}); it needs locale, human_button, words, item_words and texts"
            ) from error
        known = {reply.value for reply in Reply}
        for missing in sorted(known - set(texts)):
            raise BrokenResponses(f'{file}: text "{missing}" is missing; add it under texts')
        for unknown in sorted(set(texts) - known):
            raise BrokenResponses(f'{file}: text "{unknown}" is used nowhere; remove it or correct its name')
        prose, plain = self._environment(locale, escape=True), self._environment(locale, escape=False)
        responses = {}
        for name, entry in texts.items():
            try:
                responses[name] = _response(entry, prose, plain)
            except (TemplateError, KeyError, TypeError, AttributeError) as error:
                raise BrokenResponses(f'{file}: text "{name}" is broken: {error!r}; correct it') from error
        return _Language(human_button, words, responses)

    def _compare(self, file: Path) -> None:
        reference, other = self._languages[REFERENCE], self._languages[file.stem]
        for table, words in reference.words.items():
            for missing in sorted(set(words) - set(other.words.get(table, {}))):
                raise BrokenResponses(f'{file}: words "{table}" lack "{missing}"; add it, {REFERENCE}.yml has it')
        for name, response in other.responses.items():
            for fact in sorted(response.facts - reference.responses[name].facts):
                raise BrokenResponses(
                    f'{file}: text "{name}" uses "{fact}", which {REFERENCE}.yml does not; correct the spelling'
                )

    def _environment(self, locale: Locale, *, escape: bool) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_escape if escape else None,
        )
        environment.filters |= {
            "markdown": _Markdown,
            "date": lambda value: _in_french(format_date(self._local(value), "long", locale=locale), locale),
            "day": lambda value: _in_french(format_date(self._local(value), "full", locale=locale), locale),
            "time": lambda value: format_time(
                datetime.fromisoformat(value).astimezone(self._zone), "short", locale=locale
            ),
            "money": lambda cents: format_currency(Decimal(cents) / 100, "EUR", locale=locale),
        }
        return environment

    def _local(self, value: str) -> date | datetime:
        """An ISO 8601 date as it is, a point in time as the shop's clocks show it."""
        return datetime.fromisoformat(value).astimezone(self._zone) if "T" in value else date.fromisoformat(value)


def item_words(folder: Path = RESPONSES) -> dict[str, frozenset[str]]:
    """What shoppers call each kind of item, of all languages together: {kind: words, lower case}."""
    found: dict[str, set[str]] = {}
    for file in sorted(folder.glob("*.yml")):
        for kind, words in yaml.safe_load(file.read_text(encoding="utf-8"))["item_words"].items():
            found.setdefault(kind, set()).update(words)
    return {kind: frozenset(words) for kind, words in found.items()}


def _response(
    entry: Mapping[str, Any], prose: ImmutableSandboxedEnvironment, plain: ImmutableSandboxedEnvironment
) -> _Response:
    text = str(entry["text"])
    facts = set(meta.find_undeclared_variables(prose.parse(text)))
    buttons = []
    for button in entry.get("buttons", ()):
        if isinstance(button, str):
            button = {"title": button}
        title, sent, each = button["title"], button.get("text", button["title"]), button.get("each")
        facts |= meta.find_undeclared_variables(plain.parse(title + sent)) - {"item"} | ({each} if each else set())
        buttons.append(_ButtonTemplate(plain.from_string(title), plain.from_string(sent), each))
    return _Response(prose.from_string(text), tuple(buttons), frozenset(facts - {"words", "offers_human"}))


def _escape(value: object) -> str:
    """`value` as text that Markdown leaves as it is: titles and names come from outside."""
    return value if isinstance(value, _Markdown) else _MARKDOWN_SIGNS.sub(r"\\\1", str(value))


def _in_french(date: str, locale: Locale) -> str:
    """The first of a month is "1er" there, which the CLDR does not say."""
    return re.sub(r"(?<!\d)1 (?=[^\W\d])", "1er ", date, count=1) if locale.language == "fr" else date
