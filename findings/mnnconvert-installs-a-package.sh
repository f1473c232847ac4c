#!/usr/bin/env bash
# `mnnconvert`, the command of the package MNN on PyPI that converts models, is expected to change nothing but the file that it writes.
# Whatever it is asked, it runs `pip install -U aliyun-log-python-sdk` first if that package is missing, with the `pip` that is first on the
# path: without an activated environment that is the user's own Python (here typing-extensions was upgraded and nine packages were added).
# With the package, its source says, it asks a server for credentials and reports each conversion, with its options and sizes.
# A user of dnw meets this when comparing speeds with MNN. `import MNN, _tools; _tools.mnnconvert(["mnnconvert", ..])` in Python converts
# without it, which is what `cargo xtask bench-peers inference` does.
#
# Installs MNN from PyPI into a temporary folder. A `pip` that only writes down what it is asked stands first on the path, so that nothing is
# installed elsewhere.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet MNN==3.6.1 numpy==2.4.6

mkdir "$folder/first"
cat >"$folder/first/pip" <<PIP
#!/bin/sh
echo "pip \$*" >>"$folder/asked"
exit 1
PIP
chmod +x "$folder/first/pip"
touch "$folder/asked"
PATH="$folder/first:$PATH" "$folder/venv/bin/mnnconvert" --version >"$folder/said" 2>&1 || true

"$folder/venv/bin/pip" list 2>/dev/null | grep -i '^mnn '
echo "guess: prints its version"
echo "seen:  $(cat "$folder/asked")"
expected="pip install -U aliyun-log-python-sdk"
if ! grep -qx "$expected" "$folder/asked"; then
  echo "the behaviour has changed: $(tail -n 3 "$folder/said")" >&2
  exit 1
fi
