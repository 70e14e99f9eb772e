# Everything runs in .venv, which is made from pyproject.toml and made anew when that changes.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
QUICK := runs/quick

# One thread a process: the networks are small, and packs fill the cores.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: help install reproduce rlhf parity-trl figures explain demo animations docs gpu peers test test-slow test-browser test-faults lint types imports format bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv and install the project with all that the tests need

$(INSTALLED): pyproject.toml
	@python=""; for name in python3.11 python3 python3.12 python3.13; do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or later is needed, and none was found." >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $$python"; $$python -m venv $(VENV) || { \
	  echo "$$python has no venv: install it (on Debian: apt install python3-venv)." >&2; exit 1; }; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

reproduce: install ## a quick Table 1 (3 tasks, 11 objectives, 3 seeds, 51,200 steps): minutes on 2 cores
	$(BIN)/python -m repro -m +experiment=table1 budget=quick \
	  env=half_cheetah,inverted_pendulum,reacher runs_dir=$(QUICK)
	$(BIN)/python -m analysis table1 --runs $(QUICK) --out $(QUICK)/tables
	@echo "The runs are in $(QUICK), the tables and pictures in $(QUICK)/tables."

rlhf: install ## language models: three stages, four betas x 3 seeds, best of n, and a table: minutes on 2 cores
	$(BIN)/python -m repro.language -m +experiment=rlhf
	$(BIN)/python -m repro.language -m +experiment=rlhf stage=best_of_n kl.beta=0.05
	$(BIN)/python -m analysis rlhf --runs runs/rlhf --out runs/rlhf/tables
	@echo "The runs are in runs/rlhf, the tables and the picture in runs/rlhf/tables."

parity-trl: install ## token-level PPO beside trl 1.12.0, in an environment of its own (.venv-trl)
	@test -x .venv-trl/bin/python || python3 -m venv .venv-trl
	.venv-trl/bin/python -m pip install --quiet 'trl==1.12.0' 'torch>=2.10,<2.14'
	@mkdir -p runs/parity
	$(BIN)/python tests/parity/export.py write runs/parity/ours.npz
	.venv-trl/bin/python tests/parity/with_trl.py batch runs/parity/ours.npz runs/parity/theirs.npz
	$(BIN)/python tests/parity/export.py compare runs/parity/ours.npz runs/parity/theirs.npz
	@rm -f runs/parity/rounds.txt
	for round in 1 2 3; do \
	  .venv-trl/bin/python tests/parity/with_trl.py train runs/parity/ours.npz runs/parity/trained.npz && \
	  $(BIN)/python tests/parity/export.py train runs/parity/trained.npz | tee -a runs/parity/rounds.txt \
	  || exit 1; done
	@echo "median of three rounds: $$(grep ^ratio runs/parity/rounds.txt | sort -k2 -n | sed -n 2p)"

figures: install ## make the committed tables and figures again, from the tables in results/
	$(BIN)/python -m analysis figures --out results
	$(BIN)/python -m analysis claims --out .

explain: install ## measure what the explanatory figures show, and draw them: 15 minutes on a core
	$(BIN)/python -m repro.explain all
	$(BIN)/python -m analysis tokens --runs results/language --out results/explain
	$(BIN)/python -m analysis explain --out docs/explain

demo: install ## the page that trains in the browser: docs/demo/index.html, compiled by ziglang (a minute)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	$(BIN)/python demo/build.py

animations: install ## the five films of docs/animations, by manim (minutes; cairo and pango are needed)
	@$(BIN)/python -m animations.packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[animations]'
	$(BIN)/python -m animations

docs: install ## the site: build/site/index.html (Sphinx); a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -c docs -d build/doctrees . build/site
	@echo "Open build/site/index.html; it needs no server and no network."

gpu: install ## on a machine with a GPU: its tests, then its speed beside the CPU's and SB3's: 25 minutes at most
	@$(BIN)/python -m repro.bench gpu --check
	timeout 540 $(BIN)/python -m pytest -m gpu; tested=$$?; \
	$(BIN)/python -m repro.bench gpu --minutes 15 --out results/speed/gpu && \
	$(BIN)/python -m analysis gpu --bench results/speed/gpu/*.json --out results/speed/gpu && exit $$tested

test: lint types imports ## lint, types, import rules, tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: install ## tests that train until something is learned
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

test-browser: install ## the figures, the demo and the site in Chromium (Debian: apt install chromium)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser,demo]'
	$(BIN)/python -m pytest -m browser tests/analysis/reports tests/demo tests/docs

test-faults: install ## fault tests at length: kills at random moments, written to results/reliability
	FAULT_FIGURES=1 $(BIN)/python -m pytest -m "faults or not (slow or gpu)" tests/faults \
	  tests/training/test_resume*.py tests/sweeps/test_ray.py tests/sweeps/test_submitit.py -n 2 --dist loadfile

lint: install ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## mypy --strict
	$(BIN)/mypy

imports: install ## import-linter: imports between rooms go one way
	$(BIN)/lint-imports

format: install ## ruff: fix and format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

peers: install ## this project beside SB3, SBX, EnvPool and CleanRL (CLEANRL=a checkout), each on a core of its own
	@test -x .venv-peers/bin/python || python3 -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet 'torch>=2.10,<2.14' 'sbx-rl==0.28.0' 'envpool==1.2.5' 'gymnasium[mujoco]>=1.4,<1.5'
	@test -z "$(CLEANRL)" || test -x .venv-cleanrl/bin/python || python3 -m venv .venv-cleanrl
	@test -z "$(CLEANRL)" || .venv-cleanrl/bin/python -m pip install --quiet 'torch>=2.10,<2.14' 'gymnasium==0.29.1' 'mujoco>=3,<4' 'numpy<2' imageio tyro tensorboard setuptools
	$(BIN)/python -m repro.bench peers --env half_cheetah,hopper,reacher --cores 1,2 --out runs/peers.json $(if $(CLEANRL),--cleanrl $(CLEANRL))
	$(BIN)/python -m analysis peers --bench runs/peers.json --out runs/speed

bench: install ## speed against physics and Stable-Baselines3, on one core
	@mkdir -p runs
	$(BIN)/python -m repro.bench speed --env half_cheetah,hopper --population 1,33 --out runs/bench.json
	$(BIN)/python -m analysis speed --bench runs/bench.json --out runs/speed

clean: ## remove .venv and caches; runs stay
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
