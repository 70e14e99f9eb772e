"""What training and sweeps need of a run's configuration, whatever the run computes.

`repro.config.schema.Config` is one such configuration, `repro.language.config.LanguageConfig`
another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from repro.config.schema import CheckpointConfig, LoggerConfig


class RunConfig(Protocol):
    """One run: where it is stored, how it is watched, and how long it is.

    Attributes:
        trainer: the module whose `Training` trains such runs.
        libraries: packages that compute a result.
        rooms: packages of repro that compute a result, besides `training.resume.COMPUTING`.
        kind: which tables a run has, a key of `repro.runs.schema.SCHEMAS`.
        pack_key: equal for two runs that may train in one pack.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    trainer: ClassVar[str]
    rooms: ClassVar[tuple[str, ...]]
    logger: LoggerConfig
    checkpoint: CheckpointConfig
    objective: dict[str, Any]
    seed: int
    runs_dir: str
    device: str
    gpu_from_parameters: int
    progress: bool
    profile: bool
    resume: str
    experiment: str | None
    retry_failed: bool
    stall_timeout: float | None

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def libraries(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def updates(self) -> int: ...  # noqa: D102
    @property
    def run_id(self) -> str: ...  # noqa: D102
    @property
    def directory(self) -> Path: ...  # noqa: D102
    @property
    def hash(self) -> str: ...  # noqa: D102
    @property
    def pack_key(self) -> str: ...  # noqa: D102
    def hashed(self) -> dict[str, Any]:
        """The values that `hash` covers."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values, as in a run's `config.yaml`."""
        ...

    def identity(self) -> dict[str, Any]:
        """The fields that tell one run from another, shared by `sweep.json` and `run.json`."""
        ...
