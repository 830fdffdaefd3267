#!/usr/bin/env bash
# Tells Spark which GPUs are here, as spark.{worker,executor}.resource.gpu.discoveryScript expects it:
#   {"name": "gpu", "addresses": ["0", "1"]}
# An address is the ordinal that CUDA gives the device in this process, so a list in
# CUDA_VISIBLE_DEVICES is counted from 0 again. CUDA numbers as nvidia-smi does when
# CUDA_DEVICE_ORDER=PCI_BUS_ID (spark-gpu.conf sets it for executors).
set -euo pipefail

if ! listed=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>&1); then
  echo "gpu-discovery.sh: nvidia-smi found no GPU: ${listed:-it is not installed}" >&2
  exit 1
fi
present=$(grep -c '^[[:space:]]*[0-9]' <<<"$listed" || true)

count=$present
if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then
  count=0
  IFS=, read -ra visible <<<"$CUDA_VISIBLE_DEVICES"
  for device in ${visible[@]+"${visible[@]}"}; do
    device=${device//[[:space:]]/}
    # as CUDA does: what follows the first entry that names no device is not seen
    case $device in
      GPU-* | MIG-*) ;;
      '' | *[!0-9]*) break ;;
      *) ((10#$device < present)) || break ;;
    esac
    count=$((count + 1))
  done
fi

addresses=
for ((i = 0; i < count; i++)); do
  addresses+="${addresses:+, }\"$i\""
done
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
