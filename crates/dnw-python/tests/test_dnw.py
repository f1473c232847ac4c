"""The package `dnw`: python -m unittest discover crates/dnw-python/tests

Needs numpy and onnx; with torch its modules are tested too.
"""

import os
import tempfile
import threading
import unittest

import dnw
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(1)
WEIGHT = RANDOM.standard_normal((6, 3, 1, 1)).astype(np.float32) * (RANDOM.random((6, 3, 1, 1)) < 0.4)
BIAS = RANDOM.standard_normal(6).astype(np.float32)
LAST = RANDOM.standard_normal((5, 6)).astype(np.float32)


def onnx_bytes(operator="Relu"):
    """1 x 1 convolution, ReLU, global average, linear layer."""
    nodes = [
        helper.make_node("Conv", ["x", "weight", "bias"], ["a"], "first"),
        helper.make_node(operator, ["a"], ["b"], "middle"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "last"], ["y"], transB=1),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in [("weight", WEIGHT), ("bias", BIAS), ("last", LAST)]]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 7])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "net", [image], [result], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def expected(images):
    maps = np.einsum("ts,nshw->nthw", WEIGHT[:, :, 0, 0].astype(np.float64), images) + BIAS[None, :, None, None]
    return np.maximum(maps, 0).mean(axis=(2, 3)) @ LAST.T.astype(np.float64)


def batch(count):
    return RANDOM.standard_normal((count, 3, 8, 7)).astype(np.float32)


class Compiled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = dnw.compile(onnx_bytes(), classes=list("abcde"), mean=[0.5, 0.4, 0.3], deviation=[0.2, 0.2, 0.2])

    def test_results_are_those_of_numpy(self):
        for count in [0, 1, 4]:
            images = batch(count)
            found = self.model.predict(images)
            self.assertEqual((found.shape, found.dtype), ((count, 5), np.float32))
            np.testing.assert_allclose(found, expected(images), rtol=1e-5, atol=1e-5)

    def test_one_image_has_one_result(self):
        images = batch(2)
        np.testing.assert_array_equal(self.model.predict(images[0]), self.model.predict(images)[0])

    def test_the_description_is_kept_in_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.dnw")
            self.model.save(path)
            self.assertEqual(os.listdir(folder), ["model.dnw"])
            self.assertEqual(os.path.getsize(path), self.model.file_bytes)
            again = dnw.load(path)
        self.assertEqual(again.input_shape, (3, 8, 7))
        self.assertEqual(again.classes, list("abcde"))
        np.testing.assert_allclose(again.normalisation, [(0.5, 0.2), (0.4, 0.2), (0.3, 0.2)], rtol=1e-6)
        images = batch(3)
        np.testing.assert_array_equal(again.predict(images), self.model.predict(images))

    def test_threads_call_one_model_and_change_no_bit(self):
        images = batch(64)
        alone, results = self.model.predict(images), {}
        def work(index):
            results[index] = self.model.predict(images, threads=1 + index % 2)
        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(len(results), 8)
        for found in results.values():
            np.testing.assert_array_equal(found, alone)

    def test_explanations_are_data_and_a_table(self):
        steps = self.model.explain(seconds=0.01)
        first = steps[0]
        # Targets without edges are constants, which are folded into the last layer.
        wired = np.count_nonzero(WEIGHT.any(axis=(1, 2, 3)))
        self.assertEqual((first["layer"], first["edges"], first["output"]), ("first", np.count_nonzero(WEIGHT), [wired, 8, 7]))
        self.assertAlmostEqual(sum(step["share"] for step in steps), 1.0)
        lines = str(steps).split("\n")
        self.assertEqual(len(lines), len(steps) + 1)
        self.assertTrue(lines[1].startswith("first"))
        times = self.model.bench(batch=2, seconds=0.01)
        self.assertLessEqual(times["median_ms"], times["p99_ms"])
        self.assertAlmostEqual(times["images_per_second"], 2e3 / times["median_ms"], delta=1e-6 * times["images_per_second"])

    def test_smaller_weights_make_a_smaller_file(self):
        small = dnw.compile(onnx_bytes(), weights="int8")
        self.assertLess(small.file_bytes, dnw.compile(onnx_bytes()).file_bytes)
        images = batch(2)
        np.testing.assert_allclose(small.predict(images), expected(images), atol=0.1)


class Refused(unittest.TestCase):
    def refused(self, part, call):
        with self.assertRaises(dnw.DnwError) as caught:
            call()
        self.assertIn(part, str(caught.exception))
        self.assertIsInstance(caught.exception, ValueError)

    def test_what_cannot_be_compiled_is_named(self):
        self.refused("`middle`", lambda: dnw.compile(onnx_bytes("Round")))
        self.refused("help: ", lambda: dnw.compile(b"no model"))
        self.refused("nowhere.onnx", lambda: dnw.compile("nowhere.onnx"))
        self.refused("state dict", lambda: dnw.compile({"weight": 1}))
        self.refused("f32, f16 or int8", lambda: dnw.compile(onnx_bytes(), weights="int4"))
        self.refused("`mean` has 1 numbers", lambda: dnw.compile(onnx_bytes(), mean=[0.5]))
        self.refused("`image` is", lambda: dnw.compile(onnx_bytes(), image=(3, 8, 7, 1)))

    def test_what_cannot_be_loaded_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            self.refused("model.onnx", lambda: dnw.load(path))
            with open(path, "wb") as file:
                file.write(onnx_bytes())
            self.refused("ONNX", lambda: dnw.load(path))
            self.refused("cannot write", lambda: dnw.compile(path).save(os.path.join(folder, "no", "model.dnw")))
            self.assertEqual(os.listdir(folder), ["model.onnx"])

    def test_arrays_that_do_not_fit_are_named(self):
        model = dnw.compile(onnx_bytes())
        self.refused("[images, 3, 8, 7]", lambda: model.predict(np.zeros((2, 3, 7, 8), np.float32)))
        self.refused("ascontiguousarray", lambda: model.predict(np.zeros((4, 3, 8, 7), np.float32)[::2]))
        self.refused("`threads` is 0", lambda: model.predict(batch(1), threads=0))
        with self.assertRaises(TypeError):
            model.predict(np.zeros((2, 3, 8, 7)))


class Torch(unittest.TestCase):
    def setUp(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is not installed")
        self.torch = torch

    def test_a_pruned_module_is_compiled(self):
        torch, nn = self.torch, self.torch.nn
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(24, 7),
        )
        with torch.no_grad():
            module[3].weight *= torch.rand_like(module[3].weight) < 0.2
        with self.assertRaises(dnw.DnwError):
            dnw.compile(module, image=(3, 20, 20))
        module.eval()
        with self.assertRaises(dnw.DnwError):
            dnw.compile(module)
        model = dnw.compile(module, image=(3, 20, 20))
        images = torch.randn(3, 3, 20, 20)
        with torch.no_grad():
            logits = module(images).numpy()
        np.testing.assert_allclose(model.predict(images.numpy()), logits, rtol=1e-4, atol=1e-5)

    def test_signals_and_vectors_are_compiled(self):
        torch, nn = self.torch, self.torch.nn
        torch.manual_seed(1)
        signals = nn.Sequential(nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 8, 3, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4))
        vectors = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 4))
        for module, shape in ((signals, (2, 30)), (vectors, (20,))):
            module.eval()
            model = dnw.compile(module, image=shape)
            x = torch.randn(3, *shape)
            with torch.no_grad():
                logits = module(x).numpy()
            np.testing.assert_allclose(model.predict(x.numpy()), logits, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(model.predict(x[0].numpy()), logits[0], rtol=1e-4, atol=1e-5)
            with self.assertRaises(dnw.DnwError):
                model.predict(np.zeros((3, 7), np.float32))
        with self.assertRaises(dnw.DnwError):
            dnw.compile(vectors, image=())

    def test_a_state_dict_is_compiled_with_its_module(self):
        torch, nn = self.torch, self.torch.nn
        torch.manual_seed(1)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()
        images = torch.randn(2, 3, 8, 8)
        from torch.nn.utils import prune

        prune.l1_unstructured(net[0], "weight", 0.8)
        with torch.no_grad():
            logits = net(images).numpy()
        state = {"state_dict": {"module." + name: value for name, value in net.state_dict().items()}}
        self.assertIn("module.0.weight_mask", state["state_dict"])
        prune.remove(net[0], "weight")
        other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), nn.Flatten(), nn.Linear(8 * 36, 5))
        before = other[0].weight.clone()
        model = dnw.compile(state, model=other, image=(3, 8, 8))
        np.testing.assert_allclose(model.predict(images.numpy()), logits, rtol=1e-4, atol=1e-5)
        # The given module keeps its weights.
        self.assertTrue(torch.equal(other[0].weight, before))
        with self.assertRaisesRegex(dnw.DnwError, "does not fit"):
            dnw.compile(state, model=nn.Conv2d(3, 8, 3), image=(3, 8, 8))
        with self.assertRaisesRegex(dnw.DnwError, "own layers"):
            dnw.compile(onnx_bytes(), model=other)

    def test_a_state_dict_of_torchvision_is_recognised(self):
        try:
            import torchvision
        except ImportError:
            self.skipTest("torchvision is not installed")
        self.torch.manual_seed(2)
        net = torchvision.models.resnet18(weights=None, num_classes=11).eval()
        images = self.torch.randn(1, 3, 64, 64)
        with self.torch.no_grad():
            logits = net(images).numpy()
        for model in (None, "resnet18"):
            compiled = dnw.compile(net.state_dict(), model=model, image=(3, 64, 64))
            np.testing.assert_allclose(compiled.predict(images.numpy()), logits, rtol=1e-4, atol=1e-5)
        with self.assertRaisesRegex(dnw.DnwError, "no classifier of torchvision has its names"):
            dnw.compile({"0.weight": self.torch.zeros(8, 3, 3, 3)}, image=(3, 8, 8))
        with self.assertRaisesRegex(dnw.DnwError, "no model `resnet19`|a model `resnet19`"):
            dnw.compile(net.state_dict(), model="resnet19", image=(3, 8, 8))


if __name__ == "__main__":
    unittest.main()
