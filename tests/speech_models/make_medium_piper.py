"""Make a voice of Piper's "medium" shape with random weights: noise instead of speech, in the time of a real voice.

Text encoder, four coupling layers and the vocoder have Piper's sizes. Only the duration predictor, which takes almost
no time, is omitted: each id lasts three frames, which is about the pace of speech. Needs requirements.txt.
Usage: make_medium_piper.py OUT_DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from make_tiny_piper import CONFIG
from onnx import TensorProto, helper, numpy_helper

NAME = "en_US-random-medium.onnx"
HIDDEN = 192
FILTER = 768
LAYERS = 6
HEADS = 2
FLOWS = 4
WN_LAYERS = 4
UPSAMPLE = ((8, 16), (8, 16), (4, 8))
CHANNELS = 256
RESBLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
FRAMES_PER_ID = 3


class Graph:
    """Builder of nodes and weights; each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(1)

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def value(self, value: object) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:]))
        return self.value((self._random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> str:
        pad = dilation * (kernel - 1) // 2
        bias = self.value(np.zeros(outputs, np.float32))
        weight = self.random(outputs, inputs, kernel)
        return self.node("Conv", x, weight, bias, kernel_shape=[kernel], dilations=[dilation], pads=[pad, pad])

    def upsample(self, x: str, inputs: int, outputs: int, rate: int, kernel: int) -> str:
        pad = (kernel - rate) // 2
        weight = self.value((self._random.standard_normal((inputs, outputs, kernel)) / inputs**0.5).astype(np.float32))
        return self.node("ConvTranspose", x, weight, strides=[rate], kernel_shape=[kernel], pads=[pad, pad])


def build() -> onnx.ModelProto:
    """Return the model, checked."""
    graph = Graph()
    x = _encoder(graph)
    for _ in range(FLOWS):
        x = _coupling(graph, x)
    _vocoder(graph, x)
    ids = helper.make_tensor_value_info("input", TensorProto.INT64, ["batch_size", "phonemes"])
    lengths = helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch_size"])
    scales = helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch_size", 1, 1, "time"])
    onnx_graph = helper.make_graph(graph.nodes, "medium_piper", [ids, lengths, scales], [output], graph.weights)
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _encoder(graph: Graph) -> str:
    """Attention over the ids, then each repeated for its frames: [1, HIDDEN, time]."""
    embedded = graph.node("Gather", graph.random(256, HIDDEN), "input")
    x = graph.node("Transpose", embedded, perm=[0, 2, 1])
    to_heads = graph.value(np.array([1, HEADS, HIDDEN // HEADS, -1]))
    from_heads = graph.value(np.array([1, HIDDEN, -1]))
    for _ in range(LAYERS):
        q, k, v = (graph.node("Reshape", graph.conv(x, HIDDEN, HIDDEN), to_heads) for _ in range(3))
        scores = graph.node("MatMul", graph.node("Transpose", q, perm=[0, 1, 3, 2]), k)
        weights = graph.node("Softmax", graph.node("Mul", scores, graph.value(np.float32(0.1))), axis=-1)
        mixed = graph.node("MatMul", v, graph.node("Transpose", weights, perm=[0, 1, 3, 2]))
        x = graph.node("Add", x, graph.conv(graph.node("Reshape", mixed, from_heads), HIDDEN, HIDDEN))
        inner = graph.node("Relu", graph.conv(x, HIDDEN, FILTER, 3))
        x = graph.node("Add", x, graph.conv(inner, FILTER, HIDDEN, 3))
        x = graph.node("Mul", x, graph.value(np.float32(0.5)))
    column = graph.node("Unsqueeze", x, graph.value(np.array([3])))
    frames = graph.node("Expand", column, graph.value(np.array([1, 1, 1, FRAMES_PER_ID])))
    return graph.node("Reshape", frames, from_heads)


def _coupling(graph: Graph, x: str) -> str:
    half = HIDDEN // 2
    conditioning, transformed = (
        graph.node("Slice", x, *(graph.value(np.array([value])) for value in (start, start + half, 1)))
        for start in (0, half)
    )
    hidden = graph.conv(conditioning, half, HIDDEN)
    for _ in range(WN_LAYERS):
        projected = graph.conv(hidden, HIDDEN, 2 * HIDDEN, 5)
        left, right = (
            graph.node("Slice", projected, *(graph.value(np.array([value])) for value in (start, start + HIDDEN, 1)))
            for start in (0, HIDDEN)
        )
        gated = graph.node("Mul", graph.node("Tanh", left), graph.node("Sigmoid", right))
        projected = graph.conv(gated, HIDDEN, 2 * HIDDEN)
        residual = graph.node("Slice", projected, *(graph.value(np.array([value])) for value in (0, HIDDEN, 1)))
        hidden = graph.node("Add", hidden, residual)
    transformed = graph.node("Sub", transformed, graph.conv(hidden, HIDDEN, half))
    return graph.node("Concat", transformed, conditioning, axis=1)


def _vocoder(graph: Graph, x: str) -> None:
    x, channels = graph.conv(x, HIDDEN, CHANNELS, 7), CHANNELS
    for rate, kernel in UPSAMPLE:
        x = graph.upsample(graph.node("LeakyRelu", x, alpha=0.1), channels, channels // 2, rate, kernel)
        channels //= 2
        branches = []
        for size, dilations in RESBLOCKS:
            branch = x
            for dilation in dilations:
                inner = graph.conv(graph.node("LeakyRelu", branch, alpha=0.1), channels, channels, size, dilation)
                branch = graph.node("Add", branch, inner)
            branches.append(branch)
        x = graph.node("Mul", graph.node("Sum", *branches), graph.value(np.float32(1 / len(branches))))
    waveform = graph.node("Tanh", graph.conv(graph.node("LeakyRelu", x, alpha=0.01), channels, 1, 7))
    graph.node("Unsqueeze", waveform, graph.value(np.array([1])), output="output")


def make(out: Path) -> Path:
    """Build the voice, write it, and return the model's path."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(build(), out / NAME)
    (out / f"{NAME}.json").write_text(json.dumps(CONFIG | {"hop_length": 256}, ensure_ascii=False, indent=1) + "\n")
    return out / NAME


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
