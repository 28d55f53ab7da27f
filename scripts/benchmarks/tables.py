"""Tables of what was measured, in Markdown."""

from typing import Any

from textae.evaluation.tables import aligned

Report = dict[str, Any]


def training_table(report: Report) -> list[str]:
    """Rates, how many times as fast, and where the time of a step goes."""
    rows = [[f"{report['documents']} documents, K = {report['samples']}", "documents/s", "times as fast"]]
    for part in ("step", "step of textae", "rollout", "reconstructor"):
        rows += contender_rows(part, report[part])
    parts = [["of a step of textae", "seconds", "share"]]
    for name, found in report["breakdown"].items():
        parts.append([name, f"{found['seconds']:.3f}", f"{100 * found['share']:.1f}%"])
    parts.append(["all", f"{sum(part['seconds'] for part in report['breakdown'].values()):.3f}", "100%"])
    return [*aligned(rows), "", *aligned(parts)]


def summarizing_table(report: Report) -> list[str]:
    """Throughput and latency of each model and decoding."""
    sizes = ", ".join(f"{name}: {size}" for name, size in report["batches"].items())
    rows = [[f"batches ({sizes})", "documents/s", "times as fast", "as torch writes"]]
    for model, decodings in report["models"].items():
        for decoding, found in decodings.items():
            equal = {name: f"{100 * share:.1f}%" for name, share in found["equal_to_torch"].items()}
            for row, name in zip(
                contender_rows(f"{model}, {decoding}", found["throughput"]), found["throughput"], strict=True
            ):
                rows.append([*row, equal.get(name, "")])
            rows += [
                [*row, ""] for row in contender_rows(f"{model}, {decoding}, one by one", found["latency"])
            ]
    return aligned(rows)


def contender_rows(label: str, described: Report) -> list[list[str]]:
    """A row for each contender, with the ratio to the first."""
    rows: list[list[str]] = []
    for name, found in described.items():
        by = found["times_as_fast"]
        shown = f"{by['median']:.2f} ({by['least']:.2f} to {by['greatest']:.2f})" if rows else ""
        rows.append([f"{label}: {name}", f"{found['documents_per_second']:.2f}", shown])
    return rows


def scaling_table(report: Report) -> list[str]:
    """Seconds at each size, and the exponent."""
    rows = [["cost against", "sizes", "seconds", "exponent", "fit"]]
    for name, law in report.items():
        if isinstance(law, dict) and "exponent" in law:
            rows.append(
                [
                    name,
                    ", ".join(map(str, law["sizes"])),
                    ", ".join(f"{second:.2f}" for second in law["seconds"]),
                    f"{law['exponent']:.2f}",
                    f"{law['r_squared']:.3f}",
                ]
            )
    processes = report["processes"]
    seconds = ", ".join(f"{second:.2f}" for second in processes["seconds"])
    times = f"{processes['times_as_fast_is_two']:.2f} times as fast"
    rows.append(["processes of one thread", "1, 2", seconds, times, ""])
    return aligned(rows)


def memory_table(report: Report) -> list[str]:
    """Peak and seconds of each case."""
    rows = [["width", "documents", "K", "rows at once", "MiB of a step", "seconds"]]
    for case in report["cases"]:
        at_once = "all" if case["rows_at_once"] is None else str(case["rows_at_once"])
        sizes = [str(case[name]) for name in ("width", "documents", "samples")]
        rows.append([*sizes, at_once, f"{case['bytes'] / 2**20:.0f}", f"{case['seconds']:.2f}"])
    return aligned(rows)


def corpus_table(report: Report) -> list[str]:
    """Resident size at a few numbers of documents, those between which it is compared among them."""
    from benchmarks.corpus import first_after

    rows = [["documents summarised", "seconds", "resident MiB"]]
    wanted = [10_000, *(report["documents"] * share // 10 for share in (1, 2, 4, 6, 8, 10))]
    for documents in sorted(set(wanted)):
        point = first_after(report["points"], documents)
        size = f"{point['bytes'] / 2**20:.0f}"
        rows.append([f"{point['documents']:,}", f"{point['seconds']:.0f}", size])
    growth = f"resident size at the end is {report['growth']:.3f} of that at 10,000 documents"
    return [*aligned(rows), "", f"{report['documents']:,} documents in {report['seconds']:.0f} s: {growth}"]


def reading_table(report: Report) -> list[str]:
    """Records a second of each reader, and how many times as fast it is as the first."""
    rows = [[f"{report['records']:,} stories", "MB", "records/s", "least to greatest", "times as fast"]]
    for name, found in report["readers"].items():
        by = found["times_as_fast"]
        rows.append(
            [
                name,
                f"{found['bytes'] / 1e6:.1f}",
                f"{found['records_per_second']:,.0f}",
                f"{found['least']:,.0f} to {found['greatest']:,.0f}",
                f"{by['median']:.2f} ({by['least']:.2f} to {by['greatest']:.2f})" if len(rows) > 1 else "",
            ]
        )
    return aligned(rows)


def limit_table(report: Report) -> list[str]:
    """Rates of the machine, and shares of them."""
    machine = report["machine"]
    rows = [
        ["", "rate", "share of the large product", "share of the head's product"],
        ["matrix product, 2048 cubed", f"{machine['large_product_flops'] / 1e9:.1f} GFLOP/s", "100%", ""],
        ["that of the vocabulary head", f"{machine['head_product_flops'] / 1e9:.1f} GFLOP/s", "", "100%"],
        ["memory, copying", f"{machine['bytes_per_second'] / 1e9:.1f} GB/s", "", ""],
    ]
    for name in ("training", "summarising"):
        found = report[name]
        rows.append(
            [
                f"{name}, in matrix products",
                f"{found['flops_in_matrix_products'] / 1e9:.1f} GFLOP/s",
                f"{100 * found['share_of_large_product']:.0f}%",
                f"{100 * found['share_of_head_product']:.0f}%",
            ]
        )
    return aligned(rows)
