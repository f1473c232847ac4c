#!/usr/bin/env bash
# A greyscale PNG of 16 bits, as microscopes and scanners write, is expected to become an RGB image of 8 bits by its high bytes: 20000 of 65535 to
# 78 of 255. Pillow's `convert("RGB")`, which torchvision's ImageFolder calls on every file, clips instead: every value above 255 becomes 255, so
# most of a picture is white, without a warning. 16-bit grey with an alpha channel, and 16-bit colours, become their high bytes in the same Pillow.
# A user of dnw meets this when the same folder trains to another accuracy in PyTorch: dnw takes the high byte of all of them.
#
# Installs Pillow into a temporary folder.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet Pillow==13.0.0

"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct
import zlib

import PIL
from PIL import Image

VALUES = [0, 100, 256, 1000, 20000, 65535]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def first_channel(color_type, samples):
    """The pixels of a PNG of one line, 16 bits a sample, after `convert("RGB")`."""
    header = struct.pack(">IIBBBBB", len(VALUES), 1, 16, color_type, 0, 0, 0)
    line = b"\0" + b"".join(struct.pack(">H", value) * samples for value in VALUES)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")
    image = Image.open(io.BytesIO(file)).convert("RGB")
    return list(image.tobytes()[::3])


high_bytes = [value >> 8 for value in VALUES]
clipped = [min(value, 255) for value in VALUES]
grey, with_alpha, rgb = first_channel(0, 1), first_channel(4, 2), first_channel(2, 3)
print(f"Pillow {PIL.__version__}, values {VALUES}")
print(f"guess: {high_bytes} for all")
print(f"seen:  grey {grey}, grey with alpha {with_alpha}, RGB {rgb}")
if grey != clipped or with_alpha != high_bytes or rgb != high_bytes:
    raise SystemExit("the behaviour has changed")
PYTHON
