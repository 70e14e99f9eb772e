"""Best of n: the proxy chooses among n responses of the base model. Nothing is trained.

Its KL to the base model is at most log n - (n - 1) / n (Stiennon et al. 2020, appendix G.3; Beirami
et al. 2024 for the bound). Means are over all choices of n among the `most` responses to a prompt
(Nakano et al. 2021, appendix I).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

from repro.language.policy import PolicyStage
from repro.language.stage import Array, Metrics, mean


class BestOfN(PolicyStage):
    """No state besides."""

    def update(self) -> Metrics:
        """One batch of prompts."""
        settings = self.config.best_of_n
        rollout = self.collect(self.reference, settings.batch_size * settings.most, settings.most)
        sizes = [2**i for i in range(int(math.log2(settings.most)) + 1)]
        for p in self.active:
            proxy = rollout.score[p].double().cpu().numpy().reshape(-1, settings.most)
            gold = rollout.gold[p].reshape(-1, settings.most)
            found = [best_of(proxy, gold, n) for n in sizes]
            self.growing[p] = {
                "best_of_n": {
                    "iteration": [self.iteration] * len(sizes),
                    "n": sizes,
                    "prompts": [settings.batch_size] * len(sizes),
                    "kl": [math.log(n) - (n - 1) / n for n in sizes],
                    "proxy": [pair[0] for pair in found],
                    "gold": [pair[1] for pair in found],
                }
            }
        return {"gold": rollout.gold.mean(1), "proxy": mean(rollout.proxy)}


def best_of(proxy: Array, gold: Array, n: int) -> tuple[float, float]:
    """Mean proxy and gold of the proxy's best of n, over all n-subsets of each row's responses.

    The response of rank k (from 1, ascending) is the best of C(k - 1, n - 1) of C(N, n) subsets.
    """
    total = proxy.shape[1]
    rank = np.arange(n, total + 1)
    log_count = gammaln(rank) - gammaln(n) - gammaln(rank - n + 1)
    log_all = gammaln(total + 1) - gammaln(n + 1) - gammaln(total - n + 1)
    weight = np.exp(log_count - log_all)
    order = np.argsort(proxy, axis=1, kind="stable")[:, n - 1 :]
    pick = (np.take_along_axis(x, order, 1) @ weight for x in (proxy, gold))
    best_proxy, best_gold = (float(np.mean(x)) for x in pick)
    return best_proxy, best_gold
