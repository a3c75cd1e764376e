#!/usr/bin/env bash
# medreward beside each trainer, in environments of their own: `make test-trainers`.
#
# Each environment gets the trainer, then medreward without the extras that bring one; what is
# installed has to be consistent (pip check), and the trainer's own loop has to run on our rewards.
# About 2 GB and some minutes an environment; WHERE keeps them. Name some to run these alone:
#   tests/trainer_versions.sh trl-0.18 swift
set -euo pipefail
cd "$(dirname "$0")/.."
WHERE="$(realpath -m "${WHERE:-build/trainers}")"
PYTHON="${PYTHON:-python3}"
TORCH="${TORCH:-torch==2.13.0}"
TESTS="${TESTS:-.venv/bin/python}"  # the environment of the tests, for those that start another

# environment NAME PACKAGE...: make it if it is not there, and put this medreward into it. WITHOUT
# names a package that a run took out of it on purpose.
environment() {
  local python="$WHERE/$1/bin/python" broken
  if [ ! -x "$python" ]; then
    "$PYTHON" -m venv "$WHERE/$1"
    "$python" -m pip install -q "${@:2}"
  fi
  "$python" -m pip install -q --force-reinstall --no-deps .
  "$python" -m pip install -q .
  broken="$("$python" -m pip check | grep -v -e "^No broken" -e "requires ${WITHOUT:-nothing}, which")" || true
  if [ -n "$broken" ]; then
    echo "$broken" >&2
    exit 1
  fi
}

trl() {  # NAME VERSION PACKAGE...
  environment "$1" "$TORCH" "trl==$2" "${@:3}"
  export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
  (cd "$WHERE" && "$WHERE/$1/bin/python" "$OLDPWD/tests/trl_versions_worker.py")
}

run() {
  echo "== $1"
  case "$1" in
    trl-0.18) trl trl-0.18 0.18.2 "transformers<5" ;;      # the oldest that Unsloth takes
    trl-0.24) trl trl-0.24 0.24.0 "transformers<5" ;;      # the newest that Unsloth takes
    trl-0.29) trl trl-0.29 0.29.1 "transformers<5.20" ;;   # what ms-swift 4.6 takes
    trl-1.8) trl trl-1.8 1.8.0 "transformers<5.20" requests ;;  # what Axolotl takes
    swift)
      environment swift "$TORCH" "ms-swift==4.6.*" msgspec
      MEDREWARD_SWIFT="$WHERE/swift/bin/python" "$TESTS" -m pytest -q -m "" tests/test_swift.py tests/test_conformance.py -k "swift"
      ;;
    verifiers)
      environment verifiers "verifiers==0.4.*" uv "pyarrow>=17" "pillow>=11"
      MEDREWARD_VERIFIERS="$WHERE/verifiers/bin/python" "$TESTS" -m pytest -q tests/test_verifiers.py tests/test_conformance.py -k "verifiers"
      ;;
    skyrl)
      environment skyrl "skyrl-gym==0.4.*"
      MEDREWARD_SKYRL="$WHERE/skyrl/bin/python" "$TESTS" -m pytest -q tests/test_other_trainers.py
      ;;
    axolotl)  # its pins take pip an hour to resolve: uv does in seconds
      environment uv uv
      [ -x "$WHERE/axolotl/bin/python" ] || "$PYTHON" -m venv "$WHERE/axolotl"
      "$WHERE/uv/bin/uv" pip install --python "$WHERE/axolotl/bin/python" \
        --find-links "${PIP_FIND_LINKS:-$WHERE}" "$TORCH" "axolotl==0.19.0" ".[data]"
      "$WHERE/axolotl/bin/python" -m pip check
      MEDREWARD_AXOLOTL="$WHERE/axolotl/bin/python" "$TESTS" -m pytest -q tests/test_axolotl.py
      ;;
    unsloth)  # imports without a GPU where no torchvision is there that does not fit torch
      WITHOUT=torchvision environment unsloth "$TORCH" "unsloth==2026.10.9" ".[data]"
      "$WHERE/unsloth/bin/python" -m pip uninstall -q -y torchvision
      (cd "$WHERE" && HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$WHERE/unsloth/bin/python" -c \
        "import unsloth, runpy; runpy.run_path('$OLDPWD/tests/trl_versions_worker.py', run_name='__main__')")
      ;;
    *)
      echo "$1 is not one of ${ALL[*]}" >&2
      exit 2
      ;;
  esac
}

ALL=(trl-0.18 trl-0.24 trl-0.29 trl-1.8 swift verifiers skyrl axolotl unsloth)
if [ $# -eq 0 ]; then set -- "${ALL[@]}"; fi
for name in "$@"; do run "$name"; done
