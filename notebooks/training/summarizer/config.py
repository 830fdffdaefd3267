"""Sizes and schedules: the built-in model's are the default, others are presets."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Shape:
    """A Llama with gated SiLU feed-forward and tied embeddings."""

    vocabulary: int = 8192
    hidden: int = 384
    intermediate: int = 1536
    layers: int = 8
    heads: int = 6
    key_value_heads: int = 2
    head_size: int = 64
    context: int = 1024

    @property
    def parameters(self):
        attention = 2 * self.hidden * self.head_size * (self.heads + self.key_value_heads)
        feed_forward = 3 * self.hidden * self.intermediate
        norms = 2 * self.hidden
        layers = self.layers * (attention + feed_forward + norms)
        return self.vocabulary * self.hidden + layers + self.hidden


@dataclass(frozen=True)
class Schedule:
    """A linear warm-up, then a cosine from the peak down to floor x peak at the last step."""

    steps: int
    peak: float
    floor: float
    warm_up: int = 200


@dataclass(frozen=True)
class Config:
    """A training run.

    rows, length: a step's batch, in rows and tokens a row
    plain_rows: of these in the instruction phase, so that it does not forget plain text
    validate_every, patience: steps between validations in the instruction phase, and how many
      without a better loss end it
    shard: largest file of weights, as transformers' max_shard_size
    """

    shape: Shape = Shape()
    rows: int = 96
    length: int = 768
    pretraining: Schedule = Schedule(8863, 2e-3, 0.05)
    instruction: Schedule = Schedule(614, 5e-4, 0.02)
    plain_rows: int = 24
    validate_every: int = 100
    patience: int = 4
    weight_decay: float = 0.1
    betas: tuple = field(default=(0.9, 0.95))
    gradient_norm: float = 1.0
    seed: int = 1
    shard: str = "5GB"


PRESETS = {
    # Files of the size that the repository takes.
    "20m": Config(shard="14MB"),
    # The same depth of training for six times the parameters needs a corpus several times as large.
    "116m": Config(
        shape=Shape(
            vocabulary=16384, hidden=768, intermediate=3072, layers=12, heads=12, key_value_heads=4
        ),
        pretraining=Schedule(40_000, 1e-3, 0.05, warm_up=1000),
    ),
    # Shows that everything runs, in minutes on two cores; its answers are worth nothing.
    "smoke": Config(
        shape=Shape(
            vocabulary=2048,
            hidden=128,
            intermediate=512,
            layers=4,
            heads=2,
            key_value_heads=1,
            context=512,
        ),
        rows=8,
        length=256,
        pretraining=Schedule(200, 3e-3, 0.05, warm_up=20),
        instruction=Schedule(60, 1e-3, 0.02, warm_up=10),
        plain_rows=2,
        validate_every=20,
        patience=3,
    ),
}


def configured(preset, **changes):
    """A preset with fields replaced; a phase's name stands for its steps."""
    config = PRESETS[preset]
    for name in ("pretraining", "instruction"):
        steps = changes.pop(name, None)
        if steps is not None:
            config = replace(config, **{name: replace(getattr(config, name), steps=steps)})
    return replace(config, **{name: value for name, value in changes.items() if value is not None})
