"""From an experiment of the original to experiments of ours: networks and configuration, nothing written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.importer import configs
from modules.importer.archive import ReleasedExperiment
from modules.importer.networks import Network, UnsupportedError, prefixed, read_network, whole
from utils.commons.checkpoint import saved_steps
from utils.commons.foreign_checkpoint import child_tensors, read_foreign_checkpoint
from utils.commons.schema import DataError
from utils.data import paths


@dataclass(frozen=True)
class Converted:
    """An experiment of ours, ready to be written."""

    exp_name: str
    step: int
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    source: str
    """The file it is from."""


@dataclass
class Report:
    """What became of a release."""

    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Children = dict[str, dict[str, Tensor]]


class Converter:
    """Collects what the experiments of a release become."""

    def __init__(self, out: Path) -> None:
        """Take the folder ``checkpoints`` the experiments will lie in."""
        self.out = out
        self.done: dict[str, Converted] = {}
        self.report = Report()

    def convert(self, e: ReleasedExperiment) -> None:
        """Add an experiment; experts come first, then what refers to them, a torso last.

        Raises:
            DataError: It is damaged, unsafe or no experiment of GeneFace.
        """
        configs.check_links(e.config, e.title)
        content = read_foreign_checkpoint(e.checkpoint, e.source)
        children = child_tensors(content, e.source)
        if "model" not in children:
            listed = ", ".join(children)
            raise DataError(f"{e.source} holds no network 'model' (but {listed}); it is no checkpoint of GeneFace")
        model = children.pop("model")
        if "pitch_embed" in children:  # the pitch variant of the post-net keeps its embedding beside it
            model |= {f"pitch_embed.{name}": tensor for name, tensor in children.pop("pitch_embed").items()}
        try:
            network = read_network(model, e.config, f"{e.source}: model")
        except UnsupportedError as error:
            self.report.left.append(str(error))
            return
        converters = {
            "syncnet": self._syncnet,
            "audio2motion": self._audio2motion,
            "postnet": self._postnet,
            "lm3d_nerf": self._head,
            "adnerf": self._head,
            "torso": self._torso,
        }
        if network.family not in converters:
            raise DataError(f"{e.source}: model is a {network.family}, which no experiment of GeneFace trains alone")
        converters[network.family](e, network, children)
        rest = [f"{name} ({len(tensors)} tensors)" for name, tensors in children.items()]
        rest += ["optimizer states"] * bool(content.get("optimizer_states"))
        rest += [f"the checkpoints of steps {', '.join(map(str, e.other_steps))}"] * bool(e.other_steps)
        if rest:
            self.report.left.append(f"{e.title}: {', '.join(rest)}")

    def folder(self, exp_name: str) -> str:
        """Return the folder of an experiment as a configuration names it."""
        root, path = paths.work_root().resolve(), (self.out / exp_name).resolve()
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

    def link(self, *exp_names: str) -> str:
        """Return the folder of the first of these experiments that is imported now or lies there, else nothing."""
        there = (name for name in exp_names if name and (name in self.done or saved_steps(self.out / name)))
        return next(map(self.folder, there), "")

    def _add(
        self, e: ReleasedExperiment, exp_name: str, config: dict[str, Any], networks: Mapping[str, Network]
    ) -> None:
        """Take networks, by the name of the child they are inside the experiment."""
        if exp_name in self.done and self.done[exp_name].source != e.source:
            other = self.done[exp_name].source
            raise DataError(f"{other} and {e.source} would both become {exp_name}; import them into different folders")
        tensors = {
            f"{child}.{name}" if child else name: tensor
            for child, network in networks.items()
            for name, tensor in network.tensors.items()
        }
        self.done[exp_name] = Converted(exp_name, e.step, config, tensors, e.source)
        self.report.taken.append(f"{exp_name} @ {e.step}: {len(tensors)} tensors of {e.source}")

    def _syncnet(self, e: ReleasedExperiment, network: Network, children: Children) -> None:
        self._add(e, f"{e.owner}/syncnet", configs.syncnet_config(e.config, network.config), {"": network})

    def _audio2motion(self, e: ReleasedExperiment, network: Network, children: Children) -> None:
        syncnet_dir = self._syncnet_dir(e, children)
        config = configs.audio2motion_config(e.config, network.config, syncnet_dir=syncnet_dir)
        self._add(e, f"{e.owner}/lm3d_vae", config, {"": network})

    def _syncnet_dir(self, e: ReleasedExperiment, children: Children) -> str:
        """Return the SyncNet the configuration names, or another; if there is none, take the copy in ``children``."""
        own = f"{e.owner}/syncnet"
        known = self.link(_two_last(e.config.get("syncnet_work_dir")), own, "lrs3/syncnet")
        if known or "syncnet_task" not in children:
            return known
        copy = prefixed(children.pop("syncnet_task"), "model.")
        network = read_network(copy, e.config, f"{e.source}: syncnet_task")
        self._add(e, own, configs.syncnet_config({}, network.config), {"": network})
        return self.folder(own)

    def _postnet(self, e: ReleasedExperiment, network: Network, children: Children) -> None:
        """Take a post-net with the VAE inside it: its BatchNorm statistics drifted while the post-net was trained."""
        inner = children.pop("audio2motion_task", {})
        if not inner:
            raise DataError(f"{e.source} lacks its 'audio2motion_task'; it is no post-net as published")
        vae = read_network(prefixed(inner, "model."), e.config, f"{e.source}: audio2motion_task")
        syncnet_dir = self._syncnet_dir(e, children)
        vae_name = f"{e.owner}/postnet_vae"
        config = configs.audio2motion_config({}, vae.config, syncnet_dir=syncnet_dir)
        self._add(e, vae_name, config, {"": vae})
        self._note_drift(e, vae)
        networks, disc = {"generator": network}, children.pop("disc_model", {})
        if disc:
            networks["discriminator"] = read_network(disc, e.config, f"{e.source}: disc_model")
        config = configs.postnet_config(
            e.config,
            network.config,
            networks["discriminator"].config if disc else None,
            video_id=self._video_id(e),
            vae_dir=self.folder(vae_name),
            syncnet_dir=syncnet_dir,
        )
        self._add(e, f"{e.owner}/postnet", config, networks)

    def _note_drift(self, e: ReleasedExperiment, vae: Network) -> None:
        generic = self.done.get(_two_last(e.config.get("audio2motion_work_dir")).removesuffix("_sync"))
        if generic is None or generic.tensors.keys() != vae.tensors.keys():
            return
        changed = {name: _difference(generic.tensors[name], tensor) for name, tensor in vae.tensors.items()}
        names = [name for name, difference in changed.items() if difference > 0]
        if names:
            self.report.notes.append(
                f"the VAE inside {e.title} differs from {generic.exp_name} in {', '.join(names[:4])}"
                f"{' ...' * (len(names) > 4)}; the post-net uses its own ({e.owner}/postnet_vae)"
            )

    def _head(self, e: ReleasedExperiment, network: Network, children: Children) -> None:
        is_smoothed = e.step >= whole(e.config, "no_smo_iterations", 200000)
        config = configs.head_config(e.config, network.config, video_id=self._video_id(e))
        self._add(e, f"{e.owner}/{network.family}", config, {"head": _with_attention(network, is_smoothed)})

    def _torso(self, e: ReleasedExperiment, network: Network, children: Children) -> None:
        """Take a torso and the head it was trained under, which is always smoothed by attention."""
        is_geneface = "color_encoder.0.weight" in network.tensors
        head_name = f"{e.owner}/{'lm3d_nerf' if is_geneface else 'adnerf'}"
        bundled = children.pop("head_model", {})
        if bundled:
            self._bundled_head(e, _with_attention(read_network(bundled, e.config, f"{e.source}: head_model"), True))
        head_dir = self.link(head_name)
        if not head_dir:
            self.report.notes.append(f"{e.title} has no head with it; import {head_name} too")
        config = configs.torso_config(
            e.config, network.config, video_id=self._video_id(e), head_dir=head_dir or self.folder(head_name)
        )
        self._add(e, f"{head_name}_torso", config, {"torso": network})

    def _bundled_head(self, e: ReleasedExperiment, head: Network) -> None:
        exp_name = f"{e.owner}/{head.family}"
        separate = self.done.pop(exp_name, None)
        tensors = {f"head.{name}": tensor for name, tensor in head.tensors.items()}
        if separate is None:
            config = configs.head_config(e.config, head.config, video_id=self._video_id(e))
            self._add(e, exp_name, config, {"head": head})
            return
        differs = max(_difference(separate.tensors[name], tensors[name]) for name in tensors) > 0
        if differs:
            self.report.notes.append(
                f"{e.title} was trained under another head than {separate.source}; {exp_name} is the torso's"
            )
        self.done[exp_name] = Converted(exp_name, separate.step, separate.config, tensors, separate.source)

    def _video_id(self, e: ReleasedExperiment) -> str:
        """Return the person: the configuration's where it can name a folder, else the folder's owner."""
        named = str(e.config.get("video_id") or e.owner)
        if named != e.owner:
            self.report.notes.append(f"{e.title}: its video_id is {named!r}; the dataset is looked for as {e.owner!r}")
        return e.owner


def _with_attention(network: Network, is_on: bool) -> Network:
    return Network(network.family, network.config, network.tensors | {"attention_on": torch.tensor(is_on)})


def _two_last(path: Any) -> str:
    """Return ``lrs3/syncnet`` of ``checkpoints/lrs3/syncnet/``."""
    return "/".join(Path(str(path or "")).parts[-2:])


def _difference(first: Tensor, second: Tensor) -> float:
    if first.shape != second.shape:
        return float("inf")
    return float((first.double() - second.double()).abs().max()) if first.numel() else 0.0
