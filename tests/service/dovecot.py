"""A real IMAP server for the tests: Dovecot with its own configuration, on a free port of loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from imapclient import IMAPClient

from service.settings import Mailbox

PASSWORD = "pâté et café"
TOKEN_KEY = b"a key that signs the tokens of the tests only"

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
{users}
mail_location = maildir:~/Maildir
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN username_format=%n {folder}/passwords
}}
userdb {{
  driver = static
  args = home={folder}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
OAUTH = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = email
"""


def dovecot_program() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass
class Dovecot:
    """A running server. Every user name is a mailbox of its own and has the same password."""

    program: str
    folder: Path
    port: int
    tls_port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        certificate = ""
        if self.tls_port:
            key, cert = self.folder / "key.pem", self.folder / "cert.pem"
            request = [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ]
            names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
            if not cert.exists():
                subprocess.run([*request, *names], check=True, capture_output=True)
            certificate = f"ssl_cert = <{cert}\nssl_key = <{key}"
        # Dovecot gives no mail to root; where root runs the tests, the mail belongs to nobody.
        as_root = os.getuid() == 0
        me = getpass.getuser()
        users = (
            "mail_uid = nobody\nmail_gid = nogroup"
            if as_root
            else f"default_internal_user = {me}\ndefault_login_user = {me}\nmail_uid = {os.getuid()}\nmail_gid = {os.getgid()}"
        )
        config = self.folder / "dovecot.conf"
        values = {"folder": self.folder, "port": self.port, "tls_port": self.tls_port, "users": users}
        config.write_text(
            CONFIG.format(
                ssl="yes" if self.tls_port else "no",
                certificate=certificate,
                **values,
            )
        )
        (self.folder / "oauth2.conf").write_text(OAUTH.format(folder=self.folder))
        (self.folder / "passwords").write_text("".join(f"{name}:{PASSWORD}\n" for name in ("shop", "other", "third")))
        keys = self.folder / "keys" / "default" / "HS256"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / "default").write_bytes(b64encode(TOKEN_KEY))
        (self.folder / "home").mkdir(exist_ok=True)
        if as_root:
            shutil.chown(self.folder / "home", "nobody", "nogroup")
        self.process = subprocess.Popen([self.program, "-F", "-c", str(config)], stderr=subprocess.PIPE)
        ends = time.monotonic() + 20
        while True:
            try:
                with self.client():
                    return
            except OSError as error:
                if time.monotonic() > ends or self.process.poll() is not None:
                    raise RuntimeError(f"dovecot did not start: {self.log()}") from error
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            if self.process.stderr:
                self.process.stderr.close()
            self.process = None

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text()[-2000:] if path.exists() else ""

    def mailbox(self, user: str, **values: object) -> Mailbox:
        secret = {} if "oauth" in values else {"password": PASSWORD}
        given = {"name": user, "host": "127.0.0.1", "port": self.port, "tls": "none", "user": user, **secret, **values}
        return Mailbox.model_validate(given)

    @contextmanager
    def client(self, user: str | None = None, folder: str = "INBOX") -> Iterator[IMAPClient]:
        """A mail program beside ours, logged in when `user` is named."""
        with IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20) as client:
            if user is not None:
                if "@" in user:
                    client.oauth2_login(user, access_token(user))
                else:
                    client.plain_login(user, PASSWORD)
                client.select_folder(folder)
            yield client

    def deliver(
        self, user: str, *mails: bytes, seen: bool = False, at: datetime | None = None, to: str = "INBOX"
    ) -> None:
        with self.client(user) as client:
            for raw in mails:
                client.append(to, raw, [b"\\Seen"] if seen else [], at)

    def flags(self, user: str, folder: str = "INBOX") -> dict[int, set[bytes]]:
        """UID -> flags of every mail in a folder."""
        with self.client(user, folder) as client:
            fetched = client.fetch(client.search("ALL"), ["FLAGS"])
            return {uid: set(found[b"FLAGS"]) - {b"\\Recent"} for uid, found in fetched.items()}


def access_token(user: str, *, minutes: int = 10) -> str:
    now = datetime.now(UTC)
    claims = {"email": user, "sub": user, "iat": now - timedelta(hours=1), "nbf": now - timedelta(hours=1)}
    return jwt.encode({**claims, "exp": now + timedelta(minutes=minutes)}, TOKEN_KEY, algorithm="HS256")


@contextmanager
def running(program: str, port: int, *, tls_port: int = 0) -> Iterator[Dovecot]:
    # Not pytest's tmp_path: the users that Dovecot works as may not enter it, and its sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
    folder.chmod(0o755)
    server = Dovecot(program, folder, port, tls_port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
