"""Tensors written to a safetensors file one by one, each gathered from all processes in its turn."""

import json
from pathlib import Path

import torch

from textae.training.sharding import whole_tensor

# What safetensors calls them.
_NAMES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


def write_tensors(tensors: dict[str, torch.Tensor], file: Path | None) -> None:
    """Write what ``safetensors.torch.save_file`` would write, byte for byte, with one whole tensor in memory.

    Where tensors lie in pieces, every process calls it with its own.

    Args:
        tensors: by their names in the file; no two may share memory.
        file: None in a process that only helps to gather.

    Raises:
        OSError: if it cannot be written.
        KeyError: if a tensor is of a kind that no optimizer keeps.
    """
    # The order of safetensors: wide numbers first, so that all of them are aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    if file is None:
        for name in names:
            whole_tensor(tensors[name])
        return
    header, offset = {}, 0
    for name in names:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        kind = _NAMES[tensor.dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    told += b" " * (-len(told) % 8)
    with file.open("wb") as stream:
        stream.write(len(told).to_bytes(8, "little") + told)
        for name in names:
            whole = whole_tensor(tensors[name].detach()).cpu().contiguous()
            stream.write(whole.reshape(-1).view(torch.uint8).numpy().data)
