"""Tracking, cuts and layers measured against exact truth, and against themselves on real clips."""
