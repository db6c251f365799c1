# mypy: ignore-errors
"""Rasa's side of `tests.bench.yardsticks`; runs in Rasa's own environment: `bot/.venv/bin/python diet.py JOB OUT`.

JOB holds `epochs`, `timed` (how many questions are timed) and `folds`, each with `train` (pairs of text and label) and
`ask` (texts); OUT receives, a fold: guesses, confidences, CPU seconds of training, CPU milliseconds a question.
"""

import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rasa.core.agent import Agent
from rasa.model_training import train_nlu
from rasa.utils.log_utils import configure_structlog
from rasa.utils.tensorflow.environment import setup_tf_environment

# What `rasa init` writes, without what has no say in an intent here: patterns, synonyms and response selection, of which
# these data have none, and the fallback, which would hide the guess.
PIPELINE = [
    {"name": "WhitespaceTokenizer"},
    {"name": "LexicalSyntacticFeaturizer"},
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
]
BRACKETS = str.maketrans("[]", "()")  # Rasa would read what is in them as an entity


def answer(fold, epochs, timed):
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        agent = Agent.load(train(fold["train"], epochs, Path(folder)))
        train_seconds = time.process_time() - started
        guesses, confidences, spent = [], [], []
        for text in fold["ask"]:
            started = time.process_time()
            reading = asyncio.run(agent.parse_message(text.translate(BRACKETS)))
            spent.append(time.process_time() - started)
            guesses.append(reading["intent"]["name"])
            confidences.append(reading["intent"]["confidence"])
    spent = spent[1 : timed + 1]  # TensorFlow traces its graph at the first
    return {
        "guesses": guesses,
        "confidences": confidences,
        "train_seconds": train_seconds,
        "query_ms": 1000 * sum(spent) / len(spent),
    }


def train(rows, epochs, folder):
    diet = {"name": "DIETClassifier", "epochs": epochs, "random_seed": 1}
    config = {"recipe": "default.v1", "language": "en", "assistant_id": "yardsticks", "pipeline": [*PIPELINE, diet]}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    intents = {}
    for text, label in rows:
        intents.setdefault(label, []).append({"text": text.translate(BRACKETS)})
    nlu = {"version": "3.1", "nlu": [{"intent": label, "examples": found} for label, found in intents.items()]}
    (folder / "nlu.yml").write_text(yaml.safe_dump(nlu, allow_unicode=True), encoding="utf-8")
    return train_nlu(str(folder / "config.yml"), str(folder / "nlu.yml"), str(folder), fixed_model_name="diet")


if __name__ == "__main__":
    configure_structlog(logging.ERROR)  # a line a question would be timed with it
    setup_tf_environment()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = [answer(fold, job["epochs"], job["timed"]) for fold in job["folds"]]
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
