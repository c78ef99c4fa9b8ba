"""State in, pandas and networkx out."""
