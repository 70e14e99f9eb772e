"""F18: a run resumes exactly, or is refused with what has changed, or is marked as approximate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mujoco
import pytest
import torch
from gymnasium.envs.mujoco import mujoco_env

from repro.engines.cuda import accelerator
from repro.errors import ConfigError
from repro.runs import provenance, store
from repro.training import resume
from repro.training.pack import run_pack
from tests.helpers.configs import compose
from tests.helpers.resuming import interrupt
from tests.helpers.tiny import directory, tiny


@pytest.fixture
def other_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    version = provenance.version
    monkeypatch.setattr(
        provenance, "version", lambda package: "1.0" if package == "torch" else version(package)
    )


def test_f18_another_version_is_refused(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    request.getfixturevalue("other_torch")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as caught:
        run_pack([config])
    text = str(caught.value)
    assert f"versions.torch was {torch.__version__} and is 1.0" in text
    assert "resume=approximate" in text and config.run_id in text
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_f18_resume_approximate_goes_on_and_marks_the_run(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    request.getfixturevalue("other_torch")
    approximate = tiny(tmp_path, "env=hopper resume=approximate")
    assert approximate.run_id == config.run_id
    interrupt([approximate], 2)
    run_pack([config])  # from a checkpoint of the new version, hence exactly
    run = store.read_run(directory(config))
    assert run["approximate"] is True and run["status"] == store.DONE
    assert [each["exact"] for each in run["resumed"]] == [False, True]
    assert run["resumed"][0]["changed"] == {"versions.torch": [torch.__version__, "1.0"]}
    assert len(store.read_table(directory(config) / "progress.parquet")) == 6


def test_f18_another_simulator_resumes_with_new_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt([tiny(tmp_path, "env=hopper")], 2)
    monkeypatch.setattr(mujoco, "__version__", "3.0")
    with pytest.raises(ConfigError, match="mujoco 4"):
        run_pack([tiny(tmp_path, "env=hopper")])
    config = tiny(tmp_path, "env=hopper resume=approximate")
    run_pack([config])
    run = store.read_run(directory(config))
    assert run["approximate"] is True and not run["resumed"][0]["exact"]


def test_f18_another_thread_count_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ConfigError, match="threads was 1 and is 2"):
        run_pack([config])


def test_f18_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    before = resume.code_hash()
    monkeypatch.setattr(resume, "code_hash", lambda: "another")
    with pytest.raises(ConfigError, match=f"code was {before} and is another"):
        run_pack([config])


def test_f18_another_model_of_the_task_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same version: the XML was edited."""
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    assets = Path(mujoco_env.__file__).parent / "assets"
    edited = shutil.copytree(assets, tmp_path / "assets")
    xml = edited / "hopper.xml"
    text = xml.read_text()
    assert 'friction="0.9"' in text
    xml.write_text(text.replace('friction="0.9"', 'friction="0.8"'))
    monkeypatch.setattr(mujoco_env, "expand_model_path", lambda name: str(edited / name))
    with pytest.raises(ConfigError, match="model"):
        run_pack([config])
    run_pack([tiny(tmp_path, "env=hopper resume=approximate")])
    run = store.read_run(directory(config))
    assert run["approximate"] is True and run["status"] == store.DONE


@pytest.mark.parametrize(
    "changed", ["seed=1", "algorithm.gamma=0.9", "env.num_envs=2 algorithm.horizon=16"]
)
def test_f18_another_configuration_is_refused_key_by_key(tmp_path: Path, changed: str) -> None:
    config, other = tiny(tmp_path, "env=hopper"), tiny(tmp_path, f"env=hopper {changed}")
    interrupt([config], 2)
    directory(config).rename(directory(other))
    with pytest.raises(ConfigError) as caught:
        run_pack([other])
    for each in changed.split():
        key, value = each.split("=")
        assert f"config.{key} was " in str(caught.value) and f"and is {value}" in str(caught.value)


def test_f18_another_engine_is_refused(tmp_path: Path) -> None:
    interrupt([tiny(tmp_path, "env=hopper")], 2)
    plain = tiny(tmp_path, "env=hopper engine=torch")
    with pytest.raises(ConfigError, match="engine was native and is torch"):
        run_pack([plain])
    run_pack([tiny(tmp_path, "env=hopper engine=torch resume=approximate")])
    (entry,) = store.read_run(directory(plain))["resumed"]
    assert entry["changed"] == {"engine": ["native", "torch"]} and entry["exact"] is False


def test_the_fingerprint_holds_what_bits_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(tmp_path, "env=hopper")
    here = resume.fingerprint(config, "cpu", "native")
    assert json.loads(json.dumps(here)) == here
    with monkeypatch.context() as patch:  # what torch says where there is a GPU
        patch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
        patch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        gpu = resume.fingerprint(config, "cuda", "torch")
    elsewhere = resume.changes(here, gpu)
    assert elsewhere["device"] == ("cpu", "cuda") and elsewhere["engine"] == ("native", "torch")
    assert elsewhere["gpu"] == (None, "a GPU") and elsewhere["compute_capability"] == (None, "9.0")
    assert not accelerator(torch.device("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        assert resume.changes(here, resume.fingerprint(config, "cpu", "native")) == {
            "threads": (1, 2)
        }
    atari = compose("env=atari", "env.game=pong")
    versions = resume.fingerprint(atari, "cpu", "torch")["versions"]
    assert versions.keys() - here["versions"].keys() == {"ale-py", "opencv-python-headless"}
    assert all(versions.values())
    # A key that is new or gone is a change, too.
    assert resume.changes({"a": {}}, {"a": {"engine": "native"}}) == {"a.engine": (None, "native")}


def test_only_code_that_computes_results_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "repro"
    shutil.copytree(Path(resume.repro.__file__).parent, copy)
    monkeypatch.setattr(resume.repro, "__file__", str(copy / "__init__.py"))
    here = resume.code_hash.__wrapped__()
    for name in ("training/loggers.py", "training/pack.py", "config/validation.py", "cli.py"):
        (copy / name).write_text("# changed")
        assert resume.code_hash.__wrapped__() == here, name
    computing = ("rollouts/collector.py", "envs/mujoco/task.py", "algorithms/new.py")
    computing += ("engines/native/ppo.cpp", "learning/objectives.py", "networks/mlp.py")
    for name in computing:
        (copy / name).write_text("# changed")
        assert resume.code_hash.__wrapped__() != here, name
        here = resume.code_hash.__wrapped__()
