PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test test-newest format
demo: $(VENV)/.installed  ## distil a language model into a small recogniser: 15 minutes
	. $(VENV)/bin/activate && cd egs2/grammar_speech/asr_kd1 && ./run.sh

test: $(VENV)/.installed  ## the tests
	. $(VENV)/bin/activate && OMP_NUM_THREADS=1 python -m pytest -q

test-newest: .venv-newest/.installed  ## the same on ESPnet's newest release
	. .venv-newest/bin/activate && OMP_NUM_THREADS=1 python -m pytest -q

format: $(VENV)/.installed  ## write the code as the checks want it
	. $(VENV)/bin/activate && black -q . && isort -q .

$(VENV)/.installed: setup.py tools/install.sh
	tools/install.sh $(VENV) $(PYTHON)

.venv-newest/.installed: setup.py tools/install.sh
	tools/install.sh .venv-newest $(PYTHON) 202611
