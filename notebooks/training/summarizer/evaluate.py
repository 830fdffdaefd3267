"""Measures a checkpoint, dense and sparse: perplexity and token accuracy of references, ROUGE-L.

    python3 -m summarizer.evaluate --model MODEL --test DIR/test.jsonl --calibration DIR/valid.jsonl

Each sparse method runs twice: 'ideal' keeps the best-scored neurons at every position, 'threshold'
those above one threshold a layer, the mean over the calibration pairs' positions. All positions
that predict a token of an answer are sparse, prompts are dense. Answers are greedy, ROUGE-L is F1
without stemming. Computed in float32, one sequence's neurons at a time: no unions.
"""

import argparse
import itertools
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from . import jsonlines
from .batches import padded
from .checkpoint import device_of, encoder, load_model, load_tokenizer
from .commands import UserError, log, parser, positive, run
from .dialogue import IGNORED, PAD, DialogueFormat
from .rouge import rouge_l
from .sparsity import SCORES, Calibration, Ideal, Sparsity

# Leaves room for an answer in the built-in model's context.
LONGEST_PROMPT = 900
_COLUMNS = (
    ("method", "s", 20),
    ("sparsity", "g", 8),
    ("selection", "s", 9),
    ("density", ".4f", 8),
    ("perplexity", ".3f", 10),
    ("token_accuracy", ".4f", 14),
    ("rouge_l", ".4f", 8),
    ("same_as_dense", ".4f", 13),
)


class Evaluator:
    def __init__(self, model, tokenizer, device, batch):
        self.model, self.tokenizer, self.device, self.batch = model, tokenizer, device, batch
        self.sparsity = Sparsity(model)
        self.pad = tokenizer.convert_tokens_to_ids(PAD)
        self._to_dialogue = DialogueFormat(
            encoder(tokenizer), tokenizer.convert_tokens_to_ids, self._room(model.config)
        )

    @staticmethod
    def _room(config):
        """Tokens of a document: what a small context leaves beside an answer and special tokens."""
        return min(LONGEST_PROMPT, config.max_position_embeddings * 7 // 8)

    def dialogues(self, pairs):
        made = [self._to_dialogue(pair) for pair in pairs]
        return [d for d in made if len(d) <= self.model.config.max_position_embeddings]

    def _batches(self, dialogues):
        return (dialogues[i : i + self.batch] for i in range(0, len(dialogues), self.batch))

    @torch.no_grad()
    def references(self, dialogues):
        """Perplexity and accuracy of the next token over the answers, the end token counted."""
        loss = counted = right = 0
        for batch in self._batches(sorted(dialogues, key=len)):
            tokens, labels = (t.to(self.device) for t in padded(batch, self.pad))
            following = labels[:, 1:]
            answers = following != IGNORED
            # the position before an answer's token predicts it
            self.sparsity.at(F.pad(answers, (0, 1)))
            logits = self.model(input_ids=tokens, use_cache=False).logits[:, :-1][answers]
            wanted = following[answers]
            loss += F.cross_entropy(logits, wanted, reduction="sum").item()
            right += (logits.argmax(-1) == wanted).sum().item()
            counted += len(wanted)
        return {
            "perplexity": math.exp(loss / counted),
            "token_accuracy": right / counted,
            "density": self.sparsity.density(),
        }

    @torch.no_grad()
    def answers(self, dialogues, longest):
        """Greedy answers, in the order of the dialogues."""
        self.sparsity.at(None)
        texts = []
        for batch in self._batches(dialogues):
            prompts = [d.prompt for d in batch]
            width = max(map(len, prompts))
            tokens = torch.tensor([[self.pad] * (width - len(p)) + p for p in prompts])
            there = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
            made = self.model.generate(
                input_ids=tokens.to(self.device),
                attention_mask=there.to(self.device),
                max_new_tokens=longest,
                do_sample=False,
            )
            for tokens in made[:, width:].tolist():
                texts.append(self.tokenizer.decode(tokens, skip_special_tokens=True).strip())
        return texts


def measure(evaluator, dialogues, summaries, calibration, options):
    """Yields a row of the table for dense and for each method, sparsity and selection."""
    sparsity = evaluator.sparsity

    def answer_scores(answers, compared):
        return {
            "rouge_l": sum(map(rouge_l, answers, summaries)) / len(answers),
            "same_as_dense": sum(map(str.__eq__, answers, compared)) / len(answers),
        }

    row = {"method": "dense", "sparsity": 0.0, "selection": "", **evaluator.references(dialogues)}
    if not options.no_answers:
        dense = evaluator.answers(dialogues, options.max_new_tokens)
        row |= answer_scores(dense, dense)
    yield row
    for method, fraction in itertools.product(options.methods, options.sparsities):
        row = {"method": method, "sparsity": fraction}
        sparsity.use(method, Ideal(fraction))
        yield row | {"selection": "ideal"} | evaluator.references(dialogues)
        observed = Calibration(fraction, sparsity.layers)
        sparsity.use(method, observed)
        evaluator.references(calibration)
        sparsity.use(method, observed.thresholds())
        row |= {"selection": "threshold"} | evaluator.references(dialogues)
        if not options.no_answers:
            answers = evaluator.answers(dialogues, options.max_new_tokens)
            row |= answer_scores(answers, dense)
        yield row


def line(row):
    cells = [
        f"{row[name]:>{width}{kind}}" if name in row else " " * width
        for name, kind, width in _COLUMNS
    ]
    return " ".join(cells).rstrip()


def methods(text):
    names = text.split(",")
    unknown = [name for name in names if name not in SCORES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no method {unknown[0]!r}; there are {', '.join(SCORES)}")
    return names


def fractions(text):
    values = [float(part) for part in text.split(",")]
    if not all(0 < value < 1 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r}: sparsities are above 0 and below 1")
    return values


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--model", required=True, metavar="DIR")
    arguments.add_argument("--test", type=Path, required=True, metavar="FILE")
    arguments.add_argument("--calibration", type=Path, required=True, metavar="FILE")
    arguments.add_argument(
        "--methods",
        type=methods,
        default=list(SCORES),
        metavar="LIST",
        help=f"comma-separated (default {','.join(SCORES)})",
    )
    arguments.add_argument(
        "--sparsities",
        type=fractions,
        default=[0.5, 0.7, 0.8, 0.9],
        metavar="LIST",
        help="comma-separated fractions of neurons dropped (default 0.5,0.7,0.8,0.9)",
    )
    arguments.add_argument(
        "--limit", type=positive, metavar="N", help="of --test's documents (default all)"
    )
    arguments.add_argument("--batch-size", type=positive, default=100)
    arguments.add_argument("--max-new-tokens", type=positive, default=40)
    arguments.add_argument("--no-answers", action="store_true", help="without ROUGE-L")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="the table's rows as JSON")
    arguments.add_argument(
        "--device", default="auto", help="auto, cuda, cuda:1, cpu (default auto)"
    )
    options = arguments.parse_args()
    device = device_of(options.device)
    fields = ["document", "summary"]
    test = jsonlines.read(options.test, fields)[: options.limit]
    calibration = jsonlines.read(options.calibration, fields)
    evaluator = Evaluator(
        load_model(options.model, device), load_tokenizer(options.model), device, options.batch_size
    )
    dialogues = evaluator.dialogues(test)
    if len(dialogues) < len(test):
        raise UserError(f"{len(test) - len(dialogues)} references do not fit the model's context")
    log(
        f"{len(test)} documents, {sum(len(d.answer) for d in dialogues)} answer tokens, on {device}"
    )
    print(" ".join(f"{name:>{width}}" for name, _, width in _COLUMNS))
    rows = []
    for row in measure(
        evaluator,
        dialogues,
        [pair["summary"] for pair in test],
        evaluator.dialogues(calibration),
        options,
    ):
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
