"""Tables of the runs of `repro.language`: name -> (type, meaning), as in `repro.runs.schema`.

KL is in nats. A sum over the tokens of a response unless it says otherwise; estimated from sampled
tokens as log pi - log pi_ref.
"""

from __future__ import annotations

Schema = dict[str, tuple[str, str]]

_START: Schema = {
    "iteration": ("int64", "from 1"),
    "step": ("int64", "sequences, pairs, episodes or prompts so far"),
}
_TIMES: Schema = {
    "time_rollout": ("float64", "seconds that made the data; times are a pack's over its runs"),
    "time_update": ("float64", "seconds in losses, gradients and Adam"),
    "time_other": ("float64", "seconds elsewhere in the iteration"),
}
_ADAM: Schema = {
    "gradient_norm": ("float64", "2-norm of the first minibatch's gradient before clipping"),
    "learning_rate": ("float64", "Adam's step size"),
}
PRETRAIN = {
    **_START,
    "loss": ("float64", "cross-entropy of the batch, nats per token"),
    "held_out_loss": ("float64", "likewise on text that is not trained on; null between looks"),
    **_ADAM,
    **_TIMES,
}
REWARD = {
    **_START,
    "loss": ("float64", "-log sigmoid(r(chosen) - r(rejected)) of the batch"),
    "accuracy": ("float64", "share of the batch's pairs with r(chosen) > r(rejected)"),
    "held_out_loss": ("float64", "on pairs that are not trained on; null between looks"),
    "held_out_accuracy": ("float64", "agreement with the noisy labels there"),
    "ceiling": ("float64", "the accuracy there of the gold reward itself: what noise allows"),
    "gold_correlation": ("float64", "Pearson correlation of r and gold there"),
    **_ADAM,
    **_TIMES,
}
POLICY = {
    **_START,
    "gold": ("float64", "mean gold reward of this iteration's responses"),
    "proxy": ("float64", "mean score of the reward model, normalized; before penalties"),
    "kl": ("float64", "KL(pi, reference) per response"),
    "kl_coef": ("float64", "beta of the KL penalty in the reward during this iteration"),
    "length": ("float64", "mean tokens per response, the end token included"),
    "ended": ("float64", "share of responses with an end token"),
    "entropy": ("float64", "mean entropy per token"),
    "surrogate": ("float64", "PPO's objective after the last epoch"),
    "value_loss": ("float64", "L_VF before the update and before c1, unclipped"),
    "kl_old": ("float64", "forward KL(old, new) per token after the last epoch"),
    "clip_fraction": ("float64", "share of tokens whose ratio is outside the clip range"),
    "explained_variance": ("float64", "1 - Var(V_targ - V) / Var(V_targ), before the update"),
    "beta": ("float64", "coefficient of the objective's own KL(old, new) penalty"),
    **_ADAM,
    **_TIMES,
}
SAMPLES = {
    "iteration": ("int64", "of the policy that wrote the response"),
    "episode": ("int32", "index in the iteration's batch"),
    "position": ("int32", "from 0 in the response; below 0 in the prompt"),
    "token": ("int32", "index in `vocabulary` of run.json"),
    "kl": ("float64", "log pi - log pi_ref of this token; null in prompts, as are the rest"),
    "advantage": ("float64", "A_t as used in the loss"),
    "value": ("float64", "V(s_t)"),
    "gold": ("float64", "gold reward of the whole response"),
    "proxy": ("float64", "the reward model's score of the whole response"),
}
POSITIONS = {
    "iteration": ("int64", "of the policy"),
    "position": ("int32", "from 0 in the response"),
    "tokens": ("int64", "responses that reach this position"),
    "kl": ("float64", "mean log pi - log pi_ref there"),
    "entropy": ("float64", "mean entropy there"),
}
BEST_OF_N = {
    "iteration": ("int64", "one batch of prompts"),
    "n": ("int64", "responses among which the proxy chooses"),
    "prompts": ("int64", "in the batch"),
    "kl": ("float64", "log n - (n - 1) / n: an upper bound of the KL to the base model"),
    "gold": ("float64", "mean gold reward of the chosen, over all choices of n responses"),
    "proxy": ("float64", "likewise the proxy's"),
}
CALIBRATION = {
    "predicted": ("float64", "mean sigmoid(r(a) - r(b)) of the bin, a scored above b"),
    "observed": ("float64", "share of those pairs in which the label prefers a"),
    "pairs": ("int64", "in the bin"),
}

SCHEMAS = {
    "pretrain": {"progress": PRETRAIN},
    "reward": {"progress": REWARD},
    "policy": {"progress": POLICY, "samples": SAMPLES, "positions": POSITIONS},
    "best_of_n": {
        "progress": {name: POLICY[name] for name in (*_START, "gold", "proxy", *_TIMES)},
        "best_of_n": BEST_OF_N,
    },
}
TABLES = {"calibration": CALIBRATION}
