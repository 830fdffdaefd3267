"""Times a decode step and prefill of transformers, to stand beside Rollcall's own.

    python transformers_decode.py [--batch-sizes 1,8,32,64] [--context 1024] [--json FILE]

The model is a LlamaForCausalLM of the Llama-3.1-8B shape with random bf16 weights, made on the GPU.
A decode step is one token a sequence through a StaticCache, compiled with torch.compile (CUDA graphs
in the mode reduce-overhead); prefill is eager, as generate() runs it. The copy rate of this GPU's
memory and the rate of a large bf16 product are measured in the same run. Prints a table on stderr
and JSON lines on stdout or into FILE. Needs torch with CUDA and transformers 5.
"""

import argparse
import gc
import json
import statistics
import sys
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

SHAPES = {
    "llama-3.1-8b": dict(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, head_dim=128),
    # to try the script where there is no GPU
    "tiny": dict(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32),
}
# Positions past the context: where the timed steps write. A whole page of Rollcall's cache.
ROOM = 64


class Timer:
    """Milliseconds on the GPU; on the CPU, so that the script can be tried, of the clock."""

    def __init__(self, device):
        self.cuda = device.type == "cuda"

    def mark(self):
        if not self.cuda:
            return time.perf_counter() * 1e3
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, marks):
        """Differences of marks that follow each other, without a wait between them."""
        if not self.cuda:
            return [b - a for a, b in zip(marks, marks[1:])]
        torch.cuda.synchronize()
        return [a.elapsed_time(b) for a, b in zip(marks, marks[1:])]

    def median(self, work, repeats, warm_up=3):
        for _ in range(warm_up):
            work()
        marks = [self.mark()]
        for _ in range(repeats):
            work()
            marks.append(self.mark())
        return statistics.median(self.between(marks))


def make_model(shape, context, device):
    config = LlamaConfig(
        **SHAPES[shape], max_position_embeddings=131072, rms_norm_eps=1e-5, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=1,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
            high_freq_factor=4.0, original_max_position_embeddings=8192))
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            model = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    model.generation_config.pad_token_id = 0
    return model.requires_grad_(False)


def bytes_of(model, batch, context):
    """What a dense decode step has to read and write: each weight once, keys and values."""
    config = model.config
    weights = sum(
        p.numel() * p.element_size() for n, p in model.named_parameters() if "embed_tokens" not in n)
    position = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    return weights + batch * (context + 1) * position


def rates(device, timer):
    """Of a copy in the GPU's memory, bytes read plus written, and of a bf16 product of 8192^3."""
    big = device.type == "cuda"
    source = torch.empty((2 << 30) if big else (1 << 24), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = timer.median(lambda: target.copy_(source), 20)
    n = 8192 if big else 256
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    b = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    c = torch.empty_like(a)
    product = timer.median(lambda: torch.matmul(a, b, out=c), 20)
    return dict(
        part="device", copy_terabytes_per_s=2 * source.numel() / copy / 1e9,
        matrix_teraflops=2 * n**3 / product / 1e9)


@torch.no_grad()
def decode_ms(model, batch, context, mode, steps, device, timer):
    """The median step at the context, after a dense prefill of random tokens."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    vocabulary = model.config.vocab_size
    cache = StaticCache(config=model.config, max_cache_len=context + ROOM)
    for start in range(0, context, 512):
        width = min(512, context - start)
        model(
            input_ids=torch.randint(vocabulary, (batch, width), device=device),
            past_key_values=cache, use_cache=True, logits_to_keep=1)

    def step(tokens):
        logits = model(input_ids=tokens, past_key_values=cache, use_cache=True).logits
        return logits[:, -1].argmax(-1, keepdim=True)

    if mode != "eager":
        step = torch.compile(step, mode=mode, fullgraph=True, dynamic=False)
    tokens = torch.randint(vocabulary, (batch, 1), device=device)

    def run(count):
        marks = [timer.mark()]
        for i in range(count):
            if i % (ROOM // 2) == 0:
                # back to the context, so that every step attends over about as many positions
                for layer in cache.layers:
                    layer.cumulative_length.fill_(context)
            torch.compiler.cudagraph_mark_step_begin()
            tokens.copy_(step(tokens))
            marks.append(timer.mark())
        return timer.between(marks)

    run(8)
    return statistics.median(run(steps))


@torch.no_grad()
def prefill_ms(model, batch, length, device, timer, repeats=10):
    tokens = torch.randint(model.config.vocab_size, (batch, length), device=device)
    return timer.median(
        lambda: model(input_ids=tokens, use_cache=True, logits_to_keep=1), repeats)


def prefill_flops(model, batch, length):
    """Products of the layers, the head for one position a prompt, causal attention."""
    config = model.config
    layers = sum(p.numel() for n, p in model.named_parameters() if ".layers." in n and p.dim() == 2)
    head = config.hidden_size * config.vocab_size
    attention = 2 * config.num_attention_heads * config.head_dim * length * (length + 1) // 2
    return 2 * batch * (layers * length + head + config.num_hidden_layers * attention)


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="llama-3.1-8b")
    parser.add_argument("--batch-sizes", type=numbers, default=[1, 8, 32, 64])
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--prefill", type=numbers, default=[512, 2048], metavar="LENGTHS")
    parser.add_argument(
        "--modes", default="reduce-overhead",
        help="of torch.compile, comma-separated: reduce-overhead, max-autotune,"
        " max-autotune-no-cudagraphs, default; or eager")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", help="file of JSON lines; stdout without")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("transformers_decode.py: torch sees no CUDA device")
    timer = Timer(device)
    out = open(options.json, "w") if options.json else sys.stdout
    common = dict(
        engine="transformers", model=options.model, weights="bf16", method="dense", sparsity=0.0,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        versions=dict(torch=torch.__version__, transformers=transformers.__version__))

    def emit(**fields):
        print(json.dumps(dict(common, **fields)), file=out, flush=True)

    measured = rates(device, timer)
    print(
        json.dumps(dict(
            part="device", device=common["device"], by="transformers", **common["versions"],
            **{k: v for k, v in measured.items() if k != "part"})),
        file=out, flush=True)
    say = lambda line: print(line, file=sys.stderr, flush=True)
    say("copy %.2f TB/s, bf16 product %.0f TFLOP/s" % (
        measured["copy_terabytes_per_s"], measured["matrix_teraflops"]))
    model = make_model(options.model, options.context, device)
    say("%-12s %-28s %6s %8s %10s %10s %6s" % (
        "phase", "mode", "batch", "tokens", "ms", "tokens/s", ""))
    for length in options.prefill:
        ms = prefill_ms(model, 1, length, device, timer)
        flops = prefill_flops(model, 1, length)
        share = flops / ms / 1e9 / measured["matrix_teraflops"]
        emit(
            part="prefill", mode="eager", batch_size=1, tokens=length, millis=ms,
            tokens_per_s=length / ms * 1e3, flops=flops, share_of_matrix_rate=share)
        say("%-12s %-28s %6d %8d %10.3f %10.0f %5.2f of the product's rate" % (
            "prefill", "eager", 1, length, ms, length / ms * 1e3, share))
    for batch in options.batch_sizes:
        for mode in options.modes.split(","):
            floor = bytes_of(model, batch, options.context)
            fields = dict(
                part="decode", mode=mode, batch_size=batch, context=options.context, bytes=floor,
                micros_of_bytes=floor / measured["copy_terabytes_per_s"] / 1e6)
            started = time.perf_counter()
            try:
                ms = decode_ms(
                    model, batch, options.context, mode, options.steps, device, timer)
            except Exception as e:  # a mode that this version cannot compile does not end the others
                emit(**fields, error=" ".join(str(e).split())[:300] or type(e).__name__)
                say("%-12s %-28s %6d failed: %s" % ("decode", mode, batch, str(e).split("\n")[0]))
                continue
            ratio = ms * 1e3 / fields["micros_of_bytes"]
            emit(
                **fields, micros=ms * 1e3, tokens_per_s=batch / ms * 1e3, ratio=ratio,
                seconds_with_compiling=time.perf_counter() - started)
            say("%-12s %-28s %6d %8d %10.3f %10.0f %5.2f of the bytes' time" % (
                "decode", mode, batch, options.context, ms, batch / ms * 1e3, ratio))


if __name__ == "__main__":
    main()
