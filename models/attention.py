"""The vector head: a small network that finds, among the sentences of a text, those that tell what it is about.

Each sentence's vector goes through one hidden layer; the text is their mean, weighted by how telling each sentence looks
(attention pooling: Ilse et al. 2018, "Attention-based Deep Multiple Instance Learning"). A linear layer on that gives the
classes. Of a text of one sentence it is a network with one hidden layer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.encoder import Reading, Vectors

HIDDEN = 768
EPOCHS = 12
FEWEST_STEPS = 600  # of little text, which is then read more often
BATCH = 64
MOST_BATCHES = 256  # an epoch; of more text the batches are bigger instead
RATE = 2e-3  # the highest: it rises and falls again (Smith and Topin 2018, "Super-Convergence")
DECAY = 0.05
INPUT_DROPOUT, HIDDEN_DROPOUT = 0.2, 0.5
SMOOTHING = 0.05  # share of each label's mass that the other classes get: people's labels are not certain either
SCALE = 20.0  # the values of a unit vector are small; layers begin better with values around 1
CLIP = 15.0  # of the attention, so that no exponent overflows
SEED = 20260301


class AttentionHead:
    """Build with `fit` or `load`. `log_probabilities` is float64 (n, classes), columns in the order of the sorted labels."""

    file = "attention.npz"

    def __init__(self, weights: dict[str, Vectors]) -> None:
        self._weights = weights
        self._inward = np.ascontiguousarray(SCALE * np.vstack([weights["hidden.weight"], weights["gate.weight"]]).T)

    @classmethod
    def fit(cls, reading: Reading, labels: npt.NDArray[np.str_]) -> AttentionHead:
        """Train on texts and their labels; the same texts give the same head."""
        classes, targets = np.unique(labels, return_inverse=True)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            network = _Network(reading.vectors.shape[1], len(classes))
            _train(network, reading, torch.from_numpy(targets))
        return cls({name: value.detach().numpy() for name, value in network.state_dict().items()})

    def log_probabilities(self, reading: Reading) -> npt.NDArray[np.float64]:
        of = self._weights
        several = len(reading.members) > len(reading.starts)
        size = len(of["hidden.bias"])
        read = reading.sentences @ (self._inward if several else self._inward[:, :size])
        hidden = np.maximum(read[:, :size] + of["hidden.bias"], 0)[reading.members]
        if several:
            telling = np.tanh(read[:, size:] + of["gate.bias"]) @ of["attention.weight"][0]
            weights = np.exp(np.clip(telling, -CLIP, CLIP))[reading.members, None]
            hidden = np.add.reduceat(weights * hidden, reading.starts) / np.add.reduceat(weights, reading.starts)
        scores = hidden @ of["classes.weight"].T + of["classes.bias"]
        return log_softmax(scores)

    def save(self, folder: Path) -> None:
        np.savez(folder / self.file, **{name: value.astype(np.float32) for name, value in self._weights.items()})  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> AttentionHead:
        with np.load(folder / cls.file, allow_pickle=False) as arrays:
            return cls(dict(arrays))


def log_softmax(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Scores (n, classes) as log-probabilities; SciPy's own takes five times as long on the few rows of a message."""
    values = np.asarray(scores, dtype=np.float64)
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64)


class _Network(torch.nn.Module):
    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(dim, HIDDEN)
        self.gate = torch.nn.Linear(dim, HIDDEN)
        self.attention = torch.nn.Linear(HIDDEN, 1, bias=False)
        self.classes = torch.nn.Linear(HIDDEN, classes)
        self.forget_input = torch.nn.Dropout(INPUT_DROPOUT)
        self.forget_hidden = torch.nn.Dropout(HIDDEN_DROPOUT)

    def forward(self, sentences: torch.Tensor, texts: torch.Tensor, count: int) -> torch.Tensor:
        """Scores (count, classes). sentences: (m, dim); texts: (m,), which of the `count` texts each belongs to."""
        read = self.forget_input(SCALE * sentences)
        hidden = torch.relu(self.hidden(read))
        if len(texts) > count:
            telling = self.attention(torch.tanh(self.gate(read))).squeeze(-1)
            weights = telling.clamp(-CLIP, CLIP).exp()
            total = torch.zeros(count).index_add(0, texts, weights)
            pooled = torch.zeros(count, HIDDEN).index_add(0, texts, weights[:, None] * hidden)
            hidden = pooled / total[:, None]
        scores: torch.Tensor = self.classes(self.forget_hidden(hidden))
        return scores


def _train(network: _Network, reading: Reading, targets: torch.Tensor) -> None:
    generator = np.random.default_rng(SEED)
    sentences = torch.from_numpy(reading.sentences)
    batches = min(max(1, len(targets) // BATCH), MOST_BATCHES)
    epochs = max(EPOCHS, -(-FEWEST_STEPS // batches))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    network.train()
    for _ in range(epochs):
        for rows in np.array_split(generator.permutation(len(targets)), batches):
            members, texts = reading.of(rows)
            optimizer.zero_grad()
            scores = network(sentences[members], torch.from_numpy(texts), len(rows))
            loss(scores, targets[rows]).backward()
            optimizer.step()
            schedule.step()
