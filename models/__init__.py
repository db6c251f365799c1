"""All that is learned: the sentence encoder, the heads on it, and the reading of one message.

`load_understanding(artifacts, load_encoder())` reads chat messages and mails: language, intent or motives, whether a
human is asked for, order numbers, e-mail addresses, postcodes. `HeadEnsemble` is the one mechanism behind FAQ topics,
intents and motives; `train_*` write versions with model cards; `evaluate_*` measure. This room imports no other and is
told every path.

What learns and reads brings torch and scikit-learn with it, which take seconds to load. It is imported when it is first asked
for: a mail can be taken in, and an order number found in it, without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.artifacts import (
    ArtifactError,
    current_folder,
    current_version,
    read_card,
    rollback,
    versions,
)
from models.corpus import (
    LANGUAGES,
    OUT_OF_SCOPE,
    TALK_TO_HUMAN,
    CorpusError,
    Example,
    MailExample,
    read_chat_turns,
    read_json_lines,
    read_mail_file,
    read_mails,
    read_nlu,
    read_out_of_scope,
    read_questions,
    read_text,
)
from models.entities import Entity, find_entities, find_order_numbers
from models.sentences import split_sentences

if TYPE_CHECKING:
    from models.encoder import LIGHT, Encoder, load_encoder
    from models.ensemble import HeadEnsemble
    from models.evaluate import (
        ChatFigures,
        FaqFigures,
        HumanFigures,
        TriageFigures,
        as_dict,
        evaluate_chat,
        evaluate_faq,
        evaluate_triage,
    )
    from models.human import HumanOpinion, HumanRequestDetector
    from models.language import LanguageReader
    from models.motives import MotiveReader
    from models.risk import NEVER, Threshold, choose_threshold
    from models.train import Trained, train_chat, train_faq, train_human, train_language, train_mail
    from models.understanding import (
        ChatReading,
        MailReading,
        Understanding,
        load_understanding,
        read_threshold,
        served_threshold,
    )
else:
    _LATER = {
        "encoder": "LIGHT Encoder load_encoder",
        "ensemble": "HeadEnsemble",
        "evaluate": "ChatFigures FaqFigures HumanFigures TriageFigures as_dict evaluate_chat evaluate_faq evaluate_triage",
        "human": "HumanOpinion HumanRequestDetector",
        "language": "LanguageReader",
        "motives": "MotiveReader",
        "risk": "NEVER Threshold choose_threshold",
        "train": "Trained train_chat train_faq train_human train_language train_mail",
        "understanding": "ChatReading MailReading Understanding load_understanding read_threshold served_threshold",
    }
    _MODULE_OF = {name: f"models.{module}" for module, names in _LATER.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        """A public name that is not imported yet (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'models' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value


__all__ = [
    "LANGUAGES",
    "LIGHT",
    "NEVER",
    "OUT_OF_SCOPE",
    "TALK_TO_HUMAN",
    "ArtifactError",
    "ChatFigures",
    "ChatReading",
    "CorpusError",
    "Encoder",
    "Entity",
    "Example",
    "FaqFigures",
    "HeadEnsemble",
    "HumanFigures",
    "HumanOpinion",
    "HumanRequestDetector",
    "LanguageReader",
    "MailExample",
    "MailReading",
    "MotiveReader",
    "Threshold",
    "Trained",
    "TriageFigures",
    "Understanding",
    "as_dict",
    "choose_threshold",
    "current_folder",
    "current_version",
    "evaluate_chat",
    "evaluate_faq",
    "evaluate_triage",
    "find_entities",
    "find_order_numbers",
    "load_encoder",
    "load_understanding",
    "read_card",
    "read_chat_turns",
    "read_json_lines",
    "read_mail_file",
    "read_mails",
    "read_nlu",
    "read_out_of_scope",
    "read_questions",
    "read_text",
    "read_threshold",
    "rollback",
    "served_threshold",
    "split_sentences",
    "train_chat",
    "train_faq",
    "train_human",
    "train_language",
    "train_mail",
    "versions",
]
