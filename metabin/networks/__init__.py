"""Networks: normalizations (what, where), backbones and their pretrained weights, the Re-ID model."""
