"""``textae train`` with DeepSpeed over CPU processes, which Accelerate by itself starts on GPUs only.

    accelerate launch --config_file .../several_gpus_deepspeed_zero2.yaml deepspeed_on_cpu.py --config ...

With ``MEMORY`` set to a file name, each process writes what it holds at the end there, as JSON; with
``FAULTY`` set some steps are skipped.
"""

import os
import sys

from accelerate import PartialState

# Steps from which nothing is learned, in the middle of each phase.
FAULTY = (7, 33)


def finding_fault(add):
    """``SkippedSteps.add`` for which the metrics of the steps of ``FAULTY`` are not finite."""

    def added(self, step, bad):
        if step in FAULTY:
            bad.append("loss/invented")
        add(self, step, bad)

    return added


def cut_all(accelerator):
    """Set DeepSpeed up; networks as tiny as those of a test would otherwise stay whole on every process."""
    set_up_zero(accelerator)
    config = accelerator.state.deepspeed_plugin.deepspeed_config
    config["zero_optimization"]["stage3_param_persistence_threshold"] = 0


if __name__ == "__main__":
    # Whoever makes it first settles it: without a GPU Accelerate knows no backend and would train alone.
    assert PartialState(backend="gloo").num_processes == 2
    from sharded import run

    from textae.training import loop
    from textae.training.skipping import SkippedSteps

    set_up_zero, loop.set_up_zero = loop.set_up_zero, cut_all
    if "FAULTY" in os.environ:
        SkippedSteps.add = finding_fault(SkippedSteps.add)
    sys.exit(run())
