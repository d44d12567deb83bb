"""The voice as an ONNX graph with Piper's own inputs and output, made of table lookups only.

Phoneme ids -> audible phonemes -> their halves, by the neighbour on that side -> frames -> periods.
"""

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper_periods import VARIANTS, Periods
from piper_phones import CMU, PAUSES, SILENCE

# Other phonemes of Piper's standard map, replaced by the nearest English one.
_FOREIGN = "r x ç y ø œ ɲ ʎ c g ɒ ɨ β ɣ ʁ q ɫ ɵ ɘ ɤ ʉ ɯ ɦ χ ħ ʀ ɻ ɽ ɕ ʑ ʂ ʐ ʋ ɱ ɳ ɭ ɖ ʈ ɟ ɥ ʍ ɝ ɞ ɸ"
_NEAREST = "ɹ h h i ɜ ɜ n l k ɡ ɑ ɪ b ɡ ɹ k l ʊ ə ʌ u u h h h ɹ ɹ ɾ ʃ ʒ ʃ ʒ v m n l d t d w w ɚ ɜ f"
_ALIASES = dict(zip(_FOREIGN.split(), _NEAREST.split(), strict=True))

_SYMBOLS = [None, *PAUSES, *CMU]  # the graph's symbols; 0 stands for all that is not audible, such as stress
_NUMBER = {symbol: number for number, symbol in enumerate(_SYMBOLS)}


class _Graph:
    """Builder of nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: ArrayLike) -> None:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))

    def node(self, kind: str, inputs: str, output: str, **attributes: int) -> None:
        """Add an operation; `inputs` are names with spaces between."""
        name = f"n{len(self.nodes)}_{kind}"
        self.nodes.append(helper.make_node(kind, inputs.split(), [output], name=name, **attributes))


def build(periods: Periods) -> onnx.ModelProto:
    """Return the model, checked."""
    graph = _Graph()
    _add_constants(graph, periods)
    _add_lookup_of_halves(graph)
    _add_durations(graph)
    _add_frames(graph)
    _add_waveform(graph)
    ids = helper.make_tensor_value_info("input", TensorProto.INT64, ["batch_size", "phonemes"])
    lengths = helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch_size"])
    scales = helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch_size", 1, 1, "time"])
    onnx_graph = helper.make_graph(graph.nodes, "tiny_piper", [ids, lengths, scales], [output], graph.constants)
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 15)], producer_name="make_tiny_piper")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _add_constants(graph: _Graph, periods: Periods) -> None:
    symbol_of_id = np.zeros(256, np.int32)
    for phoneme, (number, *_) in DEFAULT_PHONEME_ID_MAP.items():
        symbol_of_id[number] = _NUMBER.get(_ALIASES.get(phoneme, phoneme), 0)
    starts, lengths = _half_tables(periods)
    graph.constant("id_base", symbol_of_id)
    graph.constant("L_start", starts["L"])
    graph.constant("R_start", starts["R"])
    graph.constant("L_len", lengths["L"])
    graph.constant("R_len", lengths["R"])
    graph.constant("f_code", np.array(periods.frame_code, np.int16))
    graph.constant("f_gain", periods.frame_gain)
    graph.constant("c_row", np.array(periods.code_row, np.int32))
    graph.constant("c_multi", np.array(periods.code_varies, np.int32))
    graph.constant("table", periods.table)
    for name, values in {"m1": [-1], "z1": [0], "o1": [1]}.items():
        graph.constant(name, np.array(values, np.int64))
    for name, value in {"zs": 0, "os": 1, "B": len(_SYMBOLS), "V": VARIANTS}.items():
        graph.constant(name, np.int64(value))
    graph.constant("Ps", np.array([1, 1, 1, -1], np.int64))
    graph.constant("half", np.float32(0.5))
    for name, values in {"w_shape": [1, 1, -1], "col": [-1, 1], "inf": [2**31], "sc": [1]}.items():
        graph.constant(name, np.array(values, np.int64))
    graph.constant("zero_f", np.float32(0))


def _half_tables(periods: Periods) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """First frame and number of frames of each side of every symbol next to every other."""
    size = len(_SYMBOLS)
    starts = {side: np.zeros(size * size, np.int32) for side in "LR"}
    lengths = {side: np.zeros(size * size, np.int16) for side in "LR"}
    for symbol in _SYMBOLS[1:]:
        for neighbour in _SYMBOLS:
            context = SILENCE if neighbour is None or neighbour in PAUSES else neighbour
            row, column = _NUMBER[symbol], _NUMBER[neighbour]
            for side, cell in (("L", column * size + row), ("R", row * size + column)):
                if symbol in PAUSES:
                    pause = periods.pauses[symbol]
                    start, length = pause[:2] if side == "L" else pause[2:]
                else:
                    isolated = periods.halves[side, symbol, SILENCE]
                    start, length = periods.halves.get((side, symbol, context), isolated)
                starts[side][cell], lengths[side][cell] = start, length
    return starts, lengths


def _add_lookup_of_halves(graph: _Graph) -> None:
    """`pos`: positions of the audible phonemes; `Ls`, `Ln`, `Rs`, `Rn`: first frame and length of their halves."""
    graph.node("Reshape", "input m1", "ids_all")
    graph.node("Slice", "ids_all z1 input_lengths", "ids")
    graph.node("Gather", "id_base ids", "base32")
    graph.node("Cast", "base32", "base", to=TensorProto.INT64)
    graph.node("NonZero", "base", "nz")
    graph.node("Reshape", "nz m1", "pos")
    graph.node("Gather", "base pos", "b")
    graph.node("Slice", "b z1 m1", "b_head")
    graph.node("Slice", "b o1 inf", "b_tail")
    graph.node("Concat", "z1 b_head", "prev", axis=0)
    graph.node("Concat", "b_tail z1", "next", axis=0)
    graph.node("Mul", "prev B", "pB")
    graph.node("Add", "pB b", "Li")
    graph.node("Mul", "b B", "bB")
    graph.node("Add", "bB next", "Ri")
    for side in "LR":
        graph.node("Gather", f"{side}_start {side}i", f"{side}s32")
        graph.node("Cast", f"{side}s32", f"{side}s", to=TensorProto.INT64)
        graph.node("Gather", f"{side}_len {side}i", f"{side}n16")
        graph.node("Cast", f"{side}n16", f"{side}n", to=TensorProto.INT64)


def _add_durations(graph: _Graph) -> None:
    """`wc_i`: frames of each phoneme, times the length scale. Piper's alignment looks for the tensor `w_ceil`."""
    graph.node("Add", "Ln Rn", "wb_i")
    graph.node("Cast", "wb_i", "wb", to=TensorProto.FLOAT)
    graph.node("Cast", "base", "base_f", to=TensorProto.FLOAT)
    graph.node("Mul", "base_f zero_f", "zeros")
    graph.node("ScatterElements", "zeros pos wb", "w_flat", axis=0)
    graph.node("Reshape", "w_flat w_shape", "w")
    graph.node("Gather", "scales sc", "length_scale", axis=0)
    graph.node("Mul", "w length_scale", "w_scaled")
    graph.node("Ceil", "w_scaled", "w_ceil")
    graph.node("Reshape", "w_ceil m1", "wc_all")
    graph.node("Gather", "wc_all pos", "wc")
    graph.node("Cast", "wc", "wc_i", to=TensorProto.INT64)


def _add_frames(graph: _Graph) -> None:
    """`j`: the output frames; `fi`: for each the nearest stored frame after the phoneme is stretched."""
    graph.node("CumSum", "wc_i zs", "cum")
    graph.node("Sub", "cum wc_i", "begin")
    graph.node("ReduceSum", "wc_i", "F", keepdims=0)
    graph.node("Range", "zs F os", "j")
    graph.node("Reshape", "j col", "jc")
    graph.node("LessOrEqual", "cum jc", "le")
    graph.node("Cast", "le", "le_i", to=TensorProto.INT64)
    graph.node("ReduceSum", "le_i o1", "ph", keepdims=0)
    graph.node("Gather", "begin ph", "bj")
    graph.node("Sub", "j bj", "k")
    graph.node("Cast", "k", "k_f", to=TensorProto.FLOAT)
    graph.node("Gather", "wb ph", "wbj")
    graph.node("Gather", "wc ph", "wcj")
    graph.node("Add", "k_f half", "k_h")
    graph.node("Mul", "k_h wbj", "kw")
    graph.node("Div", "kw wcj", "src_f")
    graph.node("Floor", "src_f", "src_fl")
    graph.node("Cast", "src_fl", "src", to=TensorProto.INT64)
    graph.node("Gather", "Ln ph", "Lnj")
    graph.node("Less", "src Lnj", "isL")
    graph.node("Gather", "Ls ph", "Lsj")
    graph.node("Gather", "Rs ph", "Rsj")
    graph.node("Add", "Lsj src", "iL")
    graph.node("Sub", "src Lnj", "sR")
    graph.node("Add", "Rsj sR", "iR")
    graph.node("Where", "isL iL iR", "fi")


def _add_waveform(graph: _Graph) -> None:
    """`output`: each frame's period, or one of its variants in turn, times its gain."""
    graph.node("Gather", "f_code fi", "code16")
    graph.node("Cast", "code16", "code", to=TensorProto.INT32)
    graph.node("Gather", "f_gain fi", "g")
    graph.node("Gather", "c_row code", "row0")
    graph.node("Gather", "c_multi code", "multi")
    graph.node("Mod", "j V", "var64")
    graph.node("Cast", "var64", "var", to=TensorProto.INT32)
    graph.node("Mul", "var multi", "vm")
    graph.node("Add", "row0 vm", "row")
    graph.node("Gather", "table row", "per16")
    graph.node("Cast", "per16", "per", to=TensorProto.FLOAT)
    graph.node("Reshape", "g col", "gc")
    graph.node("Mul", "per gc", "sig")
    graph.node("Reshape", "sig Ps", "output")
