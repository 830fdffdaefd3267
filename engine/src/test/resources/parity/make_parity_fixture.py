"""Makes the parity fixtures of TransformersParitySuite with PyTorch and transformers, in float32.

    python make_parity_fixture.py MODEL_DIR OUT_DIR

MODEL_DIR is the built-in model's checkpoint directory. Writes OUT_DIR/summarizer-20m.json (greedy
answers and logits of a dozen prompts) and two checkpoints of random weights with scaled rotary
embeddings and a head of its own, each with a .json of its logits: OUT_DIR/tiny-llama3, and
OUT_DIR/tiny-device in a shape that a device computes with.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

DOCUMENTS = [
    "A small library that reads comma-separated files, guesses the type of every column and keeps "
    "the rows that do not fit in a separate file, so that nothing is lost.",
    "This tool watches a directory and sends each new file to a remote server over an encrypted "
    "connection. Transfers are resumed when the network comes back.",
    "Command-line calculator with units, fractions and complex numbers.",
    "The package holds the documentation of a graph database: installation, the query language, "
    "replication, and how to back up and restore a running server.",
    "Fonts with Greek and Cyrillic letters, drawn for small sizes on low-resolution screens.",
    "An event-driven HTTP server written in C. It serves static files, terminates TLS, forwards "
    "requests to application servers and balances load among them.\nModules add caching, access "
    "control and rate limits.",
    "Python bindings for a library of numerical integration; supports adaptive quadrature, ordinary "
    "differential equations and sparse Jacobians.",
    "Größere Dateien werden in Blöcke geteilt und geprüft; the checksums are kept in a manifest.",
    "plays    music \t from  the terminal\n\n\n- playlists\n- gapless playback\n- lyrics",
    "Debugging symbols for the JPEG decoder.",
    "A puzzle game: move the boxes onto the marked squares. It has 120 levels and an editor.",
    "R package for survival analysis: Kaplan-Meier curves, Cox models, tests of proportional hazards "
    "and plots of residuals.",
]
NEW_TOKENS = 40
SHOWN = 12


def rows(logits):
    """The largest logits and a few fixed ones of a row, as [token, value] pairs."""
    top = logits.topk(SHOWN).indices.tolist()
    fixed = list(range(0, logits.numel(), max(1, logits.numel() // SHOWN)))
    return [[t, logits[t].item()] for t in sorted(set(top + fixed))]


@torch.no_grad()
def built_in(model_dir):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{model_dir}/tokenizer.json")
    model = LlamaForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    ids = {t: tokenizer.convert_tokens_to_ids(f"<|{t}|>") for t in ("begin", "user", "end", "assistant")}
    cases = []
    for document in DOCUMENTS:
        text = tokenizer.encode("Summarize in one line:\n" + document, add_special_tokens=False)
        prompt = [ids["begin"], ids["user"]] + text + [ids["end"], ids["assistant"]]
        sequence, first = list(prompt), None
        for _ in range(NEW_TOKENS):
            logits = model(torch.tensor([sequence])).logits[0, -1]
            first = rows(logits) if first is None else first
            sequence.append(logits.argmax().item())
            if sequence[-1] == ids["end"]:
                break
        output = sequence[len(prompt):]
        cases.append(
            dict(document=document, prompt=prompt, output=output, logits=first,
                 text=tokenizer.decode([t for t in output if t != ids["end"]])))
    return cases


@torch.no_grad()
def tiny(out, **shape):
    torch.manual_seed(11)
    config = LlamaConfig(
        **shape, vocab_size=131, num_hidden_layers=2, max_position_embeddings=128,
        rms_norm_eps=1e-6, tie_word_embeddings=False, hidden_act="silu", initializer_range=0.2,
        bos_token_id=1, eos_token_id=[2, 3], pad_token_id=0,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0,
            high_freq_factor=4.0, original_max_position_embeddings=32))
    model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    model.save_pretrained(out)
    model = LlamaForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    tokens = torch.randint(4, 131, (1, 100), generator=torch.Generator().manual_seed(5))
    logits = model(tokens).logits[0]
    fixture = dict(tokens=tokens[0].tolist(), logits=[rows(row) for row in logits])
    out.with_suffix(".json").write_text(json.dumps(fixture))


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    (out / "summarizer-20m.json").write_text(json.dumps(built_in(sys.argv[1]), ensure_ascii=False))
    tiny(out / "tiny-llama3", hidden_size=48, intermediate_size=112, num_attention_heads=4,
         num_key_value_heads=2, head_dim=16)
    tiny(out / "tiny-device", hidden_size=64, intermediate_size=128, num_attention_heads=2,
         num_key_value_heads=1, head_dim=64)
