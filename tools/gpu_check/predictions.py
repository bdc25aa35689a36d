# SPDX-License-Identifier: Apache-2.0
"""What predicted.json says that a device would need. The figures were calculated before a device was
at hand; they stand on the page beside what is measured, never instead of it."""

import json
import pathlib
import re

FILE = pathlib.Path(__file__).with_name("predicted.json")

# Of products: elements of k that a tile's beginning and end cost, and how much of the shorter of
# arithmetic and memory is not hidden behind the longer.
EXTRA_K = 160
NOT_HIDDEN = 0.15

# Short sequences leave less to overlap in attention: the share of the rate at 512 queries.
AT_LENGTH = {512: 1.0, 256: 0.82, 128: 0.62}


def figures_of(device):
    """The predicted figures of a device by its name, or None."""
    return next((one for one in json.loads(FILE.read_text()) if one["device"] in device), None)


def step_ms(figures, step):
    keys = ("model", "precision", "batch")
    return next((one["ms"] for one in figures["steps"] if all(one[key] == step[key] for key in keys)), None)


def product_ms(figures, row):
    shape = re.search(r" (\d+)x(\d+)x(\d+)$", row["name"])
    if not shape or row["path"] == "apart":
        return None
    k = int(shape[3])
    arithmetic = row["flops"] * (k + EXTRA_K) / k / figures["product_flops"]
    memory = row["bytes"] / figures["product_bytes"]
    return 1e3 * (max(arithmetic, memory) + NOT_HIDDEN * min(arithmetic, memory))


def attention_ms(figures, row):
    lengths = re.match(r"(\d+) to \d+$", row["name"])
    share = AT_LENGTH.get(int(lengths[1])) if lengths else None
    if share is None or row["path"] != "chosen":
        return None
    return 1e3 * row["flops"] / (share * figures["attention_flops"][row["part"]])


def memory_ms(figures, row):
    share = 1 if row["part"] == "copy" else figures["memory_of_copy"]
    return 1e3 * row["bytes"] / (share * figures["copy_bytes"])


def row_ms(figures, stage, row):
    """Of a row of a stage's table, or None where nothing was predicted. Of f32 nothing was but what
    memory bounds."""
    if stage == "memory":
        return memory_ms(figures, row)
    if row["dtype"] != "bf16":
        return None
    return {"attention": attention_ms, "products": product_ms}[stage](figures, row)
