#!/usr/bin/env bash
# Compressed sparse rows (CSR) are chosen because they need no row index for each entry: 4 bytes of weight and 8 of column, against 20 bytes
# in coordinate form (COO). One expects a saved CSR tensor to be the smaller file.
# With torch 2.15.0 it is as large as the COO file: `to_sparse_csr()` leaves the column indices as a view into a storage that also holds the
# row indices, and `torch.save` writes whole storages. (Seen with torch 2.6.0: 1.2 MB where 2.15.0 writes 2.0 MB.) A copy of the parts is small.
# A user of dnw meets this with sparse checkpoints: files are two thirds larger than they need be, and a reader that takes the storage from its
# start instead of from the tensor's offset reads row indices as columns. dnw reads both, by offset and stride.
#
# Installs torch from PyPI into a temporary folder (several GB on Linux, where it comes with CUDA; an index with CPU builds serves as well).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import sys
import warnings

import torch

warnings.filterwarnings("ignore")


def size(name, tensor):
    path = f"{sys.argv[1]}/{name}.pt"
    torch.save({"weight": tensor}, path)
    assert torch.equal(torch.load(path, weights_only=True)["weight"].to_dense(), dense)
    return os.path.getsize(path)


torch.manual_seed(0)
dense = torch.randn(1000, 1000)
dense[torch.rand(1000, 1000) >= 0.1] = 0.0
rows = dense.to_sparse_csr()
columns = rows.col_indices()
copied = torch.sparse_csr_tensor(rows.crow_indices().clone(), columns.clone(), rows.values().clone(), rows.shape)
coordinates, compressed, copy = size("coo", dense.to_sparse()), size("csr", rows), size("copy", copied)
stored = columns.untyped_storage().nbytes() // columns.element_size()
entries = rows.values().numel()

print(f"torch {torch.__version__}, {entries} entries of 1000 x 1000")
print("guess: CSR takes about 60 % of the bytes of COO, and its column indices begin their storage")
print(f"seen:  COO {coordinates} bytes, CSR {compressed} bytes, CSR of copied parts {copy} bytes")
print(f"       {len(columns)} column indices, from number {columns.storage_offset()} of a storage of {stored}")
as_described = (
    columns.storage_offset() == entries
    and stored == 2 * entries
    and compressed > 0.95 * coordinates
    and copy < 0.65 * coordinates
)
sys.exit(0 if as_described else "the behaviour has changed")
PYTHON
