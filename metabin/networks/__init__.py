"""Networks: normalizations (what, where), backbones, pretrained weights, the Re-ID model."""
