# SPDX-License-Identifier: Apache-2.0
"""Writes the page of a device from the results of its check."""

import datetime

import predictions

GOAL = 0.85  # of a copy's rate, for what memory bounds


def device_name(results):
    """The device as the programs name it: 'NVIDIA H100 80GB HBM3'."""
    text = results["stages"].get("environment", {}).get("data", {}).get("device", "")
    parts = text.split(", ")
    return parts[1] if len(parts) > 1 else "unknown device"


def table(head, rows, first=1):
    """`first` columns lie to the left, the others to the right."""
    marks = ["---"] * first + ["---:"] * (len(head) - first)
    lines = [head, marks, *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def ceilings(results):
    """The best rates found: bytes a second, and operations a second by type."""
    rates = {"copy": None}
    for row in results["stages"].get("environment", {}).get("data", {}).get("rows", []):
        if "ms" in row:
            key = "copy" if row["part"] == "copy" else row["dtype"]
            rates[key] = (row["bytes"] if key == "copy" else row["flops"]) / (1e-3 * row["ms"])
    return rates


def floor_ms(row, rates):
    """The least time by the ceilings: the larger of what arithmetic and what memory needs."""
    times = [row["flops"] / rates[row["dtype"]]] if rates.get(row["dtype"]) else []
    if rates["copy"]:
        times.append(row["bytes"] / rates["copy"])
    return 1e3 * max(times) if times else None


def percent(share):
    return f"{100 * share:.1f} %"


def predicted_cells(stage, row, figures):
    """Two cells, where this device has predicted figures; empty for what none is of."""
    if figures is None:
        return []
    predicted = predictions.row_ms(figures, stage, row)
    return [f"{predicted:.4f}", f"{row['ms'] / predicted:.2f}"] if predicted else ["", ""]


def predicted_head(figures):
    return ["predicted ms", "measured / predicted"] if figures else []


def measured_rows(stage, rows, rates, figures=None):
    for row in rows:
        name = row["name"] + (f" ({row['path']})" if row["path"] not in ("", "chosen") else "")
        head = [name, row["part"], row["dtype"]]
        if "ms" not in row:
            yield head + ["WRONG, not timed", "", "", ""] + [""] * len(predicted_head(figures))
            continue
        floor = floor_ms(row, rates)
        yield head + [f"{row['ms']:.4f}", f"{row['flops'] / row['ms'] / 1e9:.1f}",
                      f"{floor:.4f}" if floor else "", percent(floor / row["ms"]) if floor else "",
                      *predicted_cells(stage, row, figures)]


def figures_of(results):
    return predictions.figures_of(device_name(results))


def environment(data, _results):
    lines = [f"- {name}: {value}" for name, value in data.get("host", {}).items()]
    lines.append("")
    rows = []
    for row in data.get("rows", []):
        if "ms" in row:
            copy = row["part"] == "copy"
            rate = f"{row['bytes'] / row['ms'] / 1e6:.0f} GB/s" if copy else f"{row['flops'] / row['ms'] / 1e9:.1f} TFLOP/s"
            rows.append([row["name"], row["dtype"], f"{row['ms']:.3f}", rate])
    lines.append("Ceilings, measured in this run; a copy counts bytes read and bytes written:")
    lines.append("")
    return lines + table(["", "type", "ms", "rate"], rows, 2)


def correctness(data, _results):
    rows = [[name, one["tests"], one["failed"]] for name, one in data.get("tests", {}).items()]
    lines = table(["test program", "tests", "failed"], rows) if rows else []
    for name in data.get("failing", [])[:20]:
        lines.append(f"- failed: `{name}`")
    return lines + [f"- primitives: {line}" for line in data.get("conformance", [])] + [""]


def sanitizers(data, _results):
    return table(["tool", "program", "said"], [[r["tool"], r["program"], r["said"]] for r in data.get("runs", [])], 3) \
        if data.get("runs") else []


def repetition(data, _results):
    return [f"Two runs from one seed gave the same {data['files']} checkpoint files." if "files" in data else "", ""]


def kernels(stage, data, results):
    figures, lines = figures_of(results), []
    for model, rows in data.get("models", {}).items():
        lines += [f"### {model}", ""]
        lines += table(["", "part", "type", "ms", "TFLOP/s", "floor ms", "of the floor", *predicted_head(figures)],
                       list(measured_rows(stage, rows, ceilings(results), figures)), 3)
    return lines


def attention(data, results):
    return kernels("attention", data, results)


def products(data, results):
    return kernels("products", data, results) + algorithms(data) + joined(data)


def algorithms(data):
    """How good the library's first choice, which the engine takes, is among what it offers."""
    rows = []
    for model, measured in data.get("models", {}).items():
        for row in measured:
            times = row.get("algorithm_ms", [])
            if len(times) > 1:
                best = min(times)
                rows.append([model, row["name"], row["part"], len(times), f"{times[0]:.4f}", f"{best:.4f}",
                             f"{times[0] / best:.2f}"])
    head = ["model", "product", "part", "algorithms", "first ms", "best ms", "first / best"]
    return ["### The library's algorithms", "", "The engine takes the library's first. All add up in a fixed order.", "",
            *table(head, rows, 3)] if rows else []


def joined(data):
    """GELU in the product's epilogue against a kernel of its own."""
    rows = []
    for model, measured in data.get("models", {}).items():
        apart = {(r["name"], r["part"], r["dtype"]): r for r in measured if r["path"] == "apart"}
        for row in measured:
            other = apart.get((row["name"], row["part"], row["dtype"]))
            if row["path"] == "joined" and other and "ms" in row and "ms" in other:
                rows.append([model, row["name"], row["part"], f"{row['ms']:.4f}", f"{other['ms']:.4f}",
                             f"{row['ms'] / other['ms']:.2f}"])
    return ["### GELU joined to its product", "", *table(["model", "", "part", "joined ms", "apart ms", "joined / apart"], rows, 3)] \
        if rows else []


def copy_rate(rows):
    """Bytes a millisecond."""
    return next((row["bytes"] / row["ms"] for row in rows if row["part"] == "copy" and "ms" in row), None)


def memory(data, results):
    figures, lines = figures_of(results), []
    for model, measured in data.get("models", {}).items():
        rate, rows, shares = copy_rate(measured), [], []
        for row in measured:
            head = [row["name"], row["part"], row["dtype"], f"{row['bytes'] / 1e6:.1f}"]
            if "ms" not in row:
                rows.append(head + ["WRONG, not timed", "", ""] + [""] * len(predicted_head(figures)))
                continue
            share = row["bytes"] / row["ms"] / rate if rate else None
            if share is not None and row["part"] != "copy":
                shares.append(share)
            rows.append(head + [f"{row['ms']:.4f}", f"{row['bytes'] / row['ms'] / 1e6:.0f}",
                                percent(share) if share is not None else "", *predicted_cells("memory", row, figures)])
        lines += [f"### {model}", "", f"{sum(share >= GOAL for share in shares)} of {len(shares)} reach the goal of "
                  f"{100 * GOAL:.0f} % of a copy. MB: what has to be read or written at least once.", ""]
        lines += table(["", "part", "type", "MB", "ms", "GB/s", "of the copy", *predicted_head(figures)], rows, 3)
    return lines


def step(data, results):
    rates, figures = ceilings(results), figures_of(results)
    rows = []
    for one in data.get("steps", []):
        best = rates.get("bf16" if one["precision"] == "BF16" else "f32")
        rows.append([one["model"], one["precision"], one["batch"], f"{one['ms']:.1f}", f"{one['sequences_per_second']:.1f}",
                     f"{one['flops_per_second'] / 1e12:.1f}", percent(one["flops_per_second"] / best) if best else "",
                     *([f"{one['launched_ms']:.1f}", f"{one['launched_ms'] / one['ms']:.2f}", one["recorded_operations"]]
                       if "launched_ms" in one else ["", "", ""])])
        if figures:
            predicted = predictions.step_ms(figures, one)
            rows[-1] += [f"{predicted:.1f}", f"{one['ms'] / predicted:.2f}"] if predicted else ["", ""]
    lines = table(["model", "precision", "batch", "ms a step", "sequences/s", "TFLOP/s", "of the measured product",
                   "launched one by one, ms", "times as long", "operations", *predicted_head(figures)], rows, 2)
    for one in data.get("steps", []):
        lines += [f"### Parts of {one['model']}, {one['precision']}, a batch of {one['batch']}", "", *parts(one)]
    return lines


def parts(one):
    """Where the time goes; what its parts take alone, launched one by one, beside the whole step."""
    found = one.get("parts", [])
    times = [part["calls"] * (part["forward_ms"] + part["backward_ms"]) for part in found]
    rows = [[part["name"], part["calls"], f"{part['flops'] / 1e9:.2f}", f"{part['forward_ms']:.3f}", f"{part['backward_ms']:.3f}",
             f"{ms:.2f}", percent(ms / sum(times))] for part, ms in zip(found, times)]
    return [*table(["", "calls", "GFLOP", "forward ms", "backward ms", "ms a step", "share"], rows),
            f"Together {sum(times):.1f} ms; the step takes {one['ms']:.1f} ms.", ""]


def counters(data, _results):
    kernels_found = data.get("kernels", [])
    if not kernels_found:
        return []
    columns = [name for name in kernels_found[0] if name not in ("kernel", "ms")]
    rows = [[f"`{one['kernel']}`", f"{one['ms']:.3f}",
             *(f"{one[name]:.1f} %" if one.get(name) is not None else "" for name in columns)] for one in kernels_found]
    return [f"A step of {data['model']} with one layer of each kind and a batch of {data['batch']}; clocks as found. Shares of what "
            "each could do.", "", *table(["kernel", "ms", *columns], rows)]


def transformers(data, results):
    ours = {(s["model"], s["precision"], s["batch"]): s for s in
            results["stages"].get("step", {}).get("data", {}).get("steps", [])}
    rows = []
    for one in data.get("steps", []):
        mine = ours.get((one["model"], one["precision"], one["batch"]))
        rows.append([one["model"], one["precision"], one["batch"], f"{one['ms']:.1f}", f"{one['sequences_per_second']:.1f}",
                     f"{one['ms'] / mine['ms']:.2f}" if mine else ""])
    return table(["PyTorch transformers", "precision", "batch", "ms a step", "sequences/s", "times as long as ours"], rows, 2) \
        if rows else []


def training(data, _results):
    if "apart" not in data:
        return []
    return [f"{data['steps']} steps of a tiny model: loss {data['first']:.3f} to {data['last']:.3f}; the first steps are within "
            f"{data['apart']:.1e} of the CPU's.", "",
            *([f"{data['whole']['steps']} steps of {data['whole']['model']} in bf16 on short sequences: loss "
               f"{data['whole']['first']:.3f} to {data['whole']['last']:.3f}.", ""] if "whole" in data else [])]


SECTIONS = {"environment": ("Machine and ceilings", environment), "correctness": ("Is it right?", correctness),
            "sanitizers": ("Sanitizers", sanitizers), "repetition": ("The same bits again", repetition),
            "attention": ("Attention", attention), "products": ("Matrix products", products),
            "memory": ("What memory bounds", memory), "step": ("Whole steps", step),
            "counters": ("What the hardware counts in the slowest kernels", counters),
            "transformers": ("PyTorch transformers, the same models in the same run", transformers),
            "training": ("A training run", training)}


def text(results, on_host_runtime):
    """The page, from whatever stages there are."""
    lines = [f"# {device_name(results)}", "", f"{datetime.date.today()}. Written by `tools/gpu_check.sh`."]
    if on_host_runtime:
        lines += ["", "**Made on the tests' host runtime, not on a GPU: no number here is one of a device.**"]
    lines += ["", "Times are medians, on events of the device's stream; a floor is the larger of the operations over the rate of",
              "a large matrix product and the bytes over the rate of a copy, both measured in this run. What was not right is",
              "not timed.", ""]
    if figures_of(results):
        lines += ["A predicted time was calculated before a device was at hand (`tools/gpu_check/predicted.json`) and was never",
                  "measured.", ""]
    stages = results["stages"]
    lines += table(["stage", "result", "seconds"], [[name, stages[name]["state"], stages[name]["seconds"]]
                                                     for name in SECTIONS if name in stages], 2)
    for name, (title, write) in SECTIONS.items():
        if name not in stages:
            continue
        stage = stages[name]
        lines += [f"## {title}", ""]
        lines += [f"- FAILED: {failure}" for failure in stage["failures"]] + [f"- {note}" for note in stage["notes"]]
        lines += [""] if stage["failures"] or stage["notes"] else []
        lines += write(stage["data"], results)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(line.rstrip() for line in lines) + "\n"
