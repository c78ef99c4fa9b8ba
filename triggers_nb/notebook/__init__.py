"""Widgets, magics and exports: the only place that knows IPython and ipywidgets.

What a widget does is decided in classes without a front end (`panel_logic`, `triage_logic`, `sheets`, `live`); the
widgets only carry it to the screen and clicks back.
"""
