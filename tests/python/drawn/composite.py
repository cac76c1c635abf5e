"""Many compiled models as one library, built once and run once, on this computer or a board.

The library looks like one model, `drawn`, whose inputs are those of all models and whose outputs
are those of all models, each model's followed by its state: what its run returned and the path it
took, both int32. Every model has a translation unit of its own:

    m7.c    #include "m7_run.c", "m7_layers.c", …; m7_map() says where its tensors lie
    drawn.h the interface that the firmware's glue and `HostModel` know
    drawn.c runs one model after the other
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.micro.app import AppSpec, IoTensor, ModelIo

NAME = "drawn"
_STATE_BYTES = 8


@dataclass(frozen=True)
class Member:
    """A model of a composite; its name is its own. With `poison` it is a debug build."""

    compiled: CompiledModel
    poison: bool = False


@dataclass(frozen=True)
class Result:
    """What a model's run returned (0: no error), its path, and the bytes of its outputs."""

    status: int
    path: int
    outputs: bytes


def write_composite(members: Sequence[Member], folder: Path) -> Path:
    """Writes the library's sources; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for member in members:
        for name, text in member.compiled.sources.items():
            if name != "CMakeLists.txt":
                (folder / name).write_text(text)
        (folder / f"{member.compiled.name}.c").write_text(_unit(member))
    (folder / f"{NAME}.h").write_text(_header(members))
    (folder / f"{NAME}.c").write_text(_executor(members))
    (folder / "CMakeLists.txt").write_text(_project(members))
    return folder


def composite_app(members: Sequence[Member]) -> AppSpec:
    """The interface of the library."""
    inputs, outputs = [], []
    for member in members:
        io = member.compiled.model_io
        inputs += [tensor.size_bytes for tensor in io.inputs]
        outputs += [*(tensor.size_bytes for tensor in io.outputs), _STATE_BYTES]
    tensors = [
        tuple(IoTensor(f"tensors[{i}]", size) for i, size in enumerate(sizes))
        for sizes in (inputs, outputs)
    ]
    io = ModelIo(NAME, *tensors)
    return AppSpec(io, bytes(io.input_bytes))


def split_result(members: Sequence[Member], data: bytes) -> list[Result]:
    """The results of all models in the bytes of one run."""
    results, first = [], 0
    for member in members:
        end = first + member.compiled.model_io.output_bytes
        status, path = np.frombuffer(data[end : end + _STATE_BYTES], "<i4").tolist()
        results.append(Result(status, path, data[first:end]))
        first = end + _STATE_BYTES
    assert first == len(data)
    return results


def _unit(member: Member) -> str:
    """One model: its own files, the buffers of a caller, and what `drawn.c` calls."""
    compiled, name = member.compiled, member.compiled.name
    io = compiled.model_io
    parts = [part for part in ("run", "layers", "weights", "kernels") if _has(compiled, part)]
    lines = ["#define VQ_POISON"] if member.poison else []
    lines += [f'#include "{name}_{part}.c"' for part in parts]
    lines += [
        f"static struct tvmgen_{name}_inputs given;",
        f"static struct tvmgen_{name}_outputs made;",
        "static int32_t state[2];",
    ]
    sides = (("given", io.inputs), ("made", io.outputs))
    body = []
    if io.caller_io:
        for side, tensors in sides:
            for i, tensor in enumerate(tensors):
                # just as large as the tensor, so that sanitizers see what goes beyond it
                lines.append(
                    f"static uint8_t {side}_{i}[{tensor.size_bytes}] __attribute__((aligned(16)));"
                )
                body.append(f"{side}.{tensor.name} = (void *){side}_{i};")
    else:
        body.append(f"tvmgen_{name}_map_io(&given, &made);")
    for side, tensors in sides:
        target = "inputs" if side == "given" else "outputs"
        for i, tensor in enumerate(tensors):
            body.append(f"{target}[{i}] = (uint8_t *){side}.{tensor.name};")
    body.append(f"outputs[{len(io.outputs)}] = (uint8_t *)state;")
    path = f"tvmgen_{name}_path()" if io.thresholds else "0"
    return "\n".join(
        [
            *lines,
            f"void {name}_map(uint8_t **inputs, uint8_t **outputs);",
            f"void {name}_infer(void);",
            f"void {name}_map(uint8_t **inputs, uint8_t **outputs) {{",
            *(f"    {line}" for line in body),
            "}",
            f"void {name}_infer(void) {{",
            f"    state[0] = tvmgen_{name}_run(&given, &made);",
            f"    state[1] = {path};",
            "}\n",
        ]
    )


def _header(members: Sequence[Member]) -> str:
    io = composite_app(members).io
    return "\n".join(
        [
            "#include <stdint.h>",
            f"struct tvmgen_{NAME}_inputs {{ uint8_t *tensors[{len(io.inputs)}]; }};",
            f"struct tvmgen_{NAME}_outputs {{ uint8_t *tensors[{len(io.outputs)}]; }};",
            f"void tvmgen_{NAME}_map_io(struct tvmgen_{NAME}_inputs *inputs,",
            f"    struct tvmgen_{NAME}_outputs *outputs);",
            f"int32_t tvmgen_{NAME}_run(struct tvmgen_{NAME}_inputs *inputs,",
            f"    struct tvmgen_{NAME}_outputs *outputs);\n",
        ]
    )


def _executor(members: Sequence[Member]) -> str:
    prototypes, maps, runs = [], [], []
    inputs = outputs = 0
    for member in members:
        name, io = member.compiled.name, member.compiled.model_io
        prototypes.append(f"void {name}_map(uint8_t **inputs, uint8_t **outputs);")
        prototypes.append(f"void {name}_infer(void);")
        maps.append(f"    {name}_map(inputs->tensors + {inputs}, outputs->tensors + {outputs});")
        runs.append(f"    {name}_infer();")
        inputs += len(io.inputs)
        outputs += len(io.outputs) + 1
    return "\n".join(
        [
            f'#include "{NAME}.h"',
            *prototypes,
            f"void tvmgen_{NAME}_map_io(struct tvmgen_{NAME}_inputs *inputs,",
            f"    struct tvmgen_{NAME}_outputs *outputs) {{",
            *maps,
            "}",
            f"int32_t tvmgen_{NAME}_run(struct tvmgen_{NAME}_inputs *inputs,",
            f"    struct tvmgen_{NAME}_outputs *outputs) {{",
            "    (void)inputs;",
            "    (void)outputs;",
            *runs,
            "    return 0;",
            "}\n",
        ]
    )


def _project(members: Sequence[Member]) -> str:
    """The routines in assembly are for boards; this computer runs their scalar twins."""
    units = " ".join(f"{member.compiled.name}.c" for member in members)
    assembly = " ".join(
        f"{member.compiled.name}_assembly.S"
        for member in members
        if f"{member.compiled.name}_assembly.S" in member.compiled.sources
    )
    return "\n".join(
        [
            "cmake_minimum_required(VERSION 3.20)",
            f"project({NAME} LANGUAGES C ASM)",
            # what sanitizers are built with: more would take more time than it saves
            'set(CMAKE_C_FLAGS_RELEASE "-O1")',
            f"add_library(vq_model {NAME}.c {units})",
            "if(CMAKE_CROSSCOMPILING)",
            f"    target_sources(vq_model PRIVATE {assembly})",
            "endif()",
            "set_target_properties(vq_model PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)",
            "target_compile_options(vq_model PRIVATE -ffp-contract=off)",
            "target_include_directories(vq_model PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})\n",
        ]
    )


def _has(compiled: CompiledModel, part: str) -> bool:
    return f"{compiled.name}_{part}.c" in compiled.sources
