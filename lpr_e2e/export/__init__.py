"""The trained model in the forms of other runtimes, each compared with Keras."""
