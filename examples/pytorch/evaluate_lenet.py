"""Evaluates an exported LeNet-300-100 in PyTorch, on the test images of MNIST.

    dnw export RUN --out lenet.safetensors
    python evaluate_lenet.py lenet.safetensors MNIST_FOLDER

Prints the accuracy, which is that of `dnw eval RUN`. With a file that has masks (`dnw export --masks`) it makes the parameters that
`torch.nn.utils.prune` makes.
"""

import gzip
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)

    def forward(self, images):
        hidden = torch.relu(self.fc1(images.flatten(1)))
        hidden = torch.relu(self.fc2(hidden))
        return self.fc3(hidden)


def read(path, offset):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


file, folder = sys.argv[1], sys.argv[2]
images = read(f"{folder}/t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
labels = torch.tensor(read(f"{folder}/t10k-labels-idx1-ubyte.gz", 8).astype(np.int64))
images = (torch.tensor(images, dtype=torch.float32) / 255 - 0.1307) / 0.3081

model = LeNet()
weights = load_file(file)
for name, layer in model.named_children():
    if f"{name}.weight_mask" in weights:
        prune.identity(layer, "weight")
model.load_state_dict(weights)
model.eval()

with torch.no_grad():
    right = (model(images).argmax(1) == labels).sum().item()
print(f"{right} of {len(labels)} right")
