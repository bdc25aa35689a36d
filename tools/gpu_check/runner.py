# SPDX-License-Identifier: Apache-2.0
"""Runs stages one after the other within a budget, and keeps what they found in a file, so that a
later call may add stages to it. A stage is a function of a Stage, which runs its commands."""

import json
import os
import pathlib
import signal
import subprocess
import time


class OutOfTime(Exception):
    """The stage's time, or that of the whole check, is up."""


class Failed(Exception):
    """What a stage needs went wrong; its message is for the page."""


def end_with_children(process):
    """What a tool has started would go on with the device; gives what they wrote."""
    os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


class Stage:
    """A stage at work: commands, findings, failures."""

    def __init__(self, name, deadline, work, environment):
        self.name = name
        self.deadline = deadline
        self.work = work
        self.environment = environment
        self.data = {}
        self.failures = []
        self.notes = []

    def seconds_left(self):
        return self.deadline - time.monotonic()

    def run(self, *command, seconds=None, **variables):
        """Runs a command with its output in the stage's log, and gives its completed process. Text and
        code are the caller's to judge; OutOfTime if the stage's time, or `seconds`, is up."""
        limit = self.seconds_left() if seconds is None else min(seconds, self.seconds_left())
        if limit <= 0:
            raise OutOfTime(f"no time was left for {pathlib.Path(command[0]).name}")
        words = [str(word) for word in command]
        try:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                       env={**self.environment, **variables}, start_new_session=True)
        except OSError as error:
            self.log(words, str(error), "not started")
            raise Failed(f"{words[0]}: {error.strerror}") from None
        try:
            text, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.log(words, end_with_children(process), "out of time")
            raise OutOfTime(f"{pathlib.Path(words[0]).name} took more than {limit:.0f} s") from None
        except BaseException:
            end_with_children(process)
            raise
        self.log(words, text, f"exit code {process.returncode}")
        return subprocess.CompletedProcess(words, process.returncode, text)

    def log(self, words, text, end):
        with open(self.work / f"{self.name}.log", "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{text}\n[{end}]\n\n")

    def fail(self, message):
        self.failures.append(message)

    def note(self, message):
        self.notes.append(message)


class Check:
    """All stages, their results in work/results.json."""

    def __init__(self, work, minutes, page):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.file = self.work / "results.json"
        self.deadline = time.monotonic() + 60 * minutes
        self.page = page  # writes the page from the results
        self.results = json.loads(self.file.read_text()) if self.file.exists() else {"stages": {}}

    def run(self, name, seconds, work):
        """Runs one stage: work(stage). The page is written whatever happens."""
        started = time.monotonic()
        stage = Stage(name, min(started + seconds, self.deadline), self.work, dict(os.environ))
        (self.work / f"{name}.log").unlink(missing_ok=True)
        state = "passed"
        try:
            work(stage)
        except OutOfTime as late:
            state = "out of time"
            stage.note(str(late))
        except Failed as error:
            stage.fail(str(error))
        except Exception as error:  # a stage must not end the check  # pylint: disable=broad-except
            stage.fail(f"{type(error).__name__}: {error}")
        if stage.failures:
            state = "failed"
        self.results["stages"][name] = {"state": state, "seconds": round(time.monotonic() - started, 1), "notes": stage.notes,
                                        "failures": stage.failures, "data": stage.data}
        self.file.write_text(json.dumps(self.results, indent=1))
        self.page(self.results)
        print(f"{name}: {state}, {time.monotonic() - started:.0f} s", flush=True)
        for text in stage.failures + stage.notes:
            print(f"  {text}", flush=True)

    def passed(self):
        return all(stage["state"] == "passed" for stage in self.results["stages"].values())
