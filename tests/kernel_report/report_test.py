# SPDX-License-Identifier: Apache-2.0
"""The rules of tools/kernel_report. Oracles: what ptxas itself reports of the PTX in one of our objects;
occupancies worked by hand; and planted pages, each of which must be found wrong in one way."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOOL, PTXAS, *OBJECTS = sys.argv[1:]
sys.path.insert(0, TOOL)
import cubins  # noqa: E402
import kernel_report  # noqa: E402
import tables  # noqa: E402


def kernel(registers=32, stack=0, shared=0, threads=256, arrays=0):
    of = cubins.Resources(registers=registers, stack=stack, shared=shared)
    return cubins.Kernel(threads=threads, arrays=arrays, on={80: of, 90: of})


def statistics(**counts):
    return kernel_report.Statistics(**{"calls": 1, "threads": 256, "shared": 0,
                                       **dict.fromkeys(kernel_report.COUNTS, 0), **counts})


class Objects(unittest.TestCase):
    def test_agree_with_the_assembler(self):
        """Of the smallest object that keeps something in shared memory."""
        path = min((one for one in OBJECTS if "reduce" in one), key=os.path.getsize)
        found = cubins.kernels([path])
        section = cubins.Elf(pathlib.Path(path).read_bytes())
        fat = section.bytes_of(section.sections[".nv_fatbin"])
        ptx = next(content for kind, _, content in cubins.fat_entries(fat) if kind == cubins.PTX)
        with tempfile.NamedTemporaryFile(suffix=".ptx") as file:
            file.write(ptx.rstrip(b"\0"))
            file.flush()
            said = subprocess.run([PTXAS, "-v", "-arch=sm_80", file.name, "-o", os.devnull], check=True,
                                  capture_output=True, text=True).stderr
        reports = re.findall(r"Function properties for (\w+)\s+(\d+) bytes stack frame.*?\n"
                             r".*?Used (\d+) registers(?:.* (\d+) bytes smem)?", said)
        self.assertEqual({name for name, *_ in reports}, set(found))
        for name, *numbers in reports:
            one = found[name].on[80]
            self.assertEqual([one.stack, one.registers, one.shared], [int(n or 0) for n in numbers], name)
        self.assertTrue(any(one.on[80].shared for one in found.values()))

    def test_every_kernel_is_there_for_both_architectures(self):
        for name, one in cubins.kernels(OBJECTS).items():
            self.assertEqual(sorted(one.on), [80, 90], name)


class Names(unittest.TestCase):
    def test_are_short_and_differ(self):
        mangled = ["_ZN6funnel4cuda11each_kernelINS_12_GLOBAL__N_13AddIfEEEEvlT_", "plain_kernel"]
        self.assertEqual(sorted(cubins.short_names(mangled).values()),
                         ["each_kernel<Add<float>>", "plain_kernel"])


class Occupancy(unittest.TestCase):
    def test_worked_by_hand(self):
        for one, shared, a100, h100 in (
            (kernel(registers=32), 0, 1.0, 1.0),
            (kernel(registers=40), 0, 0.75, 0.75),  # 1280 a warp: 12 warps a quarter, 6 blocks
            (kernel(registers=255), 0, 0.125, 0.125),
            (kernel(registers=32), 98 * 1024, 0.125, 0.25),  # one block of 8 warps, or two
            (kernel(registers=16, threads=32), 0, 0.5, 0.5),  # 32 blocks at most
        ):
            found = [tables.occupancy(one, architecture, shared) for architecture in (80, 90)]
            self.assertEqual(found, [a100, h100], one)

    def test_roofline(self):
        self.assertEqual(tables.roofline(statistics(bytes=3.35e9, flops=1)), (1e-3, "bytes"))
        self.assertEqual(tables.roofline(statistics(bytes=1, flops=67e9)), (1e-3, "f32"))
        self.assertEqual(tables.roofline(statistics(bytes=1, tensor_flops=989e9)), (1e-3, "bf16 tensor"))


class Rules(unittest.TestCase):
    NAMES = {"a": "each_kernel<A<float>>", "b": "each_kernel<B<float>>"}
    MEASURED = {"a": statistics(bytes=3200, sectors=110, fewest_sectors=100, passes=30, fewest_passes=20)}

    def page(self, kernels, measured):
        return tables.page(kernels, self.NAMES, kernel_report.measured_rows(measured, self.NAMES), measured,
                           ["a.b=1"], 2)

    def problems(self, kernels, measured, page=None):
        both = {"a": kernel(), "b": kernel()}
        page = page or self.page(both, self.MEASURED)
        return list(kernel_report.problems(page, kernels, self.NAMES, measured))

    def test_a_page_agrees_with_its_own_build(self):
        self.assertEqual(self.problems({"a": kernel(), "b": kernel()}, self.MEASURED), [])

    def test_spills(self):
        found = self.problems({"a": kernel(stack=24), "b": kernel(stack=16, arrays=16)}, self.MEASURED)
        self.assertEqual(found, ["each_kernel<A<float>> spills 24 bytes of registers"])

    def test_kernels_that_come_and_go(self):
        page = self.page({"a": kernel()}, self.MEASURED)
        both = {"a": kernel(), "b": kernel()}
        self.assertEqual(self.problems(both, self.MEASURED, page),
                         [f"each_kernel<B<float>> is missing from {kernel_report.PAGE.name}"])
        self.NAMES = {"a": self.NAMES["a"]}
        gone = self.page({"a": kernel()}, self.MEASURED).replace(
            "| `each_kernel<A<float>>` | 32", "| `each_kernel<Gone>` | 32 | 32 | 0 | 0 | 256 | 1 | 1 |\n"
            "| `each_kernel<A<float>>` | 32")
        found = self.problems({"a": kernel()}, self.MEASURED, gone)
        self.assertEqual(found, [f"each_kernel<Gone> is listed in {kernel_report.PAGE.name}, but does not exist"])

    def test_worse_accesses(self):
        both = {"a": kernel(), "b": kernel()}
        for worse, what in ((dict(sectors=150), ["sectors per", "sectors / fewest"]),
                            (dict(passes=40), ["bank passes / fewest"])):
            found = self.problems(both, {"a": self.MEASURED["a"]._replace(**worse)})
            self.assertEqual(len(found), len(what), found)
            for line, part in zip(found, what):
                self.assertIn(f"each_kernel<A<float>>: {part}", line)
        slightly = {"a": self.MEASURED["a"]._replace(sectors=111)}
        self.assertEqual(self.problems(both, slightly), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
