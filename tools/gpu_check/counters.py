# SPDX-License-Identifier: Apache-2.0
"""What Nsight Compute counts in the slowest of our kernels: which of their limits is the real one.
The first run of a program finds them, one more for each counts."""

import csv
import re

OURS = ("--kernel-name-base", "demangled", "--kernel-name", "regex:funnel::")
TIME = "gpu__time_duration.sum"
LAUNCHES = 2000  # that are timed at the most; then the program is ended

# By column of the page: names of the metric in the order of preference; not every chip has each.
WANTED = {
    "tensor pipe": ("sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active",
                    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active"),
    "issue": ("sm__inst_issued.avg.pct_of_peak_sustained_active", "sm__issue_active.avg.pct_of_peak_sustained_active"),
    "shared memory": ("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum.pct_of_peak_sustained_elapsed",
                      "l1tex__data_pipe_lsu_wavefronts.avg.pct_of_peak_sustained_elapsed"),
    "L2": ("lts__t_sectors.avg.pct_of_peak_sustained_elapsed", "lts__throughput.avg.pct_of_peak_sustained_elapsed"),
    "memory": ("dram__throughput.avg.pct_of_peak_sustained_elapsed",
               "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"),
}


def metrics_of(listing):
    """From what --query-metrics says: {column: the metric that stands for it here}."""
    known = set(re.findall(r"^(\w+__\w+)", listing, re.MULTILINE))
    found = {column: next((name for name in names if name.split(".")[0] in known), None) for column, names in WANTED.items()}
    return {column: name for column, name in found.items() if name}


def launches_of(text):
    """From --csv's lines, among which the tool has others: {launch: {"kernel": …, metric: number}}."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    found = {}
    for row in csv.DictReader(line for line in lines[begin:] if line.startswith('"')):
        try:
            value = float(row["Metric Value"].replace(",", ""))
        except ValueError:  # n/a
            continue
        launch = found.setdefault(int(row["ID"]), {"kernel": row["Kernel Name"]})
        launch[row["Metric Name"]] = value
    return found


def slowest(launches, count):
    """The longest launch of each of the `count` kernels whose launches are longest."""
    by_kernel = {}
    for number, launch in launches.items():
        best = by_kernel.get(launch["kernel"])
        if TIME in launch and (best is None or launch[TIME] > launches[best][TIME]):
            by_kernel[launch["kernel"]] = number
    return sorted(by_kernel.values(), key=lambda number: -launches[number][TIME])[:count]


def short_name(kernel):
    """void funnel::cuda::each_kernel<funnel::(anonymous namespace)::Add<float>>(long, T1) -> each_kernel<Add<float>>"""
    name = re.sub(r"\(anonymous namespace\)::|<unnamed>::|\b(funnel|cuda|ops)::|^void ", "", kernel)
    depth = 0
    for i, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            return name[:i]
    return name


class Profiler:
    """Runs one command under the tool, again and again."""

    def __init__(self, tool, stage, command):
        self.tool = tool
        self.stage = stage
        self.command = command

    def metrics(self):
        return metrics_of(self.stage.run(self.tool, "--query-metrics").stdout)

    def count(self, name, metrics, *which):
        """Gives launches and what the tool said, its words for a refusal among it."""
        file = self.stage.work / f"counters-{name}.csv"
        file.unlink(missing_ok=True)
        done = self.stage.run(self.tool, "--clock-control", "none", "--csv", "--print-units", "base", "--kill", "yes",
                              "--log-file", file, *OURS, "--metrics", ",".join(metrics), *which, *self.command)
        text = file.read_text(errors="replace") if file.exists() else ""
        return launches_of(text), done.stdout + text

    def slowest_kernels(self, count):
        """Gives [{"kernel", "ms", column: percent}, …] and, if it could not, why."""
        launches, said = self.count("times", [TIME], "--launch-count", LAUNCHES)
        if not launches:
            refused = re.search(r"ERR_\w+", said)
            return [], f"ncu gave no times{f': {refused[0]}' if refused else ''}"
        metrics = self.metrics()
        found = []
        for number in slowest(launches, count):
            counted, _ = self.count(f"launch-{number}", [TIME, *metrics.values()], "--launch-skip", number, "--launch-count", 1)
            kernel = launches[number]["kernel"]
            values = next((one for one in counted.values() if one["kernel"] == kernel), None)
            if values is None:
                return found, f"ncu did not find {short_name(kernel)} again"
            found.append({"kernel": short_name(kernel), "ms": values.get(TIME, launches[number][TIME]) / 1e6,
                          **{column: values.get(metric) for column, metric in metrics.items()}})
        return found, None
