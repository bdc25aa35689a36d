# SPDX-License-Identifier: Apache-2.0
"""Writes the page of a device from the results of its check."""

import datetime


def device_name(results):
    """The device as the programs name it: 'NVIDIA H100 80GB HBM3'."""
    text = results["stages"].get("environment", {}).get("data", {}).get("device", "")
    parts = text.split(", ")
    return parts[1] if len(parts) > 1 else "unknown device"


def table(head, rows, first=1):
    """`first` columns lie to the left, the others to the right."""
    marks = ["---"] * first + ["---:"] * (len(head) - first)
    lines = [head, marks, *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


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


def measured_rows(rows, rates):
    for row in rows:
        name = row["name"] + (f" ({row['path']})" if row["path"] == "materialised" else "")
        head = [name, row["part"], row["dtype"]]
        if "ms" not in row:
            yield head + ["WRONG, not timed", "", "", ""]
            continue
        floor = floor_ms(row, rates)
        yield head + [f"{row['ms']:.4f}", f"{row['flops'] / row['ms'] / 1e9:.1f}",
                      f"{floor:.4f}" if floor else "", percent(floor / row["ms"]) if floor else ""]


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


def kernels(data, results):
    lines = []
    for model, rows in data.get("models", {}).items():
        lines += [f"### {model}", ""]
        lines += table(["", "part", "type", "ms", "TFLOP/s", "floor ms", "of the floor"],
                       list(measured_rows(rows, ceilings(results))), 3)
    return lines


def step(data, results):
    rates = ceilings(results)
    rows = []
    for one in data.get("steps", []):
        best = rates.get("bf16" if one["precision"] == "BF16" else "f32")
        rows.append([one["model"], one["precision"], one["batch"], f"{one['ms']:.1f}", f"{one['sequences_per_second']:.1f}",
                     f"{one['flops_per_second'] / 1e12:.1f}", percent(one["flops_per_second"] / best) if best else ""])
    lines = table(["model", "precision", "batch", "ms a step", "sequences/s", "TFLOP/s", "of the measured product"], rows, 2)
    for one in data.get("steps", []):
        lines += [f"### Parts of {one['model']}, {one['precision']}, a batch of {one['batch']}", ""]
        lines += table(["", "calls", "GFLOP", "forward ms", "backward ms"],
                       [[p["name"], p["calls"], f"{p['flops'] / 1e9:.2f}", f"{p['forward_ms']:.3f}", f"{p['backward_ms']:.3f}"]
                        for p in one.get("parts", [])])
    return lines


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
            f"{data['apart']:.1e} of the CPU's.", ""]


SECTIONS = {"environment": ("Machine and ceilings", environment), "correctness": ("Is it right?", correctness),
            "sanitizers": ("Sanitizers", sanitizers), "repetition": ("The same bits again", repetition),
            "attention": ("Attention", kernels), "products": ("Matrix products", kernels), "step": ("Whole steps", step),
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
