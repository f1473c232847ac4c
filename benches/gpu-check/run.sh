#!/usr/bin/env bash
# Checks and measures this project on the GPU of this machine, in one command. `cargo xtask gpu-check --pack DIR` packs it with its programs.
#
#   OUT=results bash DIR/run.sh
#
# Every line of $OUT/results.jsonl is written when its measurement ends; a step that hangs is ended after its own time limit. What has no
# time left is recorded as skipped. `cargo xtask gpu-check --table OUT` makes the tables. Settings, from the environment:
#
#   OUT       folder for the results [gpu-check-results]
#   LIMIT     seconds in all [410; 2100 with QUICK=1]
#   RESUME=1  keeps the results of $OUT and makes the steps that have not succeeded
#   QUICK=1   small batches and images, and f32 alone, for a software adapter; automatic where there is no GPU
#   ONLY      makes only the steps whose name matches this pattern of the shell, such as 'bench/*resnet50*'
#   PYTHON    a Python with PyTorch [python3]
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-gpu-check-results}
mkdir -p "$out/log" && out=$(cd "$out" && pwd) || exit 1
results=$out/results.jsonl
[ "${RESUME:-}" = 1 ] || : >"$results"
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
# Compiled and tuned kernels are shared by the steps, and by nothing else.
export HOME=$work XDG_CACHE_HOME=$work/cache DNW_PARITY=$here/records
python=${PYTHON:-python3}

# --- the programs

for packed in "$here"/bin/*.xz; do
  program=$work/$(basename "$packed" .xz)
  xz -dc "$packed" >"$program" 2>/dev/null ||
    "$python" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$packed" >"$program"
  chmod +x "$program"
done

# Where the system has no Vulkan loader, the packed one; the X libraries beside it are what NVIDIA's driver is linked with.
known=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null)
mkdir -p "$work/lib"
for library in "$here"/lib/*; do
  name=$(basename "$library")
  case $known in *"$name"*) ;; *) cp "$library" "$work/lib/" ;; esac
done
export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# A container may have the driver without the file by which the loader finds it.
if ! grep -qs nvidia /usr/share/vulkan/icd.d/* /etc/vulkan/icd.d/*; then
  for driver in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
    case $known in *"$driver"*)
      printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}\n' "$driver" >"$work/nvidia.json"
      export VK_ADD_DRIVER_FILES=$work/nvidia.json
      break ;;
    esac
  done
fi

# --- steps

# The text as the inside of a JSON string.
escaped() { tr '\000-\037' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g' | cut -c 1-400; }

# step NAME SECONDS COMMAND...: its lines of JSON, and then how it ended. Sets `ended` to the exit code, or 0 if there was nothing to do.
step() {
  local name=$1 limit=$2 left=$((total - SECONDS))
  shift 2
  ended=0
  # shellcheck disable=SC2254 # It is a pattern.
  case $name in adapters/* | ${ONLY:-*}) ;; *) return ;; esac
  if [ "${RESUME:-}" = 1 ] && grep -qs "^{\"step\":\"$name\",\"exit\":0," "$results"; then return; fi
  if [ $left -lt 4 ]; then
    printf '{"step":"%s","skipped":"no time was left"}\n' "$name" >>"$results"
    return
  fi
  [ "$limit" -le $left ] || limit=$left
  printf '%4d s  %s (at most %s s)\n' "$SECONDS" "$name" "$limit" >&2
  local log=$out/log/${name//[^a-zA-Z0-9.]/-}.txt began=$SECONDS sampled=0
  [ -f "$out/nvidia-smi.csv" ] && sampled=$(wc -l <"$out/nvidia-smi.csv")
  timeout --kill-after=2 "$limit" "$@" 2>"$log" </dev/null | while IFS= read -r line; do
    case $line in '{'*'}') printf '{"step":"%s","result":%s}\n' "$name" "$line" >>"$results" ;; esac
  done
  local status=${PIPESTATUS[0]} error memory=null
  error=$(grep -v '^ *$' "$log" | tail -n 1 | escaped)
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    error="ended after $limit s"
  elif [ "$status" -gt 128 ]; then
    error="ended by signal $((status - 128)): $error"
  fi
  ended=$status
  # The step goes on in another program.
  if [ "${continues:-}" = 1 ] && [ "$status" -gt 128 ] && [ "$status" != 137 ]; then return; fi
  if [ -f "$out/nvidia-smi.csv" ]; then
    memory=$(tail -n +$((sampled + 1)) "$out/nvidia-smi.csv" | awk -F, 'BEGIN { most = 0 } $1 > most { most = $1 } END { print most + 0 }')
  fi
  [ "$status" = 0 ] && error=
  printf '{"step":"%s","exit":%s,"seconds":%s,"gpu_memory_mib":%s,"error":"%s"}\n' \
    "$name" "$status" $((SECONDS - began)) "$memory" "$error" >>"$results"
}

# conformance BACKEND=DEVICE SECONDS: all cases. A driver that crashes ends the program, which then goes on behind that case.
conformance() {
  local step=conformance/$1 program=$work/bench-${1%%=*} device=${1#*=} last=$((SECONDS + $2)) skip=0 before case continues=1
  before=$(grep -c "^{\"step\":\"$step\",\"result\"" "$results")
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    [ "$attempt" -lt 12 ] || continues=
    step "$step" $((last - SECONDS)) "$program" "$device" --conformance --skip "$skip"
    if [ "$ended" -le 128 ] || [ "$ended" = 137 ] || [ -z "$continues" ]; then break; fi
    case=$(grep '^case ' "$out/log/${step//[^a-zA-Z0-9.]/-}.txt" | tail -n 1 | cut -d ' ' -f 2 | tr -d '\n' | escaped)
    printf '{"step":"%s","result":{"case":"%s","outcome":"failed","reason":"the driver crashed: signal %s","seconds":0}}\n' \
      "$step" "$case" $((ended - 128)) >>"$results"
    skip=$(($(grep -c "^{\"step\":\"$step\",\"result\"" "$results") - before))
  done
}

total=${LIMIT:-410}
backends=
for program in "$work"/bench-*; do
  backend=${program##*/bench-}
  step "adapters/$backend" 30 "$program" --list
  devices=$(grep "^{\"step\":\"adapters/$backend\",\"result\"" "$results" | tail -n 1 | sed 's/.*"devices":\[\([^]]*\)\].*/\1/')
  device=$(printf %s "$devices" | tr -d '"' | tr ',' '\n' | grep "^$backend" | head -n 1)
  [ -n "$device" ] || continue
  backends="$backends $backend=$device"
  case $device in *:cpu) QUICK=${QUICK:-1} ;; esac
done
quick=${QUICK:-0}
if [ "$quick" = 1 ]; then
  total=${LIMIT:-2100}
  small=4 large=8 side=96 few=2 weights=2000000 rounds=3 patience=1 slow=12 losses=3 torch_device=cpu
  # Trying every variant of a kernel would take minutes; compiling each once takes minutes too, in each process, hence the limits.
  export CUBECL_AUTOTUNE_LEVEL=minimal
else
  total=${LIMIT:-410}
  small=64 large=512 side=224 few=64 weights=25000000 rounds=20 patience=1.5 slow=1 losses=10 torch_device=cuda
fi
torch=$here/torch/torch_gpu.py
"$python" -c 'import torch' 2>/dev/null || torch=
if [ -n "$torch" ] && [ "$torch_device" = cuda ]; then
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null || torch_device=cpu
fi
printf '{"step":"settings","result":{"quick":%s,"batches":[%s,%s],"image":%s,"image_batch":%s,"weights":%s,"backends":"%s","torch":"%s","machine":"%s","date":"%s"}}\n' \
  "$quick" $small $large $side $few $weights "${backends# }" "${torch:+$torch_device}" \
  "$(uname -sm), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | escaped)" "$(date -u +%F)" >>"$results"
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1 | escaped |
    while IFS= read -r line; do printf '{"step":"nvidia-smi","result":{"gpu":"%s"}}\n' "$line"; done >>"$results"
  nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 200 >"$out/nvidia-smi.csv" 2>/dev/null &
  sampler=$!
  trap 'kill $sampler 2>/dev/null; rm -rf "$work"' EXIT
fi

# bench BACKEND=DEVICE MODEL BATCH PRECISION [IMAGE]
bench() {
  local program=$work/bench-${1%%=*} device=${1#*=} name=bench/$1/$2/$3/$4${5:+/$5}
  step "$name" $((35 * slow)) "$program" "$device" "$2" --batch "$3" --precision "$4" ${5:+--image "$5"} \
    --rounds $rounds --patience $patience
}
# launches BACKEND=DEVICE MODEL BATCH
launches() {
  step "launches/$1/$2/$3" $((30 * slow)) "$work/bench-${1%%=*}" "${1#*=}" "$2" --batch "$3" --launches 3
}
# steps_of_torch BATCH PRECISION [IMAGE MODELS]: DNW as published, a fixed mask and a dense network in turn
steps_of_torch() {
  [ -n "$torch" ] || return
  step "torch/$1/$2${3:+/$3}" $((45 * slow)) "$python" "$torch" steps --device $torch_device --batch "$1" --precision "$2" \
    ${3:+--image "$3"} ${4:+--models "$4"} --rounds $rounds --patience $patience
}

for model in mnist tiny-static; do
  flex=$(ls "$work"/bench-* | head -n 1)
  step "losses/flex/$model" 20 "$flex" flex $model --batch $small --losses $losses
  for one in $backends; do
    step "losses/$one/$model" $((20 * slow)) "$work/bench-${one%%=*}" "${one#*=}" $model --batch $small --losses $losses
  done
done
for one in $backends; do
  step "selection/$one" $((20 * slow)) "$work/bench-${one%%=*}" "${one#*=}" --selection $weights --rounds $rounds --patience $patience
done
[ -z "$torch" ] || step selection/torch $((40 + 120 * quick)) "$python" "$torch" selection --device $torch_device --weights $weights
# On a software adapter the rest is the smallest of each kind, and the conformance suite has what time is left.
if [ "$quick" = 1 ]; then
  for one in $backends; do
    for model in mnist mobilenet resnet50; do bench "$one" $model $small f32; done
    launches "$one" mnist $small
  done
  steps_of_torch $small f32 "" mobilenet,resnet50
  for one in $backends; do
    conformance "$one" "$total"
  done
  printf 'done in %s s: %s\n' "$SECONDS" "$results" >&2
  exit
fi

for one in $backends; do
  for model in resnet50 mobilenet; do bench "$one" $model $small f32; done
done
steps_of_torch $small f32
for one in $backends; do
  conformance "$one" $((60 * slow))
  for model in resnet50 mobilenet; do launches "$one" $model $small; done
  for model in resnet50 mobilenet; do bench "$one" $model $small mixed; done
  bench "$one" resnet50 $few f32 $side
done
steps_of_torch $few f32 $side resnet50
steps_of_torch $small mixed
for one in $backends; do
  for model in resnet50 mobilenet; do bench "$one" $model $large f32; done
  for model in mnist tiny-static tiny-discrete; do bench "$one" $model $small f32; done
  launches "$one" tiny-static $small
  for model in resnet50 mobilenet; do bench "$one" $model $large mixed; done
done
steps_of_torch $large f32
steps_of_torch $large mixed
for one in $backends; do
  for model in tiny-static tiny-discrete mnist; do
    bench "$one" $model $large f32
    bench "$one" $model $small mixed
    bench "$one" $model $large mixed
  done
done
printf 'done in %s s: %s\n' "$SECONDS" "$results" >&2
