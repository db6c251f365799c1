"""Access tokens for mailboxes that want OAuth 2.0 instead of a password (RFC 6749, section 6)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from service.settings import OAuth

TIMEOUT_SECONDS = 30.0
EARLY_SECONDS = 60.0
"""A token is renewed this long before it ends."""


class TokenError(Exception):
    """No access token is to be had; the message says who refused it."""


class AccessTokens:
    """The access tokens of one mailbox.

    A refresh token that the server renews is kept in `kept`, readable by its owner only, until the settings name another.
    """

    def __init__(self, oauth: OAuth, kept: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._oauth = oauth
        self._kept = kept
        self._monotonic = monotonic
        self._token = ""
        self._ends = 0.0

    def current(self) -> str:
        """An access token that should still work; raises TokenError."""
        if self._oauth.token_command:
            return self._asked_of_command()
        if not self._token or self._monotonic() >= self._ends:
            self._refresh()
        return self._token

    def refused(self) -> None:
        """The mail server did not accept the token: the next one is a new one."""
        self._token = ""

    def _asked_of_command(self) -> str:
        command = list(self._oauth.token_command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TokenError(f"token_command {command[0]}: {error}") from error
        token = done.stdout.strip()
        if done.returncode or not token or len(token.split()) > 1:
            said = (done.stderr.strip().splitlines() or ["it printed no token"])[-1]
            raise TokenError(f"token_command {command[0]} (exit {done.returncode}): {said}")
        return token

    def _refresh(self) -> None:
        oauth = self._oauth
        form = {
            "grant_type": "refresh_token",
            "client_id": oauth.client_id,
            "client_secret": oauth.client_secret.get_secret_value(),
            "refresh_token": self._refresh_token(),
            "scope": oauth.scope,
        }
        try:
            answer = httpx.post(
                oauth.token_url, data={key: value for key, value in form.items() if value}, timeout=TIMEOUT_SECONDS
            )
            said = answer.json()
            if not isinstance(said, dict):
                raise ValueError("no JSON object")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise TokenError(f"{oauth.token_url}: {error}") from error
        if not answer.is_success or not said.get("access_token"):
            reason = said.get("error_description") or said.get("error") or f"HTTP {answer.status_code}"
            raise TokenError(f"{oauth.token_url}: {reason}")
        self._token = str(said["access_token"])
        self._ends = self._monotonic() + float(said.get("expires_in") or 3600) - EARLY_SECONDS
        if said.get("refresh_token"):
            self._keep(str(said["refresh_token"]))

    def _refresh_token(self) -> str:
        given = self._oauth.refresh_token.get_secret_value()
        try:
            kept = json.loads(self._kept.read_text())
        except (OSError, ValueError):
            return given
        return str(kept["refresh_token"]) if kept.get("came_from") == _digest(given) else given

    def _keep(self, refresh_token: str) -> None:
        given = self._oauth.refresh_token.get_secret_value()
        if refresh_token == self._refresh_token():
            return
        self._kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._kept.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"came_from": _digest(given), "refresh_token": refresh_token}))
        draft.replace(self._kept)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
