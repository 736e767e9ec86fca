"""Measures the service against the bare Helm program, on real parts, in one run.

Rounds of all arms are interleaved, so that whatever else the machine does falls on
each alike; figures are medians and ratios of one run.
"""
