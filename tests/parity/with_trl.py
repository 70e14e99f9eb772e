"""TRL 1.12's side of `make parity-trl`, in an environment that has trl and not this project.

    python tests/parity/with_trl.py batch FILE OUT     its numbers of our frozen batch
    python tests/parity/with_trl.py train FILE OUT     its own training on the same task

The trainer is the real one; only what it generates is replaced, and what it computes is recorded.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

NEVER = -1e4  # as `repro.language.networks`
EPISODES, UPDATES = 128, 10


def load(model, weights, score):
    """Our parameters into GPT-2's places."""
    body, state = model.transformer, {}
    state["wte.weight"] = weights["token"][: model.config.vocab_size]
    state["wpe.weight"] = weights["position"]
    places = {"attend": "attn.c_attn", "mix": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    norms = {"before_attention": "ln_1", "before_mlp": "ln_2"}
    for i in range(model.config.n_layer):
        for name, place in (places | norms).items():
            state[f"h.{i}.{place}.weight"] = weights[f"{i}.{name}"].squeeze()
            state[f"h.{i}.{place}.bias"] = weights[f"{i}.{name}.bias"].squeeze()
    state["ln_f.weight"], state["ln_f.bias"] = weights["last"][0], weights["last.bias"][0]
    body.load_state_dict({name: torch.tensor(x) for name, x in state.items()}, strict=False)
    with torch.no_grad():
        if score:
            model.score = torch.nn.Linear(model.config.n_embd, 1)
            model.score.weight.copy_(torch.tensor(weights["value"][:, :1].T))
            model.score.bias.copy_(torch.tensor(weights["value.bias"][0, :1]))
        else:
            words = model.config.vocab_size
            model.lm_head.weight.copy_(torch.tensor(weights["logits"][:, :words].T))
            never = torch.zeros(words)
            never[0] = NEVER
            model.lm_head.register_forward_hook(lambda *call: call[2] + never)
    return model.eval()


def trainer(file, **settings):
    """TRL's trainer around our four models."""
    parts = {}
    for name in file.files:
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = file[name]
    setting = {name: x.item() for name, x in parts["setting"].items()}
    width = parts["policy"]["token"].shape[1]
    config = GPT2Config(
        vocab_size=setting["words"],
        n_positions=len(parts["policy"]["position"]),
        n_embd=width,
        n_layer=sum(name.endswith("attend") for name in parts["reference"]),
        n_head=setting["heads"],
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=setting["end"],
        num_labels=1,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    critic = {k[7:]: x for k, x in parts["policy"].items() if k.startswith("critic.")}
    models = {
        "model": load(GPT2LMHeadModel(config), parts["policy"], False),
        "ref_model": load(GPT2LMHeadModel(config), parts["reference"], False),
        "reward_model": load(GPT2ForSequenceClassification(config), parts["reward"], True),
        "value_model": load(GPT2ForSequenceClassification(config), critic, True),
    }
    vocabulary = {"<pad>": 0, "<end>": setting["end"]}
    vocabulary |= {f"w{i}": i for i in range(setting["words"]) if i not in vocabulary.values()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(vocabulary, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<end>",
        padding_side="left",
    )
    prompts = [{"input_ids": row.tolist()} for row in file["prompts"]]
    arguments = PPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=EPISODES,
        gradient_accumulation_steps=1,
        num_mini_batches=1,
        local_rollout_forward_batch_size=EPISODES,
        response_length=file["tokens"].shape[1],
        temperature=setting["temperature"],
        stop_token="eos",
        kl_coef=0.05,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        num_sample_generations=0,
        save_strategy="no",
        **settings,
    )
    made = PPOTrainer(
        args=arguments,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(prompts),
        eval_dataset=Dataset.from_list(prompts[:2]),
        **models,
    )
    made.dataloader = [{"input_ids": torch.tensor(file["prompts"])}]
    return made, models["model"], setting


def batch(file):
    """What the trainer computes of our responses before its first step."""
    made, policy, setting = trainer(
        file, total_episodes=EPISODES, num_ppo_epochs=1, learning_rate=1e-12
    )
    whole = torch.tensor(np.concatenate([file["prompts"], file["tokens"]], 1))
    before = file["prompts"].shape[1]
    seen = {"whiten": [], "mean": [], "log_prob": [], "reward": []}

    def generated(*_):
        logits = ppo_trainer.forward(policy, whole, 0).logits[:, before - 1 : -1]
        return whole, logits / (setting["temperature"] + 1e-7)

    def recorded(name, key, take):
        function = getattr(ppo_trainer, name)

        def call(*given, **named):
            result = function(*given, **named)
            seen[key].append(take(given, result))
            return result

        setattr(ppo_trainer, name, call)

    ppo_trainer.batch_generation = generated
    recorded("masked_whiten", "whiten", lambda given, result: result)
    recorded("masked_mean", "mean", lambda given, result: result)
    recorded("selective_log_softmax", "log_prob", lambda given, result: result)
    recorded("get_reward", "reward", lambda given, result: result)
    made.train()
    log_prob, reference = seen["log_prob"][:2]
    values, scores = seen["reward"][0][0], seen["reward"][1][1]
    own_states = torch.tensor(file["ours/states"])
    rewards = torch.where(torch.tensor(file["ours/mask"]), -0.05 * (log_prob - reference), 0)
    at = own_states.sum(1) - 1
    rewards[torch.arange(len(rewards)), at] += scores
    # masked_mean inside masked_whiten comes first; then the value loss, a clip share, the policy's.
    means = [x for x in seen["mean"] if x.ndim == 0]
    value_loss, policy_loss = 0.5 * means[-4], means[-2]
    return {
        "log_prob": log_prob,
        "values": values[:, before - 1 : -1].squeeze(-1),
        "scores": scores,
        "rewards": rewards,
        "advantages": seen["whiten"][0],
        "value_loss": value_loss,
        "policy_loss": policy_loss,
    }


def train(file):
    """Its own training, and responses of the policy it ends with."""
    made, _, _ = trainer(
        file, total_episodes=EPISODES * UPDATES, num_ppo_epochs=4, learning_rate=1e-3
    )
    kept = {}
    original = ppo_trainer.batch_generation

    def generated(*given):
        whole, logits = original(*given)
        kept["tokens"] = whole[:, given[1].shape[1] :]
        return whole, logits

    ppo_trainer.batch_generation = generated
    begin = time.process_time()
    made.train()
    seconds = time.process_time() - begin
    numbers = {"seconds": torch.tensor(seconds), "episodes": torch.tensor(EPISODES * UPDATES)}
    return kept | {"prompts": torch.tensor(file["prompts"])} | numbers


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, source, target = sys.argv[1:]
    found = {"batch": batch, "train": train}[command](np.load(source))
    np.savez(target, **{name: x.detach().numpy() for name, x in found.items()})
