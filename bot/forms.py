"""What happens in the two forms: reading the shopper's answer, asking for the next thing, leaving.

Rasa opens, interrupts and closes a form; `validate_<form>` is called first in every turn of it. An answer that is not meant
for the form is given back to Rasa by returning nothing: the form is rejected and the rules serve the new subject.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from rasa_sdk import Action
from rasa_sdk.events import ActiveLoop, SlotSet
from rasa_sdk.executor import CollectingDispatcher

import shop
from bot.choose import choose_item, is_mostly_about
from bot.doors import World
from bot.faq import faq_answer, sure_entry
from bot.identify import (
    GIVEN_CONTACT,
    LAST_ORDER,
    ORDER_NUMBER,
    ORDER_PROOF,
    PROOF_REFUSED,
    PROVEN,
    Parting,
    identify,
    latest_orders,
    proven_view,
)
from bot.replies import Reply, payload
from bot.turn import Tracker, Turn, read_turn

Events = list[dict[str, Any]]

RETURN_LINE = "return_line"
RETURN_CONFIRMED = "return_confirmed"
MISSED = "missed"
"""How many answers in a row the form could not use."""
MISSES_BEFORE_HUMAN = 2
ASKED = (ORDER_NUMBER, ORDER_PROOF, RETURN_LINE, RETURN_CONFIRMED)
FORM_SLOTS = (*ASKED, GIVEN_CONTACT, PROOF_REFUSED, MISSED)

_ANSWERS = frozenset({"provide_order_number", "provide_email", "affirm", "deny", "nlu_fallback"})

_HESITATION_WORDS = 4  # "je ne sais pas", "keine Ahnung": said to our question, and no use
_STOPS = frozenset({"cancel_order", "newsletter_unsubscribe"})


def leave_form() -> Events:
    """The events with which an action ends whatever form is open and forgets what was said in it."""
    return [ActiveLoop(None), SlotSet("requested_slot", None), *forget()]


def forget() -> Events:
    return [SlotSet(slot, None) for slot in FORM_SLOTS]


class _Form(Action):  # type: ignore[misc]
    """Reads one answer. `own` intents belong to the form; `near` ones do when they bring a number or a proof.

    `does` are the FAQ entries that tell how to do what the form does. Any other one that surely answers a message of the form's
    own intents is said first: "how long do I have to return it?" is a question, and perhaps the beginning of a return.
    """

    form: ClassVar[str]
    does: ClassVar[frozenset[str]]
    own: ClassVar[frozenset[str]]
    near: ClassVar[frozenset[str]]

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return f"validate_{self.form}"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        turn = read_turn(tracker)
        starting = turn.opened_form == self.form
        if starting:
            slots: dict[str, Any] = dict.fromkeys(FORM_SLOTS)
            # A form that takes over from another keeps the order in question, as does a second question about the same.
            slots[ORDER_NUMBER] = turn.order_number or turn.slots.get(ORDER_NUMBER) or turn.slots.get(LAST_ORDER)
        elif not self._is_for_me(turn):
            return []
        else:
            slots = {slot: turn.slots.get(slot) for slot in FORM_SLOTS}
        before = dict(slots)
        parting = self._stopped(turn) if not starting else None
        parting = parting or self.advance(turn, slots)
        if parting is not None and parting.of_this_order and starting and not turn.order_number:
            # Nobody named the order: it was the last one spoken of. Perhaps another is meant.
            dispatcher.utter_message(json_message=parting.words)
            slots, parting = dict.fromkeys(FORM_SLOTS), None
        told_something = any(slots[slot] != before[slot] for slot in (*ASKED, GIVEN_CONTACT))
        answered = (starting or not told_something) and self._answer_first(turn, dispatcher)
        if parting is not None:
            dispatcher.utter_message(json_message=parting.words)
            return [SlotSet("requested_slot", None), *forget()]
        if starting or slots[PROOF_REFUSED] or told_something:
            slots[MISSED] = None
        elif not answered:
            slots[MISSED] = int(before[MISSED] or 0) + 1
        return [SlotSet(slot, value) for slot, value in slots.items()]

    def _answer_first(self, turn: Turn, dispatcher: CollectingDispatcher) -> bool:
        confirming = turn.opened_form is None and turn.requested_slot == RETURN_CONFIRMED
        if turn.intent not in self.own or confirming or turn.order_number or turn.contact:
            return False
        hit = sure_entry(self.world, turn)
        if hit is None or hit.slug in self.does:
            return False
        dispatcher.utter_message(json_message=faq_answer(hit))
        return True

    def advance(self, turn: Turn, slots: dict[str, Any]) -> Parting | None:
        """Take what the turn gives into `slots`; Parting when the form ends here."""
        raise NotImplementedError

    def picks_something(self, turn: Turn) -> bool:
        """Whether the message chooses one of the things that were shown, whatever intent it seems to have."""
        return False

    def _is_for_me(self, turn: Turn) -> bool:
        if turn.intent == "talk_to_human":
            return False
        if self.picks_something(turn):
            return True
        if turn.intent == "affirm" and turn.human_offered and turn.requested_slot != RETURN_CONFIRMED:
            return False
        if turn.intent in self.own or turn.intent in _ANSWERS or _is_bare_stop(turn) or _hesitates(turn):
            return True
        return turn.intent in self.near and (turn.order_number or turn.contact) is not None

    def _stopped(self, turn: Turn) -> Parting | None:
        if turn.intent != "deny" and not _is_bare_stop(turn):
            return None
        # "no, it is 104250" corrects, "no" alone stops.
        if turn.order_number or turn.contact or self.picks_something(turn):
            return None
        return Parting(payload(Reply.RETURN_ABANDONED if turn.requested_slot == RETURN_CONFIRMED else Reply.STOPPED))


class ReadTrackingAnswer(_Form):
    form = "order_form"
    does = frozenset({"delivery-tracking-how"})
    own = frozenset({"order_tracking"})
    near = frozenset({"delivery_problem", "missing_item", "other"})

    def advance(self, turn: Turn, slots: dict[str, Any]) -> Parting | None:
        return identify(self.world, turn, slots)


class ReadReturnAnswer(_Form):
    form = "return_form"
    does = frozenset({"return-how"})
    own = frozenset({"return"})
    near = frozenset({"refund", "damaged_or_wrong_item", "other"})

    def advance(self, turn: Turn, slots: dict[str, Any]) -> Parting | None:
        number = slots[ORDER_NUMBER]
        parting = identify(self.world, turn, slots)
        if slots[ORDER_NUMBER] != number:
            slots[RETURN_LINE] = slots[RETURN_CONFIRMED] = None
        if parting is not None or slots[ORDER_PROOF] != PROVEN:
            return parting
        order = proven_view(self.world, _with(turn, slots))
        if order is None:
            raise LookupError(f"order {slots[ORDER_NUMBER]} was proved in {turn.conversation_id} and is gone")
        if turn.requested_slot == RETURN_CONFIRMED and turn.intent == "affirm":
            slots[RETURN_CONFIRMED] = True
            return None
        item = self._item(turn, order)
        if item is None and slots[RETURN_LINE] is None:
            return self._refused_as_a_whole(order)
        if item is None:
            return None
        slots[RETURN_LINE] = item.line_id
        refusal = self._refusal(order, item)
        return refused(self.world, order, item, refusal) if refusal else None

    def picks_something(self, turn: Turn) -> bool:
        if turn.requested_slot not in (RETURN_LINE, RETURN_CONFIRMED) or turn.opened_form is not None:
            return False
        order = proven_view(self.world, turn)
        item = choose_item(turn.text, order.items, self.world.item_words) if order else None
        # A long message that happens to name an item is rather a new question about it.
        return item is not None and (turn.word_count <= 4 or is_mostly_about(turn.text, item, self.world.item_words))

    def _item(self, turn: Turn, order: shop.OrderView) -> shop.ItemView | None:
        if len(order.items) == 1:
            return order.items[0]
        if turn.requested_slot not in (RETURN_LINE, RETURN_CONFIRMED) or turn.opened_form is not None:
            return None
        return choose_item(turn.text, order.items, self.world.item_words)

    def _refusal(self, order: shop.OrderView, item: shop.ItemView) -> shop.Refusal | None:
        with self.world.sessions() as session:
            return shop.refusal_of(session, order.id, item.line_id, self.world.policy, now=self.world.clock())

    def _refused_as_a_whole(self, order: shop.OrderView) -> Parting | None:
        """When no item can go back, and for one reason, there is nothing to choose."""
        refusals = {self._refusal(order, item) for item in order.items}
        only = refusals.pop() if len(refusals) == 1 else None
        if only is None or only == shop.Refusal.ALREADY_RETURNED:
            return None
        return replace(refused(self.world, order, None, only), of_this_order=len(order.items) > 0)


def refused(world: World, order: shop.OrderView, item: shop.ItemView | None, refusal: shop.Refusal) -> Parting:
    """Why `item` (None: the whole order) cannot be returned, in one clear text."""
    facts: dict[str, Any] = {"order_number": order.number, "title": item.title if item else None}
    if refusal == shop.Refusal.TOO_LATE:
        facts["days"] = world.policy.days
    if refusal == shop.Refusal.ALREADY_RETURNED and item is not None:
        with world.sessions() as session:
            # Asked again, the shop gives the return that exists.
            known = shop.create_return(
                session, order.id, item.line_id, world.policy, now=world.clock(), zone=world.zone
            )
        facts["known"] = return_facts(known) if isinstance(known, shop.ReturnView) else None
    return Parting(payload(Reply(f"return_refused_{refusal.value}"), offers_human=True, **facts))


def return_facts(view: shop.ReturnView) -> dict[str, Any]:
    return {
        "number": view.number,
        "title": view.title,
        "state": view.state,
        "send_before": view.send_before.isoformat(),
        "refund_cents": view.refund_cents,
    }


class _Ask(Action):  # type: ignore[misc]
    """Asks for one slot; after two answers in a row that were no use, with a human on offer."""

    slot: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return f"action_ask_{self.slot}"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        turn = read_turn(tracker)
        missed = int(turn.slots.get(MISSED) or 0)
        dispatcher.utter_message(json_message=self.question(turn, missed > 0, missed >= MISSES_BEFORE_HUMAN))
        return []

    def question(self, turn: Turn, again: bool, offers_human: bool) -> dict[str, Any]:
        raise NotImplementedError


class AskOrderNumber(_Ask):
    slot = ORDER_NUMBER

    def question(self, turn: Turn, again: bool, offers_human: bool) -> dict[str, Any]:
        if again:
            return payload(Reply.ASK_ORDER_NUMBER_AGAIN, offers_human=offers_human)
        orders = latest_orders(self.world, turn)
        if not orders:
            return payload(Reply.ASK_ORDER_NUMBER)
        return payload(
            Reply.ASK_WHICH_ORDER,
            orders=[
                {"number": order.number, "placed_on": order.placed_on.isoformat(), "total_cents": order.total_cents}
                for order in orders
            ],
        )


class AskOrderProof(_Ask):
    slot = ORDER_PROOF

    def question(self, turn: Turn, again: bool, offers_human: bool) -> dict[str, Any]:
        if turn.slots.get(PROOF_REFUSED):
            reply = Reply.PROOF_REFUSED
        else:
            reply = Reply.ASK_ORDER_PROOF_AGAIN if again else Reply.ASK_ORDER_PROOF
        return payload(reply, offers_human=offers_human, order_number=turn.slots[ORDER_NUMBER])


class AskReturnItem(_Ask):
    slot = RETURN_LINE

    def question(self, turn: Turn, again: bool, offers_human: bool) -> dict[str, Any]:
        order = _proven(self.world, turn)
        items = [
            {"position": position, "title": item.title, "quantity": item.quantity, "unit_cents": item.unit_cents}
            for position, item in enumerate(order.items, 1)
        ]
        reply = Reply.ASK_RETURN_ITEM_AGAIN if again else Reply.ASK_RETURN_ITEM
        return payload(reply, offers_human=offers_human, order_number=order.number, items=items)


class AskReturnConfirmation(_Ask):
    slot = RETURN_CONFIRMED

    def question(self, turn: Turn, again: bool, offers_human: bool) -> dict[str, Any]:
        order = _proven(self.world, turn)
        item = next(item for item in order.items if item.line_id == turn.slots[RETURN_LINE])
        return payload(
            Reply.ASK_RETURN_CONFIRMATION_AGAIN if again else Reply.ASK_RETURN_CONFIRMATION,
            offers_human=offers_human,
            order_number=order.number,
            title=item.title,
            quantity=item.quantity,
            refund_cents=item.quantity * item.unit_cents,
        )


class ShowOrder(Action):  # type: ignore[misc]
    """The end of the tracking form: the order as it stands. A form that was left has had its last words already."""

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return "action_show_order"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        turn = read_turn(tracker)
        if turn.slots.get(ORDER_PROOF) != PROVEN:
            return forget()
        order = _proven(self.world, turn)
        lost = any(parcel.state == shop.ParcelState.LOST for parcel in order.parcels)
        dispatcher.utter_message(json_message=payload(Reply.ORDER_STATUS, offers_human=lost, order=order.to_dict()))
        return [*forget(), SlotSet(LAST_ORDER, order.number)]


class CreateReturn(Action):  # type: ignore[misc]
    """The end of the return form: the return itself, once, however often it is asked for."""

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return "action_create_return"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        turn = read_turn(tracker)
        if not turn.slots.get(RETURN_CONFIRMED):
            return forget()
        order = _proven(self.world, turn)
        item = next(item for item in order.items if item.line_id == turn.slots[RETURN_LINE])
        with self.world.sessions() as session:
            made = shop.create_return(
                session, order.id, item.line_id, self.world.policy, now=self.world.clock(), zone=self.world.zone
            )
        if isinstance(made, shop.Refusal):
            words = refused(self.world, order, item, made).words
        else:
            words = payload(Reply.RETURN_CREATED, order_number=order.number, **return_facts(made))
        dispatcher.utter_message(json_message=words)
        return [*forget(), SlotSet(LAST_ORDER, order.number)]


def _proven(world: World, turn: Turn) -> shop.OrderView:
    order = proven_view(world, turn)
    if order is None:
        raise LookupError(f"order {turn.slots.get(ORDER_NUMBER)} is not proved in conversation {turn.conversation_id}")
    return order


def _with(turn: Turn, slots: dict[str, Any]) -> Turn:
    return replace(turn, slots={**turn.slots, **slots})


def _is_bare_stop(turn: Turn) -> bool:
    """A lone "annuler", "cancel", "stop": in a form that means the form, not the order and not the newsletter."""
    return turn.intent in _STOPS and turn.word_count <= 2 and not turn.order_number


def _hesitates(turn: Turn) -> bool:
    """A few words that are about nothing and ask nothing: no new subject, but no answer to our question either."""
    return turn.intent == "out_of_scope" and turn.word_count <= _HESITATION_WORDS and "?" not in turn.text
