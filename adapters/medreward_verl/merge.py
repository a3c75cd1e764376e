"""A checkpoint of veRL's FSDP actor -> a model folder that the next stage can start from.

``python -m medreward_verl.merge CHECKPOINT TARGET``, with ``CHECKPOINT`` such as
``runs/localisation/global_step_100/actor``. It is ``verl.model_merger``, and where that leaves a
LoRA adapter beside the base weights, the adapter is merged into them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from medreward import ConfigError
from medreward.files.atomic import replacing


def merge(checkpoint: Path, target: Path) -> None:
    """Write the model of a checkpoint to the folder `target`, whole or not at all.

    Raises:
        ConfigError: if `checkpoint` is not one, or verl's merger fails.
    """
    if not (checkpoint / "fsdp_config.json").is_file():
        raise ConfigError(
            f"{checkpoint}: no fsdp_config.json; expected is a folder such as global_step_100/actor"
        )
    with replacing(target) as scratch:
        command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
        folders = ["--local_dir", str(checkpoint), "--target_dir", str(scratch)]
        if subprocess.run([*command, *folders], check=False).returncode:
            raise ConfigError(f"{checkpoint}: verl.model_merger failed, see above")
        if (scratch / "lora_adapter").is_dir():
            _merge_adapter(scratch)


def _merge_adapter(folder: Path) -> None:
    """Merge ``lora_adapter`` into the weights of a model folder, in place."""
    import shutil

    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder)
    merged = PeftModel.from_pretrained(model, folder / "lora_adapter").merge_and_unload()
    for weights in folder.glob("*.safetensors*"):
        weights.unlink()
    merged.save_pretrained(folder)
    shutil.rmtree(folder / "lora_adapter")


def main() -> int:
    """Parse arguments and merge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    try:
        merge(arguments.checkpoint, arguments.target)
    except ConfigError as error:
        print(f"medreward_verl.merge: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
