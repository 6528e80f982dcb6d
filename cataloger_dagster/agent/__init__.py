"""The agent: a model, its two tools, the loop between them and the record of what passed."""
