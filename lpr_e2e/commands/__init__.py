"""The sub-commands of `lpr-e2e`, one module each: `add_arguments` and `run`."""
