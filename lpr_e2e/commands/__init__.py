"""The commands of `lpr-e2e`, a module each: `add_arguments(parser)` and `run(options)`, which returns the exit code."""
