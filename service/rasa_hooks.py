"""What Rasa calls: our understanding as its NLU, our actions as its action server. For Rasa alone: a token guards both."""

from __future__ import annotations

import hmac
import time
from typing import Any

from apiflask import APIBlueprint
from flask import abort, request
from werkzeug.wrappers import Response

from bot import nlu_response, run_action
from service.measures import ACTION_SECONDS, NLU_SECONDS, database_time
from service.settings import ACTION_PATH, NLU_PATH
from service.wiring import House


def rasa_blueprint(house: House) -> APIBlueprint:
    """`POST /internal/nlu/model/parse` and `POST /internal/actions`."""
    hooks = APIBlueprint("rasa", __name__, enable_openapi=False)

    @hooks.before_request
    def only_rasa() -> None:
        # Rasa sends the token of its NLU endpoint in the body, that of its action endpoint in the query.
        body = request.get_json(force=True, silent=True)
        given = request.args.get("token") or (body.get("token") if isinstance(body, dict) else None) or ""
        if not hmac.compare_digest(str(given).encode(), house.settings.rasa_token.encode()):
            abort(403)

    @hooks.post(f"{NLU_PATH}/model/parse")
    def parse() -> dict[str, Any]:
        started = time.perf_counter()
        call = request.get_json(force=True)
        reading = house.read_chat(str(call.get("text", "")), None)
        NLU_SECONDS.observe(time.perf_counter() - started)
        return nlu_response(reading, house.understanding.chat_threshold)

    @hooks.post(ACTION_PATH)
    def act() -> tuple[dict[str, Any], int] | Response:
        started = time.perf_counter()
        with database_time("action"):
            body, status = run_action(house.executor, request.get_json(force=True))
        ACTION_SECONDS.observe(time.perf_counter() - started)
        return body, status

    return hooks
