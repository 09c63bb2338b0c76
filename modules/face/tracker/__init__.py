"""Fits a morphable head to the landmarks of a clip: one identity and focal length, a pose and expression a frame."""
