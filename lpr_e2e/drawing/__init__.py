"""Drawn plates, cars and scenes: for training, and for a demonstration without real data."""
