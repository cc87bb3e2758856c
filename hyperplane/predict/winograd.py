"""The 3×3 convolutions of a net by Winograd's minimal filtering, on a CPU: a quarter of the multiplications.

winograd.cpp says how, and is compiled for this processor when it is first needed, which takes a second; where there is
no C++ compiler, a net keeps its convolutions.

Shape suffixes: B batch, C channels, K output channels, H and W pixels.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOURCE = Path(__file__).with_name("winograd.cpp")
POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)
"""At which products of polynomials are taken, beside infinity: those of winograd.cpp."""
LANES, PANEL = 16, 32
"""Channels that it takes at once, and of which a panel of the kernel holds as many."""


@cache
def library() -> ctypes.CDLL | str:
    """Return the compiled functions, or why there are none, one clause."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None:
        return "there is no C++ compiler"
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "winograd.so"
        command = [*compiler.split(), "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-shared", "-fPIC"]
        try:
            done = subprocess.run([*command, str(SOURCE), "-o", str(built)], capture_output=True, text=True)
            if done.returncode:
                return f"{compiler} failed ({' '.join(done.stderr.split())[:120]})"
            return ctypes.CDLL(str(built))  # its threads are those of torch, which has loaded OpenMP
        except OSError as error:
            return f"{compiler} failed ({' '.join(str(error).split())[:120]})"


def why_not(dtype: torch.dtype) -> str | None:
    """Return why no convolution of this number type can be replaced here, one clause; None where it can."""
    found = library()
    if isinstance(found, str):
        return found
    named = f"winograd_{str(dtype).removeprefix('torch.')}"
    return None if hasattr(found, named) else f"this processor does not multiply {named.removeprefix('winograd_')}"


def fits(module: nn.Module) -> bool:
    """Say whether a module is a convolution that can be replaced."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.groups == 1
        and module.padding in ((0, 0), (1, 1))
        and module.padding_mode == "zeros"
        and module.weight.dtype is torch.float32
        and module.weight.device.type == "cpu"
        and module.in_channels % LANES == module.out_channels % LANES == 0
    )


class Winograd(nn.Module):
    """One convolution of a trained net; its inputs are channels last, and its number type is fixed."""

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        """Pack the weights of a layer that `fits`."""
        super().__init__()
        self.padding, self.outputs = int(layer.padding[0]), layer.out_channels
        self.panel = pack(layer.weight, dtype)  # no buffers: a change of the net's number type leaves them alone
        self.bias_K = torch.zeros(self.outputs) if layer.bias is None else layer.bias.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, H, W), or two rows and columns less without padding."""
        return convolve(x, self.panel, self.bias_K, self.outputs, self.padding)


@torch.no_grad()
def pack(weight_KChw: Tensor, dtype: torch.dtype) -> Tensor:
    """Return kernels, transformed, as the compiled functions read them: panels of 32 outputs, points, channels.

    In bfloat16 two channels lie side by side.
    """
    outputs, channels = weight_KChw.shape[:2]
    rows = [[power / _norm(point) for power in (1.0, point, point * point)] for point in POINTS] + [[0.0, 0.0, 1.0]]
    g_63 = torch.tensor(rows, dtype=torch.float64)
    u_PCK = torch.einsum("ia,kcab,jb->ijck", g_63, weight_KChw.double(), g_63).reshape(36, channels, outputs)
    u_PCK = F.pad(u_PCK, (0, -outputs % PANEL))
    pair = 2 if dtype is torch.bfloat16 else 1
    split = u_PCK.view(36, channels // pair, pair, -1, PANEL)
    return split.permute(3, 0, 1, 4, 2).to(dtype).contiguous()


def _norm(point: float) -> float:
    """Return the product of a point's distances from the others."""
    product = 1.0
    for other in POINTS:
        product *= point - other if other != point else 1.0
    return product


@torch.library.custom_op("hyperplane::winograd", mutates_args=())
def convolve(x: Tensor, panel: Tensor, bias_K: Tensor, outputs: int, padding: int) -> Tensor:
    """Return the convolution, channels last, of (B, C, H, W) of the panel's number type."""
    x = x.contiguous(memory_format=torch.channels_last)
    y = _empty(x, outputs, padding)
    run = getattr(library(), f"winograd_{str(x.dtype).removeprefix('torch.')}")
    pointers = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, panel, bias_K, y))
    batch, channels, height, width = x.shape
    if run(*pointers, batch, height, width, channels, outputs, padding, torch.get_num_threads()):
        raise MemoryError("a convolution found too little")
    return y


@convolve.register_fake
def _(x: Tensor, panel: Tensor, bias_K: Tensor, outputs: int, padding: int) -> Tensor:
    return _empty(x, outputs, padding)


def _empty(x: Tensor, outputs: int, padding: int) -> Tensor:
    batch, _, height, width = x.shape
    shape = (batch, outputs, height + 2 * padding - 2, width + 2 * padding - 2)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
