"""What tests/trainer_versions.sh runs under each version of TRL: a step of its GRPO on our rewards.

medreward is installed without its extras. The model knows words and no images, which TRL 0.18 does
not train on yet.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

RIGHT = "<think> x </think> <answer> normal </answer>"
WRONG = "<think> x </think> <answer> pneumonia </answer>"
PROMPT = "Is it normal or pneumonia ?"


def tiny() -> tuple[Any, Any]:
    """Return a small Llama and a tokenizer of the words of the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<end>", "<unknown>", *dict.fromkeys(f"{RIGHT} {PROMPT}".split())]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unknown>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unknown>",
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    learn(model, tokenizer)
    return model, tokenizer


def learn(model: Any, tokenizer: Any) -> None:
    """Let the model learn the two answers, so that it writes one or the other."""
    import torch

    texts = [f"{PROMPT} {answer} <end>" for answer in (RIGHT, WRONG)]
    ids = torch.tensor(tokenizer(texts)["input_ids"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()


def train(funcs: Any, weights: list[float] | None, out: str) -> Any:
    """Train two steps and return the trainer."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer = tiny()
    columns = {"task": "pneumoniamnist", "target": "normal", "knowledge": "", "split": "train"}
    rows = [{"prompt": PROMPT, "id": f"row{i}", **columns} for i in range(4)]
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=funcs,
        args=GRPOConfig(
            output_dir=out,
            reward_weights=weights,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=8,
            max_steps=2,
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to=[],
            save_strategy="no",
            remove_unused_columns=False,
        ),
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    return trainer


def main() -> None:
    """Check what is logged against the trace, and say what this TRL shows the functions."""
    import trl

    import medreward
    from medreward import ConfigError, shaped_reward
    from medreward_trl import reward_funcs, shaped, tasks

    assert Path(medreward.__file__).is_relative_to(sys.prefix), medreward.__file__
    with TemporaryDirectory() as out:
        trace = Path(out) / "trace.jsonl"
        funcs, weights = reward_funcs("pneumoniamnist", trace=trace)
        trainer = train(funcs, weights, out)
        lines = [json.loads(line) for line in trace.read_text().splitlines()]
        assert len(lines) == 8, len(lines)
        totals = {round(line["total"], 4) for line in lines}
        assert {1.2, 0.2} & totals, totals  # right and wrong answers, in the format
        logged = [entry for entry in trainer.state.log_history if "reward" in entry]
        sums: set[str] = set()
        for step, entry in enumerate(logged):
            rows = lines[4 * step : 4 * step + 4]
            for row in rows:
                again = shaped_reward(row["completion"], "normal", task=row["task"], knowledge="")
                assert abs(row["total"] - again) < 1e-9, row
            means = {
                "weighted": sum(row["total"] for row in rows) / 4,
                "unweighted": sum(sum(row["parts"].values()) for row in rows) / 4,
            }
            sums |= {name for name, mean in means.items() if abs(entry["reward"] - mean) < 1e-4}
            mean = sum(row["parts"]["format"] for row in rows) / 4
            assert abs(entry["rewards/format/mean"] - mean) < 1e-4, entry
        assert len(sums) == 1, sums
        assert [round(float(weight), 4) for weight in trainer.reward_weights] == weights
        train(shaped("pneumoniamnist"), None, out)
        assert callable(tasks.retinamnist)
        try:
            train(reward_funcs("pneumoniamnist").funcs, None, out)
            weights_seen = False
        except ConfigError:
            weights_seen = True
    steps = all(line["step"] is not None for line in lines)
    seen = {"trl": trl.__version__, "forgotten weights are refused": weights_seen, "steps": steps}
    seen |= {"correct is logged": "correct" in logged[0], "the logged reward is": sums.pop()}
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
