"""In which precision an iteration computes: fp32, bf16 or fp16."""

import torch

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def precision_for(device: torch.device, precision: str = "auto") -> str:
    """The precision on a device; "auto" is bf16 on a GPU that has it, fp16 on others, else fp32."""
    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which convolutions and products compute in half precision, if asked for."""
    half = HALF.get(precision)
    return torch.autocast(device.type, half, enabled=half is not None, cache_enabled=False)
