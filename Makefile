# make demo   the main job on this machine, told as a timeline (ARGS="--once --report demo.json", "--mobility movable")
# make test   lint, types and all tests; as root, as they build networks
# make lock   choose new versions of the dependencies

PYTHON := .venv/bin/python
ARGS ?=
TESTS ?= tests

.PHONY: demo test lint lock clean

demo:
	@.ci/setup demo
	@$(PYTHON) -m agent demo $(ARGS)

test: lint
	$(PYTHON) -m pytest $(TESTS) $(ARGS)

lint:
	@.ci/setup test
	.venv/bin/ruff check agent tests
	.venv/bin/ruff format --check agent tests
	.venv/bin/mypy

lock:
	.venv/bin/pip install -q pip-tools
	for extras in "voice:.ci/requirements-run.lock" "dev,voice:.ci/requirements.lock"; do \
	  .venv/bin/pip-compile -q -U --extra "$${extras%%:*}" --generate-hashes --strip-extras --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --no-allow-unsafe \
	    -o "$${extras#*:}" pyproject.toml; \
	  sed -i 's/^\(pjsua2-python==[^ ]*\) \\/\1 ; platform_machine == "x86_64" and python_version < "3.13" \\/' "$${extras#*:}"; \
	done

clean:
	rm -rf .venv artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis
