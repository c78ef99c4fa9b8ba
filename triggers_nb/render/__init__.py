"""State in, HTML, SVG and text out, as strings; no IPython."""
