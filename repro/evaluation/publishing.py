"""Writes a finished run's policy as a folder to share: card, configuration, parameters, a film.

    OUT/README.md        the card
    OUT/config.yaml      as the run's
    OUT/run.json         as the run's, with `published`: what was measured, and the command
    OUT/parameters.npz   the policy without its critic
    OUT/replay.mp4       an episode

The folder opens like a run's directory: `repro.load`, `evaluate` and `watch` take it. Nothing in
it is pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from repro.config.compose import overrides_of
from repro.errors import ConfigError, StorageError, installation
from repro.evaluation import film
from repro.evaluation.card import FILM, card
from repro.evaluation.evaluations import evaluate, interval
from repro.evaluation.policies import NetworkPolicy, load_policy
from repro.evaluation.videos import Options, write_video
from repro.runs import archive, files, store
from repro.runs.finished import FinishedRun, open_run
from repro.runs.schema import LAST_EPISODES, PARAMETERS_FILE

VERSIONS = ("python", "repro", "torch", "numpy", "mujoco", "gymnasium")


class Settings(NamedTuple):
    """What is measured and drawn.

    Attributes:
        episodes: of the evaluation.
        seed: of the evaluation.
        film: whether an episode is drawn.
    """

    episodes: int = 20
    seed: int = 0
    film: bool = True


def name_of(run: FinishedRun) -> str:
    """ENV/OBJECTIVE/SEED, as committed policies are named."""
    info = run.info
    return f"{info['env_name']}/{info['objective_label']}/{info['seed']}"


def check(run: FinishedRun, out: Path, settings: Settings) -> None:
    """Refuse what cannot be published, before an episode is played.

    Raises:
        ConfigError: a policy of another library or of frames, a folder that is not empty, or no
            way to write a film.
    """
    if run.config.algorithm.is_sb3 or run.config.policy.convolutions is not None:
        raise ConfigError(
            f"{run.run_id} is not published: only this project's policies of flat observations are."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out} is there already: remove it, or name another folder.")
    if settings.film:
        film.check_packages()


def write(run: FinishedRun, out: Path, settings: Settings) -> dict[str, Any]:
    """Write the folder, which has passed `check`; returns its run.json.

    A policy that was published before keeps its measurements.

    Raises:
        ConfigError: the task is not available here or cannot be drawn.
        CorruptError: the run's files are damaged or were changed.
        StorageError: the folder cannot be written.
    """
    policy = load_policy(run)
    assert isinstance(policy, NetworkPolicy)
    saved = run.parameters()
    kept = [*policy.networks.acting, *(name for name in saved if name.startswith("observations."))]
    content = archive.pack({name: saved[name] for name in kept})
    published = run.info.get("published") or _measured(run, settings)
    info = {k: v for k, v in run.info.items() if k not in ("host", "evaluations_sha256")}
    info |= {
        "tables_sha256": {},
        "parameters_sha256": files.sha256(content),
        "published": published,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        config = (run.directory / "config.yaml").read_bytes()
        texts = {"config.yaml": config, PARAMETERS_FILE: content}
        texts["README.md"] = card(info, name_of(run), settings.film).encode()
        for name, data in texts.items():
            (out / name).write_bytes(data)
        files.write_json(out / "run.json", info)  # last: with it the folder is a policy
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error}): make room, try again.") from error
    if settings.film:
        write_video(open_run(out), out / FILM, Options(seed=settings.seed))
    return info


def upload(out: Path, repository: str) -> str:
    """Upload a folder to the Hugging Face Hub, and return its address there.

    The repository is made if it is not there. Who uploads is what `hf auth login` or HF_TOKEN says.

    Raises:
        ConfigError: huggingface_hub is not installed, or the Hub refuses.
    """
    check_upload(repository)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=out, commit_message=f"Policy written by {out.name}"
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise ConfigError(
            f"--upload {repository} failed ({error}): the folder {out} is complete, so mend this "
            f"and run hf upload {repository} {out}."
        ) from error
    return str(done.repo_url)


def check_upload(repository: str) -> None:
    """Refuse what cannot be uploaded before anything is written.

    Raises:
        ConfigError: huggingface_hub is not installed, or the name is none of the Hub's.
    """
    try:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id
    except ModuleNotFoundError as error:
        raise ConfigError(f"--upload needs huggingface_hub: {installation('hub')}.") from error
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ConfigError(f"--upload {repository} is no name of the Hub: say USER/NAME.") from error


def _measured(run: FinishedRun, settings: Settings) -> dict[str, Any]:
    """`published` of run.json."""
    returns = store.read_run_numbers(run.directory, "episodes", "return")[-LAST_EPISODES:]
    done = evaluate(run, settings.episodes, settings.seed, record=False)
    low, high = interval(done.returns, settings.seed)
    return {
        "training": {"episodes": len(returns), **_moments(returns)} if len(returns) > 1 else None,
        "evaluation": {
            "episodes": settings.episodes,
            "seed": settings.seed,
            "deterministic": done.deterministic,
            **_moments(done.returns),
            "low": low,
            "high": high,
        },
        "versions": [name for name in VERSIONS if name in run.info["versions"]],
        "command": _command(run),
        "tables_sha256": run.info["tables_sha256"],
        "parameters_sha256": run.info["parameters_sha256"],
    }


def _moments(returns: np.ndarray[Any, Any]) -> dict[str, float]:
    """Mean and standard deviation of two or more."""
    return {"mean": float(returns.mean()), "std": float(returns.std(ddof=1))}


def _command(run: FinishedRun) -> str | None:
    """What trains the run again; None where that takes files of the user's own."""
    try:
        return " ".join(["python -m repro", *overrides_of(run.config)])
    except ConfigError:
        return None
