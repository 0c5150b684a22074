"""Surgery on ONNX graphs: what two networks share, what can be computed together, and what a network takes.

Graphs are `onnx.GraphProto` and are changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def share_filters(first, second) -> None:
    """Let a graph take the filters of its convolutions from another graph.

    Both looks use the same convolutions, but the converter has multiplied each look's normalisation into the filters.
    They still differ by a factor per channel only: the second graph gets the first one's filters and these factors. A
    runtime multiplies them once, when it loads the file.
    """
    from onnx import helper, numpy_helper

    filters = [numpy_helper.to_array(array) for array in first.initializer if len(array.dims) == 4]
    for array in list(second.initializer):
        own = numpy_helper.to_array(array)
        for other in filters if own.ndim == 4 else ():
            factors = _factors(own, other)
            if factors is None:
                continue
            array.CopyFrom(numpy_helper.from_array(other, f"{array.name}_shared"))
            factors_name, name = f"{array.name}_factors", array.name.removesuffix("_shared")
            second.initializer.append(numpy_helper.from_array(factors, factors_name))
            second.node.insert(0, helper.make_node("Mul", [array.name, factors_name], [name]))
            break


def _factors(own: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Factors `(outputs, 1, 1, 1)` with `own = factors * other`, of filters `(outputs, inputs, h, w)`, if there are."""
    if own.shape != other.shape:
        return None
    axes = (1, 2, 3)
    size = (other.astype("float64") ** 2).sum(axes, keepdims=True)
    factors = (own.astype("float64") * other).sum(axes, keepdims=True) / np.maximum(size, 1e-30)
    alike = np.abs(factors * other - own).max() <= 1e-5 * np.abs(own).max()
    return factors.astype("float32") if alike else None


def join_convolutions(graph, layers: Sequence[str]) -> list[str]:
    """Join the convolutions of these Keras layers that see the same map; return the names of the nodes they became.

    A runtime computes sixteen channels at once, so that four and one in one convolution cost half of two.
    """
    from onnx import numpy_helper

    arrays = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    together: dict[tuple, list] = {}
    for node in graph.node:
        if node.op_type == "Conv" and any(layer in node.input[1] for layer in layers):
            together.setdefault((node.input[0], arrays[node.input[1]].shape[2:]), []).append(node)
    names = [_join(graph, nodes, arrays) for nodes in together.values()]
    used = {value for node in graph.node for value in node.input}
    for array in [array for array in graph.initializer if array.name not in used]:
        graph.initializer.remove(array)
    return names


def _join(graph, nodes: list, arrays: Mapping[str, np.ndarray]) -> str:
    """Put one convolution and the split of what it gives in the place of several; return the convolution's name."""
    from onnx import helper, numpy_helper

    first, name = nodes[0], f"{nodes[0].name}_joined"
    weights = [arrays[node.input[1]] for node in nodes]
    # The converter leaves out a bias of zeros.
    biases = [
        arrays[node.input[2]] if len(node.input) > 2 else np.zeros(len(own), "float32")
        for node, own in zip(nodes, weights, strict=True)
    ]
    sizes = np.array([len(own) for own in weights], "int64")
    for part, values in (("weights", np.concatenate(weights)), ("bias", np.concatenate(biases)), ("sizes", sizes)):
        graph.initializer.append(numpy_helper.from_array(values, f"{name}_{part}"))
    inputs = [first.input[0], f"{name}_weights", f"{name}_bias"]
    convolution = helper.make_node("Conv", inputs, [f"{name}:0"], name)
    convolution.attribute.extend(first.attribute)
    outputs = [node.output[0] for node in nodes]
    split = helper.make_node("Split", [f"{name}:0", f"{name}_sizes"], outputs, f"{name}_split", axis=1)
    place = list(graph.node).index(first)
    for node in nodes:
        graph.node.remove(node)
    graph.node.insert(place, split)
    graph.node.insert(place, convolution)
    return name


def source_of(graph, name: str) -> str:
    """What a value is, before transpositions."""
    for node in graph.node:
        if name in node.output and node.op_type == "Transpose":
            return source_of(graph, node.input[0])
    return name


def replace_input(graph, old: str, new: str) -> None:
    """Let all nodes that take one value take another one, in place."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def share_bytes(first, second) -> None:
    """Let a graph in 8 bits take its filters from another graph.

    Both looks' filters differ by a positive factor per channel only, see `share_filters`, which in 8 bits is a part of
    the channel's scale: what is left differs by rounding.
    """
    from onnx import numpy_helper

    filters = [numpy_helper.to_array(array) for array in first.initializer if len(array.dims) == 4]
    for array in second.initializer:
        own = numpy_helper.to_array(array)
        for other in filters if own.ndim == 4 and own.dtype == np.int8 else ():
            if own.shape == other.shape and own.dtype == other.dtype:
                if np.abs(own.astype("int16") - other).max() <= 1:
                    array.CopyFrom(numpy_helper.from_array(other, array.name))
                    break
