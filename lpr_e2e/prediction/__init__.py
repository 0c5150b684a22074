"""How a photograph is read: one procedure over any engine, and what comes out of it."""
