"""BiSeNet on a ResNet-18 (Yu et al. 2018) with 19 classes, its parts named as in the weights published for faces.

Notation: x/8 means features at an eighth of the picture's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_CLASSES = 19


class ConvBNReLU(nn.Module):
    """Convolution, normalization, rectifier."""

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class Resnet18(nn.Module):
    """The trunk; gives features at /8, /16 and /32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class AttentionRefinement(nn.Module):
    """Features weighed by what the whole picture holds."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        whole = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(whole)))


class ContextPath(nn.Module):
    """Trunk and refinement; gives features of 128 channels at /8 twice (the trunk's own and the refined ones)."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = Resnet18()
        self.arm16, self.arm32 = AttentionRefinement(256, 128), AttentionRefinement(512, 128)
        self.conv_head32, self.conv_head16 = ConvBNReLU(128, 128), ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        eighth, sixteenth, thirtysecond = self.resnet(x)
        coarse = self.arm32(thirtysecond) + self.conv_avg(thirtysecond.mean(dim=(2, 3), keepdim=True))
        coarse = self.conv_head32(F.interpolate(coarse, size=sixteenth.shape[2:]))
        fine = self.conv_head16(F.interpolate(self.arm16(sixteenth) + coarse, size=eighth.shape[2:]))
        return eighth, fine, coarse


class FeatureFusion(nn.Module):
    """Detail and context joined."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvBNReLU(256, 256, 1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        joined = self.convblk(torch.cat([detail, context], dim=1))
        whole = joined.mean(dim=(2, 3), keepdim=True)
        return joined * torch.sigmoid(self.conv2(F.relu(self.conv1(whole)))) + joined


class Output(nn.Module):
    """Class scores of features."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, middle)
        self.conv_out = nn.Conv2d(middle, NUM_CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.conv_out(self.conv(x))
        return scores


class BiSeNet(nn.Module):
    """Scores [B,19,H,W] of normalized pictures [B,3,H,W]; the two auxiliary outputs serve training only."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = Output(256, 256)
        self.conv_out16, self.conv_out32 = Output(128, 64), Output(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        detail, context, _ = self.cp(x)
        scores = self.conv_out(self.ffm(detail, context))
        return F.interpolate(scores, size=x.shape[2:], mode="bilinear", align_corners=True)
