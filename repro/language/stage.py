"""What the stages share: P runs that iterate in lockstep, each independently.

A stage is a subclass with one method, `update`: one iteration's change of the parameters, and the
columns of the progress table. What a run needs to continue, all with the learners P in front:

    parameters      `StackedParameters`, flat [P, n]; `adam` over them
    streams         random generators, [P]; `prompts` are further ones, for text
    active          learners that still train
    iteration       from 1
"""

from __future__ import annotations

import functools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines import cuda
from repro.errors import ConfigError
from repro.language import networks, texts
from repro.language.config import LanguageConfig
from repro.learning import packed_state
from repro.learning.optimizers import Adam, by_rate, clip_gradient
from repro.learning.parameters import StackedParameters
from repro.learning.streams import Streams
from repro.runs import store
from repro.runs.schema import SCHEMAS

Array = np.ndarray[Any, Any]
Metrics = dict[str, Array]
Rows = dict[str, dict[str, Any]]


@dataclass
class Record:
    """One iteration of P runs, as `repro.algorithms.iteration.Iteration`."""

    number: int
    step: int
    active: list[int]
    metrics: Metrics
    growing: dict[int, Rows]
    failed: dict[int, str]
    finished: list[int]
    seconds: dict[str, float]
    tables: dict[int, Rows] = field(default_factory=dict)
    remarks: dict[int, str] = field(default_factory=dict)

    def rows(self, learner: int) -> Rows:
        """A learner's rows of the growing tables besides `progress`."""
        return self.growing.get(learner, {})

    def summary(self, learner: int) -> dict[str, Any]:
        """All columns of `progress` are measured."""
        return {}


class Stage(ABC):
    """P runs of one stage in lockstep.

    Attributes:
        engine: what computes, for run.json.
        growing: rows of this iteration by learner and table.
        tables: whole tables of this iteration by learner and name.
    """

    engine = "torch"

    def __init__(self, configs: Sequence[LanguageConfig], device: torch.device) -> None:
        """Make every learner from its own seed and from its parents' parameters.

        Raises:
            ConfigError: a parent is not done.
        """
        self.configs, self.config, self.device = list(configs), configs[0], device
        self.text = texts.make(self.config.text)
        self.longest = self.config.text.prompt[-1] + self.config.text.response
        words = len(self.text.vocabulary)
        self.network = networks.make(self.config.model, words, self.longest)
        self.streams = [Streams(config.run_seed) for config in configs]
        self.text_streams = [np.random.default_rng(each.env_seeds(1)) for each in self.streams]
        self.parents = [
            {stage: parent_digest(parent) for stage, parent in config.parents.items()}
            for config in configs
        ]
        self.parameters = StackedParameters([self.initial(p) for p in range(len(configs))], device)
        self.adam = Adam(self.parameters.flat, self.adam_epsilon)
        self.active = list(range(len(configs)))
        self.iteration = 0
        self.seconds = {"rollout": 0.0, "update": 0.0}
        self.growing: dict[int, Rows] = {}
        self.tables: dict[int, Rows] = {}

    @property
    def deterministic(self) -> bool:
        """Whether two runs on this device have the same bits."""
        return cuda.deterministic(self.device, discrete=True)

    # -- what a subclass is made of --------------------------------------------------------------

    adam_epsilon = 1e-8  # torch's and Kingma & Ba's

    @abstractmethod
    def update(self) -> Metrics:
        """One iteration; returns columns of the progress table, [P] each."""

    @abstractmethod
    def initial(self, learner: int) -> dict[str, Array]:
        """The parameters that a learner starts from."""

    def own_state(self) -> dict[str, Any]:
        """A subclass's state: arrays [P, ...], or objects with `checkpoint` and `restore`."""
        return {}

    # -- one iteration ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Record]:
        """Iterate until every learner has finished or failed."""
        while self.active:
            yield self.iterate()

    def iterate(self) -> Record:
        """One update of every active learner."""
        start = time.perf_counter()
        self.iteration += 1
        self.seconds = {"rollout": 0.0, "update": 0.0}
        self.growing, self.tables = {}, {}
        training, before = list(self.active), self.parameters.flat.clone()
        schema = SCHEMAS[self.config.kind]["progress"]
        unknown = {name: np.full(len(self.configs), math.nan) for name in schema}
        metrics = unknown | self.update()
        failed = self._fail(before)
        over = self.iteration >= self.config.updates
        finished = list(self.active) if over else []
        self.active = [] if over else self.active
        other = time.perf_counter() - start - sum(self.seconds.values())
        return Record(
            number=self.iteration,
            step=self.iteration * self.config.batch_size,
            active=[p for p in training if p not in failed],
            metrics={name: metrics[name] for name in schema if name in metrics},
            growing=self.growing,
            failed=failed,
            finished=finished,
            seconds=self.seconds | {"other": other},
            tables=self.tables,
        )

    def _fail(self, before: Tensor) -> dict[int, str]:
        """Stop learners whose parameters are not finite, at those before this iteration."""
        finite = torch.isfinite(self.parameters.flat).all(1).tolist()
        failed = {
            p: f"{self.configs[p].run_id} failed in iteration {self.iteration}: its parameters "
            "stopped being finite"
            for p in self.active
            if not finite[p]
        }
        for p in failed:
            self.parameters.flat[p] = before[p]
        self.active = [p for p in self.active if p not in failed]
        return failed

    # -- parts of updates ------------------------------------------------------------------------

    @property
    def weights(self) -> dict[str, Tensor]:
        """Parameters for the gradient."""
        return self.parameters.leaves

    def descend(self, loss: Tensor, rates: Sequence[float], max_norm: float | None) -> Tensor:
        """One step of Adam; the gradient's norm before clipping, [P]."""
        gradient = self.parameters.gradient(loss)
        norm = clip_gradient(gradient, max_norm)
        self.adam.step(gradient, by_rate(rates, self.active))
        return norm

    def draw_prompts(self, count: int) -> Tensor:
        """Prompts of every learner, [P, count, Lp]."""
        drawn = np.stack([self.text.prompts(stream, count) for stream in self.text_streams])
        return torch.from_numpy(drawn).to(self.device)

    def frozen(self, stage: str) -> StackedParameters:
        """The parameters that every learner's run of an earlier stage left."""
        return StackedParameters(
            [parent_parameters(config, stage) for config in self.configs], self.device
        )

    def column(self, section: str, name: str) -> Tensor:
        """A setting that may differ between learners, [P]."""
        values = [getattr(getattr(config, section), name) for config in self.configs]
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    # -- what `repro.training` calls -------------------------------------------------------------

    @property
    def position(self) -> tuple[int, int]:
        """The iteration under way, and the steps so far."""
        return self.iteration, self.iteration * self.config.batch_size

    def state(self, learner: int) -> dict[str, Any]:
        """A learner's parameters by name, for `parameters.npz`."""
        return self.parameters.numpy(learner)

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Everything that a learner's next iterations depend on."""
        return {
            "iteration": self.iteration,
            "parameters": self.parameters.checkpoint(learner),
            "adam": self.adam.checkpoint(learner),
            "streams": self.streams[learner].checkpoint(),
            "envs": {"prompts": [self.text_streams[learner].bit_generator.state]},
            "parents": self.parents[learner],
            **{name: packed_state.take(part, learner) for name, part in self.own_state().items()},
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned.

        Raises:
            ConfigError: a parent has other parameters than when the run began.
        """
        for stage, sha256 in self.parents[learner].items():
            if state["parents"][stage] != sha256:
                raise ConfigError(
                    f"{self.configs[learner].run_id} began from another {stage} model than "
                    f"{self.configs[learner].parents[stage].directory} holds now: restore that, "
                    "or say resume=never to start from the beginning."
                )
        self.iteration = state["iteration"]
        self.parameters.restore(learner, state["parameters"])
        self.adam.restore(learner, state["adam"])
        self.streams[learner].restore(state["streams"])
        (self.text_streams[learner].bit_generator.state,) = state["envs"]["prompts"]
        for name, part in self.own_state().items():
            packed_state.put(part, learner, state[name])


def parent_digest(parent: LanguageConfig) -> str:
    """The SHA-256 of a finished run's parameters.

    Raises:
        ConfigError: the run is not done.
    """
    if not store.is_done(parent.directory):
        raise ConfigError(
            f"{parent.directory} is not done: train it first with stage={parent.stage}."
        )
    return str(store.read_run(parent.directory)["parameters_sha256"])


def parent_parameters(config: LanguageConfig, stage: str) -> dict[str, Array]:
    """The parameters that a run of an earlier stage left."""
    run = config.parents[stage]
    return dict(_cached(str(run.directory.absolute()), parent_digest(run)))


@functools.lru_cache(maxsize=8)
def _cached(directory: str, sha256: str) -> dict[str, Array]:
    return store.read_parameters(Path(directory))


def mean(x: Tensor, mask: Tensor | None = None) -> Array:
    """Over all axes but the first, where `mask` holds, in float64: [P, ...] -> [P]."""
    x = x.double().flatten(1)
    if mask is None:
        return x.mean(1).detach().cpu().numpy()
    kept = mask.flatten(1)
    total = torch.where(kept, x, 0.0).sum(1) / kept.sum(1)
    return total.detach().cpu().numpy()
