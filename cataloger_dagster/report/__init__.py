"""Pages: from facts and a model's prose to one self-contained HTML file, and back to its data block."""
