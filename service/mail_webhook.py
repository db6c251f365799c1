"""Mail comes in over HTTP: for mail services that hand their mail on by a webhook."""

from __future__ import annotations

import hmac
from typing import Any

from apiflask import APIBlueprint, abort
from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from service.limits import limiter
from service.mail_in import take_in
from service.wiring import House


def mail_blueprint(house: House) -> APIBlueprint:
    """`POST /api/v1/mail`; there only when `mail.webhook_token` is set."""
    mail = APIBlueprint("mail", __name__, tag="Service")
    token = house.settings.mail.webhook_token.get_secret_value()
    if not token:
        return mail

    def wrong_token(response: Response) -> bool:
        return response.status_code == 401

    @mail.post("/api/v1/mail")
    @limiter.limit(house.settings.limits.login, deduct_when=wrong_token)
    @mail.doc(
        summary="Take in one mail (message/rfc822); the same mail again gives the same id",
        security="token",
        responses={
            202: "Stored",
            400: "Empty body",
            401: "Bad token",
            413: "Bigger than mail.max_bytes",
            415: "Not message/rfc822",
            429: "Too many wrong tokens",
        },
    )
    def post_mail() -> tuple[dict[str, Any], int]:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            abort(401, "the token is missing or wrong; send mail.webhook_token as Authorization: Bearer ...")
        if request.mimetype != "message/rfc822":
            abort(415, f'"{request.mimetype}" is not taken; send one mail as Content-Type: message/rfc822')
        limit = house.settings.mail.max_bytes
        request.max_content_length = limit
        try:
            raw = request.get_data(cache=False)
        except RequestEntityTooLarge:
            abort(413, f"the mail is bigger than mail.max_bytes ({limit} bytes)")
        if not raw.strip():
            abort(400, "the body is empty; send one mail as message/rfc822")
        taken = take_in(house.database, raw, f"webhook:{request.remote_addr}")
        return {"id": taken.mail_id, "new": taken.new}, 202

    return mail
