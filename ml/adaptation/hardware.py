"""What the machine allows: device, number format, and what running out of memory looks like."""

from contextlib import AbstractContextManager, nullcontext

import torch

THREADS = 2  # torch sums in another order with another number: weights depend on it, so it is fixed


def device() -> torch.device:
    """Return the accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def working_dtype(on: torch.device) -> torch.dtype:
    """Return bfloat16 where the hardware computes in it, else float32."""
    return torch.bfloat16 if on.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def autocast(on: torch.device) -> AbstractContextManager[object]:
    """Compute in the working format; weights that are trained stay float32."""
    dtype = working_dtype(on)
    return nullcontext() if dtype is torch.float32 else torch.autocast(on.type, dtype)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is an allocation that failed: CUDA's own class, or the CPU allocator's words."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    )


def release(on: torch.device) -> None:
    """Give freed blocks back, so that a smaller batch finds room."""
    if on.type == "cuda":
        torch.cuda.empty_cache()
