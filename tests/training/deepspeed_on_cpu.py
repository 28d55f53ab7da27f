"""``textae train`` with DeepSpeed over CPU processes, which Accelerate by itself starts on GPUs only.

accelerate launch --config_file .../several_gpus_deepspeed_zero2.yaml deepspeed_on_cpu.py --config ...
"""

import sys

from accelerate import PartialState

if __name__ == "__main__":
    # Whoever makes it first settles it: without a GPU Accelerate knows no backend and would train alone.
    assert PartialState(backend="gloo").num_processes == 2
    from sharded import run

    sys.exit(run())
