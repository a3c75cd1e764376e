"""TRL adapter."""
