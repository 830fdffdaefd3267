"""Trains the model: next-token prediction on the corpus, then answers to instructions.

    python3 -m summarizer.train --tokenizer TOKENIZER --pairs DIR --work WORK --output MODEL

TOKENIZER is what summarizer.tokenizer wrote. The instruction phase stops when the validation loss
no longer falls, and the weights with the best one are saved, in bf16, to MODEL. WORK gets the state
to resume from (state.pt) and the losses (history.json). On a GPU it computes in bf16 autocast with
torch.compile; on the CPU in float32.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch

from . import jsonlines
from .batches import Corpus, Instruction, Pretraining
from .checkpoint import device_of, encoder, load_tokenizer, new_model, save
from .commands import UserError, log, parser, positive, run
from .config import PRESETS, configured
from .dialogue import PAD, DialogueFormat
from .trainer import Execution, Trainer, answer_loss


def arguments_of():
    arguments = parser(__doc__)
    arguments.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--work", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--output", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--preset", choices=PRESETS, default="20m")
    arguments.add_argument("--pretraining-steps", type=positive, help="instead of the preset's")
    arguments.add_argument("--instruction-steps", type=positive, help="instead of the preset's")
    arguments.add_argument("--seed", type=int, help="instead of the preset's")
    arguments.add_argument(
        "--micro-rows",
        type=positive,
        metavar="N",
        help="rows computed at a time, a divisor of the step's rows, where memory is short; the"
        " result is the same but for rounding",
    )
    arguments.add_argument(
        "--resume", action="store_true", help="go on from WORK, if it has a state"
    )
    arguments.add_argument(
        "--save-every", type=positive, default=1000, metavar="STEPS", help="(default 1000)"
    )
    arguments.add_argument(
        "--stop-after",
        type=positive,
        default=math.inf,
        metavar="STEPS",
        help="stop after so many steps, to resume later",
    )
    arguments.add_argument(
        "--device", default="auto", help="auto, cuda, cuda:1, cpu (default auto)"
    )
    arguments.add_argument("--no-compile", action="store_true", help="without torch.compile")
    return arguments


def dialogues(tokenizer, path):
    to_dialogue = DialogueFormat(encoder(tokenizer), tokenizer.convert_tokens_to_ids)
    return [to_dialogue(pair) for pair in jsonlines.read(path, ["document", "summary"])]


def phases(config, tokenizer, corpus, pairs, device):
    """Both phases, and the instruction phase's validation: a model's loss on answers."""
    pad = tokenizer.convert_tokens_to_ids(PAD)
    instruction = Instruction(config, corpus, dialogues(tokenizer, pairs / "train.jsonl"), pad)
    valid = [
        dialogue
        for dialogue in dialogues(tokenizer, pairs / "valid.jsonl")
        if len(dialogue) <= config.shape.context
    ]
    if not valid:
        raise UserError(f"no validation pair fits the context of {config.shape.context} tokens")
    log(f"{len(instruction.dialogues)} dialogues, {len(valid)} to validate with")
    return (
        Pretraining(config, corpus),
        instruction,
        lambda model: answer_loss(model, valid, pad, device),
    )


def train(trainer, pretraining, instruction, validate):
    """Whether the training is over."""
    if trainer.phase == pretraining.name:
        if not trainer.run(pretraining):
            return False
        trainer.enter(instruction)
    if not trainer.run(instruction, validate):
        return False
    trainer.save()
    return True


def main():
    arguments = arguments_of()
    options = arguments.parse_args()
    config = configured(
        options.preset,
        pretraining=options.pretraining_steps,
        instruction=options.instruction_steps,
        seed=options.seed,
    )
    micro_rows = options.micro_rows or config.rows
    if config.rows % micro_rows:
        arguments.error(f"--micro-rows {micro_rows} does not divide the step's {config.rows} rows")
    device = device_of(options.device)
    options.work.mkdir(parents=True, exist_ok=True)
    execution = Execution(
        device,
        device.type == "cuda" and not options.no_compile,
        micro_rows,
        options.work / "state.pt",
        options.save_every,
        options.stop_after,
    )
    if execution.state_file.exists() and not options.resume:
        raise UserError(
            f"'{execution.state_file}' is of an earlier run; add --resume to go on, or give another"
            " --work"
        )

    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    tokenizer = load_tokenizer(options.tokenizer)
    if len(tokenizer) != config.shape.vocabulary:
        raise UserError(
            f"'{options.tokenizer}' has {len(tokenizer)} tokens where preset {options.preset} has"
            f" {config.shape.vocabulary}; make one with --preset {options.preset}"
        )
    corpus = Corpus(options.tokenizer / "tokens.bin", config.length, config.seed)
    log(f"{len(corpus.tokens):,} tokens")
    pretraining, instruction, validate = phases(config, tokenizer, corpus, options.pairs, device)
    trainer = Trainer(
        config,
        new_model(config.shape, tokenizer),
        execution,
        json.dumps([dataclasses.asdict(config), len(corpus.tokens)]),
    )
    log(f"{config.shape.parameters:,} parameters on {device}")
    if execution.state_file.exists():
        trainer.resume()

    if not train(trainer, pretraining, instruction, validate):
        print(
            f"{options.work}: stopped at step {trainer.step} of {trainer.phase}; --resume goes on"
        )
        return
    if trainer.best_weights is None:
        raise UserError("no validation loss was a number; lower the learning rate")
    trainer.model.load_state_dict(trainer.best_weights)
    save(trainer.model, options.tokenizer, options.output, config.shard)
    (options.work / "history.json").write_text(json.dumps(trainer.history, indent=1) + "\n")
    print(f"{options.output}: best validation loss {trainer.best:.4f} a token")


if __name__ == "__main__":
    run(main)
