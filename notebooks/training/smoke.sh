#!/usr/bin/env bash
# The whole pipeline at toy size, with a table of checks at the end; --help says more.
set -euo pipefail

usage() {
  cat <<'TEXT'
smoke.sh OUTPUT [--corpus FILE --pairs DIR]

Makes a corpus, pairs, a tokenizer and a model of 1 M parameters in OUTPUT, interrupts the training
and resumes it, measures the model and checks what it left: minutes on two cores or on a GPU. Its
model is worth nothing.

Without --corpus and --pairs, texts are this host's: /usr/share/doc and /usr/share/man, pairs of
apt's index with its translations. What is missing is made of the docstrings of Python's packages.

PYTHON  the python with torch, transformers and tokenizers (python3)
TEXT
}

die() {
  echo "smoke.sh: $*" >&2
  exit 2
}

output=
corpus=
pairs=
while (($#)); do
  case $1 in
    -h | --help) usage && exit ;;
    --corpus) corpus=$(realpath -- "${2:?--corpus needs a file}") && shift ;;
    --pairs) pairs=$(realpath -- "${2:?--pairs needs a folder}") && shift ;;
    -*) die "unknown option '$1'; --help lists them" ;;
    *)
      [[ -z $output ]] || die "one OUTPUT, not '$output' and '$1'"
      output=$1
      ;;
  esac
  shift
done
[[ -n $output ]] || die "name a folder for the model; --help says more"
[[ (-n $corpus && -n $pairs) || (-z $corpus && -z $pairs) ]] ||
  die "give both --corpus and --pairs, or neither"
if [[ -e $output ]] && [[ -n $(ls -A "$output") ]]; then
  die "'$output' is not empty; name a new folder"
fi
python=${PYTHON:-python3}
"$python" -c 'import torch, transformers, tokenizers' 2>/dev/null ||
  {
    echo "smoke.sh: $python lacks torch, transformers or tokenizers; see requirements.txt" >&2
    exit 1
  }
mkdir -p "$output"
output=$(cd "$output" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
export PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=true

step() {
  local name=$1
  shift
  "$python" -m "summarizer.$name" "$@"
}

# at_least FILE BYTES
at_least() { [[ -f $1 ]] && (($(stat -c %s "$1") >= $2)); }

data=$output/data
mkdir -p "$data"
docstrings() {
  [[ -f $output/docstrings/corpus.jsonl ]] || step docstrings --output "$output/docstrings" >&2
}

if [[ -z $corpus ]]; then
  echo "== corpus" >&2
  trees=()
  for tree in /usr/share/doc /usr/share/man; do
    [[ ! -d $tree ]] || trees+=(--tree "$tree")
  done
  corpus=$data/corpus.jsonl
  if ! { ((${#trees[@]})) && step corpus "${trees[@]}" --limit 8 --output "$corpus" >&2 &&
    at_least "$corpus" 2000000; }; then
    echo "smoke.sh: too little documentation on this host; taking Python's docstrings" >&2
    docstrings
    corpus=$output/docstrings/corpus.jsonl
  fi
fi

if [[ -z $pairs ]]; then
  echo "== pairs" >&2
  shopt -s nullglob
  index=(/var/lib/apt/lists/*_main_binary-*_Packages*)
  translations=(/var/lib/apt/lists/*_main_i18n_Translation-en*)
  pairs=$data
  if ((${#index[@]} && ${#translations[@]})); then
    /usr/lib/apt/apt-helper cat-file "${index[@]}" >"$data/Packages"
    /usr/lib/apt/apt-helper cat-file "${translations[@]}" >"$data/Translation-en"
    step pairs --packages "$data/Packages" --translations "$data/Translation-en" \
      --test 64 --valid 64 --output "$pairs"
  else
    echo "smoke.sh: apt has no index with translations here; taking Python's docstrings" >&2
    docstrings
    pairs=$output/docstrings
  fi
fi

echo "== tokenizer" >&2
step tokenizer --preset smoke --corpus "$corpus" --pairs "$pairs" --output "$output/tokenizer"

echo "== training, interrupted" >&2
# a GPU has the time to learn something
steps=(200 60)
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  steps=(2000 300)
fi
train=(--preset smoke --tokenizer "$output/tokenizer" --pairs "$pairs" --work "$output/work"
  --output "$output/model" --save-every 500
  --pretraining-steps "${steps[0]}" --instruction-steps "${steps[1]}")
step train "${train[@]}" --stop-after $((steps[0] * 3 / 4)) >&2
echo "== training, resumed" >&2
step train "${train[@]}" --resume

echo "== evaluation" >&2
step evaluate --model "$output/model" --test "$pairs/test.jsonl" \
  --calibration "$pairs/valid.jsonl" --sparsities 0.5 --limit 64 --max-new-tokens 16 \
  --json "$output/evaluation.json"

echo
step check --model "$output/model" --history "$output/work/history.json" --test "$pairs/test.jsonl"
echo "smoke run passed in $SECONDS s: $output/model"
