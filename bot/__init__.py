"""The assistant: Rasa's project (domain, rules, policies), the actions it calls, and the words it speaks.

Rasa decides what comes next and renders no text: it and the actions send payloads (a response's name and its facts), and
`Renderer` turns them into Markdown and buttons from `responses/<language>.yml`. `Dialogue` talks to the Rasa server,
`nlu_response` and `run_action` answer what the server asks us, `rasa_command` and its neighbours prepare and start it. The
world comes in through `DeskDoor`, `FaqDoor` and a session factory; no order is shown or changed without asking the shop
for the proof again.
"""

from bot.dialogue import Dialogue, DialogueUnavailable, safe_text
from bot.doors import DeskDoor, FaqDoor, FaqHit, FaqResult
from bot.executor import build_executor, run_action
from bot.rasa_process import RasaCommand, TrainingFailed, rasa_command, train_dialogue, write_endpoints
from bot.render import RESPONSES, BrokenResponses, Button, Rendered, Renderer
from bot.replies import Reply, payload, welcome_payload
from bot.understanding import Reading, nlu_response

__all__ = [
    "RESPONSES",
    "BrokenResponses",
    "Button",
    "DeskDoor",
    "Dialogue",
    "DialogueUnavailable",
    "FaqDoor",
    "FaqHit",
    "FaqResult",
    "RasaCommand",
    "Reading",
    "Rendered",
    "Renderer",
    "Reply",
    "TrainingFailed",
    "build_executor",
    "nlu_response",
    "payload",
    "rasa_command",
    "run_action",
    "safe_text",
    "train_dialogue",
    "welcome_payload",
    "write_endpoints",
]
