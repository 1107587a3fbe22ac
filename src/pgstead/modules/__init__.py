"""Modules: pure functions from their variables and materials to machines.

One folder for each thing that is set up, with its variables, templates and outputs
together; `build` turns a whole stack into machines.
"""
