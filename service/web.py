"""The web app: every blueprint on one Flask app, and the process that serves it together with the workers."""

from __future__ import annotations

from datetime import timedelta

import structlog
from apiflask import APIFlask
from flask import Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from bot.widget import widget_blueprint
from desk import InboundMail, open_as_case
from desk.console import ConsoleDoors, console_blueprint
from service.chat import chat_blueprint
from service.demo import DEMO_AGENTS, DEMO_PASSWORD
from service.limits import limiter
from service.mail_out import sent_mail, sent_mails
from service.mail_reading import file_unsorted, redraft
from service.mail_webhook import mail_blueprint
from service.presentation import to_html
from service.public import public_blueprint
from service.rasa_hooks import rasa_blueprint
from service.wiring import House
from shop.site import demo_shop_blueprint

log = structlog.get_logger()

MAX_REQUEST_BYTES = 1024 * 1024


def create_app(house: House) -> APIFlask:
    """The Flask app of a house; every route, no thread started."""
    app = APIFlask("comptoir", title="Comptoir", version="1", spec_path="/api/openapi.json", docs_path=None)
    app.config.update(
        SECRET_KEY=house.settings.secret_key,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=house.settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        RATELIMIT_STORAGE_URI="memory://",
        DESCRIPTION="Chat, FAQ, triage and order status of a shop's customer service.",
    )
    app.security_schemes = {"token": {"type": "http", "scheme": "bearer"}}
    limiter.init_app(app)
    app.register_blueprint(chat_blueprint(house))
    app.register_blueprint(public_blueprint(house))
    app.register_blueprint(mail_blueprint(house))
    app.register_blueprint(rasa_blueprint(house))
    app.register_blueprint(widget_blueprint())
    app.register_blueprint(console_blueprint(_console_doors(house)))
    limit_log_in = limiter.limit(house.settings.limits.login, methods=["POST"])
    app.view_functions["desk.login"] = limit_log_in(app.view_functions["desk.login"])  # type: ignore[assignment]
    if house.settings.demo:
        app.register_blueprint(demo_shop_blueprint(desk_login=DEMO_AGENTS[0][0], desk_password=DEMO_PASSWORD))
    app.after_request(_headers)
    if house.settings.trusted_proxies:
        hops = house.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _console_doors(house: House) -> ConsoleDoors:
    return ConsoleDoors(
        database=house.database,
        compose=house.compose,
        content_mistakes=lambda: house.faq.mistakes,
        sent_mails=lambda: sent_mails(house.settings.sink_dir),
        sent_mail=lambda name: sent_mail(house.settings.sink_dir, name),
        demo=house.settings.demo,
        rasa_up=house.rasa_up,
        motives=house.understanding.motives,
        faq_entries=house.faq_entries,
        understood=lambda text, language: house.read_chat(text, language).intent,
        html=to_html,
        open_kept=lambda mail_id: _open_kept(house, mail_id),
        files=house.files,
        zone=house.hours.zone,
        stopping=house.stopping,
        mailbox_alarms=house.mailboxes.alarms,
        redraft=lambda mail: _redraft(house, mail),
    )


def _redraft(house: House, mail: InboundMail) -> dict[str, str] | None:
    try:
        return redraft(house, mail)
    except Exception:
        log.exception("the draft could not be written anew; the agent sees the one that was kept", mail_id=mail.id)
        return None


def _open_kept(house: House, mail_id: int) -> str | None:
    """Make a case of a mail that has none, as it is."""
    with house.database.read() as session:
        mail = session.get(InboundMail, mail_id)
    if mail is None:
        return None
    filed = file_unsorted(house, mail)
    with house.database.begin() as session:
        opened = open_as_case(session, mail_id, filed)
        return opened.id if opened else None


def _headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.path.startswith("/api/v1/chat/"):
        # The widget stands on the shop's own site and authenticates by bearer token, never by cookie.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response
