"""What the commands do whose models have codes of numbers, or any code; as ``textae.commands``."""

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from textae.arguments import above_zero, whole
from textae.errors import InputError
from textae.loading import is_main_process, load_model

if TYPE_CHECKING:
    from textae.inference.codes import Anomalies


def embed(arguments: Namespace) -> None:
    """Write a vector for every document, to classify, cluster or search with."""
    if not is_main_process():
        return
    from textae.inference.codes import embed_corpus

    count, width = embed_corpus(
        load_model(arguments.model, any_code=True),
        arguments.input,
        arguments.output,
        **_columns(arguments),
        **_sizes(arguments),
    )
    print(f"{arguments.output}: {count:,} vectors of {width} numbers")


def embed_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae embed``."""
    add = _reading_arguments(parser)
    add("-o", "--output", required=True, metavar="F", help="F.npy (an array, float32) or F.parquet")


def map_(arguments: Namespace) -> None:
    """Draw documents as points on a plane, those with like codes near each other."""
    if not is_main_process():
        return
    from textae.evaluation.pictures import check_picture, draw_map, project
    from textae.inference.codes import read_kinds

    check_picture(arguments.output)
    model = load_model(arguments.model, any_code=True)
    columns, sizes = _columns(arguments), _sizes(arguments)
    documents, kinds = read_kinds(arguments.input, arguments.color, **columns)
    vectors = model.embed(documents, **sizes).numpy()
    points = project(vectors, arguments.method, arguments.seed)
    draw_map(points, kinds, arguments.output, arguments.title or "")
    print(f"{arguments.output}: {len(documents):,} documents")


def map_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae map``."""
    add = _reading_arguments(parser)
    add("-o", "--output", required=True, metavar="F", help="the picture: F.png, F.svg or F.pdf")
    add("--color", metavar="NAME", help="column that says what kind a document is")
    add(
        "--method",
        choices=("pca", "tsne", "umap"),
        default="pca",
        help="tsne needs scikit-learn, umap umap-learn (default: pca)",
    )
    add("--seed", type=whole(0), default=0, metavar="N", help="of tsne and umap (default: 0)")
    add("--title", metavar="TEXT", help="stands above it")


def generate(arguments: Namespace) -> None:
    """Write documents that nobody wrote, from a code with a prior, or from between two documents."""
    if not is_main_process():
        return
    model = load_model(arguments.model, of_numbers=True)
    beams = {} if arguments.num_beams is None else {"num_beams": arguments.num_beams}
    if arguments.between is None:
        texts = model.generate(arguments.n, seed=arguments.seed, **beams)
    else:
        texts = model.between(*arguments.between, arguments.n, **beams)
    for text in texts:
        print(text)


def generate_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae generate``."""
    add = parser.add_argument
    add("--model", required=True, metavar="M", help="folder or Hub name of a model with a code of numbers")
    add("--n", type=whole(1), default=10, metavar="N", help="so many documents (default: 10)")
    add("--seed", type=whole(0), default=0, metavar="N", help="of what is drawn (default: 0)")
    add("--between", nargs=2, metavar=("A", "B"), help="walk from the document A to B instead of drawing")
    add("--beams", dest="num_beams", type=whole(1), metavar="N", help="beam search over N (default: 4)")


def codes(arguments: Namespace) -> None:
    """Show what discrete codes stand for: words and documents of each one in use."""
    if not is_main_process():
        return
    from textae.evaluation.files import check_writable, write_json
    from textae.inference.codes import code_meanings, read_documents

    if arguments.json is not None:
        check_writable(arguments.json)
    model = load_model(arguments.model, of_numbers=True)
    columns, sizes = _columns(arguments), _sizes(arguments)
    documents = read_documents(arguments.input, **columns)[1]
    meanings = code_meanings(model, documents, words=arguments.words, examples=arguments.examples, **sizes)
    if arguments.json is not None:
        write_json(
            {"documents": len(documents), "codes": [vars(meaning) for meaning in meanings]}, arguments.json
        )
        return
    for meaning in meanings:
        share = 100 * meaning.count / len(documents)
        words = ", ".join(meaning.words) or "(no word of its own)"
        print(f"code {meaning.place}:{meaning.number}, {meaning.count:,} documents ({share:.1f} %): {words}")
        for text in meaning.documents:
            print(f"    {' '.join(text.split())[:100]}")


def codes_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae codes``."""
    add = _reading_arguments(parser)
    add("--words", type=whole(1), default=6, metavar="N", help="words of each code (default: 6)")
    add("--examples", type=whole(0), default=2, metavar="N", help="documents of each code (default: 2)")
    add("--json", metavar="F|-", help="write all of it here instead")


def restyle(arguments: Namespace) -> None:
    """Write documents anew in the style of others: one for each, in order."""
    from textae.inference.codes import read_documents
    from textae.inference.corpus import transform
    from textae.inference.job import describe_source

    model = load_model(arguments.model, of_numbers=True)
    style_of = read_documents(arguments.style_of)[1]

    def write(texts: list[str]) -> list[str]:
        return model.restyle(texts, style_of, **_sizes(arguments))

    transform(
        model,
        write,
        arguments.input,
        arguments.output,
        settings={"style_of": describe_source(arguments.style_of)},
        **_columns(arguments),
        **_sizes(arguments),
    )


def restyle_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae restyle``."""
    add = _reading_arguments(parser)
    add("--style-of", required=True, metavar="G", help="documents in the style that is wanted")
    add("-o", "--output", default="-", metavar="F|-", help="a file, or - for standard output (default: -)")


def anomalies(arguments: Namespace) -> None:
    """Find documents unlike the normal ones, by how hard they are to restore from their codes."""
    if not is_main_process():
        return
    from textae.evaluation.files import check_writable, write_text
    from textae.evaluation.pictures import check_picture, draw_losses
    from textae.inference.codes import find_anomalies, read_documents

    if not arguments.quantile < 1:
        raise InputError(f"--quantile {arguments.quantile}: wants a share between 0 and 1")
    if arguments.output != "-":
        check_writable(arguments.output)
    if arguments.plot is not None:
        check_picture(arguments.plot)
    model = load_model(arguments.model, any_code=True)
    columns, sizes = _columns(arguments), _sizes(arguments)
    identities, documents = read_documents(arguments.input, **columns)
    normal = read_documents(arguments.normal, **columns)[1]

    def loss(texts: list[str]) -> list[float]:
        return model.reconstruction_loss(texts, **sizes)

    found = find_anomalies(loss, documents, normal, arguments.quantile)
    if arguments.plot is not None:
        spread = {"normal": found.normal_losses, "judged": found.losses}
        draw_losses(spread, found.threshold, arguments.plot)
    lines = [json.dumps(line, ensure_ascii=False, default=str) for line in _verdicts(identities, found)]
    text = "".join(f"{line}\n" for line in lines)
    if arguments.output == "-":
        print(text, end="")
        return
    write_text(arguments.output, text)
    count, share = sum(found.verdicts), f"{arguments.quantile:.0%} of {len(normal):,} normal ones"
    print(f"{arguments.output}: {count:,} of {len(documents):,} documents are anomalous,")
    print(f"with more than the {found.threshold:.3f} nats per token that {share} keep to")


def _verdicts(identities: list[Any], found: "Anomalies") -> list[dict[str, Any]]:
    return [
        ({} if identity is None else {"id": identity}) | {"loss": round(loss, 4), "anomaly": verdict}
        for identity, loss, verdict in zip(identities, found.losses, found.verdicts, strict=True)
    ]


def anomalies_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae anomalies``."""
    add = _reading_arguments(parser)
    add("--normal", required=True, metavar="G", help="documents in order, that the model was not trained on")
    add(
        "--quantile",
        type=above_zero,
        default=0.95,
        metavar="Q",
        help="share of normal documents that shall pass (default: 0.95)",
    )
    add(
        "-o", "--output", default="-", metavar="F|-", help="JSON lines: loss and verdict of each (default: -)"
    )
    add("--plot", metavar="F", help="draw how the losses are spread: F.png, F.svg or F.pdf")


def compress(arguments: Namespace) -> None:
    """Write documents to a small file of codes: what comes back is like them, or the same if asked."""
    if not is_main_process():
        return
    from textae.evaluation.files import check_writable, write_bytes
    from textae.inference import compression
    from textae.inference.codes import read_documents

    check_writable(arguments.output)
    documents = read_documents(arguments.file, **_columns(arguments))[1]
    model = load_model(arguments.model, any_code=True)
    sizes = _sizes(arguments)
    packed = compression.compress(
        model, documents, lossless=arguments.lossless, words=arguments.words, **sizes
    )
    write_bytes(arguments.output, packed.data)
    characters, size = sum(map(len, documents)), len(packed.data)
    bits = compression.compressed_bits(documents, packed.data)
    print(
        f"{arguments.output}: {len(documents):,} documents of {characters:,} characters in {size:,} bytes, "
        f"{bits:.3f} bits a character, {packed.code_bytes:,} bytes of them codes"
    )
    if arguments.lossless:
        print("lossless: every character was read back and is the same")
        return
    from textae.evaluation.scoring import RougeProtocol, rouge

    filled = [i for i, text in enumerate(documents) if text.strip()]
    restored = compression.decompress(model, packed.data)
    protocol = RougeProtocol(resamples=1)
    likeness = rouge([restored[i] for i in filled], [[documents[i]] for i in filled], protocol)["rougeL"]
    texts = [documents[i] for i in filled]
    if arguments.words is not None:  # the loss of what was written, not of summaries of another length
        sizes["summaries"] = model.summarize(texts, words=arguments.words, **sizes)
    losses = model.reconstruction_loss(texts, **sizes)
    loss = sum(losses) / max(1, len(losses))
    print(f"lossy: ROUGE-L {likeness:.2f} of what comes back, {loss:.3f} nats per token")


def compress_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae compress``."""
    add = parser.add_argument
    add("file", metavar="F", help="documents: a file, or - for standard input")
    add("-o", "--output", required=True, metavar="F.tae", help="the file of codes")
    add("--model", required=True, metavar="M", help="a model whose code is discrete or text")
    add("--lossless", action="store_true", help="also store what makes every character come back")
    add("--words", type=whole(1), metavar="N", help="length of a code that is text (default: the model's)")
    add("--column", nargs="+", metavar="NAME", help="columns to look in; the first that is found is taken")
    add("--batch-size", type=whole(1), metavar="N", help="documents at a time (default: 64)")


def decompress(arguments: Namespace) -> None:
    """Write the documents of a file of codes: one for each, in order."""
    if not is_main_process():
        return
    from textae.evaluation.files import check_writable, write_text
    from textae.inference import compression

    if arguments.output != "-":
        check_writable(arguments.output)
    data = compression.read_file(arguments.file)
    compression.read_header(data)  # before a model is loaded for nothing
    texts = compression.decompress(load_model(arguments.model, any_code=True), data)
    if arguments.output != "-" and not arguments.output.removesuffix(".gz").endswith(".txt"):
        lines = [json.dumps({"document": text}) for text in texts]
    elif any("\n" in text or "\r" in text for text in texts):
        raise InputError("There are documents of several lines; write them with -o F.jsonl.")
    else:
        lines = texts
    written = "".join(f"{line}\n" for line in lines)
    if arguments.output == "-":
        print(written, end="")
    else:
        write_text(arguments.output, written)


def decompress_arguments(parser: ArgumentParser) -> None:
    """Add those of ``textae decompress``."""
    add = parser.add_argument
    add("file", metavar="F.tae", help="what textae compress wrote")
    add("-o", "--output", default="-", metavar="F|-", help="F.txt or F.jsonl, or - for standard output")
    add("--model", required=True, metavar="M", help="the model that it was compressed with")


def _reading_arguments(parser: ArgumentParser) -> Any:
    add = parser.add_argument
    add("--model", required=True, metavar="M", help="folder or Hub name of a trained model")
    add("--input", default="-", metavar="F|-", help="documents: a file, or - for standard input (default: -)")
    add("--column", nargs="+", metavar="NAME", help="columns to look in; the first that is found is taken")
    add("--batch-size", type=whole(1), metavar="N", help="texts at a time (default: 64)")
    return add


def _columns(arguments: Namespace) -> dict[str, Any]:
    return {} if arguments.column is None else {"columns": arguments.column}


def _sizes(arguments: Namespace) -> dict[str, Any]:
    return {} if arguments.batch_size is None else {"batch_size": arguments.batch_size}


# In the order of the help: each command and what adds its arguments.
COMMANDS = (
    (embed, embed_arguments),
    (map_, map_arguments),
    (anomalies, anomalies_arguments),
    (generate, generate_arguments),
    (codes, codes_arguments),
    (restyle, restyle_arguments),
    (compress, compress_arguments),
    (decompress, decompress_arguments),
)
