"""The rest of the public API: FAQ search, triage, order status, health and metrics."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint, abort
from flask import Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, Field

import triage
from service.limits import limiter
from service.measures import HouseCollector
from service.wiring import House
from shop import Verdict, order_digits, prove, view_order
from store import utc_now


class FaqQuestion(BaseModel):
    q: str = Field(min_length=1, max_length=1000)
    lang: Literal["fr", "en", "de", "es", "it"] = "fr"
    k: int = Field(default=3, ge=1, le=20)


class OrderProof(BaseModel):
    email: str | None = Field(default=None, max_length=320)
    postcode: str | None = Field(default=None, max_length=12)


def public_blueprint(house: House) -> APIBlueprint:
    """`/api/v1/faq`, `/api/v1/triage`, `/api/v1/orders`, `/healthz`, `/readyz`, `/metrics`."""
    public = APIBlueprint("public", __name__, tag="Service")
    of_the_house = CollectorRegistry()
    of_the_house.register(HouseCollector(house.database, lambda: house.mailboxes.readings()))

    @public.get("/api/v1/faq/search")
    @limiter.limit(house.settings.limits.faq)
    @public.input(FaqQuestion, location="query")
    @public.doc(summary="Search the FAQ")
    def faq_search(query_data: FaqQuestion) -> dict[str, Any]:
        return house.faq.search(query_data.q, query_data.lang, query_data.k).to_dict()

    @public.post("/api/v1/triage")
    @limiter.limit(house.settings.limits.messages)
    @public.doc(summary="Sort one mail (message/rfc822): motives, language, order numbers, human wanted")
    def sort_mail() -> dict[str, Any]:
        request.max_content_length = house.settings.mail.max_bytes
        raw = request.get_data(cache=False)
        if not raw:
            abort(400, "the body is empty; send one mail as message/rfc822")
        limits = house.settings.mail.attachments.limits
        result = triage.triage(raw, house.understanding, ours=house.our_side, policy=house.mail_policy, limits=limits)
        return result.to_dict()

    @public.get("/api/v1/orders/<number>/status")
    @limiter.limit(house.settings.limits.orders)
    @public.input(OrderProof, location="query")
    @public.doc(summary="Status of an order, after proof of identity (its e-mail or postcode)", responses=[404, 429])
    def order_status(number: str, query_data: OrderProof) -> dict[str, Any]:
        proof = query_data.email or query_data.postcode
        if not proof:
            abort(422, "proof of identity is missing; add the order's email or postcode")
        subject = f"net:{request.remote_addr}/{order_digits(number)}"[:120]
        with house.database.begin() as session:
            outcome = prove(session, subject, number, proof, now=utc_now())
            view = view_order(session, outcome.order_id, house.hours.zone) if outcome.order_id is not None else None
        if outcome.verdict == Verdict.THROTTLED:
            abort(429, "too many wrong tries for this order; try again in an hour or ask for a human")
        if view is None:
            abort(404, "no order has this number with this e-mail or postcode")
        return view.to_dict()

    @public.get("/healthz")
    @public.doc(hide=True)
    def alive() -> dict[str, str]:
        return {"status": "ok"}

    @public.get("/readyz")
    @public.doc(hide=True)
    def ready() -> tuple[dict[str, Any], int]:
        parts = house.readiness()
        return {"ready": all(parts.values()), "parts": parts}, 200 if all(parts.values()) else 503

    @public.get("/metrics")
    @public.doc(hide=True)
    def metrics() -> Response:
        return Response(generate_latest() + generate_latest(of_the_house), content_type=CONTENT_TYPE_LATEST)

    return public
