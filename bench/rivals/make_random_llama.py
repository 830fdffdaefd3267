"""Makes a Llama checkpoint of random weights with transformers, and the logits that it gives.

    python make_random_llama.py OUT_DIR [--shape small|wide] [--device cpu|cuda]

Writes OUT_DIR/config.json and model.safetensors (bf16), and OUT_DIR/logits.json: a few sequences of
random tokens, and for each position some logits as transformers computes them in f32 and in bf16,
with the largest differences between these two. An engine whose arithmetic is bf16 should be as near to
the f32 ones as transformers' own bf16 is. There is no tokenizer: tokens go in as they are.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    # 3 MB: small enough to be kept with the tests
    "small": dict(
        vocab_size=512, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64),
    # 180 MB: head size and widths of a real model, few layers
    "wide": dict(
        vocab_size=4096, hidden_size=2048, intermediate_size=5632, num_hidden_layers=2,
        num_attention_heads=16, num_key_value_heads=4, head_dim=128),
}
SHOWN = 12


def picked(row):
    """Tokens of the largest logits and a few fixed ones."""
    top = row.topk(SHOWN).indices.tolist()
    return sorted(set(top + list(range(0, row.numel(), row.numel() // SHOWN))))


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", default="1,7,64,200")
    options = parser.parse_args()
    torch.manual_seed(23)
    config = LlamaConfig(
        **SHAPES[options.shape], max_position_embeddings=1024, rms_norm_eps=1e-5,
        tie_word_embeddings=False, hidden_act="silu", bos_token_id=1, eos_token_id=2, pad_token_id=0,
        # larger than a trained model's, so that logits are far enough apart to be told from each other
        initializer_range=0.05,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
            high_freq_factor=4.0, original_max_position_embeddings=256))
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(options.out)
    models = {
        name: LlamaForCausalLM.from_pretrained(options.out, dtype=dtype).to(options.device).eval()
        for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16))
    }
    generator = torch.Generator().manual_seed(29)
    cases, largest, squares, count = [], 0.0, 0.0, 0
    for length in map(int, options.lengths.split(",")):
        tokens = torch.randint(3, config.vocab_size, (length,), generator=generator).tolist()
        logits = {
            name: model(torch.tensor([tokens], device=options.device)).logits[0].float().cpu()
            for name, model in models.items()
        }
        difference = (logits["f32"] - logits["bf16"]).abs()
        largest = max(largest, difference.max().item())
        squares += difference.square().sum().item()
        count += difference.numel()
        rows = []
        for position in range(length):
            shown = picked(logits["f32"][position])
            rows.append({"tokens": shown} | {
                name: [round(row[position, t].item(), 6) for t in shown] for name, row in logits.items()
            })
        cases.append(dict(tokens=tokens, logits=rows))
    made = dict(
        transformers=transformers.__version__, torch=torch.__version__, device=options.device,
        bf16_largest_difference=largest, bf16_mean_square_difference=squares / count, cases=cases)
    (options.out / "logits.json").write_text(json.dumps(made) + "\n")
    print(f"{options.out}: bf16 is up to {largest:.4f} from f32, rms {(squares / count) ** 0.5:.4f}")


if __name__ == "__main__":
    main()
