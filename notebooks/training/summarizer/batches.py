"""Batches of both phases: tokens and labels, each (rows, length), the same for the same step."""

import itertools
import random

import torch

from .commands import UserError
from .dialogue import IGNORED, endless_rows


class Corpus:
    """Random stretches of the corpus. Batch of a step: tokens and labels, both (rows, length)."""

    def __init__(self, path, length, seed):
        try:
            count = path.stat().st_size // 4
        except OSError as e:
            raise UserError(f"there is no '{path}'; summarizer.tokenizer makes it") from e
        if count <= length + 1:
            raise UserError(
                f"'{path}' has {count} tokens, too few for rows of {length}; give more text"
            )
        self.tokens = torch.from_file(str(path), shared=False, size=count, dtype=torch.int32)
        self.length, self.seed = length, seed

    def batch(self, phase, step, rows):
        draw = random.Random(f"{self.seed}/{phase}/{step}")
        starts = torch.tensor(
            [draw.randrange(len(self.tokens) - self.length) for _ in range(rows)]
        ).unsqueeze(1)
        stretch = self.tokens[starts + torch.arange(self.length + 1)].long()
        return stretch[:, :-1], stretch[:, 1:]


class Pretraining:
    name = "pretraining"

    def __init__(self, config, corpus):
        self.config, self.corpus, self.schedule = config, corpus, config.pretraining

    def batches(self, first):
        for step in itertools.count(first):
            yield self.corpus.batch(self.name, step, self.config.rows)


class Instruction:
    """Dialogues with the loss on their answers, and some rows of plain text."""

    name = "instruction"

    def __init__(self, config, corpus, dialogues, pad):
        self.config, self.corpus, self.schedule = config, corpus, config.instruction
        self.pad = pad
        self.dialogues = [d for d in dialogues if len(d) <= config.length]
        if not self.dialogues:
            raise UserError(f"no training pair is as short as a row of {config.length} tokens")

    def batches(self, first):
        config = self.config
        count = config.rows - config.plain_rows
        rows = endless_rows(self.dialogues, config.length + 1, self.pad, config.seed)
        rows = itertools.islice(rows, first * count, None)
        for step in itertools.count(first):
            tokens, labels = map(torch.tensor, zip(*itertools.islice(rows, count)))
            plain, following = self.corpus.batch(self.name, step, config.plain_rows)
            yield torch.cat([plain, tokens[:, :-1]]), torch.cat([following, labels[:, 1:]])


def padded(dialogues, pad):
    """Tokens and labels (dialogues, longest), padded on the right."""
    longest = max(map(len, dialogues))
    tokens = torch.full((len(dialogues), longest), pad)
    labels = torch.full((len(dialogues), longest), IGNORED)
    for row, dialogue in enumerate(dialogues):
        tokens[row, : len(dialogue)] = torch.tensor(dialogue.prompt + dialogue.answer)
        labels[row, len(dialogue.prompt) : len(dialogue)] = torch.tensor(dialogue.answer)
    return tokens, labels
