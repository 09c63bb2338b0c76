from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference.config import InferConfig
from inference.pipeline import TalkingHead
from inference.render_video import render_frames
from inference.sharing import frames_from_processes, frames_of_ranks
from utils.data.paths import CODE_ROOT

CONFIG = InferConfig(video_id="tim", infer_image_size=8, device="cpu")

RANKS = """
import sys
import numpy as np
import torch
from inference.sharing import frames_of_ranks
from utils.commons import distributed
rank, _ = distributed.init_process_group(torch.device("cpu"))
frames = list(frames_of_ranks(lambda t: np.full((2, 3, 3), 10 * t + rank, np.uint8), 11, (2, 3)))
if rank == 0:
    np.save(sys.argv[1], np.stack(frames), allow_pickle=False)
else:
    assert not frames
distributed.barrier()
distributed.shut_down()
"""


@pytest.mark.slow  # 10 s: each process imports torch
def test_processes_draw_what_one_draws_in_the_same_order(root: Path) -> None:
    head = TalkingHead(config=CONFIG)
    lm3d, c2w = np.asarray(head.store.lm3d)[:10], np.asarray(head.store.c2w)[:10]
    alone = np.stack(list(render_frames(head.renderer, lm3d, c2w)))
    shared = np.stack(list(frames_from_processes(CONFIG.model_copy(update={"num_workers": 2}), lm3d, c2w)))
    assert np.abs(alone.astype(int) - shared).max() <= 1, "threads may round differently"
    assert len(np.unique(alone.reshape(10, -1), axis=0)) > 5, "frames differ, so order shows"


def test_one_process_draws_every_frame_itself() -> None:
    frames = list(frames_of_ranks(lambda t: np.full((1, 1, 3), t, np.uint8), 7, (1, 1)))
    assert [int(frame[0, 0, 0]) for frame in frames] == list(range(7))


@pytest.mark.slow  # 10 s: two processes import torch
def test_ranks_take_turns_and_rank_0_has_all_frames(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(CODE_ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "frames.npy")], check=True, env=environment, timeout=120)
    values = np.load(tmp_path / "frames.npy")[:, 0, 0, 0].tolist()
    assert values == [0, 10, 20, 30, 41, 51, 61, 71, 80, 90, 100]
