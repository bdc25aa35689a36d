#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""funnel-shard build on several ranks, killed, out of space, and with bad inputs.

    shard_build_test.py FUNNEL_SHARD MPIRUN FULL_DISK.so [unittest arguments]

Oracles: the data folder that one rank makes in one go, byte for byte; and the words that an error must
have. Text is made here with a fixed seed.
"""

import gzip
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM, MPIRUN, FULL_DISK = sys.argv[1:4]
ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}
SHAPE = {"--seq-len": 32, "--shard-rows": 256, "--chunk-rows": 64}


def command(arguments, ranks=0):
    """The command line on so many ranks; 0: without a launcher."""
    launcher = [MPIRUN, "--oversubscribe", "-np", str(ranks)] if ranks else []
    return [*launcher, PROGRAM, *map(str, arguments)]


def run(arguments, ranks=0, **options):
    options = {"env": ENVIRONMENT, "capture_output": True, "text": True, "check": False, **options}
    return subprocess.run(command(arguments, ranks), **options)


def documents(count, seed):
    """Lists of sentences."""
    source = random.Random(seed)
    words = [f"{a}{b}{n}" for a in "bdfgk" for b in "aeiou" for n in range(8)]
    for _ in range(count):
        yield [" ".join(source.choices(words, k=source.randint(4, 14))) + "." for _ in range(source.randint(1, 9))]


def plain(texts):
    return "\n\n".join("\n".join(text) for text in texts) + "\n"


def json_lines(texts):
    return "".join(json.dumps({"url": "x", "text": "\n".join(text)}) + "\n" for text in texts)


def contents(folder):
    """Every file below a folder, with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def processes_of_session(session):
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state parent group session ...
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            yield int(path.parent.name)


def finished_units(output):
    try:
        return sum(name.startswith("unit-") for name in os.listdir(output / ".build"))
    except FileNotFoundError:  # not there yet, or not any more
        return 0


def finished_shards(output):
    """The shards whose units have records, and which file and time each is."""
    shards = {}
    for record in output.glob(".build/unit-*.textproto"):
        shard = output / record.name.replace("unit", "shard").replace("textproto", "h5")
        if shard.exists():
            shards[shard.name] = (shard.stat().st_ino, shard.stat().st_mtime_ns)
    return shards


class BuildTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="funnel-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.text = cls.folder / "text"
        (cls.text / "more").mkdir(parents=True)
        (cls.text / "a.txt").write_text(plain(documents(700, 1)))
        (cls.text / "b.txt").write_text(plain(documents(5, 2)))
        (cls.text / "c.txt.gz").write_bytes(gzip.compress(plain(documents(400, 3)).encode(), mtime=0))
        (cls.text / "d.jsonl").write_text(json_lines(documents(400, 4)))
        # Repeats what a.txt has.
        (cls.text / "more/e.jsonl").write_text(json_lines([*documents(150, 5), *documents(90, 1)]))
        subprocess.run(["zstd", "-q", "--rm", cls.text / "more/e.jsonl"], check=True)
        cls.vocabulary = cls.folder / "vocab.txt"
        made = run(["vocab", "--size", 400, "--output", cls.vocabulary, cls.text])
        assert made.returncode == 0, made.stderr

    def setUp(self):
        self.output = self.folder / self.id().split(".")[-1]

    def arguments(self, output, *more, text=None):
        inputs = [self.text] if text is None else text
        shape = [item for option in SHAPE.items() if option[0] not in more for item in option]
        return ["build", "--vocab", self.vocabulary, "--output", output, *shape, *more, *inputs]

    def expect_same(self, left, right):
        left, right = contents(left), contents(right)
        self.assertEqual(sorted(left), sorted(right))
        for name, content in left.items():
            self.assertTrue(content == right[name], f"{name} differs")

    def expect_untouched(self, output, shards):
        """The files that finished_shards() told."""
        for name, identity in shards.items():
            status = (output / name).stat()
            self.assertEqual((status.st_ino, status.st_mtime_ns), identity, name)

    def expect_works(self, arguments, ranks=0, **options):
        result = run(arguments, ranks, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result

    def expect_fails(self, arguments, words, ranks=0, exit_code=2, **options):
        result = run(arguments, ranks, **options)
        self.assertEqual(result.returncode, exit_code, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        return result


class RankTest(BuildTest):
    def test_bits_do_not_depend_on_ranks(self):
        options = ["--held-out", "0.1", "--seed", "3", "--deduplicate"]
        alone = self.output / "alone"
        result = self.expect_works(self.arguments(alone, *options))
        self.assertIn("duplicates dropped: 90\n", result.stdout)
        self.assertRegex(result.stderr, r"build: [\d.]+ of [\d.]+ MB read \(100 %\), [\d.]+ MB/s of text")
        self.assertGreater(len(list(alone.glob("*.h5"))), 10)
        for ranks in (1, 2, 3, 4):
            many = self.output / str(ranks)
            self.expect_works(self.arguments(many, *options), ranks)
            self.expect_same(many, alone)
        self.expect_works(["verify", alone])

    def test_bits_do_not_depend_on_the_file_system(self):
        first, second = self.output / "1", self.output / "2"
        self.expect_works(self.arguments(first, "--passes", 2))
        # The same files, made in another order, in other folders' entries.
        copy = self.output / "text"
        for path in sorted(self.text.rglob("*"), reverse=True):
            if path.is_file():
                target = copy / path.relative_to(self.text)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        self.expect_works(self.arguments(second, "--passes", 2, text=[copy]), 2)
        self.expect_same(first, second)

    def test_standard_input(self):
        content = (self.text / "c.txt.gz").read_bytes()
        results = []
        for ranks, given in ((0, content), (3, gzip.decompress(content))):
            output = self.output / str(ranks)
            line = command(self.arguments(output, text=["-"]), ranks)
            subprocess.run(line, env=ENVIRONMENT, input=given, capture_output=True, check=True)
            results.append(output)
        self.expect_same(*results)


class RestartTest(BuildTest):
    def kill_after(self, output, units, ranks, stdin=None):
        """Kills all processes once so many units are finished. False if the build came to its end."""
        with subprocess.Popen(
            command(self.arguments(output, "--held-out", "0.1"), ranks),
            env=ENVIRONMENT,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            while process.poll() is None and finished_units(output) < units:
                pass
            ended = process.poll() is not None
            # The ranks lie in process groups of their own.
            for pid in {process.pid, *processes_of_session(process.pid)}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not ended

    def test_killed_builds_go_on(self):
        expected = self.output / "expected"
        self.expect_works(self.arguments(expected, "--held-out", "0.1"))
        source = random.Random(1)
        for ranks in (1, 2):
            output = self.output / str(ranks)
            finished = {}
            kills = units = 0
            while True:
                units += source.randint(1, 4)
                if not self.kill_after(output, units, ranks):
                    break
                kills += 1
                if not (output / ".build/plan.textproto").exists():
                    # All was done but to tidy up, which nobody goes on with.
                    shutil.rmtree(output / ".build", ignore_errors=True)
                    break
                # A finished shard is written once, whatever happens.
                after = finished_shards(output)
                self.assertEqual(finished, {name: after.get(name) for name in finished})
                finished = after
            self.assertGreaterEqual(kills, 2)
            if (output / ".build").exists():
                self.expect_works(self.arguments(output, "--held-out", "0.1"), ranks)
            self.expect_same(output, expected)

    def test_a_build_without_its_report_goes_on(self):
        output = self.output / "data"
        (output / "report.txt").mkdir(parents=True)
        self.expect_fails(self.arguments(output), ["report.txt"], exit_code=1)
        self.assertTrue((output / "index.textproto").exists())
        finished = finished_shards(output)
        self.assertGreater(len(finished), 2)
        self.expect_fails([*self.arguments(output), "--seed", "9"], ["plan.textproto", "seed: 9", "--start-over"])
        self.assertTrue((output / "index.textproto").exists())
        (output / "report.txt").rmdir()
        self.expect_works(self.arguments(output), 2)
        self.expect_untouched(output, finished)
        expected = self.output / "expected"
        self.expect_works(self.arguments(expected))
        self.expect_same(output, expected)
        self.expect_fails(self.arguments(output), ["already holds"])

    def test_another_plan_is_an_error(self):
        self.assertTrue(self.kill_after(self.output, 2, 1))
        plan = [*self.arguments(self.output, "--held-out", "0.1")]
        self.expect_fails([*plan, "--seed", "9"], ["plan.textproto", "seed: 9", "seed: 0", "--start-over"])
        self.expect_works([*plan, "--seed", "9", "--start-over"])
        self.expect_fails(plan, ["already holds"])

    def test_half_written_files_go(self):
        self.assertTrue(self.kill_after(self.output, 1, 1))
        (self.output / ".tmp-shard-00003.h5-123").write_bytes(b"half")
        # A shard whose record was never written, and one that lost its end.
        (self.output / "shard-00005.h5").write_bytes(b"half")
        os.truncate(self.output / "shard-00000.h5", 100)
        self.expect_works(self.arguments(self.output, "--held-out", "0.1"))
        expected = self.output.with_name("expected-2")
        self.expect_works(self.arguments(expected, "--held-out", "0.1"))
        self.expect_same(self.output, expected)

    def test_strange_shards_are_not_overwritten(self):
        self.output.mkdir()
        (self.output / "shard-00000.h5").write_bytes(b"precious")
        self.expect_fails(self.arguments(self.output), ["shard-00000.h5", "no known build"])


class DiskTest(BuildTest):
    def test_full_disk(self):
        expected = self.output / "expected"
        self.expect_works(self.arguments(expected))
        full = {**ENVIRONMENT, "LD_PRELOAD": FULL_DISK, "ASAN_OPTIONS": "verify_asan_link_order=0"}
        output = self.output / "full"
        finished = {}
        # Every time there is room for a little more.
        for bytes_free in (0, 70_000, 100_000):
            environment = {**full, "FULL_DISK_BYTES": str(bytes_free)}
            result = self.expect_fails(
                self.arguments(output), ["cannot write: No space left on device"], exit_code=1, env=environment
            )
            self.assertEqual(result.stderr.count("No space left"), 1)
            self.assertFalse(list(output.rglob(".tmp-*")))
            self.assertFalse((output / "index.textproto").exists())
            after = finished_shards(output)
            self.assertEqual(finished, {name: after.get(name) for name in finished})
            finished = after
        self.assertGreater(len(finished), 2)
        self.expect_works(self.arguments(output), 2)
        self.expect_untouched(output, finished)
        self.expect_same(output, expected)

    def test_really_full_disk(self):
        """A file system of this size, mounted where only this test sees it; needs that right."""
        if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
            self.skipTest("no right to mount; test_full_disk asks the same of a disk that only seems full")
        expected = self.output / "expected"
        self.expect_works(self.arguments(expected))
        disk, kept = self.output / "disk", self.output / "kept"
        disk.mkdir()
        kept.mkdir()
        size = sum(path.stat().st_size for path in expected.rglob("*.h5")) // 2
        script = f"""
            mount -t tmpfs -o size={size} tmpfs {disk} || exit 99
            "$@"
            code=$?
            cp -a {disk}/. {kept}
            mount -o remount,size={4 * size + 2**20} {disk} || exit 99
            "$@" >&2 || exit 98
            cp -a {disk}/data {self.output}/finished
            exit $code"""
        line = command(self.arguments(disk / "data"))
        result = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script, "sh", *line],
            env=ENVIRONMENT, capture_output=True, text=True, check=False,
        )
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stderr.count("cannot write: No space left on device"), 1)
        self.assertFalse(list(kept.rglob(".tmp-*")))
        self.assertFalse((kept / "data/index.textproto").exists())
        finished = finished_shards(kept / "data")
        self.assertGreater(len(finished), 2)
        for name, (_, time) in finished.items():
            self.assertEqual((self.output / "finished" / name).stat().st_mtime_ns, time)
        self.expect_same(self.output / "finished", expected)


class BadInputTest(BuildTest):
    def expect_bad(self, name, content, words, *options, ranks=0):
        shutil.rmtree(self.output, ignore_errors=True)
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.expect_fails(self.arguments(self.output, *options, text=[path]), words, ranks)

    def test_streams(self):
        packed = gzip.compress(plain(documents(50, 6)).encode())
        self.expect_bad("cut.txt.gz", packed[: len(packed) // 2], ["cut.txt.gz", "truncated gzip"])
        damaged = bytearray(packed)
        damaged[len(damaged) // 2] ^= 255
        self.expect_bad("damaged.gz", bytes(damaged), ["damaged.gz", "damaged gzip"])
        packed = (self.text / "more/e.jsonl.zst").read_bytes()
        self.expect_bad("cut.jsonl.zst", packed[:-9], ["cut.jsonl.zst", "truncated zstd"])

    def test_json(self):
        lines = json_lines(documents(500, 7)).splitlines()
        lines[410] = '{"text": "open'
        # Deep in a file that several ranks read, the line's number still counts from its beginning.
        for ranks in (0, 3):
            self.expect_bad("bad.jsonl", "\n".join(lines), ["bad.jsonl:411: invalid JSON"], ranks=ranks)
        lines[420] = '{"body": "x"}'
        path = self.folder / "bad.jsonl"
        path.write_text("\n".join(lines))
        shutil.rmtree(self.output)
        result = self.expect_works(self.arguments(self.output, "--skip-bad", text=[path]), 2)
        self.assertIn("bad lines skipped: 2, first", result.stdout)
        self.assertIn("bad.jsonl:411: invalid JSON", result.stdout)

    def test_fields(self):
        lines = json_lines(documents(100, 8)).replace('"text"', '"body"')
        self.expect_bad("f.jsonl", lines, ["f.jsonl:1: expected a field 'text'"])
        path = self.folder / "f.jsonl"
        self.expect_works(self.arguments(self.output, "--text-field", "body", text=[path]))

    def test_not_utf8(self):
        text = plain(documents(700, 1)).encode()
        border = text.index(b"\n", len(text) * 3 // 4) + 1
        line = text[:border].count(b"\n") + 1
        content = text[:border] + b"not \xff\xfe fine\n" + text[border:]
        for ranks in (0, 2):
            self.expect_bad("bytes.txt", content, [f"bytes.txt:{line}: ", "UTF-8"], ranks=ranks)

    def test_nothing_to_read(self):
        self.expect_bad("empty.txt", "", ["empty.txt: empty", "nothing but empty files"])
        self.expect_bad("blank.txt", "\n \n\n", ["too short"])
        empty = self.folder / "no-text"
        empty.mkdir()
        self.expect_fails(self.arguments(self.output, text=[empty]), ["no-text", "*.jsonl", "found none"])
        self.expect_fails(self.arguments(self.output, text=[self.folder / "x-*"]), ["x-*", "no file matches"])
        result = self.expect_works(self.arguments(self.output, text=[self.text, self.folder / "empty.txt"]))
        self.assertIn("empty.txt: empty", result.stderr)

    def test_options(self):
        for option, value in (("--shard-rows", 0), ("--chunk-rows", 0), ("--passes", 0), ("--held-out", 1)):
            self.expect_fails(self.arguments(self.output, option, value), [option, f"found {value}"])
        arguments = self.arguments(self.output, "--deduplicate", text=["-"])
        self.expect_fails(arguments, ["standard input", "--deduplicate"], input="some text\n")

    def test_unwritable_output(self):
        (self.folder / "file").write_text("x")
        for ranks in (0, 2):
            self.expect_fails(self.arguments(self.folder / "file/data"), ["file/data", "cannot make"], ranks)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
