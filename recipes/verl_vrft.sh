#!/usr/bin/env bash
# VRFT-Aug in veRL: GRPO on a vision-language model with prior knowledge in the prompts (PA_p), MFRS
# and recitation δ⁻; with --stage localisation first, also PA_π.
#
#   recipes/verl_vrft.sh --check                   check everything that needs no GPU
#   recipes/verl_vrft.sh                           check, then train the classification stage
#   recipes/verl_vrft.sh --stage localisation      the first stage of PA_π, on rows with boxes
#   recipes/verl_vrft.sh --from-localisation       the second stage, from the first one's last step
#   recipes/verl_vrft.sh --print                   print verl's overrides, one a line
#
# Whatever follows `--` goes to verl as it is: recipes/verl_vrft.sh -- trainer.total_epochs=1
# Rows: medreward prepare --task retinamnist --npz retinamnist_224.npz --drop-duplicates --out data
set -euo pipefail

# ---- what to change: set here, or in the environment ----------------------------------------------
MODEL="${MODEL:-Qwen/Qwen2.5-VL-3B-Instruct}" # a hub name or a local folder
TRAIN="${TRAIN:-data/train.parquet}"          # rows in veRL's schema
VAL="${VAL:-data/val.parquet}"
OUT="${OUT:-runs/verl_vrft}" # checkpoints go to $OUT/<stage>; on several nodes a shared folder

GPUS="${GPUS:-8}"                    # a node
NODES="${NODES:-1}"                  # more than one needs a running Ray cluster and RAY_ADDRESS
TENSOR_PARALLEL="${TENSOR_PARALLEL:-1}" # of the rollout
LORA_RANK="${LORA_RANK:-0}"          # 0 trains all weights

GROUP="${GROUP:-8}"          # completions a prompt
PROMPTS="${PROMPTS:-64}"     # prompts a step
MINI="${MINI:-32}"           # prompts a policy update
MICRO="${MICRO:-4}"          # completions a GPU at once
EPOCHS="${EPOCHS:-10}"
STEPS="${STEPS:-null}"       # a number stops earlier
LR="${LR:-}"                 # empty: 1e-6 for all weights, 1e-5 for LoRA
KL="${KL:-0.0}"              # weight of the KL term; above 0 keeps a reference model
MAX_PROMPT="${MAX_PROMPT:-2048}" # tokens, the image's among them
MAX_RESPONSE="${MAX_RESPONSE:-512}"

REWARD="${REWARD:-manager}"  # manager or function: the same scores
WORKERS="${WORKERS:-8}"      # Ray actors that score
W_ACCURACY="${W_ACCURACY:-1.0}"
W_FORMAT="${W_FORMAT:-0.2}"
W_RECITATION="${W_RECITATION:-0.05}"
DECAY="${DECAY:-geometric}"  # MFRS: partial credit over the grades, for ordinal tasks
DELTA="${DELTA:--1}"         # recitation: -1 penalises, 1 rewards, 0 leaves it out
MODEL_PROFILE="${MODEL_PROFILE:-}" # format and frame of the model, such as qwen3_vl
TASKS="${TASKS:-}"           # cards of your own: {my_source:/path/card.yaml}

LOGGER="${LOGGER:-[console]}" # such as [console,wandb]
PYTHON="${PYTHON:-python3}"
# ---------------------------------------------------------------------------------------------------

fail() {
  echo "verl_vrft: $1" >&2
  exit 2
}

stage=classification action=train from_localisation=false
while (($#)); do
  case "$1" in
    --stage)
      (($# > 1)) || fail "--stage: localisation or classification"
      stage="$2"
      shift
      ;;
    --from-localisation) from_localisation=true ;;
    --check) action=check ;;
    --print) action=print ;;
    --)
      shift
      break
      ;;
    *) fail "'$1' is not an option; see the head of this file" ;;
  esac
  shift
done

case "$stage" in
  classification) ;;
  localisation) DELTA=0 ;; # overlap earns credit up to 1; a recitation term could outweigh it
  *) fail "--stage: '$stage' is neither localisation nor classification" ;;
esac
whole() { # NAME LEAST: what the arithmetic below, and verl's, takes for granted
  if [[ ! "${!1}" =~ ^[0-9]+$ ]] || ((${!1} < $2)); then
    fail "$1: '${!1}' is not a whole number from $2 on"
  fi
}
for name in GPUS NODES TENSOR_PARALLEL GROUP PROMPTS MINI MICRO EPOCHS MAX_PROMPT MAX_RESPONSE \
  WORKERS; do whole "$name" 1; done
whole LORA_RANK 0
[[ "$STEPS" == null ]] || whole STEPS 1
((NODES == 1)) || [[ -n "${RAY_ADDRESS:-}" ]] ||
  fail "NODES=$NODES: start Ray on every node (ray start) and set RAY_ADDRESS, such as auto"

# PA_π: the policy of the localisation stage, merged into a model folder, is where this one starts.
if [[ "$from_localisation" == true ]]; then
  [[ "$stage" == classification ]] || fail "--from-localisation is for the classification stage"
  last="$OUT/localisation/latest_checkpointed_iteration.txt"
  [[ -f "$last" ]] || fail "$last: not there; run --stage localisation first, with the same OUT"
  step="$(<"$last")"
  MODEL="$OUT/localisation/merged_$step"
  if [[ ! -d "$MODEL" && "$action" == train ]]; then
    "$PYTHON" -m medreward_verl.merge "$OUT/localisation/global_step_$step/actor" "$MODEL"
  fi
fi

kwargs=+reward.custom_reward_function.reward_kwargs
overrides=(
  algorithm.adv_estimator=grpo
  critic.enable=false
  data.train_files="$TRAIN"
  data.val_files="$VAL"
  data.train_batch_size="$PROMPTS"
  data.max_prompt_length="$MAX_PROMPT"
  data.max_response_length="$MAX_RESPONSE"
  data.filter_overlong_prompts=true
  data.truncation=error
  data.image_key=images
  actor_rollout_ref.model.path="$MODEL"
  actor_rollout_ref.model.enable_gradient_checkpointing=true
  actor_rollout_ref.model.use_remove_padding=true
  actor_rollout_ref.actor.ppo_mini_batch_size="$MINI"
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu="$MICRO"
  actor_rollout_ref.actor.use_kl_loss="$([[ "$KL" =~ ^0*\.?0*$ ]] && echo false || echo true)"
  actor_rollout_ref.actor.kl_loss_coef="$KL"
  actor_rollout_ref.actor.kl_loss_type=low_var_kl
  actor_rollout_ref.actor.entropy_coeff=0
  actor_rollout_ref.rollout.name=vllm
  actor_rollout_ref.rollout.n="$GROUP"
  actor_rollout_ref.rollout.temperature=1.0
  actor_rollout_ref.rollout.tensor_model_parallel_size="$TENSOR_PARALLEL"
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu="$MICRO"
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu="$MICRO"
  actor_rollout_ref.ref.fsdp_config.param_offload=true
  reward.num_workers="$WORKERS"
  "$kwargs.weights={accuracy:$W_ACCURACY,format:$W_FORMAT,recitation:$W_RECITATION}"
  "$kwargs.delta=$DELTA"
  trainer.n_gpus_per_node="$GPUS"
  trainer.nnodes="$NODES"
  trainer.total_epochs="$EPOCHS"
  trainer.total_training_steps="$STEPS"
  trainer.project_name=medreward
  trainer.experiment_name="$stage"
  trainer.default_local_dir="$OUT/$stage"
  trainer.validation_data_dir="$OUT/$stage/validation"
  trainer.logger="$LOGGER"
  trainer.save_freq=50
  trainer.test_freq=10
  trainer.val_before_train=true
)
if ((LORA_RANK > 0)); then
  overrides+=(
    actor_rollout_ref.actor.optim.lr="${LR:-1e-5}"
    actor_rollout_ref.model.lora_rank="$LORA_RANK"
    actor_rollout_ref.model.lora_alpha="$((2 * LORA_RANK))"
    actor_rollout_ref.model.target_modules=all-linear
    "actor_rollout_ref.model.exclude_modules='.*visual.*'"
    actor_rollout_ref.rollout.load_format=safetensors
    actor_rollout_ref.rollout.layered_summon=true
  )
else
  overrides+=(actor_rollout_ref.actor.optim.lr="${LR:-1e-6}")
fi
[[ "$stage" == localisation ]] || overrides+=("$kwargs.decay=$DECAY")
[[ -z "$TASKS" ]] || overrides+=("$kwargs.tasks=$TASKS")
[[ -z "$MODEL_PROFILE" ]] || overrides+=("$kwargs.model_profile=$MODEL_PROFILE")
case "$REWARD" in
  manager)
    overrides+=(
      reward.reward_manager.source=importlib
      reward.reward_manager.module.path=pkg://medreward_verl.manager
      reward.reward_manager.name=MedRewardManager
    )
    ;;
  function)
    overrides+=(
      reward.custom_reward_function.path=pkg://medreward_verl
      reward.custom_reward_function.name=compute_score
    )
    ;;
  *) fail "REWARD: '$REWARD' is neither manager nor function" ;;
esac
overrides+=("$@")

if [[ "$action" == print ]]; then
  printf '%s\n' "${overrides[@]}"
  exit
fi
places=()
[[ "$stage" == classification ]] || places=(--places)
if [[ "$action" == check ]]; then
  exec "$PYTHON" -m medreward_verl.check "${places[@]}" "${overrides[@]}"
fi
"$PYTHON" -m medreward_verl.check --train "${places[@]}" "${overrides[@]}"
exec "$PYTHON" -m verl.trainer.main_ppo "${overrides[@]}"
