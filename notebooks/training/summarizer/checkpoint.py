"""A model as new, saved, and loaded: the Hugging Face directory that Rollcall's --model takes."""

import math
import shutil
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .commands import UserError
from .dialogue import BEGIN, END, PAD

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
FILES = ("config.json", "generation_config.json", *TOKENIZER_FILES)
_DEVIATION = 0.02


def device_of(name):
    """The torch.device; 'auto' is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no CUDA device; check nvidia-smi, or use --device cpu")
    return device


def load_tokenizer(directory):
    missing = [name for name in TOKENIZER_FILES if not Path(directory, name).is_file()]
    if missing:
        raise UserError(f"'{directory}' has no {missing[0]}; summarizer.tokenizer makes it")
    return PreTrainedTokenizerFast.from_pretrained(directory)


def encoder(tokenizer):
    """text -> tokens without special ones."""
    return lambda text: tokenizer.encode(text, add_special_tokens=False)


def new_model(shape, tokenizer):
    """Random weights; what is added to the residual stream is scaled down by depth, as in GPT-2."""
    begin, end, pad = tokenizer.convert_tokens_to_ids([BEGIN, END, PAD])
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            head_dim=shape.head_size,
            max_position_embeddings=shape.context,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=begin,
            eos_token_id=end,
            pad_token_id=pad,
            initializer_range=_DEVIATION,
        )
    )
    for name, weights in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.normal_(weights, 0.0, _DEVIATION / math.sqrt(2 * shape.layers))
    return model


def save(model, tokenizer_directory, output, shard):
    """Weights in bf16, configuration, tokenizer."""
    output.mkdir(parents=True, exist_ok=True)
    # of an earlier run: shards with other numbers would stay
    for old in [*output.glob("*.safetensors"), *output.glob("*.safetensors.index.json")]:
        old.unlink()
    model.to(torch.bfloat16).eval().save_pretrained(output, max_shard_size=shard)
    for name in TOKENIZER_FILES:
        shutil.copyfile(Path(tokenizer_directory, name), output / name)


def load_model(directory, device):
    """In float32 whatever it is saved in."""
    if not Path(directory, "config.json").is_file():
        raise UserError(f"'{directory}' has no config.json; give a checkpoint directory")
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.to(device).eval().requires_grad_(False)
