"""How fast and how large: textae beside what one would write with Hugging Face's ``generate``, in one run.

    python scripts/benchmark.py                                      # all of it, half an hour on two cores
    python scripts/benchmark.py --parts training --rounds 3          # a part
    python scripts/benchmark.py --json configs/results/benchmark.json

Contenders work in processes of their own, one at a time and in turns; each figure is a median of rounds, each
ratio the median of the rounds' ratios. Where there is a GPU, it is used.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks import tables

from textae.evaluation.files import write_json
from textae.provenance import provenance

TABLES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "training": tables.training_table,
    "summarizing": tables.summarizing_table,
    "scaling": tables.scaling_table,
    "limit": tables.limit_table,
    "memory": tables.memory_table,
    "reading": tables.reading_table,
    "corpus": tables.corpus_table,
}


def main() -> int:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = [name for name in TABLES if name != "corpus"]
    parser.add_argument(
        "--parts", nargs="+", choices=TABLES, default=parts, help="if not given: all but corpus, a long one"
    )
    parser.add_argument(
        "--corpus", type=int, default=1_000_000, help="documents of the part corpus (default: 1000000)"
    )
    parser.add_argument(
        "--records", type=int, default=100_000, help="records of the part reading (default: 100000)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--threads", type=int, help="threads of a contender (default: one for each core)")
    parser.add_argument(
        "--documents", type=int, default=32, help="documents of a training step (default: 32)"
    )
    parser.add_argument("--samples", type=int, default=4, help="samples of a document (default: 4)")
    parser.add_argument("--summaries", type=int, default=256, help="documents to summarise (default: 256)")
    parser.add_argument("--single", type=int, default=16, help="documents one by one (default: 16)")
    parser.add_argument("--json", metavar="F", help="write the figures here, beside those of other parts")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    threads = options.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    # The contenders' progress bars and logs would stand between the tables.
    os.environ["TQDM_DISABLE"] = "1"
    about = {"command": " ".join(["benchmark.py", *sys.argv[1:]]), **provenance(), "rounds": options.rounds}
    for part in options.parts:
        report = measures()[part](options, threads)
        print("\n".join([f"\n## {part}\n", *TABLES[part](report)]), flush=True)
        if options.json:
            path = Path(options.json)
            # Parts that were measured before stay, each with what it came from.
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            write_json({**known, part: {**about, **report}}, path)
            if part == "corpus":
                from benchmarks.corpus import draw_corpus

                draw_corpus(report, path.with_name(f"{path.stem}_corpus.png"))
    return 0


def measures() -> dict[str, Callable[[argparse.Namespace, int], dict[str, Any]]]:
    """What measures each part, imported when it is wanted."""
    from benchmarks.corpus import measure_corpus
    from benchmarks.limit import measure_limit
    from benchmarks.memory import measure_memory
    from benchmarks.reading import measure_reading
    from benchmarks.scaling import measure_scaling
    from benchmarks.summarizing import measure_summarizing
    from benchmarks.training import measure_training

    return {
        "training": lambda o, threads: measure_training(o.rounds, threads, o.documents, o.samples),
        "summarizing": lambda o, threads: measure_summarizing(o.rounds, threads, o.summaries, o.single),
        "scaling": lambda o, threads: measure_scaling(o.rounds, threads),
        "limit": lambda o, threads: measure_limit(o.rounds, threads, o.documents, o.samples),
        "memory": lambda o, threads: measure_memory(threads),
        "reading": lambda o, threads: measure_reading(o.rounds, threads, o.records),
        "corpus": lambda o, threads: measure_corpus(o.corpus),
    }


if __name__ == "__main__":
    sys.exit(main())
