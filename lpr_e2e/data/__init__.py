"""Labelled pictures: tables, fingerprints, matching, split, the data set, and the check of all of it."""
