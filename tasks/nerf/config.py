"""Keys of the renderer's tasks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from modules.nerf.fields.torso import TorsoConfig
from modules.nerf.fields.vanilla import VanillaHeadConfig, VanillaTorsoConfig
from modules.nerf.model import HeadConfig
from modules.nerf.super_resolution import SuperResolutionConfig
from tasks.base_task import TaskConfig


class RayConfig(TaskConfig):
    """Keys of whatever learns from rays of a person's frames."""

    video_id: str = ""
    """The person: ``data/binary/videos/<video_id>``."""
    n_rays: int = Field(8192, ge=1)
    """Rays in a step, of each process where several share it."""
    frames_per_step: int = Field(8, ge=1)
    """Frames these rays come from."""
    frame_stay_steps: int = Field(4, ge=1)
    """Steps in which a frame gives rays before another takes its place: pictures are decoded once for all of them."""
    in_rect_percent: float = Field(0.95, ge=0, le=1)
    """Share of the rays inside the rectangle that matters (the head's box; the torso's); the others are everywhere."""
    lr_final_factor: float = Field(0.05, gt=0, le=1)
    """Learning rate at the end over that at the start; it falls exponentially with progress."""
    num_valid_plots: int = Field(4, ge=1)
    """Test frames shown in TensorBoard."""


class NerfHeadConfig(RayConfig, HeadConfig, VanillaHeadConfig):
    """A head's task."""

    run_keys: ClassVar[frozenset[str]] = frozenset({"tile_rays"})

    lip_rays_percent: float = Field(0.2, ge=0, le=1)
    """Share of the rays in the lips' box, where speech shows."""
    eye_rays_percent: float = Field(0.12, ge=0, le=1)
    """Share of the rays in the eyes' box, where blinks show."""
    rare_frames_weight: float = Field(0.5, ge=0)
    """How much more often frames with unusual eyelids or lips (blinks, wide mouths) are drawn; 0 = evenly."""
    lr_planes_factor: float = Field(10.0, gt=0)
    """Learning rate of planes over that of networks."""
    lr_pose: float = Field(5e-3, gt=0)
    """Learning rate of pose corrections, degrees and millimetres a step."""
    joint_pose: bool = True
    """Learn small corrections of the training frames' tracked poses with the field."""
    cond_noise_std: float = Field(0.1, ge=0)
    """Noise on the landmarks the encoders see, in standard deviations: codes must not tell frames by tracking noise."""
    fog_steps: int = Field(64, ge=0)
    """First steps, in which everything is fog and every ray long: a quarter of the rays is used."""
    update_extra_interval: int = Field(8, ge=1)
    """Steps between updates of the occupancy grid."""
    occupancy_decay: float = Field(0.95, gt=0, lt=1)
    """What a cell keeps of its largest weight at an update; at the beginning of training it forgets faster."""
    lambda_alpha: float = Field(0.1, ge=0)
    """Weight of the difference between opacity and head mask."""
    lambda_lip_ssim: float = Field(0.003, ge=0)
    """Weight of one minus the structural similarity of a patch of the lips, from two fifths of the training on."""
    lip_patch: int = Field(17, ge=11)
    """Side of that patch in pixels; its rays are among those of the lips. A frame with fewer of them has no patch."""
    lambda_weights_entropy: float = Field(1e-4, ge=0)
    """Weight of the entropy of opacities: no fog."""
    lambda_depth_spread: float = Field(1e-4, ge=0)
    """Weight of the variance of depths along rays, in square centimetres: thin surfaces need fewer samples."""
    lambda_pose: float = Field(1e-4, ge=0)
    """Weight of squared pose corrections."""


class NerfTorsoConfig(RayConfig, TorsoConfig, VanillaTorsoConfig):
    """A torso's task; the head is frozen."""

    field: Literal["warp", "vanilla"] = "warp"
    """A learnt picture that a warp moves, or the original's radiance field, which needs a vanilla head."""

    head_model_dir: str = ""
    """Experiment of the head; default checkpoints/<video_id>/lm3d_nerf."""
    head_ckpt_steps: int = Field(0, ge=0)
    """Checkpoint of the head; 0 = the newest."""
    lr_texture_factor: float = Field(10.0, gt=0)
    """Learning rate of the torso's picture over that of its network."""
    lambda_torso_layer: float = Field(0.3, ge=0)
    """Weight of the difference to the in-painted torso layer: it fills the neck under the chin."""
    lambda_torso_warp: float = Field(0.02, ge=0)
    """Weight of the roughness of the warp."""


class NerfSrConfig(RayConfig, SuperResolutionConfig):
    """The task of the network that enlarges a head; the head is frozen."""

    head_model_dir: str = ""
    """Experiment of the head; default checkpoints/<video_id>/lm3d_nerf."""
    head_ckpt_steps: int = Field(0, ge=0)
    """Checkpoint of the head; 0 = the newest."""
    sr_frames: int = Field(64, ge=1)
    """Training frames the head is drawn in, evenly over the footage; they are kept in memory."""
    sr_patch: int = Field(32, ge=9)
    """Side of a training patch, in pixels of the small picture."""
    sr_batch: int = Field(16, ge=1)
    """Patches of a step."""
    lambda_alpha: float = Field(0.1, ge=0)
    """Weight of the difference between opacity and head mask."""
    lambda_edges: float = Field(0.01, ge=0)
    """Weight of the mean absolute difference of neighbouring pixels' differences: edges stay sharp."""
