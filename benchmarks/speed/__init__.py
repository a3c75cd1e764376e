"""How fast medreward is, against what else one would use: one small module a topic."""
