"""The training loop, and its state on disk."""

import math
import os
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from .batches import Pretraining, padded
from .commands import UserError, log
from .dialogue import IGNORED

_VALIDATION_BATCH = 50


@dataclass(frozen=True)
class Execution:
    """How a run is computed, which does not change what it computes but for rounding.

    micro_rows: rows of a step computed at a time
    state_file: where the state goes every save_every steps, at the end of a phase, and after
      stop_after steps (math.inf: never), where the run ends
    """

    device: torch.device
    compiled: bool
    micro_rows: int
    state_file: Path
    save_every: int
    stop_after: float = math.inf


class Meter:
    """Mean loss and tokens a second since the last reading; waits for the device only then."""

    def __init__(self):
        self._restart()

    def _restart(self):
        self.loss, self.steps, self.tokens, self.started = 0.0, 0, 0, time.monotonic()

    def add(self, loss, tokens):
        self.loss = self.loss + loss
        self.steps += 1
        self.tokens += tokens

    def read(self):
        loss = float(self.loss) / self.steps
        rate = self.tokens / (time.monotonic() - self.started)
        self._restart()
        return loss, rate


class Trainer:
    """A model in training: weights, the phase's optimizer, where it is, the best weights so far.

    identity: names what is trained on what; a state of another is not resumed
    """

    def __init__(self, config, model, execution, identity):
        self.config, self.execution, self.identity = config, execution, identity
        self.model = model.to(execution.device)
        self.loss = torch.compile(self._summed_loss) if execution.compiled else self._summed_loss
        self.phase, self.step = Pretraining.name, 0
        self.optimizer = None
        self.best, self.best_weights, self.waited = math.inf, None, 0
        self.history = []
        self.left = execution.stop_after

    def run(self, phase, validate=None):
        """From the step it is at to the phase's last, or until validate's loss no longer falls.

        Returns whether the phase is over: not so where the run is to stop before.
        """
        config, schedule = self.config, phase.schedule
        self.optimizer = self.optimizer or self._new_optimizer()
        # a short phase gets its ten lines too
        log_every = max(1, min(100, schedule.steps // 10))
        meter = Meter()
        batches = phase.batches(self.step)
        while self.step < schedule.steps and self.waited < config.patience:
            if not self.left:
                self.save()
                return False
            self.left -= 1
            tokens, labels = next(batches)
            meter.add(
                self._update(tokens, labels, learning_rate(schedule, self.step)), tokens.numel()
            )
            self.step += 1
            if self.step % log_every == 0:
                self._note_loss(*meter.read())
            if validate and (self.step % config.validate_every == 0 or self.step == schedule.steps):
                self._keep_if_better(validate(self.model))
            if self.step % self.execution.save_every == 0:
                self.save()
        return True

    def enter(self, phase):
        """Starts the next phase, with a new optimizer."""
        self.phase, self.step, self.optimizer = phase.name, 0, None
        self.save()

    def save(self):
        state = {
            "identity": self.identity,
            "phase": self.phase,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "best": self.best,
            "best_weights": self.best_weights,
            "waited": self.waited,
            "history": self.history,
        }
        path = self.execution.state_file
        partial = path.with_name(f".partial-{path.name}")
        torch.save(state, partial)
        os.replace(partial, path)

    def resume(self):
        """Goes on from the state file."""
        path = self.execution.state_file
        try:
            state = torch.load(path, map_location=self.execution.device, weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as e:
            raise UserError(f"cannot read '{path}' ({e}); give another --work to start anew") from e
        if state["identity"] != self.identity:
            raise UserError(
                f"'{path}' is of another preset, tokenizer or corpus; give the same options, or"
                " another --work to start anew"
            )
        self.model.load_state_dict(state["model"])
        self.phase, self.step = state["phase"], state["step"]
        if state["optimizer"]:
            self.optimizer = self._new_optimizer()
            self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.best_weights = state["best"], state["best_weights"]
        self.waited, self.history = state["waited"], state["history"]
        log(f"resumed at step {self.step} of {self.phase}")

    def _note_loss(self, loss, rate):
        if not math.isfinite(loss):
            raise UserError(f"the loss is {loss} at step {self.step}; lower the learning rate")
        log(f"{self.phase} step {self.step} loss {loss:.4f}, {rate:,.0f} tokens/s")
        self.history.append({"phase": self.phase, "step": self.step, "loss": loss})

    def _keep_if_better(self, loss):
        self.history.append({"phase": self.phase, "step": self.step, "validation_loss": loss})
        better = loss < self.best
        log(f"{self.phase} step {self.step} validation {loss:.4f}{', the best' if better else ''}")
        if better:
            self.best, self.waited = loss, 0
            self.best_weights = {k: w.detach().clone() for k, w in self.model.state_dict().items()}
        else:
            self.waited += 1

    def _new_optimizer(self):
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        norms = [p for p in self.model.parameters() if p.ndim < 2]
        return torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.config.weight_decay},
                {"params": norms, "weight_decay": 0.0},
            ],
            betas=self.config.betas,
            **({"fused": True} if self.execution.device.type == "cuda" else {}),
        )

    def _summed_loss(self, tokens, labels):
        with autocast(self.execution.device):
            hidden = self.model.model(input_ids=tokens, use_cache=False).last_hidden_state
            logits = self.model.lm_head(hidden)
        return summed_cross_entropy(logits, labels)

    def _update(self, tokens, labels, rate):
        """One step; the mean loss of its labels, left on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        counted = (labels != IGNORED).sum().item()
        total = 0.0
        rows = self.execution.micro_rows
        for micro in zip(tokens.split(rows), labels.split(rows)):
            loss = self.loss(*(part.to(self.execution.device) for part in micro)) / counted
            loss.backward()
            total = total + loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total


def learning_rate(schedule, step):
    warm_up = min(1.0, (step + 1) / schedule.warm_up)
    cosine = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    return schedule.peak * warm_up * (schedule.floor + (1 - schedule.floor) * cosine)


def autocast(device):
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def summed_cross_entropy(logits, labels):
    """In nats, in float32, over labels that are not IGNORED."""
    return F.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


@torch.no_grad()
def answer_loss(model, dialogues, pad, device):
    """Mean cross-entropy of the answers' tokens, in nats."""
    total = counted = 0
    for start in range(0, len(dialogues), _VALIDATION_BATCH):
        tokens, labels = padded(dialogues[start : start + _VALIDATION_BATCH], pad)
        with autocast(device):
            logits = model(input_ids=tokens.to(device), use_cache=False).logits[:, :-1]
        following = labels[:, 1:].to(device)
        total += summed_cross_entropy(logits, following).item()
        counted += (following != IGNORED).sum().item()
    return total / counted
