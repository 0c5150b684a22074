"""Labels by hand: a page in the browser with what the model reads filled in, and a table of what a person says."""
