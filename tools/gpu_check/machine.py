# SPDX-License-Identifier: Apache-2.0
"""What this machine has, and what its programs say."""

import glob
import os
import shutil
import sys

from runner import Failed


def last_line(text):
    lines = [line for line in (text or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"


def find_tool(name):
    """On the PATH, in the toolkit or where Nsight Compute is installed by itself."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    places = [f"{home}/bin/{name}", f"{home}/compute-sanitizer/{name}", *sorted(glob.glob(f"/opt/nvidia/nsight-compute/*/{name}"))]
    return shutil.which(name) or next((path for path in places if os.access(path, os.X_OK)), None)


def environment_of(stage):
    """What a reader needs to know of the machine; nothing that names it."""
    found = {"processors": os.cpu_count()}
    commands = {
        "GPU as found": ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem,power.limit,"
                         "temperature.gpu,mig.mode.current", "--format=csv"],
        "ncu": [find_tool("ncu") or "ncu", "--version"],
        "nvcc": [find_tool("nvcc") or "nvcc", "--version"],
        "compute-sanitizer": [find_tool("compute-sanitizer") or "compute-sanitizer", "--version"],
        **{name: [sys.executable, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]
           for name in ("torch", "transformers")},
    }
    for name, command in commands.items():
        try:
            done = stage.run(*command, seconds=30)
        except Failed:
            found[name] = "not installed"
            continue
        found[name] = last_line(done.stdout) if done.returncode == 0 else "not installed"
    return found
