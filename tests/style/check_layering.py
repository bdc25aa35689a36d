# SPDX-License-Identifier: Apache-2.0
"""Reads the #include lines and holds them to two tables: which room may include which, and where
each third-party library may appear. A header that no table names needs a decision record first."""

import re

import project_files

BACKEND_FRONT = ("core/backend/buffer.h", "core/backend/arena.h", "core/backend/context.h")

# Room: what its files may include besides their own room. The longest match decides.
ROOMS = {
    "core/base/": (),
    "core/backend/": ("core/base/",),
    "core/ops/": ("core/backend/", "core/base/"),
    "core/layers/": ("core/ops/", "core/base/", *BACKEND_FRONT),
    "core/model/": ("core/layers/", "core/ops/", "core/base/", *BACKEND_FRONT),
    "core/optim/": ("core/layers/params.h", "core/ops/", "core/base/", *BACKEND_FRONT),
    "parallel/": ("core/base/", "core/backend/device.h", *BACKEND_FRONT),
    "data/": ("core/backend/buffer.h", "core/base/"),
    "configs/": (),
    "launch/": ("parallel/", "data/", "core/", "configs/"),
    "tools/": ("launch/", "parallel/", "data/", "core/", "configs/"),
    "tests/": ("",),
}

# Library: the headers it is known by, and the paths (prefix, suffix) that may include them.
THIRD_PARTY = {
    "CUDA": (r"cuda|cublas", [("core/backend/cuda/", ""), ("core/ops/", ".cu"), ("core/ops/", ".cuh")]),
    "NCCL": (r"nccl", [("parallel/nccl_comm", ".cc")]),
    "MPI": (
        r"mpi\.h$",
        [("parallel/world.cc", ""), ("parallel/mpi_comm.cc", ""), ("parallel/mpi_tally.cc", "")],
    ),
    "HDF5": (r"hdf5", [("data/h5", "")]),
    "protobuf": (
        r"google/protobuf/|configs/.*\.pb\.h$",
        [("launch/config.cc", ""), ("launch/config_", ""), ("tools/", ".cc")],
    ),
    "spdlog": (r"spdlog/|fmt/", [("core/base/log.cc", "")]),
    "oneDNN": (r"dnnl|oneapi/dnnl", [("core/backend/cpu/", ".cc")]),
    "OpenMP": (r"omp\.h$", [("core/backend/cpu/", ".cc")]),
    "Random123": (r"Random123/", [("core/base/random.h", "")]),
    "utf8proc": (r"utf8proc", [("data/tokenizer", ".cc")]),
    "libcrypto": (r"openssl/", [("data/digest.cc", "")]),
    "CLI11": (r"CLI/", [("launch/", ".cc"), ("tools/", ".cc")]),
    "zlib": (r"zlib\.h$", [("data/decompress.cc", "")]),
    "zstd": (r"zstd\.h$", [("data/decompress.cc", "")]),
    "simdjson": (r"simdjson\.h$", [("data/json_lines.cc", "")]),
    "nlohmann-json": (r"nlohmann/", [("launch/", ".cc"), ("tools/", ".cc")]),
    "GoogleTest": (r"gtest/|gmock/", []),
}
# Headers that show a library to its neighbours, and the only paths that may include them.
PRIVATE = {"launch/config_": "launch/config", "data/h5_handle.h": "data/h5"}
PLATFORM = re.compile(
    r"[a-z_0-9]+$|(assert|dlfcn|errno|fcntl|glob|immintrin|math|poll|pthread|sched|signal|stdint|stdio|stdlib"
    r"|string|time|unistd|cpuid|cxxabi)\.h$|sys/\w+\.h$"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def check_room(path, header):
    room = max((r for r in ROOMS if path.startswith(r)), key=len, default=None)
    if room is None:
        yield f"{path}: lies in no room, found {path.split('/')[0]}"
    elif not header.startswith((room, *ROOMS[room])):
        yield f"{path}: {room} may not include {header}"
    for header_prefix, owner in PRIVATE.items():
        if header.startswith(header_prefix) and not path.startswith((owner, "tests/")):
            yield f"{path}: only {owner}* may include {header}"


def check_library(path, header):
    for library, (pattern, places) in THIRD_PARTY.items():
        if re.match(pattern, header):
            allowed = any(path.startswith(p) and path.endswith(s) for p, s in places)
            if not allowed and not path.startswith("tests/"):
                yield f"{path}: {library} may not appear here (includes {header})"
            return
    if not PLATFORM.match(header):
        yield f"{path}: {header} belongs to no library of the table"


def check(files):
    for path, text in files.items():
        if not path.endswith((".h", ".cc", ".cu", ".cuh")):
            continue
        for mark, header in INCLUDE.findall(text):
            generated = header.endswith(".pb.h")
            if mark == "<" or generated:
                yield from check_library(path, header)
            if mark == '"':
                yield from check_room(path, header)
                if header not in files and not generated:
                    yield f"{path}: {header} is no file of the project (include by path from the root)"


if __name__ == "__main__":
    project_files.report(check, project_files.read_all(project_files.root_argument()))
