# SPDX-License-Identifier: Apache-2.0
"""Plants violations and asks that each check names them, and that clean files pass."""

import unittest

import check_docs
import check_files
import check_layering

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


class Layering(unittest.TestCase):
    def problems(self, path, include, others=()):
        files = {path: f"#include {include}\n", **{other: "" for other in others}}
        return list(check_layering.check(files))

    def test_allowed(self):
        for path, include in [
            ("core/backend/arena.h", '"core/base/error.h"'),
            ("core/layers/linear.cc", '"core/backend/context.h"'),
            ("core/base/log.cc", "<spdlog/spdlog.h>"),
            ("core/base/random.h", "<Random123/philox.h>"),
            ("launch/config.cc", '"configs/schema.pb.h"'),
            ("launch/config_text.cc", '"launch/config_text.h"'),
            ("launch/pretrain.cc", "<CLI/CLI.hpp>"),
            ("data/h5.cc", "<hdf5.h>"),
            ("tests/ops/any_test.cc", "<gtest/gtest.h>"),
            ("core/ops/any.cc", "<vector>"),
        ]:
            named = include.strip('"') if include.startswith('"') else path
            self.assertEqual(self.problems(path, include, [named]), [], (path, include))

    def test_forbidden_arrows(self):
        for path, header in [
            ("core/base/error.h", "core/backend/buffer.h"),
            ("core/ops/softmax.cc", "core/layers/linear.h"),
            ("core/layers/linear.cc", "core/backend/matmul.h"),
            ("core/layers/linear.cc", "core/backend/launch.h"),
            ("core/optim/adamw.cc", "core/layers/linear.h"),
            ("parallel/world.cc", "core/ops/reduce.h"),
            ("data/shard.cc", "core/backend/arena.h"),
            ("core/model/electra.cc", "parallel/comm.h"),
            ("launch/trainer.cc", "tests/support/random.h"),
            ("launch/trainer.cc", "launch/config_text.h"),
            ("data/shard.cc", "data/h5_handle.h"),
            ("elsewhere/new.cc", "core/base/error.h"),
        ]:
            self.assertEqual(len(self.problems(path, f'"{header}"', [header])), 1, (path, header))

    def test_leaking_libraries(self):
        for path, include in [
            ("core/ops/softmax.cc", "<mpi.h>"),
            ("data/shard.cc", "<hdf5.h>"),
            ("core/base/log.h", "<spdlog/spdlog.h>"),
            ("core/ops/dropout.cc", "<Random123/philox.h>"),
            ("core/backend/matmul.h", "<dnnl.hpp>"),
            ("launch/config.h", "<google/protobuf/message.h>"),
            ("launch/trainer.cc", "<google/protobuf/text_format.h>"),
            ("launch/pretrain.h", "<CLI/CLI.hpp>"),
            ("data/vocabulary.cc", "<nlohmann/json.hpp>"),
            ("core/ops/softmax.cc", "<gtest/gtest.h>"),
            ("core/ops/softmax.cc", "<boost/any.hpp>"),
        ]:
            self.assertEqual(len(self.problems(path, include)), 1, (path, include))

    def test_include_by_bare_name(self):
        self.assertTrue(self.problems("core/base/shape.h", '"error.h"'))


class Files(unittest.TestCase):
    def problems(self, path, text):
        return list(check_files.check({path: text}))

    def test_clean(self):
        self.assertEqual(self.problems("core/base/error.h", LICENCE + "int x;\n"), [])

    def test_planted(self):
        for path, text in [
            ("core/a.h", "int x;\n"),
            ("core/a.h", LICENCE + "int x; \n"),
            ("core/a.h", LICENCE + "int x;"),
            ("core/a.h", LICENCE + "// TO" + "DO: finish\n"),
            ("core/a.h", LICENCE + "\tint x;\n"),
            ("core/a.h", LICENCE + "int x;\n" * 400),
            ("core/string_util.h", LICENCE),
            ("core/misc/a.h", LICENCE),
            ("tests/a_test.cc", LICENCE + "GTEST_" + "SKIP();\n"),
        ]:
            self.assertEqual(len(self.problems(path, text)), 1, (path, text[:80]))


class Docs(unittest.TestCase):
    tree = {
        "core/base/error.h": "",
        "tools/test.sh": "",
        "launch/CMakeLists.txt": "add_executable(funnel-pretrain pretrain.cc)\n",
        "docs/other.md": "# A Heading\n",
    }

    def problems(self, text):
        return list(check_docs.check({**self.tree, "docs/page.md": text}))

    def test_clean(self):
        self.assertEqual(
            self.problems(
                "[a](other.md#a-heading) [b](../tools/test.sh) [c](https://example.org/x) `core/base/*.h`"
                " `core/base/{error}.h` `funnel-pretrain`\n```\ntools/test.sh\n```\n"
            ),
            [],
        )

    def test_planted(self):
        for text in [
            "[a](missing.md)",
            "[a](other.md#no-heading)",
            "`core/base/missing.h`",
            "`core/ops/*.h`",
            "`funnel-missing`",
            "```\ntools/missing.sh --flag\n```\n",
        ]:
            self.assertEqual(len(self.problems(text)), 1, text)


if __name__ == "__main__":
    unittest.main()
