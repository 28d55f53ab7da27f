"""Runs command lines in processes that are forked, so that each starts at once and can be killed.

Reads lines of JSON: ``{"words": [...], "kill_after": seconds or null, "chunk": records}``; answers each with
a line of JSON: exit code (negative: the signal) and what was written to standard output and error.
"""

import json
import os
import signal
import sys
import tempfile
import time

import torch

torch.set_num_threads(1)
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# All that a command would import, before there are any threads: a fork has only the one that calls it.
import textae.commands  # noqa: E402
import textae.evaluation.report  # noqa: E402
import textae.inference.corpus as corpus  # noqa: E402
import textae.training.run  # noqa: E402
import textae.training.text_code  # noqa: E402, F401
from textae.cli import main  # noqa: E402


def run(words: list[str], kill_after: float | None, chunk: int) -> dict[str, object]:
    """Run a command line; killed if it takes longer than ``kill_after`` seconds."""
    with tempfile.TemporaryFile() as written:
        child = os.fork()
        if child == 0:
            os.dup2(written.fileno(), 1)
            os.dup2(written.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
            corpus.CHUNK = chunk
            code = 1
            try:
                code = main(words)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        end = None if kill_after is None else time.monotonic() + kill_after
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if end is not None and time.monotonic() >= end:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
                break
            time.sleep(0.002)
        written.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "written": written.read().decode("utf-8", "replace")}


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        answer = run(asked["words"], asked["kill_after"], asked["chunk"])
        sys.__stdout__.write(json.dumps(answer) + "\n")
        sys.__stdout__.flush()
