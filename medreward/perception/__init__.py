"""What helps a policy to look: grounding questions from annotations (PA_π)."""
