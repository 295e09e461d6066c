"""An ONNX graph while it is made: nodes, constants and inputs, all in double precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What every runtime of the last years reads.
_OPSET, _IR = 17, 8
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they were added; a value is known by its name.

    Attributes:
        nodes, constants: as ONNX holds them.
        inputs: name to shape, a word for a length that is known when the graph is asked.
    """

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    inputs: dict[str, Shape] = field(default_factory=dict)

    def input(self, name: str, *shape: int | str) -> str:
        """An input of float64; asked for again, it is the same."""
        self.inputs[name] = shape
        return name

    def constant(self, values: NDArray[np.generic] | float) -> str:
        """A constant, float64 unless it is of integers."""
        from onnx import numpy_helper

        array = np.asarray(values)
        kept = array.astype(np.int64 if array.dtype == np.int64 else np.float64, order="C")
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(kept, name))
        return name

    def node(self, operator: str, *values: str, **attributes: Any) -> str:
        """The one output of an operator."""
        from onnx import helper

        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(values), [name], **attributes))
        return name

    def sum(self, *values: str) -> str:
        """Their sum."""
        total, *rest = values
        for value in rest:
            total = self.node("Add", total, value)
        return total

    def write(self, path: Path, outputs: dict[str, tuple[str, Shape]]) -> None:
        """Write the graph as a file.

        Args:
            path: of the file.
            outputs: name of each output to the value that it is, and its shape.
        """
        import onnx
        from onnx import TensorProto, helper

        def described(name: str, shape: Shape) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.DOUBLE, list(shape))

        named = [helper.make_node("Identity", [v], [name]) for name, (v, _) in outputs.items()]
        made = helper.make_graph(
            [*self.nodes, *named],
            "policy",
            [described(name, shape) for name, shape in self.inputs.items()],
            [described(name, shape) for name, (_, shape) in outputs.items()],
            self.constants,
        )
        model = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
        )
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
