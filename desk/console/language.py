"""The console's words: one file a language in `strings/`, French where a language has none, dates and money by Babel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from werkzeug.datastructures import LanguageAccept

DEFAULT = "fr"
STRINGS_DIR = Path(__file__).parent / "strings"


@dataclass(frozen=True)
class Words:
    """One language of the console, in one time zone.

    A text that depends on a number has a key for each plural form of its language: `waiting.one`, `waiting.other`.
    """

    language: str
    zone: ZoneInfo
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text `key` with its {placeholders} filled; with `n` the plural form for that number."""
        n = values.get("n")
        if isinstance(n, int) and key not in self.texts:
            form = f"{key}.{self._locale.plural_form(n)}"
            key = form if form in self.texts else f"{key}.other"
        return self.texts.get(key, key).format_map(values)

    def has(self, key: str) -> bool:
        return key in self.texts

    def named(self, family: str, name: object) -> str:
        """The text `family.name`, or `name` itself when the shop has added it and nobody has translated it yet."""
        return self.texts.get(f"{family}.{name}", str(name).replace("_", " "))

    def motive(self, name: str) -> str:
        return self.named("motive", name)

    def money(self, cents: int) -> str:
        return str(format_currency(cents / 100, "EUR", locale=self._locale))

    def day(self, day: date, today: date | None = None) -> str:
        """A date as an agent would say it; with `today`, "today" and "yesterday" are said so."""
        if today is not None and day == today:
            return self("day.today")
        if today is not None and day == today - timedelta(days=1):
            return self("day.yesterday")
        pattern = "EEEE d MMMM" if today is not None and day.year == today.year else "d MMM yyyy"
        return str(format_date(day, pattern, locale=self._locale))

    def size(self, count: int) -> str:
        """Bytes as people say them: "1 kB", "240 kB", "1.2 MB"."""
        if count < 1_000_000:
            return self("size.kilobytes", count=max(1, round(count / 1000)))
        return self("size.megabytes", count=format_decimal(count / 1_000_000, "#,##0.#", locale=self._locale))

    def short_day(self, day: date) -> str:
        return str(format_date(day, self("format.short_day"), locale=self._locale))

    def time(self, moment: datetime) -> str:
        return str(format_time(moment.astimezone(self.zone), "short", locale=self._locale))

    def moment(self, moment: datetime) -> str:
        return f"{self.short_day(self.local_day(moment))} {self.time(moment)}"

    def local_day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def day_or_time(self, moment: datetime, now: datetime) -> str:
        """The time of a moment today, the date of an earlier one."""
        day = self.local_day(moment)
        return self.time(moment) if day == self.local_day(now) else self.short_day(day)

    def duration(self, span: timedelta) -> str:
        """A wait, rounded down: "40 s", "12 min", "3 h 05", "2 d"."""
        seconds = max(0, int(span.total_seconds()))
        if seconds < 60:
            return self("span.seconds", count=seconds)
        if seconds < 3600:
            return self("span.minutes", count=seconds // 60)
        if seconds < 86400:
            return self("span.hours", hours=seconds // 3600, minutes=f"{seconds % 3600 // 60:02d}")
        return self("span.days", count=seconds // 86400)

    def language_name(self, code: str) -> str:
        """ "de" -> "allemand"."""
        try:
            return Locale.parse(code).get_display_name(self._locale) or code
        except ValueError:
            return code

    @property
    def _locale(self) -> Locale:
        return Locale.parse(self.language)


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a strings file, the default first."""
    found = sorted(path.stem for path in STRINGS_DIR.glob("*.json"))
    return (DEFAULT, *(language for language in found if language != DEFAULT))


@cache
def words(language: str, zone: ZoneInfo) -> Words:
    """The words of a language, completed by the default's."""
    return Words(language, zone, {**_read(DEFAULT), **_read(language)})


def choose(accepted: LanguageAccept) -> str:
    """The console's language that a browser's Accept-Language header likes best."""
    return accepted.best_match(languages(), DEFAULT)


def _read(language: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((STRINGS_DIR / f"{language}.json").read_text(encoding="utf-8"))
    return texts
