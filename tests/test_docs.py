"""The documentation is true: its links, commands, keys and paths exist."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import repro
from analysis.__main__ import build_parser
from repro.config.compose import compose
from repro.config.grammar import parse, spelled_out
from repro.config.overrides import check_overrides
from repro.config.schema import CONF_DIR
from repro.language import compose as language
from repro.runs import schema

ROOT = Path(__file__).parents[1]
# Pages that speak of the present. CHANGELOG.md also names what there was, and is checked for links.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "results").rglob("README.md")),
    ROOT / "policies" / "README.md",
    ROOT / "results" / "figure3" / "settings.md",
]
LINKED = {*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "results").rglob("*.md")}
FENCED = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4}\S.*\n)+", re.MULTILINE)
PLACEHOLDER = re.compile(r"[A-Z]{2}|\.\.\.|\||\*$")
EXAMPLES = ("spo", "clip_two", "my_reach")  # of things to add


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_made_up(word: str) -> bool:
    return PLACEHOLDER.search(word) is not None or any(name in word for name in EXAMPLES)


def spans(page: Path) -> list[str]:
    """What stands between backticks in running text."""
    text = FENCED.sub("", page.read_text())
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


# -- links -----------------------------------------------------------------------------------------


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", sorted(LINKED), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`]*`", "", FENCED.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.resolve()), target


# -- commands --------------------------------------------------------------------------------------


class Command(NamedTuple):
    """`python -m MODULE ARGUMENTS`; whole unless it stands in running text."""

    page: str
    module: str
    arguments: tuple[str, ...]
    whole: bool


def commands() -> Iterator[Command]:
    """Every one that the pages show."""
    for page in PAGES:
        text = page.read_text()
        blocks = [*FENCED.findall(text), *INDENTED.findall(FENCED.sub("", text))]
        for block in blocks:
            for words in simple_commands(block):
                yield Command(name(page), words[2], words[3:], whole=True)
        for span in spans(page):
            if span.startswith("python -m "):
                (words,) = simple_commands(span)
                yield Command(name(page), words[2], words[3:], whole=False)


def simple_commands(script: str) -> Iterator[tuple[str, ...]]:
    """Words of each `python -m` in a script, with its variables put in."""
    variables: dict[str, str] = {}
    for line in script.replace("\\\n", " ").splitlines():
        if assignment := re.fullmatch(r"\s*([A-Z]+)=(\S+|\"[^\"]*\")\s*", line):
            variables[assignment[1]] = assignment[2].strip('"')
        if "python -m " not in line:
            continue
        for key, value in variables.items():
            line = line.replace(f"${key}", value)
        command: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word not in ("&&", "&"):
                command += [] if word == "..." else [word.strip("[]") if "=" not in word else word]
                continue
            if command[:2] == ["python", "-m"]:
                yield tuple(command)
            command = []


COMMANDS = sorted(set(commands()))
TRAINED = [command for command in COMMANDS if command.module == "repro"]
ANALYZED = [command for command in COMMANDS if command.module == "analysis"]
LANGUAGE = [command for command in COMMANDS if command.module == "repro.language"]
OTHERS = [command for command in COMMANDS if command not in {*TRAINED, *ANALYZED, *LANGUAGE}]


def test_commands_are_found() -> None:
    """So that a change of these patterns cannot empty the tests below."""
    assert len(TRAINED) > 60 and len(ANALYZED) > 20 and len(OTHERS) > 15


def swept(experiment: str) -> dict[str, str]:
    """What an experiment sweeps: key -> values with commas."""
    values = yaml.safe_load((CONF_DIR / "experiment" / f"{experiment}.yaml").read_text())
    params: dict[str, str] = {}
    for default in values["defaults"]:
        if isinstance(default, str) and default != "_self_":
            params |= swept(default)
    own = values.get("hydra", {}).get("sweeper", {}).get("params", {})
    return params | {key: str(value) for key, value in own.items()}


def test_training_commands_name_keys_and_choices() -> None:
    for command in TRAINED:
        arguments = overrides_of(command)
        check_overrides(arguments)
        if "-m" not in command.arguments:
            assert not any(
                override.is_sweep_override() for override in parse(spelled_out(arguments))
            ), command


def test_commands_of_language_models_name_keys_and_choices() -> None:
    assert len(LANGUAGE) > 8
    for command in LANGUAGE:
        language.check_overrides(overrides_of(command))


def test_the_first_commands_compose() -> None:
    """Those of the pages that are read first; of a sweep its first run."""
    first = ("README.md", "docs/quickstart.md", "docs/configuration.md")
    for command in TRAINED:
        arguments = overrides_of(command)
        if command.page in first and command.whole and arguments:
            arguments = spelled_out(arguments)
            given = {str(override.key_or_group): override for override in parse(arguments)}
            params = swept(given["experiment"].value()) if "experiment" in given else {}
            arguments += [f"{key}={value}" for key, value in params.items() if key not in given]
            assert compose(*(re.sub(r",.*", "", word) for word in arguments)).run_id, command


def overrides_of(command: Command) -> list[str]:
    words = [word for word in command.arguments if word not in ("-m", "--cfg", "job", "--dry-run")]
    return [] if "--help" in words else [word for word in words if not is_made_up(word)]


def test_analysis_commands_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser()
    (group,) = [action for action in parser._actions if action.dest == "command"]
    assert isinstance(group.choices, dict)
    for command in ANALYZED:
        if not command.arguments or command.arguments[0] == "COMMAND":
            continue
        assert command.arguments[0] in group.choices, command
        options = group.choices[command.arguments[0]]._option_string_actions
        assert all(w in options for w in command.arguments if w.startswith("--")), command
        if command.whole and "--help" not in command.arguments:
            try:
                parser.parse_args(command.arguments)
            except SystemExit:
                pytest.fail(f"{command}: {capsys.readouterr().err}")


def test_other_commands_have_a_module_with_their_options() -> None:
    for command in OTHERS:
        path = ROOT.joinpath(*command.module.split("."))
        if path.is_dir():  # a door to several commands, such as `python -m repro.bench speed`
            assert next(path.rglob(f"{command.arguments[0]}.py"), None), command
            text = "".join(file.read_text() for file in path.rglob("*.py"))
        else:
            text = path.with_suffix(".py").read_text()
        for word in command.arguments:
            assert not word.startswith("--") or f'"{word}"' in text, command
        overrides = [word for word in command.arguments if re.match(r"\+?[a-z_.]+=", word)]
        check_overrides(overrides)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join([*FENCED.findall(page.read_text()), *spans(page)])
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= targets


# -- keys, paths and names -------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "python"], ids=name)
def test_keys_and_choices_exist(page: Path) -> None:
    """Not of docs/python.md: its keys are arguments, and a test of its own runs its code."""
    sections = "env|algorithm|objective|policy|recipe|logger|checkpoint"
    for span in spans(page):
        setting = re.fullmatch(r"\+?[a-z][a-z0-9_./]*=[^\s`]+", span)
        key = re.fullmatch(rf"(?:{sections})\.[a-z0-9_.]+", span)
        if (setting or key) and not is_made_up(span):
            of_language = page.stem == "language" or page.parent.name.startswith("language")
            check = language.check_overrides if of_language else check_overrides
            check([span if setting else f"{span}=1"])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_and_names_exist(page: Path) -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for word in (word for span in spans(page) for word in span.split()):
        if re.match(r"(repro|analysis|conf|tests|results|docs)/\w", word):
            assert is_made_up(word.partition(".")[0]) or any(ROOT.glob(word)), word
        if re.fullmatch(r"test_[a-z0-9_]+\*?", word):
            assert f"def {word.rstrip('*')}" in tests, word
        if re.fullmatch(r"repro(\.\w+){2,}", word):
            assert dotted_name_exists(word), word


def dotted_name_exists(dotted: str) -> bool:
    """A module, or a name that its module has."""
    parent, _, last = dotted.rpartition(".")
    if ROOT.joinpath(*dotted.split(".")).with_suffix(".py").is_file():
        return True
    module = ROOT.joinpath(*parent.split("."))
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return re.search(rf"^(def |class )?{last}\b", file.read_text(), re.MULTILINE) is not None


# -- tables that repeat what a file says -----------------------------------------------------------


def section(page: str, title: str) -> str:
    return (ROOT / "docs" / page).read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("episodes.parquet", schema.EPISODES),
        ("progress.parquet", schema.PROGRESS),
        ("evaluations.parquet", schema.EVALUATIONS),
        ("interpolation.parquet", schema.INTERPOLATION),
    ],
)
def test_columns_are_those_of_the_schema(title: str, columns: dict[str, tuple[str, str]]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section("run-directory.md", title), re.MULTILINE)
    assert rows == [(column, kind) for column, (kind, _) in columns.items()]


def test_switches_are_those_of_the_recipes() -> None:
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section("configuration.md", "Recipes").splitlines()
        if line.count("|") > 4
    ]
    (_, *recipes), _, *switches = rows
    assert len(switches) > 10
    words = {True: "yes", False: "no", None: "none"}
    for column, recipe in enumerate(recipes):
        values = switches_of(recipe)
        for switch, *cells in switches:
            value = values[switch]
            if isinstance(value, bool) or value is None:
                text = words[value]
            else:
                text = value if isinstance(value, str) else f"{value:g}"
            assert cells[column] in ("-", text), (recipe, switch)


def switches_of(recipe: str) -> dict[str, Any]:
    values = yaml.safe_load((CONF_DIR / "recipe" / f"{recipe}.yaml").read_text())
    bases = [each for each in values.get("defaults", ()) if each != "_self_"]
    inherited = switches_of(bases[0]) if bases else {}
    return inherited | values["recipe"]


# -- the README, and files at the root -------------------------------------------------------------


def test_the_readme_is_short_and_its_map_complete() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    rooms = {path.parent for top in ("repro", "analysis") for path in (ROOT / top).glob("*/*.py")}
    listed = re.findall(r"`((?:repro|analysis)/\w+)/`", text)
    assert sorted(listed) == sorted(name(room) for room in rooms)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        path = str(page.relative_to(ROOT / "docs"))
        assert path == "README.md" or f"]({path})" in index, path


def test_versions_are_stated_once() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == repro.__version__
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{hook["additional_dependencies"][0]}"' in project for hook in hooks)
