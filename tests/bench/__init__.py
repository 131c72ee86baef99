"""Benchmarks: what was compared, how often, and the spread. Figures are ratios from one run, side by side."""
