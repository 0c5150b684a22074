"""Measurements of a model and of its training: robustness, speed, ablation."""
