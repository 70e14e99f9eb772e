"""`python -m repro.publish` and the committed policies: folders that open like runs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml

import repro
from repro import evaluate, publish, watch
from repro.config.compose import compose, overrides_of
from repro.evaluation import evaluations, publishing
from repro.evaluation.card import FILM, card
from repro.evaluation.policies import load_policy
from repro.runs import committed
from repro.runs.finished import FinishedRun, open_run
from tests.helpers.finished_runs import finish

POLICY = "half_cheetah/clip_0.2/3"
FILES = ["README.md", "config.yaml", "parameters.npz", "run.json"]


@pytest.fixture(scope="module")
def reacher(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finish(tmp_path_factory.mktemp("runs"), "env=reacher objective.epsilon=0.3")


@pytest.fixture(scope="module")
def folder(reacher: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / "reacher"
    given = [str(reacher.directory), "--out", str(out), "--episodes", "4", "--no-film"]
    assert publish.run(given) == 0
    return out


def test_the_folder_plays_as_the_run_to_the_last_bit(reacher: FinishedRun, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    found = open_run(folder)
    played = [evaluations.evaluate(run, 3, 5, record=False) for run in (reacher, found)]
    np.testing.assert_array_equal(played[0].returns, played[1].returns)
    critic = [name for name in found.parameters() if name.startswith(("critic", "value"))]
    assert not critic and set(reacher.parameters()) > set(found.parameters())
    evaluation = found.info["published"]["evaluation"]
    again = evaluations.evaluate(reacher, 4, 0, record=False)
    assert evaluation["mean"] == again.returns.mean() and evaluation["episodes"] == 4
    assert evaluation["low"] <= evaluation["mean"] <= evaluation["high"]


def test_the_hub_reads_the_card(folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    loaded = hub.ModelCard.load(folder / "README.md")
    assert loaded.data.library_name == "ppo-repro" and "Reacher-v4" in loaded.data.tags
    (result,) = loaded.data.eval_results
    found = open_run(folder).info["published"]["evaluation"]
    assert result.dataset_name == "Reacher-v4" and result.task_type == "reinforcement-learning"
    assert result.metric_type == "mean_reward"
    assert result.metric_value == f"{found['mean']:.2f} +/- {found['std']:.2f}"
    # The metadata that the library writes from what it read is what was there.
    assert yaml.safe_load(loaded.data.to_yaml())["model-index"] == [
        yaml.safe_load((folder / "README.md").read_text().split("---")[1])["model-index"][0]
    ]


def test_the_command_of_the_card_composes_the_same_run(reacher: FinishedRun, folder: Path) -> None:
    (line,) = re.findall(r"    python -m repro (env=.*)", (folder / "README.md").read_text())
    assert compose(*line.split()).hash == reacher.config.hash


@pytest.mark.parametrize(
    "line",
    [
        "env=hopper recipe=ppo2 objective=kl_adaptive seed=7 policy.hidden_sizes=[8,9]",
        "env=swimmer algorithm=trpo algorithm.delta=0.02 recipe.clip_actions=true",
        "env=gymnasium env.id=CartPole-v1 env.num_envs=4 objective=none policy.shared=true",
        "env=humanoid recipe.learning_rate_target_kl=0.03 total_timesteps=2000000",
    ],
)
def test_overrides_compose_what_they_were_taken_from(line: str) -> None:
    config = compose(*line.split(), "budget=paper")
    assert compose(*overrides_of(config)).hash == config.hash


def test_a_published_policy_can_be_published_with_a_film(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "with_film"
    code = publish.run([str(folder), "--out", str(out)])
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, FILM])
    assert (out / "parameters.npz").read_bytes() == (folder / "parameters.npz").read_bytes()
    assert open_run(out).info == open_run(folder).info, "it keeps what was measured"
    assert FILM in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["RUN", "--out", "FULL"], "is there already"),
        (["RUN", "RUN", "--out", "new", "--upload", "me/it"], "--upload takes one run"),
        (["RUN", "--out", "new", "--upload", "no such name"], "is no name of the Hub"),
        (["half_cheetah/clip_0.2/33", "--out", "new"], "or a committed policy such as half"),
        (["../policies/half_cheetah/clip_0.2", "--out", "new"], "is not a directory"),
    ],
)
def test_refused(
    arguments: list[str],
    sentence: str,
    reacher: FinishedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    places = {"RUN": str(reacher.directory), "FULL": "full"}
    assert publish.run([places.get(each, each) for each in arguments]) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "new").exists()


class _Hub(BaseHTTPRequestHandler):
    """What the Hub's client asks of it when a folder is uploaded, answered from this machine."""

    received: dict[str, list[str]]

    def do_POST(self) -> None:  # the name that http.server calls
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer: dict[str, object] = {"url": "https://huggingface.co/me/it"}
        if "/preupload/" in self.path:
            names = [each["path"] for each in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            answer = {"files": [{"path": name, **modes} for name in names]}
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            files = [line["value"]["path"] for line in lines if line["key"] == "file"]
            self.received["files"] = sorted(files)
            answer = {"commitUrl": "https://huggingface.co/me/it/commit/0", "commitOid": "0" * 40}
        self._answer(answer)

    def do_GET(self) -> None:
        self._answer({"id": "me/it", "sha": "0" * 40, "siblings": []})

    def _answer(self, answer: dict[str, object]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, list[str]]]]:
    received: dict[str, list[str]] = {}
    server = HTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"received": received}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_upload_sends_every_file_of_the_folder(
    folder: Path, hub: tuple[str, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pytest.importorskip("huggingface_hub")
    address, received = hub
    monkeypatch.setattr(client, "HfApi", lambda: client.hf_api.HfApi(address, token="hf_test"))
    publishing.upload(folder, "me/it")
    assert received["files"] == FILES


def test_committed_policies_are_whole() -> None:
    root, names = committed.POLICIES_DIR, repro.policies()
    tasks = {name.split("/")[0] for name in names}
    assert POLICY in names and len(tasks) == 7
    lines = (root / "SHA256SUMS").read_text().splitlines()
    sums = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    for name in names:
        run = open_run(Path(name))  # compares the sums in run.json
        assert publishing.name_of(run) == name
        written = (run.directory / "README.md").read_text()
        assert written == card(run.info, name, film=False)
        for file in FILES:
            content = (run.directory / file).read_bytes()
            assert sums.pop(f"{name}/{file}") == hashlib.sha256(content).hexdigest()
    assert not sums


def test_a_committed_policy_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = repro.load_policy(POLICY)
    action = policy(np.zeros(17), deterministic=True)
    assert action.shape == (6,)
    run = open_run(Path(POLICY))
    before = sorted(path.name for path in run.directory.iterdir())
    assert evaluate.run([POLICY, "--episodes", "1"]) == 0
    played = evaluations.evaluate(run, 1, 0, record=False).returns
    text = capsys.readouterr().out
    assert f"mean return {played[0]:,.2f}" in text and "not recorded" in text
    assert sorted(path.name for path in run.directory.iterdir()) == before
    assert load_policy(run).stochastic


def test_a_film_of_a_committed_policy_lies_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.chdir(tmp_path)
    assert watch.run(["reacher/clip_0.2/3", "--width", "64", "--height", "64"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["reacher-clip_0.2-3.mp4"]
