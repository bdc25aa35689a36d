# SPDX-License-Identifier: Apache-2.0
"""Times an ELECTRA step of the same model in PyTorch with Hugging Face's Funnel classes: generator and
discriminator, sampling, both losses, backward, AdamW. The generator's width is a quarter; dropout is
on; random text. Ends with 77 where PyTorch or transformers is not installed.

    transformers_step.py --config FILE --batch N --precision FP32|BF16 --json FILE [--steps N]
"""

import argparse
import json
import pathlib
import re
import statistics
import sys
import time

VOCABULARY, PREDICTIONS = 30522, 85


def read_config(file):
    """The fields of a configuration that a model needs; text format, one field a line."""
    text = pathlib.Path(file).read_text()

    def number(name, default=None):
        found = re.search(rf"^\s*{name}: ([\d.]+)", text, re.MULTILINE)
        return float(found[1]) if found else default

    blocks = re.findall(r'^\s*blocks: "(\d+)(?:x(\d+))?"', text, re.MULTILINE)
    decoder = re.search(r'^\s*decoder: "(\d+)', text, re.MULTILINE)
    return {"block_sizes": [int(layers) for layers, _ in blocks], "block_repeats": [int(times or 1) for _, times in blocks],
            "num_decoder_layers": int(decoder[1]) if decoder else 0, "d_model": int(number("width")),
            "n_head": int(number("heads")), "d_head": int(number("head_width")), "d_inner": int(number("inner")),
            "seq": int(number("seq_len")), "ratio": number("generator_width_ratio", 0.25),
            "weight": number("discriminator_weight", 50)}


def funnel_config(transformers, sizes, ratio):
    heads = max(1, int(sizes["n_head"] * ratio))
    return transformers.FunnelConfig(
        vocab_size=VOCABULARY, block_sizes=sizes["block_sizes"], block_repeats=sizes["block_repeats"],
        num_decoder_layers=sizes["num_decoder_layers"], d_model=int(sizes["d_model"] * ratio), n_head=heads,
        d_head=sizes["d_head"], d_inner=int(sizes["d_inner"] * ratio))


def make_step(torch, transformers, sizes, options, device):
    generator = transformers.FunnelForMaskedLM(funnel_config(transformers, sizes, sizes["ratio"])).to(device).train()
    discriminator = transformers.FunnelForPreTraining(funnel_config(transformers, sizes, 1)).to(device).train()
    parameters = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=device == "cuda")
    predictions = min(PREDICTIONS, sizes["seq"] // 2)
    text = torch.randint(5, VOCABULARY, (options.batch, sizes["seq"]), device=device)
    segments = torch.ones_like(text)
    segments[:, 0] = 2
    segments[:, 1 : sizes["seq"] // 2] = 0
    places = torch.arange(predictions, device=device).mul(sizes["seq"] - 1).div(predictions, rounding_mode="floor").add(1)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=options.precision == "BF16"):
            masked = text.index_fill(1, places, 103)
            hidden = generator.funnel(masked, token_type_ids=segments).last_hidden_state
            logits = generator.lm_head(hidden[:, places])
            targets = text[:, places]
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
            with torch.no_grad():
                drawn = (logits.float() - torch.empty_like(logits, dtype=torch.float32).exponential_().log()).argmax(-1)
            corrupted = text.index_copy(1, places, drawn)
            judged = discriminator(corrupted, token_type_ids=segments).logits
            replaced = (corrupted != text).float()
            loss = loss + sizes["weight"] * torch.nn.functional.binary_cross_entropy_with_logits(judged.float(), replaced)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss

    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--precision", choices=("FP32", "BF16"), default="FP32")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--json", required=True)
    options = parser.parse_args()
    try:
        import torch  # pylint: disable=import-outside-toplevel
        import transformers  # pylint: disable=import-outside-toplevel
    except ImportError as missing:
        print(f"{missing.name} is not installed")
        sys.exit(77)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    sizes = read_config(options.config)
    step = make_step(torch, transformers, sizes, options, device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(min(3, options.steps)):
        step()
    wait()
    seconds = []
    for _ in range(options.steps):
        started = time.perf_counter()
        loss = step()
        wait()
        seconds.append(time.perf_counter() - started)
    if not torch.isfinite(loss):
        sys.exit("the loss is not finite")
    middle = statistics.median(seconds)
    name = pathlib.Path(options.config).stem.removeprefix("electra-")
    result = {"model": name, "precision": options.precision, "batch": options.batch, "ms": 1e3 * middle,
              "sequences_per_second": options.batch / middle, "device": device, "torch": torch.__version__,
              "transformers": transformers.__version__}
    pathlib.Path(options.json).write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()
