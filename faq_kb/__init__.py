"""The dynamic FAQ: Markdown files that an editor saves, searched a second later.

`load_content` and `check_content` read the files and name every mistake; `FaqSearch` finds the entry that answers a
question, by FAISS over all wordings and by the trained heads; `FaqLive` follows the folder while the shop is open;
`find_gaps` shows what was asked and not answered. The content stands in `content/<language>/<theme>.md`, the topics that
it must cover in `topics.csv`, further wordings of them, to train with, in `wordings/<language>/<author>.tsv`.
"""

from faq_kb.content import (
    Check,
    Content,
    Entry,
    Mistake,
    Topic,
    check_content,
    load_content,
    read_topics,
    training_examples,
)
from faq_kb.gaps import Gap, find_gaps
from faq_kb.live import FaqLive, TrainedHeads, watch
from faq_kb.search import FaqResult, FaqSearch, Heads, Hit, Space, TextEncoder, Thresholds
from faq_kb.wordings import check_wordings, read_wordings

__all__ = [
    "Check",
    "Content",
    "Entry",
    "FaqLive",
    "FaqResult",
    "FaqSearch",
    "Gap",
    "Heads",
    "Hit",
    "Mistake",
    "Space",
    "TextEncoder",
    "Thresholds",
    "Topic",
    "TrainedHeads",
    "check_content",
    "check_wordings",
    "find_gaps",
    "load_content",
    "read_topics",
    "read_wordings",
    "training_examples",
    "watch",
]
