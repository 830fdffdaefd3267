"""The prompt's form, and dialogues packed into rows.

    <|begin|><|user|>Summarize in one line:\\n{document}<|end|><|assistant|>{summary}<|end|>

Token lists throughout; knows neither the tokenizer's library nor PyTorch.
"""

import itertools
import random
from dataclasses import dataclass

END, BEGIN, PAD, USER, ASSISTANT, SYSTEM = SPECIAL_TOKENS = (
    "<|end|>",
    "<|begin|>",
    "<|pad|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
)
INSTRUCTION = "Summarize in one line:\n"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# The label of a position that the loss leaves out: PyTorch's default.
IGNORED = -100


@dataclass(frozen=True)
class Dialogue:
    """Tokens of a prompt, up to <|assistant|>, and of its answer with <|end|>."""

    prompt: list
    answer: list

    def __len__(self):
        return len(self.prompt) + len(self.answer)


class DialogueFormat:
    """Makes dialogues of pairs.

    encode: text -> tokens, no special ones added
    token_id: special token -> its id, as in SPECIAL_TOKENS
    longest: tokens of instruction and document that a prompt keeps; None for all
    """

    def __init__(self, encode, token_id, longest=None):
        self._encode = encode
        self._begin, self._user, self._end, self._assistant = map(
            token_id, (BEGIN, USER, END, ASSISTANT)
        )
        self._longest = longest

    def __call__(self, pair):
        text = self._encode(INSTRUCTION + pair["document"])[: self._longest]
        return Dialogue(
            [self._begin, self._user, *text, self._end, self._assistant],
            [*self._encode(pair["summary"]), self._end],
        )


def pack(dialogues, length, pad):
    """Rows (tokens, labels) of the length: whole dialogues one after another, then padding.

    labels[i] is tokens[i] where it belongs to an answer, else IGNORED. Attention is causal over the
    row, so a dialogue sees those before it; begin tells them apart.
    """
    tokens, labels = [], []
    for dialogue in dialogues:
        if len(dialogue) > length:
            raise ValueError(f"a dialogue of {len(dialogue)} tokens in rows of {length}")
        if len(tokens) + len(dialogue) > length:
            yield _padded(tokens, labels, length, pad)
            tokens, labels = [], []
        tokens = tokens + dialogue.prompt + dialogue.answer
        labels = labels + [IGNORED] * len(dialogue.prompt) + dialogue.answer
    if tokens:
        yield _padded(tokens, labels, length, pad)


def _padded(tokens, labels, length, pad):
    missing = length - len(tokens)
    return tokens + [pad] * missing, labels + [IGNORED] * missing


def endless_rows(dialogues, length, pad, seed):
    """Epoch after epoch, each shuffled anew by the seed and its number."""
    for epoch in itertools.count():
        order = list(dialogues)
        random.Random(f"{seed}/{epoch}").shuffle(order)
        yield from pack(order, length, pad)
