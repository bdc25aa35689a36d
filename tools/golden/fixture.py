# SPDX-License-Identifier: Apache-2.0
"""Writes one test case as a small HDF5 file that HDF5 1.10 can read.

Root attributes hold scalars: the configuration and the losses (int64, float64 or a string). Groups:
inputs/ (token ids, positions and targets int32; segments, hidden and labels uint8; cotangents float64),
outputs/, values/ and gradients/ (float64; the last two one data set per parameter, by its name).
"""

import dataclasses
import os

import h5py
import numpy as np

BYTES = ("segments", "hidden", "labels")


def config_attributes(config):
    """Scalars for a reference_model.Config."""
    fields = dataclasses.asdict(config)
    blocks = list(zip(fields.pop("block_layers"), fields.pop("block_repeats")))
    fields["block_count"] = len(blocks)
    for block, (layers, repeats) in enumerate(blocks):
        fields[f"block_{block}_layers"] = layers
        fields[f"block_{block}_repeats"] = repeats
    return fields


def write(path, attributes, inputs, outputs, parameters):
    """`parameters` are PyTorch tensors by name; those without a gradient are left out."""
    used = {name: p for name, p in parameters.items() if p.grad is not None}
    arrays = {f"inputs/{name}": _input(name, x) for name, x in inputs.items()}
    arrays |= {f"outputs/{name}": _float(x) for name, x in outputs.items()}
    arrays |= {f"values/{name}": _float(p) for name, p in used.items()}
    arrays |= {f"gradients/{name}": _float(p.grad) for name, p in used.items()}
    # Compact groups need a newer format than the default; v110 is the newest that 1.10 reads.
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        for name, value in attributes.items():
            file.attrs[name] = _attribute(value)
        for name, array in arrays.items():
            assert np.all(np.isfinite(array)), name
            file.create_dataset(name, data=array, track_times=False)
    print(f"{os.path.basename(path)}: {os.path.getsize(path)} bytes, {len(used)} parameters")


def _attribute(value):
    if isinstance(value, str):
        return np.bytes_(value)
    return np.float64(value) if isinstance(value, float) else np.int64(value)


def _float(tensor):
    return tensor.detach().numpy().astype(np.float64)


def _input(name, tensor):
    if tensor.is_floating_point():
        return _float(tensor)
    return tensor.numpy().astype(np.uint8 if name in BYTES else np.int32)
