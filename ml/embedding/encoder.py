"""An encoder on its device: token ids in, unit vectors out, padded to a bucket and pooled by mask."""

import time
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ml.embedding.plan import BUCKET_TOKENS, Sizes
from ml.embedding.pooling import pool
from ml.embedding.store import EncoderConfiguration
from ml.embedding.tokens import prefix_tokens
from ml.models.loading import load_encoder
from ml.models.model import Model

THREADS = 2  # torch sums in another order with another number: a vector depends on it, so it is fixed
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
GPU_BATCH_TOKENS = 32_768
LIBRARIES = ("torch", "transformers", "tokenizers")  # what turns a text into a vector

Dtype = Literal["float32", "bfloat16"]
Side = Literal["left", "right"]


def device_kind() -> str:
    """Return `cpu`, or the kind of GPU that vectors are computed on; torch is loaded only beside a driver."""
    if not NVIDIA_DRIVER.exists():
        return "cpu"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def encoder_configuration(
    model: Model,
    *,
    max_tokens: int,
    prefix: str = "",
    dtype: Dtype | None = None,
    device: str | None = None,
    bucket_tokens: int = BUCKET_TOKENS,
    truncation_side: Side = "right",
) -> EncoderConfiguration:
    """Describe the encoder of `model`; `dtype` None is bfloat16 on a GPU and float32 on a CPU.

    Raises:
        ValueError: the context is longer than the model's own.
    """
    if model.max_tokens is not None and max_tokens > model.max_tokens:
        raise ValueError(
            f"`max_tokens` {max_tokens} is beyond the context of `{model.name}`."
            f" Allowed: up to {model.max_tokens}"
        )
    device = device or device_kind()
    return EncoderConfiguration(
        model=model.name,
        files=model.files,
        tokenizer=tuple(row for row in model.files if "token" in row[0] or "vocab" in row[0]),
        pooling=model.pooling,
        instruction=prefix,
        dtype=dtype or ("float32" if device == "cpu" else "bfloat16"),
        max_tokens=max_tokens,
        truncation_side=truncation_side,
        device=device,
        threads=THREADS,
        bucket_tokens=bucket_tokens,
        library=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    )


@dataclass
class Encoder:
    """A loaded network with its tokenizer; `accelerator_s` is the time that a GPU worked."""

    network: Any
    tokenizer: Any
    configuration: EncoderConfiguration
    accelerator_s: float = 0.0

    @classmethod
    def load(cls, model: Model, folder: Path, configuration: EncoderConfiguration) -> "Encoder":
        """Load the verified weights of a model as a configuration says."""
        import torch

        torch.set_num_threads(configuration.threads)
        loaded: Any = load_encoder(model, folder, dtype=getattr(torch, configuration.dtype))
        network, tokenizer = loaded
        tokenizer.truncation_side = configuration.truncation_side
        device = "cpu" if configuration.device == "cpu" else "cuda"
        return cls(network.to(device), tokenizer, configuration)

    @property
    def sizes(self) -> Sizes:
        """What suits the device."""
        bucket = self.configuration.bucket_tokens
        if self.configuration.device == "cpu":
            return Sizes(bucket_tokens=bucket)
        return Sizes(bucket_tokens=bucket, batch_tokens=GPU_BATCH_TOKENS)

    def token_ids(self, texts: list[str]) -> tuple[list[list[int]], int]:
        """Return the ids of each text with its instruction, cut at the context, and how many tokens went."""
        prompts = [self.configuration.instruction + text for text in texts]
        whole = self.tokenizer(prompts, verbose=False, return_attention_mask=False)["input_ids"]
        limit = self.configuration.max_tokens
        over = [n for n, ids in enumerate(whole) if len(ids) > limit]
        if not over:
            return whole, 0
        # The tokenizer cuts itself: it knows which special tokens stay at the end.
        cut = self.tokenizer([prompts[n] for n in over], truncation=True, max_length=limit)["input_ids"]
        n_cut = sum(len(whole[n]) - len(ids) for n, ids in zip(over, cut, strict=True))
        for n, ids in zip(over, cut, strict=True):
            whole[n] = ids
        return whole, n_cut

    def encode(self, ids: list[np.ndarray], width: int) -> np.ndarray:
        """Encode one batch, padded on the right to `width`; float32 (N, D), unit length.

        A batch that a GPU has no memory for is halved, down to one text.
        """
        import torch

        try:
            return self._encode(ids, width)
        except torch.OutOfMemoryError:
            if len(ids) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(ids) // 2
        return np.concatenate([self.encode(ids[:half], width), self.encode(ids[half:], width)])

    def _encode(self, ids: list[np.ndarray], width: int) -> np.ndarray:
        import torch

        started = time.monotonic()
        lengths = torch.tensor([len(row) for row in ids])
        padded = np.full((len(ids), width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        for row, own in zip(padded, ids, strict=True):
            row[: len(own)] = own
        device = self.network.device
        mask = (torch.arange(width) < lengths.unsqueeze(1)).to(device)
        # Padding stands on the right: a causal network never looks at it, and without a mask attention
        # takes its fast path. The same holds where nothing is padded.
        needed = not self._is_causal and bool((lengths < width).any())
        with torch.inference_mode():
            hidden = self.network(
                input_ids=torch.from_numpy(padded).to(device),
                attention_mask=mask.long() if needed else None,
            ).last_hidden_state
            vectors = pool(hidden, mask, self.configuration.pooling, self._n_prefix).float()
            found = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
        if device.type != "cpu":
            self.accelerator_s += time.monotonic() - started
        return found

    @cached_property
    def _is_causal(self) -> bool:
        known = [part.is_causal for part in self.network.modules() if hasattr(part, "is_causal")]
        return bool(known) and all(known)

    @cached_property
    def _n_prefix(self) -> int:
        return prefix_tokens(self.tokenizer, self.configuration.instruction)
