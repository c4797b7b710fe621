"""A history as an Arrow stream: columns as they are, instants as UTC timestamps [ns]."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.ipc import StreamWriter
from numpy.typing import NDArray

ARROW = "application/vnd.apache.arrow.stream"
INSTANTS = ("time", "last_evidence")  # 0 stands for never: null


def arrow(columns: Mapping[str, NDArray[Any]], units: Mapping[str, str]) -> bytes:
    """One record batch of `columns` (rows,); each field's unit stands in its metadata."""
    fields = {name: _schema(name, values, units) for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    children = [_array(fields[name], values) for name, values in columns.items()]
    batch = na.c_array_from_buffers(na.struct(fields), rows, [None], 0, children=children)
    file = io.BytesIO()
    with StreamWriter.from_writable(file) as writer:
        writer.write_array(batch)
    return file.getvalue()


def _schema(name: str, values: NDArray[Any], units: Mapping[str, str]) -> na.Schema:
    if name in INSTANTS:
        return na.timestamp("ns", "UTC")
    kind = na.float32() if values.dtype == np.float32 else na.float64()
    return na.Schema(kind, metadata={"unit": units[name]})


def _array(field: na.Schema, values: NDArray[Any]) -> Any:  # noqa: ANN401  nanoarrow has no types
    if field.type != na.Type.TIMESTAMP:
        kind = np.float32 if field.type == na.Type.FLOAT else np.float64
        return na.c_array_from_buffers(
            field, len(values), [None, np.ascontiguousarray(values, kind)]
        )
    known = values != 0
    valid = None if known.all() else np.packbits(known, bitorder="little")
    instants = np.ascontiguousarray(values, np.int64)
    return na.c_array_from_buffers(field, len(values), [valid, instants], int((~known).sum()))
