"""Checks what a training run left, and says so in a short table: status 1 where something is wrong.

    python3 -m summarizer.check --model MODEL --history WORK/history.json --test DIR/test.jsonl

Losses fell, the files that Rollcall reads are there, transformers loads them, greedy answers come
out, and the chat template gives the prompt that the model was trained with.
"""

import json
import sys
from pathlib import Path

from . import jsonlines
from .checkpoint import FILES, device_of, encoder, load_model, load_tokenizer
from .commands import UserError, parser, run
from .dialogue import INSTRUCTION, DialogueFormat
from .evaluate import Evaluator

_ANSWERS = 16


def files(directory):
    missing = [name for name in FILES if not Path(directory, name).is_file()]
    weights = sorted(path.name for path in Path(directory).glob("*.safetensors"))
    if not weights:
        missing.append("*.safetensors")
    if len(weights) > 1 and not Path(directory, "model.safetensors.index.json").is_file():
        missing.append("model.safetensors.index.json")
    if missing:
        return False, f"missing: {', '.join(missing)}"
    return True, f"all, {len(weights)} of weights"


def fell(history, phase, kind):
    losses = [entry[kind] for entry in history if entry["phase"] == phase and kind in entry]
    if not losses:
        return False, "none in the history"
    lowest = min(losses)
    return lowest < losses[0], f"{losses[0]:.3f} at first, {lowest:.3f} at best"


def template(tokenizer, pair):
    """Whether the chat template and the training's own form agree on a pair's prompt."""
    message = {"role": "user", "content": INSTRUCTION + pair["document"]}
    text = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    encode = encoder(tokenizer)
    trained = DialogueFormat(encode, tokenizer.convert_tokens_to_ids)(pair).prompt
    return encode(text) == trained, f"{len(trained)} tokens"


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--history", type=Path, required=True, metavar="FILE")
    arguments.add_argument("--test", type=Path, required=True, metavar="FILE")
    arguments.add_argument("--device", default="auto")
    options = arguments.parse_args()
    pairs = jsonlines.read(options.test, ["document", "summary"])[:_ANSWERS]
    try:
        history = json.loads(options.history.read_text())
    except (OSError, ValueError) as e:
        raise UserError(f"cannot read '{options.history}' ({e}); summarizer.train writes it") from e
    results = [
        ("files", *files(options.model)),
        ("pretraining loss", *fell(history, "pretraining", "loss")),
        ("instruction loss", *fell(history, "instruction", "loss")),
        ("validation loss", *fell(history, "instruction", "validation_loss")),
    ]
    answers = []
    if results[0][1]:
        device = device_of(options.device)
        tokenizer = load_tokenizer(options.model)
        model = load_model(options.model, device)
        parameters = sum(weights.numel() for weights in model.parameters())
        results.append(("loads in transformers", True, f"{parameters:,} parameters"))
        results.append(("chat template", *template(tokenizer, pairs[0])))
        evaluator = Evaluator(model, tokenizer, device, _ANSWERS)
        answers = evaluator.answers(evaluator.dialogues(pairs), 40)
        count = sum(map(bool, answers))
        results.append(("greedy answers", count > 0, f"{count} of {len(answers)} with words"))
    for name, right, detail in results:
        print(f"{name:<22} {'ok' if right else 'WRONG':<6} {detail}")
    for answer in [answer for answer in answers if answer][:3]:
        print(f"  {answer!r}")
    sys.exit(0 if all(right for _, right, _ in results) else 1)


if __name__ == "__main__":
    run(main)
