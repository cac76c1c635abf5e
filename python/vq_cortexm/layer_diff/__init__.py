"""A model's layers beside those of another runtime, and on a device: `vq-cortexm layer-diff`."""
