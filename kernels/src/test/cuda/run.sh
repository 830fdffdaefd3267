#!/usr/bin/env bash
# run.sh CHECK.cpp FOLDER: compiles a check here with the kernels that it includes, for the CPU (emulation/simt.h),
# in FOLDER, and runs it. Needs a C++ compiler that knows _Float16 (CXX, g++). SOURCES: another folder of kernels;
# CXXFLAGS: -fsanitize=address finds what is read or written beyond an array.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
check=$1 folder=$2 sources=${SOURCES:-$here/../../main/cuda}
mkdir -p "$folder"
# an #include looks beside the file that has it: copies lie together, and the emulation's take the others' place
cp "$sources"/*.cu "$sources"/*.cuh "$folder"
cp "$here"/emulation/* "$here/check.h" "$here/$check" "$folder"
cd "$folder"
"${CXX:-g++}" -std=c++17 -O1 -w -pthread -U_FORTIFY_SOURCE -D__CUDA_ARCH__=900 -D__CUDA_ARCH_FEAT_SM90_ALL \
  ${CXXFLAGS:-} -o "${check%.cpp}" "$check" simt.cpp
ASAN_OPTIONS=detect_leaks=0 ./"${check%.cpp}"
