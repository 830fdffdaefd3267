"""Trains the tokenizer: byte-level BPE, on every third document.

    python3 -m summarizer.tokenizer --corpus corpus.jsonl.xz --pairs DIR --output TOKENIZER

Writes TOKENIZER/tokenizer.json, TOKENIZER/tokenizer_config.json with the chat template, and
TOKENIZER/tokens.bin: the corpus and the training pairs' documents in random order as 32-bit token
ids, <|begin|> before and <|end|> after each.
"""

import array
import json
import os
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from . import jsonlines
from .commands import UserError, log, parser, run
from .config import PRESETS
from .dialogue import BEGIN, CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS

# Words with a leading blank, digits by threes, runs of punctuation: as Llama 3 splits text.
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SHORTEST = 200
_SAMPLE = 20_000


def trained(texts, vocabulary):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if tokenizer.get_vocab_size() != vocabulary:
        raise UserError(
            f"the corpus yields {tokenizer.get_vocab_size()} tokens, not {vocabulary}; give more"
            " text or a preset with a smaller vocabulary"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return tokenizer


def description(context):
    """tokenizer_config.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


def encode(tokenizer, documents, path, batch=4000):
    """Writes documents' tokens; returns how many."""
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    count = 0
    partial = path.with_name(f".partial-{path.name}")
    with open(partial, "wb") as out:
        for start in range(0, len(documents), batch):
            ids = array.array("i")
            for one in tokenizer.encode_batch(
                documents[start : start + batch], add_special_tokens=False
            ):
                ids.append(begin)
                ids.extend(one.ids)
                ids.append(end)
            ids.tofile(out)
            count += len(ids)
    os.replace(partial, path)
    return count


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--corpus", type=Path, required=True, metavar="FILE")
    arguments.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--output", type=Path, required=True, metavar="TOKENIZER")
    arguments.add_argument("--preset", choices=PRESETS, default="20m")
    options = arguments.parse_args()
    config = PRESETS[options.preset]
    documents = [row["text"] for row in jsonlines.read(options.corpus, ["text"])]
    documents = [text for text in documents if len(text) > _SHORTEST]
    documents += [
        row["document"] for row in jsonlines.read(options.pairs / "train.jsonl", ["document"])
    ]
    random.Random(config.seed).shuffle(documents)
    log(f"{len(documents)} documents, {sum(map(len, documents)) / 1e6:.1f} MB")
    tokenizer = trained((text[:_SAMPLE] for text in documents[::3]), config.shape.vocabulary)
    log("tokenizer trained")
    options.output.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(options.output / "tokenizer.json"))
    (options.output / "tokenizer_config.json").write_text(
        json.dumps(description(config.shape.context), indent=1) + "\n"
    )
    count = encode(tokenizer, documents, options.output / "tokens.bin")
    print(f"{options.output}: {config.shape.vocabulary} tokens known, a corpus of {count:,}")


if __name__ == "__main__":
    run(main)
