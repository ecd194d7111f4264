"""A learning job that is killed as by a power cut at a step of its training. A script: see `main`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]
sys.path[:0] = [str(HERE.parents[1] / part) for part in ("agent", "agent/learning", "finetune/training")]


def main(root: Path, base: Path, deadly: int) -> None:
    """Learn over the planted shop in `root`; dies before step `deadly` + 1."""
    import torch
    from cycle_shop import Shopfront

    from finetune.cycle import Stage

    torch.set_num_threads(1)

    def told(now: object) -> None:
        if not isinstance(now, Stage) and getattr(now, "step", 0) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    with Shopfront.at(root, base) as shop:
        shop.learn(told=told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
