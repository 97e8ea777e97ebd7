# Every target makes .venv by itself. Written for GNU make 3.81 and newer (macOS has 3.81), and for
# folders with spaces in their names: every path is relative, and a tool is called by `python -m`,
# since a script's first line can't hold a space.

PROFILE ?= demo
SEED ?= 0
LESSON ?=
PLAN ?=
EXPERIMENT ?= all
SEEDS ?=
PYTHON ?= python3

# A thread that waits soon sleeps instead of spinning: see notebooks/troubleshooting.md.
GOMP_SPINCOUNT ?= 2000
export GOMP_SPINCOUNT

# A misspelt variable (LESON=06) would be taken without a word: stop with the nearest name.
NAMES = PROFILE SEED LESSON PLAN EXPERIMENT SEEDS PYTHON GOMP_SPINCOUNT SHELL
TYPED = $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
UNKNOWN := $(firstword $(filter-out $(NAMES) MAKEFLAGS,$(TYPED)))
ifneq ($(UNKNOWN),)
CLOSE := $(shell $(PYTHON) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1))' "$(UNKNOWN)" $(NAMES) 2>/dev/null)
$(error no variable $(UNKNOWN)$(if $(CLOSE),; did you mean $(CLOSE)?) (there are $(NAMES)))
endif

VENV = .venv/bin/python
READY = .venv/ready

.DEFAULT_GOAL := help
.PHONY: help reproduce test test-long test-browser lab slides exercises handouts tables figures checkpoints bench moved

help: ## explain the targets
	@echo "usage: make TARGET [NAME=VALUE ...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile
	@echo "for example: make reproduce PROFILE=gpu SEED=1 LESSON=06"

reproduce: $(READY) ## run the lessons headless, print what they find, keep it in build/ (PROFILE= SEED= LESSON=)
	@$(VENV) -m metabin course run --profile "$(PROFILE)" --seed "$(SEED)" --lesson "$(LESSON)"

test: $(READY) ## check the style and run all tests, the lessons among them
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m pytest

test-long: $(READY) ## run the tests that take minutes: kills at random moments, fuzzing
	@$(VENV) -m pytest -m long

test-browser: $(READY) ## drive JupyterLab, pages and slides in headless Chromium, which has to be installed
	@$(VENV) -m pytest -m browser

lab: $(READY) ## open the lessons in JupyterLab
	@$(VENV) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks

slides: $(READY) ## make offline slides of the lessons, or of a lesson plan, in build/slides/ (LESSON= PLAN=45, 90, next or 180)
	@$(VENV) -m metabin course slides --lesson "$(LESSON)" --plan "$(PLAN)"

exercises: $(READY) ## make exercise sheets, with and without solutions, in build/exercises/ (LESSON=)
	@$(VENV) -m metabin course exercises --lesson "$(LESSON)"

handouts: $(READY) ## make a page of every lesson, to read and to print, in build/html/ (LESSON=)
	@$(VENV) -m metabin course handouts --lesson "$(LESSON)"

tables: $(READY) ## train and test for the paper's tables and figures, results in figures/results/ (EXPERIMENT= SEEDS= PROFILE=)
	@$(VENV) -m metabin tables --experiment "$(EXPERIMENT)" --profile "$(PROFILE)" $(if $(SEEDS),--seeds "$(SEEDS)")

figures: $(READY) ## draw the figures again from figures/results/ (EXPERIMENT=)
	@$(VENV) -m metabin figures --experiment "$(EXPERIMENT)" --profile "$(PROFILE)"

checkpoints: $(READY) ## train the lessons' networks again and compare them with those in data/checkpoints/
	@$(VENV) -m metabin checkpoints --compare

bench: $(READY) ## measure the layer, the streets, the retrieval, and an iteration of training
	@$(VENV) -m metabin bench
	@$(VENV) -m metabin bench --training

# The package is installed by its path, so a folder that was moved or copied is set up again.
ifneq ("$(shell cat $(READY) 2>/dev/null)","$(shell pwd -P)")
$(READY): moved
endif

# An install that was killed leaves .venv/installing behind: then, or when its Python doesn't run, .venv is made anew.
$(READY): pyproject.toml
	@ready() { "$$@" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if uv --version >/dev/null 2>&1; then uv=uv; \
	elif $(PYTHON) -m uv --version >/dev/null 2>&1; then uv="$(PYTHON) -m uv"; fi; \
	rm -f $(READY); \
	if test -e .venv/installing || ! ready $(VENV); then \
		rm -rf .venv; \
		for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 ''; do ready $$python && break; done; \
		if test -n "$$uv"; then $$uv venv --quiet --python "$${python:->=3.11}" .venv || exit 1; \
		elif test -n "$$python"; then $$python -m venv .venv || { rm -rf .venv; exit 1; }; \
		else echo "Python 3.11 or newer is needed: install it, or say where it is by make PYTHON=..." >&2; exit 1; fi; \
	fi; \
	echo "installing into .venv (some minutes the first time)"; \
	touch .venv/installing; \
	if test -n "$$uv"; then $$uv pip install --quiet --python $(VENV) -e '.[all]'; \
	else $(VENV) -m ensurepip >/dev/null 2>&1; $(VENV) -m pip install --quiet -e '.[all]'; fi; \
	failed=$$?; rm -f .venv/installing; test $$failed = 0 || exit 1; \
	error=$$($(VENV) -c 'import torch, torchvision' 2>&1) || { \
		echo "torch and torchvision in .venv do not fit together: $$(echo "$$error" | tail -n 1)" >&2; \
		echo "remove .venv, install uv, which takes both from one place (pip install uv), and try again" >&2; exit 1; }; \
	pwd -P > $(READY)
