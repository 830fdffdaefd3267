#!/usr/bin/env bash
# Compiles each kernel file NAME.cu here into src/main/resources/io/rollcall/kernels/cuda/NAME.fatbin.gz
# (machine code for sm_80, sm_86, sm_89, sm_90, and PTX for what is newer), with NAME.digest beside it:
# what it was compiled from. A file of `specific` has sm_90a in sm_90's place: code that no newer device
# runs, so elsewhere its kernels are empty. Both are in the repository, so that a machine without nvcc ships the same
# kernels. Maven runs this before it copies resources.
#
#   build.sh            compiles what has changed; without nvcc, fails if anything has
#   build.sh --check    compiles nothing; fails if sources and fatbins disagree
#   build.sh --verify   compiles everything with the nvcc that is here, beside the repository's
#
# ROLLCALL_FATBINS=keep: a plain run takes the fatbins as they are. For work on a machine without a
# device, where nothing runs them.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
readonly sources=$PWD
readonly module=$(cd ../../.. && pwd)
readonly fatbins=$module/src/main/resources/io/rollcall/kernels/cuda
readonly classes=$module/target/classes/io/rollcall/kernels/cuda
readonly specific="wide wide_sum"
readonly flags="-std=c++17 -O3 -Wno-deprecated-gpu-targets -compress-mode=size
  -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_86,code=sm_86
  -gencode=arch=compute_89,code=sm_89 -gencode=arch=compute_90,code=sm_90
  -gencode=arch=compute_90,code=compute_90"

fail() {
  echo "kernels/src/main/cuda/build.sh: $*" >&2
  exit 1
}

sha() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

find_nvcc() {
  local candidate
  for candidate in "$(command -v nvcc || true)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    if [[ -n $candidate && -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
}

# The file and the headers of ours it includes, and theirs, each once.
closure() {
  local -A seen=()
  local -a open=("$1")
  local file header
  while ((${#open[@]})); do
    file=${open[0]}
    open=("${open[@]:1}")
    [[ -z ${seen[$file]:-} ]] || continue
    seen[$file]=1
    while read -r header; do
      [[ ! -f $header ]] || open+=("$header")
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]+)".*/\1/p' "$file")
  done
  printf '%s\n' "${!seen[@]}" | sort
}

# The compiler's flags for NAME.cu.
flags_of() {
  if [[ " $specific " == *" $1 "* ]]; then
    echo "${flags/arch=compute_90,code=sm_90/arch=compute_90a,code=sm_90a}"
  else
    echo "$flags"
  fi
}

# What a fatbin is compiled from: flags, names and contents.
source_digest() {
  local file
  {
    echo $(flags_of "$1")
    while read -r file; do
      echo "$file $(sha <"$file")"
    done < <(closure "$1.cu")
  } | sha
}

# Whether NAME.fatbin is there, whole, and of these sources.
current() {
  local digest=$fatbins/$1.digest
  [[ -f $fatbins/$1.fatbin.gz && -f $digest ]] &&
    [[ $(sed -n 's/^sources //p' "$digest") == "$(source_digest "$1")" ]] &&
    [[ $(sed -n 's/^fatbin //p' "$digest") == "$(sha <"$fatbins/$1.fatbin.gz")" ]]
}

# compile NVCC NAME FOLDER
compile() {
  local started=$SECONDS part="$3/$2.part"
  "$1" $(flags_of "$2") --threads 2 -fatbin -o "$part" "$2.cu" || return 1
  gzip -9 -n <"$part" >"$3/$2.fatbin.gz"
  rm "$part"
  {
    echo "sources $(source_digest "$2")"
    echo "fatbin $(sha <"$3/$2.fatbin.gz")"
    echo "nvcc $("$1" --version | sed -nE 's/.*release ([0-9.]+),.*/\1/p')"
  } >"$3/$2.digest"
  echo "nvcc $2.cu: $((SECONDS - started)) s, $(($(wc -c <"$3/$2.fatbin.gz") / 1024)) KiB"
}

# compile_all NVCC FOLDER NAME...: two at a time
compile_all() {
  local nvcc=$1 folder=$2 started=$SECONDS
  shift 2
  (($#)) || return 0
  export -f compile closure flags_of source_digest sha
  export flags specific
  printf '%s\n' "$@" | xargs -P 2 -I{} bash -euo pipefail -c 'compile "$1" "$2" "$3" || exit 255' - "$nvcc" {} "$folder" ||
    fail "nvcc failed"
  echo "nvcc compiled $# files in $((SECONDS - started)) s"
}

names=()
for file in *.cu; do
  [[ ! -f $file ]] || names+=("${file%.cu}")
done
orphans=()
for file in "$fatbins"/*.fatbin.gz; do
  name=$(basename "$file" .fatbin.gz)
  [[ ! -f $file || -f $name.cu ]] || orphans+=("$name")
done
stale=()
if [[ ${1:-} == --check || ${1:-} == "" && ${ROLLCALL_FATBINS:-} != keep ]]; then
  for name in ${names[@]+"${names[@]}"}; do
    current "$name" || stale+=("$name")
  done
fi
nvcc=$(find_nvcc)

case ${1:-} in
  --check)
    ((${#stale[@]} == 0)) ||
      fail "not compiled from these sources: ${stale[*]}; build on a machine with nvcc and commit $fatbins"
    ((${#orphans[@]} == 0)) || fail "fatbins without a source: ${orphans[*]}; remove them"
    ;;
  --verify)
    [[ -n $nvcc ]] || fail "there is no nvcc"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    compile_all "$nvcc" "$folder" ${names[@]+"${names[@]}"}
    # another nvcc gives other code; the same one gives the same bytes
    for name in ${names[@]+"${names[@]}"}; do
      if ! cmp -s "$folder/$name.fatbin.gz" "$fatbins/$name.fatbin.gz"; then
        echo "$name: compiles to other bytes than the repository's (nvcc $(sed -n 's/^nvcc //p' "$folder/$name.digest") and $(sed -n 's/^nvcc //p' "$fatbins/$name.digest"))"
      fi
    done
    ;;
  "")
    if ((${#stale[@]})); then
      [[ -n $nvcc ]] ||
        fail "the fatbins in the repository are not of these sources (${stale[*]}), and there is no nvcc on the PATH or in ${CUDA_HOME:-/usr/local/cuda}/bin to compile them"
      mkdir -p "$fatbins"
      compile_all "$nvcc" "$fatbins" "${stale[@]}"
      echo "commit $fatbins with the sources"
    fi
    if [[ ${ROLLCALL_FATBINS:-} != keep ]]; then
      for name in ${orphans[@]+"${orphans[@]}"}; do
        rm -f "$fatbins/$name.fatbin.gz" "$fatbins/$name.digest"
      done
    fi
    # what is there, for CudaContext to load
    mkdir -p "$classes"
    {
      { cat "$fatbins"/*.digest 2>/dev/null || true; } | sed -n 's/^nvcc /# nvcc /p' | sort -uV | tail -1
      for name in ${names[@]+"${names[@]}"}; do
        [[ ! -f $fatbins/$name.fatbin.gz ]] || echo "$name"
      done
    } >"$classes/fatbins.index"
    ;;
  *)
    fail "unknown option $1; --check and --verify go"
    ;;
esac
