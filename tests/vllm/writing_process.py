"""A process that writes with vLLM and ends in the way that it is told; see test_vllm_engine.py."""

import logging
import signal
import sys
from pathlib import Path

from resources.compute.accelerator import Accelerator
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling
from resources.generation.vllm.generator import VllmFactory
from resources.models.checkpoint import BaseCheckpoint


def main(base: Path, ending: str) -> None:
    """`ending`: `success`, `exception`, or `wait` (write until interrupted)."""
    logging.basicConfig(level=logging.INFO)
    options = GeneratorOptions(batch_size=4, max_prompt_tokens=64, max_new_tokens=400)
    print("opening", flush=True)
    with VllmFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(base), None, options
    ) as generator:
        print("opened", flush=True)
        prompts = [Prompt((("user", "drama"),), seed=seed) for seed in range(4)]
        generator.write(prompts, Sampling(8))
        print("written", flush=True)
        if ending == "exception":
            raise LookupError("meant")
        while ending == "wait":
            generator.write(prompts, Sampling(400, temperature=1.0))
    print("closed", flush=True)


if __name__ == "__main__":
    # A shell's background job, and so perhaps this one, is started deaf to SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(Path(sys.argv[1]), sys.argv[2])
