#!/usr/bin/env bash
# The crate gemm-f16, by which Burn's flex backend and candle multiply matrices, is expected to compile for 64-bit ARM Linux like any other: it
# chooses instructions for 16-bit floats while it runs. Without optimisation it does not compile at all, for any processor of that target. Its
# functions with such instructions are not marked as needing them, so the assembler refuses those that are not inlined into one that is.
# A user of dnw meets this on such a machine with `cargo build` in a project of their own, whose default has no optimisation, and sees an error
# about `fullfp16` in a crate that they never named. dnw's own workspace gives dependencies `opt-level = 1`, which is enough, and
# docs/backends.md says so. (gemm's issue 31 has reported it since 2024 for version 0.18.)
#
# Installs gemm-f16 from the crates registry into a temporary folder, and Debian's compiler for ARM where this machine's has no library for it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
target=aarch64-unknown-linux-gnu
rustc=rustc
if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
  # A package manager of its own for Debian 12, whose packages are only unpacked.
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/debs" "$folder/root"
  touch "$folder/apt/status"
  for suite in 'debian bookworm' 'debian-security bookworm-security'; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/$suite main"
  done >"$folder/apt/sources.list"
  cat >"$folder/apt.conf" <<CONF
Dir::State "$folder/apt"; Dir::State::status "$folder/apt/status"; Dir::Cache "$folder/apt/cache";
Dir::Etc::sourcelist "$folder/apt/sources.list"; Dir::Etc::sourceparts "-"; APT::Architectures {"amd64";"arm64";}; APT::Sandbox::User "root";
CONF
  export APT_CONFIG="$folder/apt.conf"
  apt-get update -qq
  version=$(apt-cache policy rustc-web | sed -n 's/ *Candidate: //p')
  series=$(grep -o '^[0-9]*\.[0-9]*' <<<"$version")
  llvm=$(apt-cache depends rustc-web "libstd-rust-web-$series" | sed -n 's/ *Depends: \(libllvm[0-9]*\)$/\1/p' | head -n 1)
  (cd "$folder/debs" && apt-get download -qq "rustc-web=$version" "libstd-rust-web-$series=$version" "$llvm" \
    "libstd-rust-web-dev:amd64=$version" "libstd-rust-web-dev:arm64=$version")
  for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$folder/root"; done
  rustc="$folder/rustc"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/usr/lib/x86_64-linux-gnu exec %s/usr/bin/rustc "$@"\n' "$folder/root" "$folder/root" >"$rustc"
  chmod +x "$rustc"
fi

mkdir -p "$folder/project/src"
touch "$folder/project/src/lib.rs"
cat >"$folder/project/Cargo.toml" <<'TOML'
[package]
name = "empty"
edition = "2021"

[dependencies]
gemm-f16 = "=0.19.0"
gemm-common = "=0.19.0"
TOML
# A library: nothing is linked for ARM.
builds() { (cd "$folder/project" && RUSTC="$rustc" CARGO_TARGET_DIR="$folder/$1" CARGO_PROFILE_DEV_OPT_LEVEL="$1" cargo build --quiet --target $target) >"$folder/said" 2>&1; }

"$rustc" --version
echo "guess: compiles for $target with opt-level 0 and 1"
if builds 0; then
  echo "the behaviour has changed: it compiles without optimisation" >&2
  exit 1
fi
echo "seen:  opt-level 0: $(grep -c '^error: instruction requires: fullfp16' "$folder/said") times $(grep -m 1 '^error' "$folder/said")"
grep -q '^error: instruction requires: fullfp16' "$folder/said" || { echo "the behaviour has changed: $(tail -n 3 "$folder/said")" >&2; exit 1; }
builds 1 || { echo "the behaviour has changed: $(tail -n 3 "$folder/said")" >&2; exit 1; }
echo "       opt-level 1: compiles"
