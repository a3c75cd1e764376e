"""Prior knowledge in prompts (PA_p)."""
