"""How good readings are: metrics, scoring against a truth, calibration, slices, the report."""
