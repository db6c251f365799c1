# The verbs of Comptoir. `make run` and `make test` are all that a newcomer needs.
.PHONY: run test install train lint lock bench bench-libraries clean
PYTHON ?= python3.11

run: install ## install, train what is missing, start everything, print the URLs
	@.venv/bin/comptoir serve

test: install train lint ## lint, types, unit, integration and end-to-end tests
	@.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

install: .venv/installed bot/.venv/installed

.venv/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Comptoir needs Python 3.11: install it, or name it with 'make PYTHON=/path/to/python3.11'."; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q "uv>=0.9,<1" torch==2.13.0
	.venv/bin/uv pip install -q --no-deps --require-hashes -r requirements.lock
	.venv/bin/uv pip install -q --no-deps -e .
	@touch $@

bot/.venv/installed: bot/requirements.lock .venv/installed
	PYENV_VERSION=$$(pyenv versions --bare 2>/dev/null | grep '^3\.10\.' | tail -n 1) .venv/bin/uv venv -q --clear --python 3.10 bot/.venv \
		|| { echo "Rasa needs Python 3.10 and none was found or could be downloaded: install it (pyenv install 3.10) and run make again."; exit 1; }
	.venv/bin/uv pip install -q --python bot/.venv/bin/python --require-hashes -r bot/requirements.lock
	@touch $@

train: install ## train what is out of date
	@.venv/bin/comptoir train

lint: install
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

bench: install train
	@.venv/bin/python -m tests.bench

bench-libraries: install ## the mail libraries that the benchmark reads the same mails with; the product uses none of them
	.venv/bin/uv venv -q --clear --python $(PYTHON) .venv-bench
	.venv/bin/uv pip install -q --python .venv-bench/bin/python -r tests/bench/requirements.txt

# Torch is installed first by pip (where a CPU build is at hand, it takes that); its CUDA parts never enter the lock.
CUDA = '^(nvidia-[a-z0-9-]+|cuda-[a-z]+|triton)=='
COMPILE = .venv/bin/uv pip compile -q --no-header --generate-hashes
lock: .venv/installed
	$(COMPILE) --python-version 3.11 --extra dev --no-emit-package torch pyproject.toml -o requirements.lock
	$(COMPILE) --python-version 3.11 --extra dev --no-emit-package torch pyproject.toml -o requirements.lock \
		$$(grep -oE $(CUDA) requirements.lock | sed 's/==//; s/^/--no-emit-package /')
	$(COMPILE) --python-version 3.10 bot/requirements.in -o bot/requirements.lock
