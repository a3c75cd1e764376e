#!/usr/bin/env bash
# A TEST HARNESS, no way to train a real model: veRL's own trainer with medreward's reward on the
# demo's tiny model, on a CPU.
#
#   medreward demo --steps 1 --out runs/demo      makes the model and the rows
#   recipes/cpu/verl_grpo.sh                      GRPO from runs/demo/warm_start
#
# Whatever follows the script's name goes to verl as it is.
set -euo pipefail

DEMO="${DEMO:-runs/demo}"    # what `medreward demo` wrote
OUT="${OUT:-runs/verl_cpu}"
STEPS="${STEPS:-40}"
PROMPTS="${PROMPTS:-32}" # a step
MINI="${MINI:-8}"        # prompts a policy update
GROUP="${GROUP:-8}"      # completions a prompt
LR="${LR:-3e-4}"
VAL_SAMPLES="${VAL_SAMPLES:-100}" # held-out rows of a validation
TEST_FREQ="${TEST_FREQ:-10}"      # steps between validations
SAVE_FREQ="${SAVE_FREQ:--1}"
PYTHON="${PYTHON:-python3}"

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$OUT"
DEMO="$(cd "$DEMO" && pwd)" OUT="$(cd "$OUT" && pwd)"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
export VERL_USE_EXTERNAL_MODULES=verl_cpu VERL_PLATFORM=cpu HF_HUB_OFFLINE=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" TOKENIZERS_PARALLELISM=false RAY_DEDUP_LOGS=0

micro=$((MINI * GROUP))
overrides=(
  algorithm.adv_estimator=grpo
  critic.enable=false
  data.train_files="$DEMO/train.parquet"
  data.val_files="$DEMO/test.parquet"
  data.val_max_samples="$VAL_SAMPLES"
  data.train_batch_size="$PROMPTS"
  data.max_prompt_length=256
  data.max_response_length=16
  data.seed=0
  data.dataloader_num_workers=0
  data.custom_cls.path=pkg://verl_cpu.llava
  data.custom_cls.name=LlavaDataset
  actor_rollout_ref.model.path="$DEMO/warm_start"
  actor_rollout_ref.model.use_remove_padding=false
  actor_rollout_ref.model.enable_gradient_checkpointing=false
  +actor_rollout_ref.model.override_config.attn_implementation=sdpa
  actor_rollout_ref.actor.strategy=fsdp2
  actor_rollout_ref.actor.fsdp_config.strategy=fsdp2
  actor_rollout_ref.actor.fsdp_config.dtype=float32
  "+actor_rollout_ref.actor.fsdp_config.mixed_precision={param_dtype:fp32,reduce_dtype:fp32,buffer_dtype:fp32}"
  "+actor_rollout_ref.actor.fsdp_config.wrap_policy.transformer_layer_cls_to_wrap=[LlamaDecoderLayer,CLIPEncoderLayer]"
  actor_rollout_ref.actor.fsdp_config.use_torch_compile=false
  actor_rollout_ref.actor.use_torch_compile=false
  actor_rollout_ref.actor.ppo_mini_batch_size="$MINI"
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu="$micro"
  actor_rollout_ref.actor.optim.lr="$LR"
  actor_rollout_ref.actor.optim.lr_warmup_steps=10
  actor_rollout_ref.actor.optim.weight_decay=0.0
  actor_rollout_ref.actor.optim.betas="[0.9,0.95]"
  actor_rollout_ref.rollout.name=transformers
  actor_rollout_ref.rollout.n="$GROUP"
  actor_rollout_ref.rollout.tensor_model_parallel_size=1
  actor_rollout_ref.rollout.calculate_log_probs=false
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu="$micro"
  actor_rollout_ref.rollout.agent.num_workers=1
  actor_rollout_ref.rollout.agent.default_agent_loop=llava_agent
  +actor_rollout_ref.rollout.agent.agent_loop_manager_class=verl_cpu.llava.LlavaManager
  reward.num_workers=1
  reward.reward_manager.source=importlib
  reward.reward_manager.module.path=pkg://medreward_verl.manager
  reward.reward_manager.name=MedRewardManager
  +reward.custom_reward_function.reward_kwargs.decay=geometric
  hydra.run.dir="$OUT/hydra"
  trainer.device=cpu
  trainer.n_gpus_per_node=1
  trainer.nnodes=1
  trainer.total_training_steps="$STEPS"
  trainer.total_epochs=100
  trainer.logger="[console,file]"
  trainer.project_name=medreward
  trainer.experiment_name=cpu
  trainer.default_local_dir="$OUT/checkpoints"
  trainer.validation_data_dir="$OUT/validation"
  trainer.resume_mode=disable
  trainer.save_freq="$SAVE_FREQ"
  trainer.test_freq="$TEST_FREQ"
  trainer.val_before_train=true
  transfer_queue.backend.SimpleStorage.num_data_storage_units=1
  ray_kwargs.ray_init.num_cpus=16
  +ray_kwargs.ray_init.num_gpus=1
  +ray_kwargs.ray_init.include_dashboard=false
  +ray_kwargs.ray_init.object_store_memory=500000000
)
VERL_FILE_LOGGER_PATH="$OUT/metrics.jsonl" exec "$PYTHON" -m verl.trainer.main_ppo "${overrides[@]}" "$@"
