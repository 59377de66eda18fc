"""Handwritten digits: a graph of two classifiers and a vote (graph.py), and a run of it on real images (demo.py)."""
