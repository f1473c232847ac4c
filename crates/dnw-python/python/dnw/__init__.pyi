from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

__version__: str

class DnwError(ValueError): ...

class Step(TypedDict):
    layer: str
    operation: str
    output: list[int]
    edges: int
    density: float | None
    multiply_adds: int
    bytes: int
    microseconds: float
    share: float
    why: str

class Explanation(list[Step]): ...

class Times(TypedDict):
    median_ms: float
    p90_ms: float
    p99_ms: float
    images_per_second: float
    runs: int

class Model:
    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)"""
    @property
    def normalisation(self) -> list[tuple[float, float]]:
        """mean and deviation of each channel: an input is (pixel - mean) / deviation, with pixels from 0 to 1"""
    @property
    def classes(self) -> list[str]: ...
    @property
    def file_bytes(self) -> int: ...
    def predict(self, images: npt.NDArray[np.float32], threads: int = 1) -> npt.NDArray[np.float32]:
        """[images, channels, height, width] -> [images, outputs], or one image without the first dimension; float32, contiguous, not copied"""
    def save(self, path: str | PathLike[str]) -> None: ...
    def explain(self, *, threads: int = 1, seconds: float = 1.0) -> Explanation: ...
    def bench(self, threads: int = 1, batch: int = 1, seconds: float = 1.0) -> Times: ...

def compile(
    source: str | PathLike[str] | bytes | bytearray | Any,
    *,
    model: Any | str | None = None,
    image: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    weights: Literal["f32", "f16", "int8"] = "f32",
) -> Model: ...
def load(path: str | PathLike[str]) -> Model: ...
def explain(model: Model, *, threads: int = 1, seconds: float = 1.0) -> Explanation: ...
