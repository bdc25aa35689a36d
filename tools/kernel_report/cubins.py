# SPDX-License-Identifier: Apache-2.0
"""What the assembler made of our kernels, read from the objects that nvcc made: from their machine code
the registers, stack and static shared memory of every kernel on every architecture, from their PTX the
arrays that a kernel itself keeps on its stack."""

import dataclasses
import pathlib
import re
import struct
import subprocess

FAT_MAGIC = 0xBA55ED50
PTX, CUBIN = 1, 2  # kinds of entries of a fat binary
# What the system takes of a block's shared memory from sm_90 on, and counts as the kernel's.
RESERVED_SHARED = 1024
# Attributes of a kernel in a cubin's .nv.info sections: how they are kept, and which we want.
NO_VALUE, BYTE, HALF, SIZED = 1, 2, 3, 4
FRAME_SIZE, MIN_STACK_SIZE, REGISTERS = 0x11, 0x12, 0x2F


@dataclasses.dataclass(frozen=True)
class Resources:
    registers: int
    stack: int  # bytes a thread
    shared: int  # static bytes a block


@dataclasses.dataclass
class Kernel:
    threads: int = 1024  # at most in a block
    arrays: int = 0  # bytes of the stack that the source asks for: arrays that no register can hold
    on: dict = dataclasses.field(default_factory=dict)  # architecture (80, 90) → Resources

    def spilled(self):
        """Bytes of the stack that hold what did not fit into registers, on the worst architecture."""
        return max(max(0, one.stack - self.arrays) for one in self.on.values())


class Elf:
    """The sections and symbols of a 64-bit little-endian ELF file."""

    def __init__(self, data):
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("expected a 64-bit little-endian ELF file")
        self.data = data
        offset, = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
        strings = headers[names]
        self.sections = {self.text(strings, one[0]): one for one in headers}
        self.headers = headers

    def text(self, table, at):
        begin = table[4] + at
        return self.data[begin:self.data.index(b"\0", begin)].decode()

    def bytes_of(self, header):
        return self.data[header[4]:header[4] + header[5]]

    def symbols(self):
        table = self.sections[".symtab"]
        strings = self.headers[table[6]]
        content = self.bytes_of(table)
        return [self.text(strings, struct.unpack_from("<I", content, at)[0])
                for at in range(0, len(content), 24)]


def fat_entries(section):
    """(kind, architecture, bytes) of every entry of a .nv_fatbin section."""
    at = 0
    while at + 16 <= len(section):
        magic, _, header, size = struct.unpack_from("<IHHQ", section, at)
        if magic != FAT_MAGIC:
            at += 8
            continue
        entry, end = at + header, at + header + size
        while entry < end:
            kind, _, entry_header, entry_size = struct.unpack_from("<HHIQ", section, entry)
            architecture, = struct.unpack_from("<I", section, entry + 28)
            payload = entry + entry_header
            yield kind, architecture, section[payload:payload + entry_size]
            entry = payload + entry_size
        at = end


def attributes(info):
    """(attribute, bytes) of a .nv.info section."""
    at = 0
    while at + 4 <= len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == SIZED:
            yield attribute, info[at:at + size]
            at += size
        elif form not in (NO_VALUE, BYTE, HALF):
            raise ValueError(f"unknown form {form} in .nv.info")


def resources_of_cubin(data, architecture):
    """Kernel name → Resources."""
    elf = Elf(data)
    names = elf.symbols()
    numbers = {REGISTERS: {}, FRAME_SIZE: {}, MIN_STACK_SIZE: {}}
    for attribute, value in attributes(elf.bytes_of(elf.sections[".nv.info"])):
        if attribute in numbers and len(value) == 8:
            symbol, number = struct.unpack("<II", value)
            numbers[attribute][names[symbol]] = number
    found = {}
    for name in elf.sections:
        if not name.startswith(".text."):
            continue
        kernel = name.removeprefix(".text.")
        section = elf.sections.get(f".nv.shared.{kernel}")
        shared = 0 if section is None else section[5]
        if architecture >= 90:
            shared = max(0, shared - RESERVED_SHARED)
        found[kernel] = Resources(
            registers=numbers[REGISTERS][kernel],
            stack=max(numbers[FRAME_SIZE].get(kernel, 0), numbers[MIN_STACK_SIZE].get(kernel, 0)),
            shared=shared)
    return found


def stacks_of_ptx(text):
    """Kernel name → (threads of a block at most, bytes of arrays on its stack)."""
    found = {}
    for entry in re.finditer(r"\.entry (\w+)\(", text):
        body = text[entry.end():text.index("\n}\n", entry.end())]
        threads = re.search(r"\.maxntid (\d+)", body)
        arrays = re.findall(r"\.local \.align \d+ \.b8 \w+\[(\d+)\]", body)
        found[entry[1]] = (int(threads[1]) if threads else 1024, sum(map(int, arrays)))
    return found


def kernels(objects):
    """Mangled kernel name → Kernel, of objects that nvcc made; those without device code add nothing."""
    found = {}
    for path in objects:
        fat = Elf(pathlib.Path(path).read_bytes())
        section = fat.sections.get(".nv_fatbin")
        if section is None:
            continue
        for kind, architecture, content in fat_entries(fat.bytes_of(section)):
            if kind == PTX:
                for name, stack in stacks_of_ptx(content.rstrip(b"\0").decode()).items():
                    kernel = found.setdefault(name, Kernel())
                    kernel.threads, kernel.arrays = stack
            elif kind == CUBIN:
                for name, of_kernel in resources_of_cubin(content, architecture).items():
                    found.setdefault(name, Kernel()).on[architecture] = of_kernel
    return found


def short_names(mangled):
    """Mangled → short name: no namespaces of ours, no arguments. A name that would stand for two
    kernels ends in #2 and so on."""
    mangled = sorted(mangled)
    text = subprocess.run(["c++filt"], input="\n".join(mangled), text=True, check=True,
                          capture_output=True).stdout.splitlines()
    names, taken = {}, {}
    for symbol, name in zip(mangled, text):
        name = name.replace("(anonymous namespace)::", "").removeprefix("void ")
        name = re.sub(r"\bfunnel::(cuda::)?", "", name)
        depth, end = 0, len(name)
        for at, letter in enumerate(name):
            depth += {"<": 1, ">": -1}.get(letter, 0)
            if letter == "(" and depth == 0:
                end = at
                break
        name = re.sub(r" +>", ">", name[:end]).replace("__nv_bfloat16", "bf16")
        taken[name] = taken.get(name, 0) + 1
        names[symbol] = name if taken[name] == 1 else f"{name} #{taken[name]}"
    return names
