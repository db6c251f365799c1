"""Every setting of Comptoir, read from `comptoir.toml` and `COMPTOIR_*` variables; the defaults run the demo shop."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tomllib
from dataclasses import replace
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import limits
from dkim.crypto import UnparsableKeyError, parse_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from desk import OpeningHours
from service.mail_policy import MailPolicy
from triage import EXECUTABLES, LIMITS, Limits

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("fr", "en", "de", "es", "it")
NLU_PATH = "/internal/nlu"
ACTION_PATH = "/internal/actions"
LONGEST_PLUS_LOCAL = 21
"""What RFC 5321, section 4.5.3.1.1, leaves of 64 letters beside a + and the 42 of a case's token."""


class SettingsError(Exception):
    """The settings cannot be used; the message names the setting and the remedy."""


class Section(BaseModel):
    """A table of `comptoir.toml`; a setting that it does not know is a misspelt one."""

    model_config = ConfigDict(extra="forbid")


Port = Annotated[int, Field(ge=1, le=65535)]


class Hours(Section):
    """Opening hours of the desk: per weekday (0 is Monday) "09:00-19:00"; a day left out is closed."""

    zone: str = "Europe/Paris"
    week: dict[int, str] = Field(
        default={**dict.fromkeys(range(5), "09:00-19:00"), 5: "10:00-18:00"},
    )
    holidays: frozenset[date] = frozenset()

    @field_validator("week")
    @classmethod
    def _spans(cls, week: dict[int, str]) -> dict[int, str]:
        for day, span in week.items():
            if not 0 <= day <= 6:
                raise ValueError(f"{day} is no weekday; Monday is 0, Sunday 6")
            opens, _, closes = span.partition("-")
            try:
                forward = time.fromisoformat(opens) < time.fromisoformat(closes)
            except ValueError:
                forward = False
            if not forward:
                raise ValueError(f'weekday {day}: "{span}" is no span; write it as "09:00-19:00"')
        return week

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError(f'"{zone}" is no time zone; write it as "Europe/Paris"') from error
        return zone

    def calendar(self) -> OpeningHours:
        spans = {day: span.split("-") for day, span in self.week.items()}
        week = {day: (time.fromisoformat(opens), time.fromisoformat(closes)) for day, (opens, closes) in spans.items()}
        return OpeningHours(ZoneInfo(self.zone), week, self.holidays)


class OAuth(Section):
    """How a mailbox's access token is had (RFC 6749): from a command that prints one, or from a refresh token."""

    token_command: tuple[str, ...] = ()
    token_url: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    scope: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        refreshes = bool(self.token_url and self.client_id and self.refresh_token.get_secret_value())
        if bool(self.token_command) == refreshes:
            raise ValueError("set either token_command, or token_url with client_id and refresh_token")
        return self


class Mailbox(Section):
    """A mailbox at an IMAP server: what comes into its folder is taken in, then marked as seen or moved."""

    name: str = Field(min_length=1, max_length=80)
    host: str
    port: int = 0
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    user: str
    password: SecretStr = SecretStr("")
    oauth: OAuth | None = None
    folder: str = "INBOX"
    after: Literal["seen", "move"] = "seen"
    move_to: str = ""
    poll_seconds: float = Field(default=60.0, ge=1, le=240)
    """The server is asked this often; between two questions IDLE tells of new mail at once, where the server has it."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if bool(self.password.get_secret_value()) == (self.oauth is not None):
            raise ValueError(f'mailbox "{self.name}" needs either a password or oauth')
        if (self.after == "move") != bool(self.move_to) or self.move_to == self.folder:
            raise ValueError(
                f'mailbox "{self.name}": after = "move" goes with move_to, a folder other than {self.folder}'
            )
        self.port = self.port or (993 if self.tls == "implicit" else 143)
        return self


class Attachments(Section):
    """Which files of a mail are kept by themselves, so that agents can open them; of the others only the name is."""

    largest_bytes: int = Field(default=25 * 1024 * 1024, ge=0)
    total_bytes: int = Field(default=50 * 1024 * 1024, ge=0)
    """Of one mail."""
    refused: frozenset[str] = EXECUTABLES
    """Endings of file names and content types. With any, a program is refused whatever it calls itself."""

    @field_validator("refused")
    @classmethod
    def _comparable(cls, refused: frozenset[str]) -> frozenset[str]:
        return frozenset(each.strip().lower().removeprefix(".") for each in refused)

    @property
    def limits(self) -> Limits:
        return replace(LIMITS, attachment=self.largest_bytes, attachments=self.total_bytes, refused=self.refused)


class Mail(Section):
    """Where mail comes in and goes out. Without a relay, mail goes to the demo sink, which the desk can show."""

    address: str = "contact@librairie-tournesol.example"
    aliases: frozenset[str] = frozenset()
    """Further addresses of ours: mail to them is for us, mail from them is our own."""
    sender_name: str = "Librairie Tournesol"
    authserv_id: str = ""
    """The name under which our own mail server writes Authentication-Results; without it no sender is ever verified."""
    policy: MailPolicy = MailPolicy()
    listen_host: str = "127.0.0.1"
    listen_port: Port = 2525
    lmtp_port: Port | None = None
    max_bytes: int = Field(default=50 * 1024 * 1024, ge=1024 * 1024)
    attachments: Attachments = Attachments()
    webhook_token: SecretStr = SecretStr("")
    mailboxes: tuple[Mailbox, ...] = ()
    relay_host: str | None = None
    relay_port: Port = 25
    relay_user: str | None = None
    relay_password: str | None = None
    relay_starttls: bool = False
    relay_ca_file: Path | None = None
    """Certificates (PEM) to check the relay's against, where it is signed by none that the system trusts."""
    sink_port: Port = 2526
    plus_addressing: bool = False
    """Mail to `local+anything@domain` reaches us: answers and bounces come back to an address that names the case."""
    reopen_days: int = Field(default=30, ge=0)
    """A case that was closed longer ago is not opened again: its answer is a new case, linked with it."""
    dkim_key: Path | None = None
    dkim_selector: str = ""
    dkim_domain: str = ""

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        if not re.fullmatch(r"[^@\s<>\",;]+@[^@\s<>\",;]+\.[^@\s<>\",;.]+", address):
            raise ValueError(f'"{address}" is no address; write it as "contact@your-shop.example"')
        return address

    @model_validator(mode="after")
    def _case_address_fits(self) -> Self:
        if self.plus_addressing and len(self.address.rpartition("@")[0]) > LONGEST_PLUS_LOCAL:
            raise ValueError(
                f"plus_addressing: the part of {self.address} before the @ is longer than {LONGEST_PLUS_LOCAL} letters, which "
                "leaves no room for a case's token (RFC 5321 allows 64); take a shorter address or leave plus_addressing out"
            )
        return self

    @model_validator(mode="after")
    def _signs(self) -> Self:
        given = (self.dkim_key is not None, bool(self.dkim_selector), bool(self.dkim_domain))
        if any(given) != all(given):
            raise ValueError("dkim_key, dkim_selector and dkim_domain go together: set all three or none")
        if self.dkim_key is not None:
            try:
                parse_pem_private_key(self.dkim_key.read_bytes())
            except (OSError, UnparsableKeyError) as error:
                raise ValueError(f"dkim_key: {self.dkim_key} holds no RSA private key in PEM form ({error})") from error
        return self

    @field_validator("mailboxes")
    @classmethod
    def _named_apart(cls, mailboxes: tuple[Mailbox, ...]) -> tuple[Mailbox, ...]:
        names = [mailbox.name for mailbox in mailboxes]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two mailboxes are named {', '.join(sorted(twice))}; a name is the key to a position")
        return mailboxes

    @property
    def reopen_within(self) -> timedelta:
        return timedelta(days=self.reopen_days)

    @property
    def our_addresses(self) -> frozenset[str]:
        """Every address that is ours, in lower case."""
        users = {mailbox.user for mailbox in self.mailboxes if "@" in mailbox.user}
        return frozenset(each.lower() for each in {self.address, *self.aliases, *users})


class RateLimits(Section):
    """Limits of the public API, in Flask-Limiter's notation: per network address, messages per conversation."""

    conversations: str = "20 per minute; 200 per hour"
    messages: str = "60 per minute"
    faq: str = "120 per minute"
    orders: str = "10 per minute"
    login: str = "10 per minute"

    @field_validator("*")
    @classmethod
    def _readable(cls, limit: str) -> str:
        try:
            limits.parse_many(limit)
        except ValueError as error:
            raise ValueError(f'"{limit}" is no limit; write it as "20 per minute; 200 per hour"') from error
        return limit


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="COMPTOIR_", env_nested_delimiter="__", extra="forbid")

    data_dir: Path = ROOT / "var"
    database_url: str | None = None
    content_dir: Path = ROOT / "faq_kb" / "content"
    artifacts_dir: Path = ROOT / "models" / "artifacts"
    host: str = "127.0.0.1"
    port: Port = 8000
    threads: int = Field(default=64, ge=32)
    """Half of them at most hold shoppers' event streams, twelve the desk's; the rest answers."""
    rasa_port: Port = 5005
    rasa_python: Path = ROOT / "bot" / ".venv" / "bin" / "python"
    worker_threads: int = Field(default=4, ge=1, le=64)
    default_language: str = "fr"
    handling_minutes: int = Field(default=4, ge=1)
    turn_timeout_seconds: float = Field(default=20.0, ge=1)
    secret_key: str = ""
    identity_key: str = ""
    secure_cookies: bool = False
    trusted_proxies: int = Field(default=0, ge=0)
    demo: bool = True
    encoder: str = "light"
    """`light` (one encoder), `full` (a second one too: more right answers, five times the time) or the folder of a
    sentence-transformers model. A change trains everything again at the next start."""
    error_rate: float = Field(default=0.01, gt=0, lt=1)
    """Share of wrong answers among those given by themselves (FAQ)."""
    intent_error_rate: float = Field(default=0.05, gt=0, lt=1)
    """Share of journeys begun on a wrong intent: they begin with a question to the shopper, so an error costs a "no"."""
    hours: Hours = Hours()
    mail: Mail = Mail()
    limits: RateLimits = RateLimits()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get("COMPTOIR_CONFIG")
        if named and not Path(named).is_file():
            raise SettingsError(f"{named}: there is no such file; correct COMPTOIR_CONFIG or unset it")
        toml = Path(named or ROOT / "comptoir.toml")
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml))

    @field_validator("database_url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        try:
            make_url(url or "sqlite://")
        except ArgumentError as error:
            raise ValueError(f'"{url}" is no database URL; write it as "sqlite:////var/lib/comptoir.db"') from error
        return url

    @field_validator("default_language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language not in LANGUAGES:
            raise ValueError(f"is none of {', '.join(LANGUAGES)}")
        return language

    @model_validator(mode="after")
    def _mail_leaves(self) -> Self:
        if not self.demo and self.mail.relay_host is None:
            raise ValueError("without the demo, mail needs a relay: set mail.relay_host")
        if not self.demo and "address" not in self.mail.model_fields_set:
            raise ValueError("without the demo, mail needs an address of yours: set mail.address")
        return self

    @property
    def url(self) -> str:
        """Where the web app is reached on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'comptoir.db'}"

    @property
    def rasa_token(self) -> str:
        """The secret between Rasa and us, derived from the installation's own."""
        return hmac.new(self.secret_key.encode(), b"rasa", hashlib.sha256).hexdigest()

    @property
    def case_key(self) -> bytes:
        """The key that signs the case tokens in our mail, derived from the installation's own."""
        return hmac.new(self.secret_key.encode(), b"case token", hashlib.sha256).digest()

    @property
    def dialogue_dir(self) -> Path:
        """Rasa's trained dialogue model."""
        return ROOT / "bot" / "models"

    @property
    def vectors_dir(self) -> Path:
        """Where a slow encoder keeps the vectors of training text."""
        return self.artifacts_dir / "vectors"

    @property
    def drop_dir(self) -> Path:
        """The folder whose mail (.eml, mbox, Maildir) is taken in."""
        return self.data_dir / "mail" / "drop"

    @property
    def attachments_dir(self) -> Path:
        """Where the files that came with mail are kept."""
        return self.data_dir / "mail" / "attachments"

    @property
    def tokens_dir(self) -> Path:
        """Where refresh tokens are kept that a server has renewed."""
        return self.data_dir / "mail" / "tokens"

    @property
    def sink_dir(self) -> Path:
        """Where the demo sink keeps what Comptoir sent."""
        return self.data_dir / "mail" / "sent"


def load_settings() -> Settings:
    """The settings of this installation, with its own secrets; raises SettingsError."""
    try:
        settings = Settings()
    except ValidationError as error:
        lines = "; ".join(map(_in_words, error.errors()))
        raise SettingsError(f"{lines}. Correct it in comptoir.toml or in the COMPTOIR_ variables.") from error
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingsError(f"comptoir.toml cannot be read: {error}") from error
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"data_dir: {settings.data_dir} cannot be made ({error.strerror}); name another") from error
    settings.secret_key = settings.secret_key or _kept_secret(settings.data_dir / "secret_key")
    settings.identity_key = settings.identity_key or _kept_secret(settings.data_dir / "identity_key")
    return settings


def _in_words(mistake: ErrorDetails) -> str:
    place = ".".join(map(str, mistake["loc"]))
    unknown = mistake["type"] == "extra_forbidden"
    told = "there is no such setting" if unknown else mistake["msg"].removeprefix("Value error, ")
    return f"{place}: {told}" if place else told


def _kept_secret(path: Path) -> str:
    """A random secret, made once and readable by its owner only."""
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
