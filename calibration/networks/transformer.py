"""A vision transformer as small as DeiT-tiny (Touvron et al., ICML 2021): width 192, 12 blocks, 3 heads, patch 16."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH, _DEPTH, _HEADS, _PATCH, _SIDE = 192, 12, 3, 16, 224


def vit_tiny() -> nn.Module:
    """ViT-tiny, 1000 classes; 5,717,416 parameters."""
    return VisionTransformer()


class TransformerBlock(nn.Module):
    """Normalise, attend, add; normalise, widen fourfold and back, add (the "pre-norm" form)."""

    def __init__(self, width: int, heads: int) -> None:
        """Take the width of a token and the number of heads that share it."""
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))  # (batch, tokens, 3, heads, width / heads)
        query, key, value = (qkv[:, :, i].transpose(1, 2) for i in range(3))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        return x + self.narrow(self.gelu(self.widen(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Patches as tokens, one more token that gathers the answer, learnt positions, and a dense layer on that token.

    There are positions for 224x224; of a smaller image's fewer patches the first take theirs, which changes no time.
    """

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.patches = nn.Conv2d(3, _WIDTH, _PATCH, stride=_PATCH)
        self.answer = nn.Parameter(0.02 * torch.randn(1, 1, _WIDTH))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + (_SIDE // _PATCH) ** 2, _WIDTH))
        self.blocks = nn.Sequential(*(TransformerBlock(_WIDTH, _HEADS) for _ in range(_DEPTH)))
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-6)
        self.head = nn.Linear(_WIDTH, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W), H and W at most 224, to scores (batch, 1000)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.answer.expand(tokens.size(0), -1, -1), tokens), dim=1)
        tokens = tokens + self.position[:, : tokens.size(1)]
        return self.head(self.norm(self.blocks(tokens))[:, 0])
