# SPDX-License-Identifier: Apache-2.0
"""How much the stages do: FULL for a GPU, TINY for what an interpreter of kernels gets through."""

FULL = {
    "edge": 8192,
    "copy_mib": 2048,
    "repeats": 9,
    "algorithms": 8,
    "models": ["electra-B4-4-4H768", "electra-B10-10-10H1024"],
    "overrides": [],
    "batches": [64, 32, 16],
    "training_steps": 300,
    "whole_model": {"config": "electra-B4-4-4H768", "steps": 200,
                    "overrides": ["data.seq_len=64", "objective.predictions=10", "train.global_batch=32"]},
    "tests": {
        "device_test": "*",
        "backend_test": "Context.*:Matmul.*:Stopwatch.*:-Matmul.BitsDoNotDependOnWhereOperandsLie",
        "ops_test": "*",
        "fused_attention_test": "*",
        "model_test": "Fixtures/GoldenTest.*",
        "device_training_test": "*:-DeviceRanks.*",
        "device_comm_test": "*",
    },
}
TINY = {
    **FULL,
    "edge": 48,
    "copy_mib": 1,
    "repeats": 1,
    "models": ["tiny"],
    "overrides": ["data.seq_len=16", "model.width=16", "model.heads=2", "model.head_width=8", "model.inner=32",
                  "objective.predictions=2", "objective.generator_width_ratio=0.5"],
    "batches": [2],
    "training_steps": 4,
    "whole_model": {"config": "tiny", "steps": 2, "overrides": []},
    "tests": {"device_test": "DeviceMemory.*", "backend_test": "Stopwatch.*"},
}
SIZES = {"full": FULL, "tiny": TINY}
