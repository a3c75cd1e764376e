"""The parts of the reward, a module each."""
