# make demo   the main job on this machine, told as a timeline (ARGS="--once --report demo.json", "--mobility movable")
# make test   lint, types and all tests; as root, as they build networks (TESTS=tests/page: a part of them)
# make translations   collect the sentences into the catalogs of agent/page/locales (I18N.md)
# make bench  the numbers of the design, measured (ARGS="--runs 30 --only moves --report bench.json")
# make soak  a random story of moves, failures, deaths and calls, the safety rules watched (ARGS="--minutes 60 --seed 7")
# make sip    the SIP and call tests alone (DIALSTACK_PJSUA2=wheel: with the wheel)
# make pjsua2 build PJSIP's Python binding from Debian's source, once a machine; demo and test then use it
# make deb    the Debian packages, into dist/ (ARCH=arm64: for another architecture)
# make size   what the packages cost on a device: disk, memory, start; as root
# make lock   choose new versions of the dependencies

PYTHON := .venv/bin/python
ARGS ?=
ARCH ?=
TESTS ?=

# The SIP stack: the own build where it is installed or cached, else the wheel; DIALSTACK_PJSUA2=built or wheel decides.
WITH_STACK = PYTHONPATH="$$(.ci/pjsua2)$${PYTHONPATH:+:$$PYTHONPATH}"

.PHONY: demo bench soak test lint lock clean sip pjsua2 deb size translations

demo:
	@.ci/setup demo
	@$(WITH_STACK) $(PYTHON) -m agent demo $(ARGS)

bench:
	@.ci/setup demo
	@$(WITH_STACK) $(PYTHON) -m agent.lab.bench $(ARGS)

soak:
	@.ci/setup demo
	@$(WITH_STACK) $(PYTHON) -m agent.lab.soak $(ARGS)

test: lint
	$(WITH_STACK) $(if $(TESTS),$(PYTHON) -m pytest $(TESTS),.ci/test) $(ARGS)

sip:
	@.ci/setup test
	$(WITH_STACK) $(PYTHON) -m pytest tests/voice -m sip $(ARGS)

lint:
	@.ci/setup test
	.venv/bin/ruff check agent tests
	.venv/bin/ruff format --check agent tests
	.venv/bin/mypy

translations:
	@mkdir -p .cache
	$(PYTHON) -m babel.messages.frontend -q extract -F pyproject.toml -k say -k say_n:1,2 --sort-by-file --add-location file \
	  --width 118 -o .cache/messages.pot agent
	for code in es fr; do \
	  $(PYTHON) -m babel.messages.frontend -q update -D dialstack-agent -i .cache/messages.pot -d agent/page/locales -l $$code \
	    --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 118 || exit 1; \
	  sed -i -E '/^"(Report-Msgid-Bugs|POT-Creation|PO-Revision|Last-Translator|Language-Team|Generated-By)/d' \
	    agent/page/locales/$$code/LC_MESSAGES/dialstack-agent.po; \
	done
	sed -i -z -E 's/ ("\n")?([;?!»]|:[^:])/\xc2\xa0\1\2/g; s/«("\n")? /«\1\xc2\xa0/g' \
	  agent/page/locales/fr/LC_MESSAGES/dialstack-agent.po

pjsua2:
	@.ci/setup pjsua2
	@debian/pjsua2/cached

size:
	@.ci/setup test
	@$(PYTHON) -m tests.package.measure

deb:
	@.ci/setup deb
	@debian/deb $(ARCH)

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
