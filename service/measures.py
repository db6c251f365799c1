"""What `/metrics` shows."""

from prometheus_client import Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TURN_SECONDS = Histogram("comptoir_turn_seconds", "A chat turn: message stored to reply stored", buckets=_BUCKETS)
RASA_SECONDS = Histogram(
    "comptoir_rasa_seconds", "The part of a turn spent waiting for Rasa (with its calls to us)", buckets=_BUCKETS
)
NLU_SECONDS = Histogram("comptoir_nlu_seconds", "Understanding, as Rasa calls it", buckets=_BUCKETS)
ACTION_SECONDS = Histogram("comptoir_action_seconds", "Actions, as Rasa calls them", buckets=_BUCKETS)
READ_SECONDS = Histogram(
    "comptoir_read_seconds", "Reading one chat message (encoder and heads, without the cache)", buckets=_BUCKETS
)
STORE_SECONDS = Histogram("comptoir_store_seconds", "Database transactions of a chat turn", buckets=_BUCKETS)
JOBS = Counter("comptoir_jobs_total", "Jobs by kind and outcome", ["kind", "outcome"])
MAILS_RECEIVED = Counter("comptoir_mails_received_total", "Mails taken in", ["source"])
