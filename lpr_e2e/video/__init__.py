"""Clips and cameras: frames in, one row for each vehicle that passes out."""
