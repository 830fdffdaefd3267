"""Contextually sparse feed-forward layers in a transformers model, to measure what they cost.

With g = act(W_gate x), u = W_up x and s = g * u, a neuron is called when its score is above a
threshold; s of the others is set to 0. CATS (arXiv 2404.08763) scores by |g|, M-COUNTDOWN (arXiv
2505.17701) by |u|, the oracle of D-COUNTDOWN (the same) by |s|, that of its saliency form by
|s_i| * norm(w_i), w_i being row i of the transposed down projection. Nothing is saved here: all is
computed, then dropped.
"""

import torch

SCORES = {
    "cats": lambda g, u, norms: g.abs(),
    "m-countdown": lambda g, u, norms: u.abs(),
    "d-countdown-oracle": lambda g, u, norms: (g * u).abs(),
    "s-countdown-oracle": lambda g, u, norms: (g * u).abs() * norms,
}


class Ideal:
    """At each position the neurons with the highest scores, all but the fraction sparsity."""

    def __init__(self, sparsity):
        self.sparsity = sparsity

    def called(self, layer, scores):
        dropped = max(1, int(scores.shape[-1] * self.sparsity))
        return scores > scores.kthvalue(dropped, dim=-1, keepdim=True).values


class Thresholds:
    """One a layer."""

    def __init__(self, thresholds):
        self.thresholds = thresholds

    def called(self, layer, scores):
        return scores > self.thresholds[layer]


class Calibration:
    """Calls all neurons, and takes the quantile of every position's scores."""

    def __init__(self, sparsity, layers):
        self.sparsity = sparsity
        self.quantiles = [[] for _ in range(layers)]

    def called(self, layer, scores):
        self.quantiles[layer].append(scores.quantile(self.sparsity, dim=-1))
        return torch.ones_like(scores, dtype=torch.bool)

    def thresholds(self):
        """The mean of the positions' quantiles."""
        return Thresholds([torch.cat(layer).mean().item() for layer in self.quantiles])


class _SparseFeedForward(torch.nn.Module):
    """Stands in a layer for its dense feed-forward."""

    def __init__(self, dense, layer, sparsity):
        super().__init__()
        self.dense = dense
        self.layer = layer
        self.norms = dense.down_proj.weight.norm(dim=0)
        # a list, so that it is no submodule
        self.sparsity = [sparsity]

    def forward(self, x):
        (sparsity,) = self.sparsity
        g = self.dense.act_fn(self.dense.gate_proj(x))
        u = self.dense.up_proj(x)
        s = g * u
        if sparsity.selection is not None:
            positions = sparsity.positions_of(x)
            if positions.any():
                scores = SCORES[sparsity.method](g[positions], u[positions], self.norms)
                called = sparsity.selection.called(self.layer, scores)
                sparsity.count(called)
                s[positions] = s[positions] * called
        return self.dense.down_proj(s)


class Sparsity:
    """What all feed-forward layers of a model do now; dense until use() says otherwise."""

    def __init__(self, model):
        self.layers = len(model.model.layers)
        self.dense()
        for number, layer in enumerate(model.model.layers):
            layer.mlp = _SparseFeedForward(layer.mlp, number, self)

    def dense(self):
        self.use(None, None)

    def use(self, method, selection):
        self.method, self.selection = method, selection
        self.positions = None
        self._called = self._neurons = 0

    def at(self, positions):
        """Sparse where positions (batch, length) is true; None: in steps of one token alone."""
        self.positions = positions

    def positions_of(self, x):
        if self.positions is not None:
            return self.positions
        return torch.full(x.shape[:2], x.shape[1] == 1, device=x.device)

    def count(self, called):
        # on the device: an item() in every layer would wait for it
        self._called = self._called + called.sum()
        self._neurons += called.numel()

    def density(self):
        """Fraction of neurons called since use()."""
        return float(self._called) / self._neurons if self._neurons else 1.0
