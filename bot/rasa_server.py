# mypy: ignore-errors
"""Starts Rasa's command line in its own environment (Python 3.10), with four things put right first."""

import logging
import sys
import warnings

from jsonschema.validators import validator_for
from rasa.__main__ import main
from rasa.core.actions.action import RemoteAction
from rasa.core.processor import MessageProcessor
from rasa.core.tracker_store import FailSafeTrackerStore

# Rasa compiles this schema anew for every answer of an action, which makes an action five times as dear as it need be.
_SCHEMA = RemoteAction.action_response_format_spec()
_VALIDATOR = validator_for(_SCHEMA)(_SCHEMA)


def _validate(self, result):
    _VALIDATOR.validate(result)
    return True


def _fail(self, error):
    # Rasa would go on with an empty memory and answer as if nothing had been said before.
    raise error


_handle_message = MessageProcessor.handle_message


async def _handle_once(self, message):
    """Give the replies of the first time to a message that comes again under the same key (its sender missed them)."""
    key = (message.metadata or {}).get("key")
    tracker = await self.tracker_store.retrieve(message.sender_id) if key else None
    events = list(tracker.events) if tracker else []
    heard = [i for i, event in enumerate(events) if event.type_name == "user" and event.metadata.get("key") == key]
    if heard:
        replies = []
        for event in events[heard[-1] + 1 :]:
            if event.type_name == "user":
                break
            if event.type_name == "bot" and event.data.get("custom"):
                replies.append(event.data["custom"])
        if replies and all(reply.get("response") != "rasa_lost" for reply in replies):
            for reply in replies:
                await message.output_channel.send_response(message.sender_id, {"custom": reply})
            return None
    try:
        return await _handle_message(self, message)
    except Exception:
        # What was said in a turn that is not remembered must not reach the shopper: the sender sees a failure and repeats.
        message.output_channel.messages.clear()
        raise


RemoteAction._validate_action_result = _validate
FailSafeTrackerStore.on_tracker_store_error = _fail
FailSafeTrackerStore.on_tracker_store_retrieve_error = _fail
MessageProcessor.handle_message = _handle_once

if __name__ == "__main__":
    # Sanic and TensorFlow reset the filters while they are imported, so PYTHONWARNINGS is not enough.
    warnings.simplefilter("ignore")
    warnings.showwarning = lambda *_args, **_kwargs: None
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    sys.argv[0] = "rasa"
    main()
