"""Relax passes from QDQ to integer kernels, one per file; usable alone in a `Sequential`."""

from .cancel_transposes import CancelTransposes
from .copy_outputs import CopyOutputs
from .fold_qdq import FoldQDQ
from .fuse_pad import FusePad
from .fuse_signs import FuseSigns
from .fuse_tables import FuseTables
from .lower_bc_net import LowerBCNet
from .lower_to_tir import LowerToTIR
from .pack_binary import PackBinary
from .pipeline import fold_pipeline, lower_pipeline, select_pipeline
from .remove_constant_channels import RemoveConstantChannels
from .select_realisation import SelectRealisation
from .select_schedule import SelectSchedule
from .virtual_quantize import VirtualQuantize
from .vq_config import LayerLevels, VirtualQuantizeConfig

__all__ = [
    "CancelTransposes",
    "CopyOutputs",
    "FoldQDQ",
    "FusePad",
    "FuseSigns",
    "FuseTables",
    "LayerLevels",
    "LowerBCNet",
    "LowerToTIR",
    "PackBinary",
    "RemoveConstantChannels",
    "SelectRealisation",
    "SelectSchedule",
    "VirtualQuantize",
    "VirtualQuantizeConfig",
    "fold_pipeline",
    "lower_pipeline",
    "select_pipeline",
]
