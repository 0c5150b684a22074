"""The sub-commands of `lpr-e2e`: each a module with `add_arguments(parser)` and `run(options)`."""
