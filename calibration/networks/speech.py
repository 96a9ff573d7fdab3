"""Two networks that listen: a small encoder in the manner of wav2vec 2.0, and a keyword spotter with a GRU.

The encoder (Baevski et al., NeurIPS 2020) reads raw sound: seven convolutions with the paper's kernels and strides turn
16 kHz into 49 frames a second, a wide grouped convolution tells positions, transformer blocks follow, and a dense layer
scores characters for CTC. Widths are a quarter of the paper's and there are 6 blocks instead of 12, each in the form
that normalises first, as in the paper's larger network; the positional kernel has no weight normalisation.

The spotter (Zhang et al., "Hello Edge", 2017, gives the family) reads one second as 98 frames of 40 features.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from torch import Tensor, nn

from calibration.networks.transformer import TransformerBlock

_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)
_CHANNELS, _WIDTH, _HEADS, _BLOCKS, _CHARACTERS = 128, 192, 4, 6, 32


def wav2vec_small() -> nn.Module:
    """wav2vec2-like encoder for sound at 16 kHz, 32 characters; 3,259,552 parameters."""
    return SpeechEncoder()


def gru_kws() -> nn.Module:
    """Two layers of 128 gated recurrent units over 40 features a frame, 12 words; 165,900 parameters."""
    return KeywordSpotter()


class SpeechEncoder(nn.Module):
    """Convolutions over raw sound, transformer blocks over frames, scores for each frame."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for kernel, stride in zip(_KERNELS, _STRIDES, strict=True):
            layers.append(nn.Conv1d(channels, _CHANNELS, kernel, stride, bias=False))
            layers += [nn.GroupNorm(_CHANNELS, _CHANNELS)] if channels == 1 else []
            layers.append(nn.GELU())
            channels = _CHANNELS
        self.unsqueeze = nn.Unflatten(1, (1, -1))
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(_CHANNELS)
        self.project = nn.Linear(_CHANNELS, _WIDTH)
        self.position = nn.Conv1d(_WIDTH, _WIDTH, 128, padding=64, groups=16)
        self.gelu = nn.GELU()
        self.blocks = nn.Sequential(*(TransformerBlock(_WIDTH, _HEADS) for _ in range(_BLOCKS)))
        self.norm_out = nn.LayerNorm(_WIDTH)
        self.characters = nn.Linear(_WIDTH, _CHARACTERS)

    def forward(self, x: Tensor) -> Tensor:
        """Sound (batch, samples) to scores (batch, frames, 32)."""
        x = self.project(self.norm(self.features(self.unsqueeze(x)).transpose(1, 2)))
        position = self.position(x.transpose(1, 2))[:, :, :-1]  # an even kernel makes one frame too many
        x = x + self.gelu(position).transpose(1, 2)
        return self.characters(self.norm_out(self.blocks(x)))


class KeywordSpotter(nn.Module):
    """Recurrent layers over frames; the last frame's state decides."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.gru = nn.GRU(40, 128, num_layers=2, batch_first=True)
        self.words = nn.Linear(128, 12)

    def forward(self, x: Tensor) -> Tensor:
        """Features (batch, frames, 40) to scores (batch, 12)."""
        frames, _ = self.gru(x)
        return self.words(frames[:, -1])
