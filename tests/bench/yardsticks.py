"""Intent recognition beside other methods on public data: Comptoir's heads, TF-IDF with logistic regression, Rasa's DIET.

Run: `.venv/bin/python -m tests.bench.yardsticks [--data DIR] [--only NAME...] [--skip-diet]`. Prints Markdown, writes nothing.
DIR (default: ../shared/data/text beside the checkout) holds the CSV files that `SETS` and `OUTSIDE` name. Every method learns
and is asked the same texts: three stratified folds of HINT3's training files (or, where DIR has `hint3_test/<shop>_test.csv`
of the published layout v2, those), a stratified fifth of Banking77's, CLINC150's own validation part. Nothing was tuned on
any of them. `outside` asks the trained product itself what it would do with text that is no shopper's, in its thresholds.

No method learns what lies outside. AUROC is of the first label's probability: asked texts against texts of another field.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline, make_union
from threadpoolctl import threadpool_limits

from bot.understanding import nlu_response
from models import (
    LIGHT,
    OUT_OF_SCOPE,
    TALK_TO_HUMAN,
    ChatReading,
    Encoder,
    Example,
    HeadEnsemble,
    load_encoder,
    read_chat_turns,
    read_questions,
)
from models.evaluate import accuracy, macro_f1
from service.explain import ORDER_JOURNEY, RETURN_JOURNEY
from service.settings import Settings
from service.understanding import open_encoder, open_faq_search, open_understanding

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_DATA = ROOT.parent / "shared" / "data" / "text"
RASA_PYTHON = ROOT / "bot" / ".venv" / "bin" / "python"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_INTRA_OP_PARALLELISM_THREADS": "1",
    "TF_INTER_OP_PARALLELISM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "RASA_TELEMETRY_ENABLED": "false",
    "RASA_MAX_CACHE_SIZE": "0",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
}

SEED = 20261122
FOLDS = 3
SHOTS = 10
TIMED = 100  # questions asked one at a time for the milliseconds
EPOCHS = 100  # what DIET reads of little text
EPOCHS_OF_ALL = {"banking77": 30, "clinc150": 15}  # of a whole set: two to three times as many steps as of little text
FAR = 200  # texts of each set of another field

NO_LABEL = frozenset({"oos", "NO_NODES_DETECTED"})  # how CLINC150 and HINT3 mark what lies outside

progress = Console(stderr=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    text: str
    label: str


@dataclass(frozen=True)
class Fold:
    """What a method learns, and what it is asked: `held_out` has one of the labels learnt, `outside` none."""

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    outside: tuple[str, ...]

    @property
    def asked(self) -> tuple[str, ...]:
        return (*(row.text for row in self.held_out), *self.outside)


@dataclass(frozen=True)
class Opinion:
    """A method's answers to `Fold.asked`: label and probability. Costs in CPU time of one thread."""

    guesses: tuple[str, ...]
    confidences: tuple[float, ...]
    train_seconds: float
    query_ms: float


Method = Callable[[Sequence[Fold], int], list[Opinion]]


# Data ----------------------------------------------------------------------------------------------------------------


def read_rows(file: Path) -> list[Row]:
    """Rows of a CSV file with a column `text` or `sentence` and one `label`."""
    if not file.is_file():
        raise SystemExit(f"{file}: not there; give the folder that holds it: --data DIR")
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            Row((row.get("text") or row.get("sentence") or "").strip(), row["label"]) for row in csv.DictReader(lines)
        ]


def read_by_language(file: Path) -> dict[str, list[str]]:
    if not file.is_file():
        raise SystemExit(f"{file}: not there; give the folder that holds it: --data DIR")
    texts: dict[str, list[str]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            texts[row["lang"]].append(row["text"])
    return texts


def hint3(data: Path, shop: str) -> list[Fold]:
    """The published test file where there is one, else folds of the training file."""
    train, test = read_rows(data / "hint3_train" / f"{shop}_train.csv"), data / "hint3_test" / f"{shop}_test.csv"
    if test.is_file():
        return [_fold(train, read_rows(test), commands(data))]
    train, far = _once(train), commands(data)
    # A label with fewer examples than folds is learnt in every fold and never asked.
    often = {label for label, count in Counter(row.label for row in train).items() if count >= FOLDS}
    common, rare = [row for row in train if row.label in often], [row for row in train if row.label not in often]
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(common, [row.label for row in common])
    return [
        _fold([*(common[at] for at in learnt), *rare], [common[at] for at in asked], far) for learnt, asked in splits
    ]


def banking77(data: Path, shots: int | None) -> list[Fold]:
    rows = _once(read_rows(data / "banking77_train.csv"))
    train, held_out = train_test_split(rows, test_size=0.2, random_state=SEED, stratify=[row.label for row in rows])
    return [_fold(_few(train, shots), held_out, commands(data))]


def clinc150(data: Path, shots: int | None) -> list[Fold]:
    """CLINC150 knows weather, alarms and small talk; what lies outside is a mattress shop, without its orders."""
    shop = read_rows(data / "hint3_train" / "sofmattress_train.csv")
    far = tuple(row.text for row in shop if row.label not in {"ORDER_STATUS", "CANCEL_ORDER", "DELAY_IN_DELIVERY"})
    return [_fold(_few(read_rows(data / "clinc150_train.csv"), shots), read_rows(data / "clinc150_val.csv"), far)]


def commands(data: Path) -> tuple[str, ...]:
    """English commands to a house and to a telephone: no customer's."""
    return tuple(
        text
        for file in ("home_assistant_oos_5lang.csv", "xsid_oos_de_it_en.csv")
        for text in _sample(read_by_language(data / file)["en"], FAR)
    )


def _fold(train: Sequence[Row], held_out: Sequence[Row], far: Sequence[str]) -> Fold:
    """Texts that the set itself marks as outside are asked, in place of those from elsewhere, and never learnt."""
    own = tuple(row.text for row in held_out if row.label in NO_LABEL)
    return Fold(
        tuple(row for row in train if row.label not in NO_LABEL),
        tuple(row for row in held_out if row.label not in NO_LABEL),
        own or tuple(far),
    )


def _once(rows: Sequence[Row]) -> list[Row]:
    """Without repetitions: a text that is learnt must not be asked."""
    return list({row.text.casefold(): row for row in reversed(rows)}.values())[::-1]


def _few(rows: Sequence[Row], shots: int | None) -> list[Row]:
    if shots is None:
        return list(rows)
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    return [row for label in sorted(by_label) for row in _sample(by_label[label], shots)]


def _sample(items: Sequence[T], most: int) -> list[T]:
    chosen = np.random.default_rng(SEED).permutation(len(items))[:most]
    return [items[at] for at in sorted(chosen)]


@dataclass(frozen=True)
class DataSet:
    """`epochs`: how often DIET reads the text. `published`: accuracy in scope as printed elsewhere, on test files that these
    folds do not hold."""

    read: Callable[[Path], list[Fold]]
    note: str
    epochs: int = EPOCHS
    published: tuple[tuple[str, float], ...] = ()


ARORA = "Arora et al. 2020, its own test set: "
SETS: Mapping[str, DataSet] = {
    "sofmattress": DataSet(
        lambda data: hint3(data, "sofmattress"),
        "HINT3 SOFMattress",
        published=((f"{ARORA}Rasa", 0.693), (f"{ARORA}BERT", 0.736)),
    ),
    "curekart": DataSet(
        lambda data: hint3(data, "curekart"),
        "HINT3 Curekart",
        published=((f"{ARORA}Rasa", 0.841), (f"{ARORA}BERT", 0.836)),
    ),
    "powerplay11": DataSet(lambda data: hint3(data, "powerplay11"), "HINT3 Powerplay11"),
    "banking77": DataSet(lambda data: banking77(data, SHOTS), f"Banking77, {SHOTS} a label"),
    "clinc150": DataSet(lambda data: clinc150(data, SHOTS), f"CLINC150, {SHOTS} a label"),
    "banking77-full": DataSet(lambda data: banking77(data, None), "Banking77, all", EPOCHS_OF_ALL["banking77"]),
    "clinc150-full": DataSet(lambda data: clinc150(data, None), "CLINC150, all", EPOCHS_OF_ALL["clinc150"]),
}
OUTSIDE = {
    "home_assistant": "home_assistant_oos_5lang.csv",
    "xsid": "xsid_oos_de_it_en.csv",
    "chitchat": "chitchat_5lang.csv",
}


# Methods -------------------------------------------------------------------------------------------------------------


@cache
def encoder() -> Encoder:
    return load_encoder(LIGHT)


def ours(folds: Sequence[Fold], epochs: int) -> list[Opinion]:
    """The heads in light mode. Their weights come from cross-validation inside what they learn."""
    opinions, sentences = [], encoder()
    for fold in folds:
        started = time.process_time()
        heads = HeadEnsemble.fit(sentences, [Example(row.text, row.label, "en") for row in fold.train])
        opinions.append(_opinion(fold, heads.labels, heads.predict, time.process_time() - started))
    return opinions


def tfidf(folds: Sequence[Fold], epochs: int) -> list[Opinion]:
    """Characters 1 to 4 within words, words and their pairs; logistic regression with scikit-learn's solver, C = 10."""
    opinions = []
    for fold in folds:
        model = make_pipeline(
            make_union(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
                TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+"),
            ),
            LogisticRegression(C=10.0, tol=1e-4, max_iter=1000),
        )
        started = time.process_time()
        model.fit([row.text for row in fold.train], [row.label for row in fold.train])
        opinions.append(_opinion(fold, model.classes_, model.predict_proba, time.process_time() - started))
    return opinions


def diet(folds: Sequence[Fold], epochs: int) -> list[Opinion]:
    """Rasa's default pipeline, in Rasa's own process."""
    if not RASA_PYTHON.exists():
        raise SystemExit(f"{RASA_PYTHON}: not there; run `make install`, or leave Rasa out: --skip-diet")
    with tempfile.TemporaryDirectory() as folder:
        job, out = Path(folder, "job.json"), Path(folder, "out.json")
        asked = [{"train": [(row.text, row.label) for row in fold.train], "ask": fold.asked} for fold in folds]
        job.write_text(json.dumps({"epochs": epochs, "timed": TIMED, "folds": asked}), encoding="utf-8")
        run = subprocess.run(
            [RASA_PYTHON, Path(__file__).with_name("diet.py"), job, out],
            cwd=folder,
            env=os.environ | ONE_THREAD,
            capture_output=True,
            text=True,
        )
        if run.returncode:
            raise SystemExit(f"Rasa could not be asked:\n{run.stderr[-2000:]}")
        found = json.loads(out.read_text(encoding="utf-8"))
    return [
        Opinion(tuple(row["guesses"]), tuple(row["confidences"]), row["train_seconds"], row["query_ms"])
        for row in found
    ]


def _opinion(
    fold: Fold, labels: Sequence[str], predict: Callable[[list[str]], np.ndarray], train_seconds: float
) -> Opinion:
    probabilities = predict(list(fold.asked))[:, : len(labels)]
    started = time.process_time()
    timed = fold.asked[:TIMED]
    for text in timed:
        predict([text])
    query_ms = 1000 * (time.process_time() - started) / len(timed)
    guesses = tuple(str(labels[column]) for column in probabilities.argmax(axis=1))
    return Opinion(guesses, tuple(probabilities.max(axis=1).tolist()), train_seconds, query_ms)


METHODS: Mapping[str, Method] = {"Comptoir": ours, "TF-IDF, logistic regression": tfidf, "Rasa DIET": diet}


# Tables --------------------------------------------------------------------------------------------------------------


def compare(names: Iterable[str], data: Path, with_diet: bool) -> Table:
    table = _table(
        "data", "learnt / asked / outside", "method", "accuracy", "macro-F1", "AUROC", "train CPU s", "CPU ms a query"
    )
    for name in names:
        chosen = SETS[name]
        folds = chosen.read(data)
        sizes = f"{np.mean([len(fold.train) for fold in folds]):.0f} / {sum(len(fold.held_out) for fold in folds)}"
        sizes += f" / {len(folds[0].outside)}"
        for method, ask in METHODS.items():
            if ask is diet and not with_diet:
                continue
            progress.print(f"{name}: {method}")
            table.add_row(chosen.note, sizes, method, *figures(folds, ask(folds, chosen.epochs)))
        for source, published in chosen.published:
            table.add_row(chosen.note, "-", source, f"{published:.1%}", "-", "-", "-", "-")
    return table


def figures(folds: Sequence[Fold], opinions: Sequence[Opinion]) -> tuple[str, ...]:
    """Accuracy and macro-F1 over the folds together; AUROC and costs, which belong to one model, as the folds' mean."""
    truth = [row.label for fold in folds for row in fold.held_out]
    guesses = [
        guess for fold, opinion in zip(folds, opinions, strict=True) for guess in opinion.guesses[: len(fold.held_out)]
    ]
    aurocs = [
        roc_auc_score([1] * len(fold.held_out) + [0] * len(fold.outside), opinion.confidences)
        for fold, opinion in zip(folds, opinions, strict=True)
    ]
    return (
        f"{accuracy(truth, guesses):.1%}",
        f"{macro_f1(truth, guesses):.1%}",
        f"{np.mean(aurocs):.3f}",
        f"{np.mean([opinion.train_seconds for opinion in opinions]):.1f}",
        f"{np.mean([opinion.query_ms for opinion in opinions]):.1f}",
    )


def outside(data: Path) -> Table:
    """What the product, as it is trained now, does with text that is no shopper's; shares of the texts.

    AUROC: the score of the likeliest entry or intent, against questions and turns by other authors that have one.
    `over threshold`: the intent's own; small talk may rightly be a greeting or thanks. `form`: an order's or a return's is
    opened. `human`: a human is called, at the threshold of the detector. Any other intent asks the FAQ.
    """
    settings = Settings()
    sentences = open_encoder(settings)
    faq, understanding = open_faq_search(settings, sentences), open_understanding(settings, sentences)
    questions, turns = _inside(data)
    asked = {language: [faq.search(row.text, language).score for row in rows] for language, rows in questions.items()}
    said = {
        language: [_in_scope(understanding.read_chat(row.text, language)) for row in rows]
        for language, rows in turns.items()
    }
    table = _table(
        "outside", "language", "texts", "FAQ AUROC", "FAQ answered", "chat AUROC", "over threshold", "form", "human"
    )
    for name, file in OUTSIDE.items():
        for language, texts in sorted(read_by_language(data / file).items()):
            progress.print(f"outside: {name}, {language}")
            results = [faq.search(text, language) for text in texts]
            readings = [understanding.read_chat(text, language) for text in texts]
            taken = Counter(
                str(nlu_response(reading, understanding.chat_threshold)["intent"]["name"]) for reading in readings
            )
            forms = sum(taken[intent] for intent in ORDER_JOURNEY | RETURN_JOURNEY)
            table.add_row(
                name,
                language,
                str(len(texts)),
                _auroc(asked[language], [result.score for result in results]),
                f"{sum(result.answered for result in results) / len(texts):.1%}",
                _auroc(said[language], [_in_scope(reading) for reading in readings]),
                f"{sum(reading.confident for reading in readings) / len(texts):.1%}",
                f"{forms / len(texts):.1%}",
                f"{taken[TALK_TO_HUMAN] / len(texts):.1%}",
            )
    return table


def _in_scope(reading: ChatReading) -> float:
    """The probability of the likeliest intent that is one."""
    return max(probability for intent, probability in reading.ranking if intent != OUT_OF_SCOPE)


def _inside(data: Path) -> tuple[dict[str, list[Example]], dict[str, list[Example]]]:
    """FAQ questions and chat turns that have an entry or an intent, a language: the development sets beside the data."""
    dev = data.parents[1] / "dev"
    if not dev.is_dir():
        raise SystemExit(f"{dev}: not there; `outside` needs faq_questions.jsonl and chat_turns.jsonl in it")
    found: list[dict[str, list[Example]]] = []
    for rows in (read_questions(dev / "faq_questions.jsonl"), read_chat_turns(dev / "chat_turns.jsonl")):
        by_language: dict[str, list[Example]] = defaultdict(list)
        for row in rows:
            if row.label is not None:
                by_language[row.language].append(row)
        found.append(by_language)
    return found[0], found[1]


def _auroc(inside: Sequence[float], beyond: Sequence[float]) -> str:
    return f"{roc_auc_score([1] * len(inside) + [0] * len(beyond), [*inside, *beyond]):.3f}"


def _table(*columns: str) -> Table:
    table = Table(box=box.MARKDOWN)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=[*SETS, "outside"], default=[*SETS, "outside"], metavar="NAME")
    parser.add_argument("--skip-diet", action="store_true", help="leave out Rasa, which takes most of the time")
    chosen = parser.parse_args()
    started = time.monotonic()
    console = Console(width=240)
    with threadpool_limits(1):
        if sets := [name for name in chosen.only if name in SETS]:
            console.print(compare(sets, chosen.data.resolve(), with_diet=not chosen.skip_diet))
        if "outside" in chosen.only:
            console.print(outside(chosen.data.resolve()))
    console.print(f"\nRun time: {(time.monotonic() - started) / 60:.0f} min.")


if __name__ == "__main__":
    main()
