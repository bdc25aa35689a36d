# SPDX-License-Identifier: Apache-2.0
"""The page of the kernel report: its three tables, what they are computed from, and reading them back."""

import subprocess

RESOURCES = ("kernel", "registers sm_80", "sm_90", "stack bytes", "shared bytes", "threads",
             "occupancy A100", "H100")
MEASURED = ("kernel", "sectors per 32 bytes asked for", "sectors / fewest", "bank passes / fewest")
PREDICTED = ("kernel", "calls", "MB a call", "MFLOP a call", "FLOP / byte", "µs a call", "bound by",
             "ms a step")

# NVIDIA H100 SXM5 80 GB, NVIDIA's data sheet, without sparsity.
BYTES_PER_SECOND = 3.35e12
FLOPS_PER_SECOND = {"f32": 67e12, "f64": 34e12, "bf16 tensor": 989e12}

# Kernels whose work depends on values, which a rehearsal does not compute: how often a token occurs.
DEPEND_ON_VALUES = ("ScatterAddRun",)

# What a multiprocessor has, from NVIDIA's CUDA C++ programming guide; a block's share of shared memory
# comes with 1 KiB for the system.
WARPS, BLOCKS, REGISTERS, RESERVED = 64, 32, 65536, 1024
SHARED = {80: 164 * 1024, 90: 228 * 1024}

INTRODUCTION = """\
# Our kernels, predicted

**Predicted. Nothing on this page was measured on a GPU.** It holds what the compiler's output and the
host runtime ([tests/cudacpu](../../tests/cudacpu/README.md)) say about the kernels of `core`; the
products, which are cuBLASLt's, are not among them. A test compares it with each build. To write it anew:

```
cmake --build build/cuda --target kernel_report
```

A kernel is named by its template and the op body that it runs: `each_kernel` gives every element a
thread, `warp_row_kernel` every row a warp, `block_row_kernel` every row a block of 256 threads. Those
that work in `double` exist for gradient checks and are left out, except that they must not spill either.

## A step of B4-4-4H768

ELECTRA, 64 sequences of 512 tokens, one rank, one micro-batch. Every launch of the step was interpreted
in part ({blocks} of its blocks, evenly spread) and counted as if all blocks did the same. *Bytes* are
what lanes ask for and *FLOP* what their floating-point instructions do, a fused multiply-add being two.
The time is the larger of bytes at 3.35 TB/s and FLOP at 67 (f32), 34 (f64) or 989 TFLOP/s (bf16 mma), the
figures of NVIDIA's data sheet of the H100 SXM: what it would take if no access hit a cache and nothing
else cost anything. A kernel whose work depends on values, which a rehearsal does not have, shows none.
"""

MEASURED_TEXT = """\
## Memory accesses

Counted by the host runtime over all warps of a whole step of a small ELECTRA model:

```
{settings}
```

A sector has 32 bytes. *Fewest* is what as many different bytes need side by side; more is scatter. Lanes
that ask for the same bytes share a sector, which brings the first figure below 1. A bank pass is one turn
of shared memory's 32 banks; more than the fewest are conflicts.
"""

RESOURCES_TEXT = """\
## Resources

From the machine code for A100 (sm_80) and H100 (sm_90). No kernel spills registers: the stack bytes are
arrays of the source. Occupancy is the share of a multiprocessor's 64 warps that its registers, shared
memory and block slots leave room for.
"""


def lines_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def occupancy(kernel, architecture, shared):
    """Share of a multiprocessor's warps that can be there at once."""
    of_block = (kernel.threads + 31) // 32
    registers = (kernel.on[architecture].registers * 32 + 255) // 256 * 256
    by_registers = REGISTERS // 4 // registers * 4 // of_block  # a quarter each for four schedulers
    by_shared = SHARED[architecture] // (shared + RESERVED)
    return min(BLOCKS, WARPS // of_block, by_registers, by_shared) * of_block / WARPS


def roofline(one):
    """Seconds of all calls, and what takes them."""
    times = {"bytes": one.bytes / BYTES_PER_SECOND,
             "f32": one.flops / FLOPS_PER_SECOND["f32"],
             "f64": one.double_flops / FLOPS_PER_SECOND["f64"],
             "bf16 tensor": one.tensor_flops / FLOPS_PER_SECOND["bf16 tensor"]}
    bound = max(times, key=times.get)
    return times[bound], bound


def depends_on_values(name):
    return any(part in name for part in DEPEND_ON_VALUES)


def figure(value):
    """Three digits, or all before the point."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def predicted_rows(rehearsed, names):
    for kernel, one in sorted(rehearsed.items(), key=lambda item: (-roofline(item[1])[0], item[0])):
        if depends_on_values(names[kernel]):
            yield [names[kernel], str(one.calls), *[""] * (len(PREDICTED) - 2)]
            continue
        seconds, bound = roofline(one)
        flops = one.flops + one.double_flops + one.tensor_flops
        yield [names[kernel], str(one.calls), figure(one.bytes / one.calls / 1e6),
               figure(flops / one.calls / 1e6), f"{flops / one.bytes:.2f}" if one.bytes else "",
               figure(seconds / one.calls * 1e6), bound, f"{seconds * 1e3:.3f}"]


def resource_rows(kernels, names, rehearsed):
    for kernel, one in sorted(kernels.items(), key=lambda item: names[item[0]]):
        if "double" in names[kernel]:
            continue
        shared = max(of.shared for of in one.on.values())
        if kernel in rehearsed:
            shared = max(shared, rehearsed[kernel].shared)
        yield [names[kernel], str(one.on[80].registers), str(one.on[90].registers),
               str(max(of.stack for of in one.on.values())), str(shared), str(one.threads),
               *(f"{100 * occupancy(one, architecture, shared):.0f} %" for architecture in (80, 90))]


def table(head, rows):
    align = ["---" if head[i] in ("kernel", "bound by") else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join([f"`{row[0]}`" if row[0] else "", *row[1:]]) + " |" if row is not head
                     else "| " + " | ".join(row) + " |\n| " + " | ".join(align) + " |"
                     for row in [head, *rows]) + "\n"


def ratio(value):
    return "" if value is None else f"{value:.2f}"


def page(kernels, names, measured, rehearsed, settings, blocks):
    """The whole page. measured: short name → three figures; rehearsed: mangled name → Statistics."""
    seconds = sum(roofline(one)[0] for kernel, one in rehearsed.items()
                  if not depends_on_values(names[kernel]))
    calls = sum(one.calls for one in rehearsed.values())
    return "\n".join([
        INTRODUCTION.format(blocks=blocks),
        table(PREDICTED, predicted_rows(rehearsed, names)),
        f"All {calls} launches: {seconds * 1e3:.1f} ms.\n",
        MEASURED_TEXT.format(settings="\n".join(settings)),
        table(MEASURED, ([name, *map(ratio, figures)] for name, figures in sorted(measured.items()))),
        RESOURCES_TEXT,
        table(RESOURCES, resource_rows(kernels, names, rehearsed))])


def read(text):
    """Head → rows, of the tables in a page."""
    found, head = {}, None
    for line in text.splitlines():
        cells = tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells
            found[head] = []
        elif not cells[0].startswith("---"):
            found[head].append(list(cells))
    return found


def number(cell):
    return float(cell) if cell else None
